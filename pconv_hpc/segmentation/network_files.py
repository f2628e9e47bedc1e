"""Which files a network for segmentation is made of; nothing slow is imported to find them."""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.model.weights_catalog import CATALOG
from pconv_hpc.segmentation.coco_classes import COCO_CLASSES
from pconv_hpc.segmentation.selection import spelled

DEFAULT_CONFIG = "mask-rcnn_r50_fpn_2x_coco"
DEFAULT_CHECKPOINT = Path("weights") / CATALOG["mask_rcnn"][0].name


def find_config(config: str | Path) -> Path:
    """Return the file of a configuration: a path, or the name of one that MMDetection ships.

    Raises:
        UsageError: there is none.
    """
    path = Path(config)
    if path.is_file():
        return path
    spec = find_spec("mmdet")
    if spec is None or spec.origin is None:
        raise PconvError("MMDetection is not installed; `tools/install.py --profile erase` does it")
    shipped = Path(spec.origin).parent / ".mim" / "configs"
    name = path.name.removesuffix(".py")
    found = sorted(shipped.glob(f"*/{name}.py")) if re.fullmatch(r"[\w.-]+", str(config)) else []
    if not found:
        raise UsageError(
            f"{config}: no such file, and no configuration of that name in {shipped}; expected a "
            f"file, or a name such as {DEFAULT_CONFIG}"
        )
    return found[0]


def default_checkpoint(config: str | Path | None) -> Path:
    """Return the weights of the default configuration.

    Raises:
        UsageError: they are not there, or ``config`` is another configuration.
    """
    if config not in (None, DEFAULT_CONFIG):
        raise UsageError(f"--config {config} needs the weights that belong to it: --checkpoint")
    if not DEFAULT_CHECKPOINT.is_file():
        raise UsageError(
            f"{DEFAULT_CHECKPOINT}: the weights of Mask R-CNN are not there. Fetch them once, on a "
            "machine with internet:\n  pconv-hpc fetch-weights mask_rcnn\nor name a file "
            "with --checkpoint"
        )
    return DEFAULT_CHECKPOINT


def check_network(
    config: str | Path | None,
    checkpoint: Path | None,
    classes: Sequence[str] = (),
    *,
    is_here: bool = True,
) -> None:
    """Raise ``UsageError`` for what is known to be wrong before a network is loaded.

    Args:
        config: as for ``find_config``; ``None``: the default.
        checkpoint: its weights; ``None``: the default's.
        classes: names that the network must know.
        is_here: whether it is loaded on this machine, or maybe where MMDetection is installed.

    Raises:
        UsageError: files are missing, or the default network does not know a class.
        PconvError: MMDetection is not installed, and would be needed here.
    """
    path = default_checkpoint(config) if checkpoint is None else checkpoint
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint")
    if is_here or find_spec("mmdet") is not None:
        find_config(config or DEFAULT_CONFIG)
    if config in (None, DEFAULT_CONFIG) and path.name == DEFAULT_CHECKPOINT.name:
        spelled(classes, COCO_CLASSES)
