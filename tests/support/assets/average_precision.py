"""Mask AP50 as COCO defines it, of instances found in shape photos."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.support.assets.shape_photos import CLASSES, ShapePhoto

Found = Sequence[tuple[int, float, np.ndarray]]  # class index, score, bool mask (H, W)


def mask_ap50(photos: Sequence[ShapePhoto], found: Sequence[Found]) -> float:
    """Return the mean over the classes of the average precision at a mask IoU of 0.5."""
    truth = COCO()
    images, annotations, detections = [], [], []
    for image_id, (photo, instances) in enumerate(zip(photos, found, strict=True), start=1):
        height, width = photo.image.shape[:2]
        images.append({"id": image_id, "height": height, "width": width})
        for label, mask in zip(photo.labels, photo.masks, strict=True):
            entry = _entry(image_id, len(annotations) + 1, int(label), mask)
            annotations.append(entry | {"iscrowd": 0})
        for label, score, mask in instances:
            entry = _entry(image_id, len(detections) + 1, label, mask)
            detections.append(entry | {"score": score})
    if not detections:
        return 0.0
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(CLASSES)]
    truth.dataset = {"images": images, "annotations": annotations, "categories": categories}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        truth.createIndex()
        results = COCO()
        results.dataset = truth.dataset | {"annotations": detections}
        results.createIndex()
        evaluation = COCOeval(truth, results, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[1])


def _entry(image_id: int, entry_id: int, label: int, mask: np.ndarray) -> dict:
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {
        "id": entry_id,
        "image_id": image_id,
        "category_id": label + 1,
        "segmentation": rle,
        "area": float(coco_mask.area(rle)),
        "bbox": coco_mask.toBbox(rle).tolist(),
    }
