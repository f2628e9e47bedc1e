"""The best, median and worst results of an evaluation as pictures, made again from the seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pconv_hpc.evaluation.figures.ghost_error import GhostError
from pconv_hpc.evaluation.figures.hole_error import HoleError
from pconv_hpc.evaluation.measuring.baselines import BASELINES
from pconv_hpc.evaluation.measuring.measure import Measurement, erase_masks
from pconv_hpc.evaluation.measuring.views import view_of

_Error = TypeVar("_Error")

_HOLE_GRAY = 128
_SIDE = 256  # of what is shown of a photo, pixels
_SHOWN_BASELINE = "telea"
_SHOWN_SHAPE = "dilate"  # the one that pconv-hpc segment makes unless told otherwise


@dataclass(frozen=True)
class Example:
    """Pictures uint8 (h, w, 3) side by side, by caption, and what they show."""

    title: str
    pictures: Mapping[str, np.ndarray]


def hole_examples(
    measurement: Measurement, errors: Sequence[HoleError], method: str
) -> list[Example]:
    """Return the best, the median and the worst hole of each kind of masks, by L1 in the hole."""
    examples = []
    for masks in dict.fromkeys(error.masks for error in errors):
        own = [error for error in errors if (error.masks, error.method) == (masks, method)]
        ranked = sorted(own, key=lambda error: error.l1)
        for rank, error in _best_median_worst(ranked):
            truth = measurement.photos.photo(error.photo)
            holes = measurement.holes(error.photo, truth.shape[:2])
            hole = holes[error.number].hole
            examples.append(
                Example(
                    f"{masks}, {rank}: {error.key}, {error.hole_ratio:.0%} hole, L1 "
                    f"{error.l1:.4f}, PSNR {error.psnr:.2f} dB",
                    _around(hole, {**_filled(measurement, truth, hole, method), "truth": truth}),
                )
            )
    return examples


def ghost_examples(
    measurement: Measurement, errors: Sequence[GhostError], method: str
) -> list[Example]:
    """Return the best, the median and the worst erased object, by what shows of it, then by L1."""
    own = [error for error in errors if (error.shape, error.method) == (_SHOWN_SHAPE, method)]
    ranked = sorted(own, key=lambda error: (error.visible, error.l1))
    examples = []
    for rank, error in _best_median_worst(ranked):
        truth = measurement.photos.photo(error.photo)
        composite = measurement.composite(error.photo, truth)
        if composite is None:
            continue
        hole = erase_masks(composite)[_SHOWN_SHAPE]
        filled = _filled(measurement, composite.picture, hole, method)
        examples.append(
            Example(
                f"{rank}: {error.key}, of the outline {error.outline_visible:.0%} visible, of the "
                f"hole's rim {error.rim_visible:.0%}, L1 {error.l1:.4f}",
                _around(hole, {"before": composite.picture, **filled, "truth": truth}),
            )
        )
    return examples


def _best_median_worst(ranked: Sequence[_Error]) -> list[tuple[str, _Error]]:
    if not ranked:
        return []
    places = {"best": 0, "median": len(ranked) // 2, "worst": len(ranked) - 1}
    return [(name, ranked[place]) for name, place in places.items()]


def _around(hole: np.ndarray, pictures: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    view = view_of(hole, _SIDE)
    return {caption: picture[view] for caption, picture in pictures.items()}


def _filled(
    measurement: Measurement, photo: np.ndarray, hole: np.ndarray, judged: str
) -> dict[str, np.ndarray]:
    """Return the masked photo, and what the judged method, other networks and one baseline made."""
    pictures = {"masked": np.where(hole[..., np.newaxis], np.uint8(_HOLE_GRAY), photo)}
    for method, fill in measurement.methods.items():
        if method in BASELINES and method not in (judged, _SHOWN_BASELINE):
            continue
        result = fill(photo, hole)
        if result is not None:
            pictures[method] = result
    return pictures
