"""How objects are found, selected and made masks of; nothing slow is imported for it."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from pconv_hpc.foundation.setting import check_ranges, setting
from pconv_hpc.masks.mask_growing import MaskShape
from pconv_hpc.segmentation.selection import SELECTING, Selection

Precision = Literal["auto", "float32", "bfloat16", "float16"]
_NETWORK = "network that finds objects"
_MASKS = "masks"


def _file_or_name(text: str) -> str:
    """Return a configuration's absolute path, or what is no file as it is: a name."""
    return str(Path(text).absolute()) if Path(text).is_file() else text


@dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """Which network finds objects; each field says what it is."""

    config: str | None = setting(
        None,
        "configuration of MMDetection: a file, or the name of one it ships; a configuration is "
        "Python code that is run (default: Mask R-CNN R50-FPN on COCO)",
        _NETWORK,
        metavar="FILE|NAME",
        parse=_file_or_name,
    )
    checkpoint: Path | None = setting(None, "its weights, .pth; no code in it is run", _NETWORK)
    segment_precision: Precision = setting(
        "auto",
        "of its layers; auto: float16 on GPUs, bfloat16 on processors with AMX or AVX512-BF16, "
        "float32 on others",
        _NETWORK,
        stage="segment",
    )


@dataclass(frozen=True, kw_only=True)
class SegmentSettings(Selection, DetectorSettings):
    """What the first stage of erasing does with each photo; each field says what it is."""

    choices: Path | None = setting(
        None, "table of what to select in which photo", SELECTING, metavar="CSV"
    )
    mask: MaskShape = setting(
        "dilate",
        "exact: as found; dilate: grown; box, hull: grown rectangle or convex hull",
        _MASKS,
    )
    dilate: int | None = setting(
        None,
        "by how much masks are grown (default: 5% of the object's size, at least 3)",
        _MASKS,
        metavar="PX",
        low=0,
    )
    overlay: bool = setting(False, "draw pictures to choose from", _MASKS)

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def selection(self) -> Selection:
        """What is selected in photos that the table of choices does not name."""
        return Selection(**{field.name: getattr(self, field.name) for field in fields(Selection)})

    @property
    def selects(self) -> bool:
        """Whether anything is to be selected."""
        return self.choices is not None or not self.is_empty
