"""Which objects found in a photo are good outlines for masks, and those outlines."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.label_maps import MAX_AREA, MIN_AREA, is_cut_off, is_in_one_piece
from pconv_hpc.masks.run_lengths import encode_runs
from pconv_hpc.masks.silhouette_file import MAX_SIDE, Silhouette
from pconv_hpc.masks.silhouettes import scale_to_fit
from pconv_hpc.segmentation.instances import Instance
from pconv_hpc.segmentation.selection import Selection, check_classes

_SAME_OBJECT = 0.8  # intersection over union: a car that is also found as a truck
_EDGE = 0.01  # of the shorter side: masks of networks may end that far before the photo's edge


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """Which objects are taken.

    Attributes:
        classes: of these classes alone, upper and lower case the same; empty: of all.
        min_score: at least this certain, 0 to 1.
        min_area: of at least this share of their photo.
        max_area: of at most this share.
        keep_cut_off: take objects that the photo's edge cuts off, too.

    Raises:
        UsageError: the limits leave nothing.
    """

    classes: tuple[str, ...] = ()
    min_score: float = 0.7
    min_area: float = MIN_AREA
    max_area: float = MAX_AREA
    keep_cut_off: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise UsageError(f"--min-score {self.min_score:g}: expected 0 to 1")
        if not 0 < self.min_area < self.max_area <= 1:
            raise UsageError(
                f"--min-area {self.min_area:g} --max-area {self.max_area:g}: expected shares of "
                "the photo, 0 < min < max <= 1"
            )

    def checked(self, classes: Sequence[str]) -> "Criteria":
        """Return the criteria with class names as the network spells them, sorted.

        Raises:
            UsageError: the network does not know one of them.
        """
        spelled = check_classes(Selection(classes=self.classes), classes).classes
        return replace(self, classes=tuple(sorted(set(spelled))))

    def as_json(self) -> dict[str, Any]:
        """Return the criteria as JSON gives them back."""
        return asdict(self) | {"classes": list(self.classes)}

    def admit(self, instance: Instance) -> bool:
        """Return whether class, score and area of an object fit."""
        names = {name.casefold() for name in self.classes}
        share = instance.area / (instance.height * instance.width)
        return (
            (not names or instance.class_name.casefold() in names)
            and round(instance.score, 4) >= self.min_score
            and self.min_area <= share <= self.max_area
        )

    def admit_mask(self, mask: np.ndarray) -> bool:
        """Return whether the mask of an object, bool (H, W), is a whole object's."""
        margin = max(2, math.ceil(_EDGE * min(mask.shape)))
        return is_in_one_piece(mask) and (self.keep_cut_off or not is_cut_off(mask, margin=margin))


def outlines(photo: str, instances: Sequence[Instance], criteria: Criteria) -> Iterator[Silhouette]:
    """Yield the silhouettes of a photo's objects that fit; of one object the most certain alone.

    Args:
        photo: its name.
        instances: what was found in it, by falling score.
        criteria: which ones fit.
    """
    seen: list[dict[str, Any]] = []
    for instance in instances:
        if not criteria.admit(instance):
            continue
        runs = {"size": [instance.height, instance.width], "counts": instance.counts.encode()}
        overlaps = coco_mask.iou([runs], seen, [0] * len(seen)) if seen else np.zeros(1)
        if overlaps.max() >= _SAME_OBJECT:
            continue
        seen.append(runs)
        mask = instance.mask
        if not criteria.admit_mask(mask):
            continue
        x0, y0, x1, y1 = instance.mask_box
        shape = scale_to_fit(mask[y0:y1, x0:x1], MAX_SIDE)
        if shape.any():
            yield Silhouette(
                photo=photo,
                photo_size=(instance.height, instance.width),
                box=(x0, y0, x1, y1),
                class_name=instance.class_name,
                score=round(instance.score, 4),
                size=(shape.shape[0], shape.shape[1]),
                counts=encode_runs(shape),
            )
