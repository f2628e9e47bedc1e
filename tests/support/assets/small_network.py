"""The small Mask R-CNN that train_small_mask_rcnn.py trained."""

import functools
from pathlib import Path

from pconv_hpc.segmentation.segmenter import Segmenter
from pconv_hpc.segmentation.settings import Precision

CONFIG = Path(__file__).parent / "small_mask_rcnn.py"
CHECKPOINT = Path(__file__).parent / "small_mask_rcnn.pth"


@functools.cache
def small_segmenter(precision: Precision = "float32") -> Segmenter:
    """Return it on the CPU with batches of four; built once for each precision."""
    return Segmenter(CONFIG, CHECKPOINT, "cpu", batch_size=4, precision=precision)
