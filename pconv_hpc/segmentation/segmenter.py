"""Photos through a network that finds objects: in batches, in the precision of the device."""

import contextlib
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.segmentation.detector import load_detector
from pconv_hpc.segmentation.instances import Instance, encode_mask
from pconv_hpc.segmentation.precision import LayerPrecision
from pconv_hpc.segmentation.settings import Precision

# Networks predict masks on a grid far coarser than this; finer ones would only be interpolated,
# and 100 of them for each photo of a batch fill a GPU's memory.
_MAX_MASK_PIXELS = 1 << 20
DEFAULT_MIN_SCORE = 0.3
_MAX_BATCHES_AT_ONCE = 4  # each takes the memory of a batch


@dataclass(frozen=True)
class Prepared:
    """A photo as the network takes it.

    Attributes:
        data: MMDetection's ``inputs`` (uint8 (3, h, w)) and ``data_samples``.
        height: of the upright photo.
        width: of the upright photo.
        padded_shape: (h, w) after padding; photos of one padded shape make up a batch.
    """

    data: dict[str, Any]
    height: int
    width: int
    padded_shape: tuple[int, int]


@dataclass(frozen=True)
class Prediction:
    """What the network says about one photo, its masks still on their own coarser grid.

    Attributes:
        height: of the photo.
        width: of the photo.
        labels: int (n,).
        scores: float (n,), falling.
        boxes: float (n, 4), x0, y0, x1, y1 in the photo's pixels.
        masks: bool (n, h, w).
    """

    height: int
    width: int
    labels: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    masks: np.ndarray


class Segmenter:
    """Finds objects in photos.

    Args:
        config: an MMDetection configuration, a file or a name; default: Mask R-CNN on COCO.
        checkpoint: its weights.
        device: default: the GPU if there is one.
        min_score: less certain instances are left out.
        batch_size: photos the network is given at once; default: 8 on a GPU, else 1, as a CPU
            gains more by several batches at a time.
        precision: of the network's layers; see ``LayerPrecision``.

    Attributes:
        batches_at_once: how many threads may well predict at the same time: 1 with a GPU, a few
            on a CPU, see ``cores_shared``.

    Raises:
        UsageError: the network cannot be built or has no weights.
    """

    def __init__(
        self,
        config: str | Path | None = None,
        checkpoint: Path | None = None,
        device: str | None = None,
        *,
        min_score: float = DEFAULT_MIN_SCORE,
        batch_size: int | None = None,
        precision: Precision = "auto",
    ) -> None:
        detector = load_detector(config, checkpoint, device=device)
        self.classes = detector.classes
        self.description = detector.description
        self.min_score = min_score
        self._model = detector.model
        self._precision = LayerPrecision(detector.model, precision)
        self._pipeline = detector.pipeline
        self.device = next(detector.model.parameters()).device
        self.batch_size = batch_size or (8 if self.device.type == "cuda" else 1)
        cores = len(os.sched_getaffinity(0))
        self.batches_at_once = 1 if self.device.type == "cuda" else min(cores, _MAX_BATCHES_AT_ONCE)
        self._divisor = getattr(detector.model.data_preprocessor, "pad_size_divisor", 1)

    @property
    def precision(self) -> str:
        """In which precision the network's layers compute."""
        return self._precision.name

    def can_use(self, precision: str) -> bool:
        """Whether what was found in another precision will do: if none was asked for, it will."""
        return self._precision.is_chosen or precision == self.precision

    def segment(self, images: Sequence[np.ndarray]) -> list[list[Instance]]:
        """Return the instances of each photo by falling score.

        Args:
            images: upright photos, uint8 (H, W, 3) RGB, of any sizes.
        """
        found = []
        for prediction in self.predict_all([self.prepare(image) for image in images]):
            if isinstance(prediction, PconvError):
                raise prediction
            found.append(self.instances(prediction))
        return found

    def prepare(self, image: np.ndarray) -> Prepared:
        """Scale a photo as the configuration asks for; may be called on any thread."""
        height, width = image.shape[:2]
        data = self._pipeline({"img": np.ascontiguousarray(image[..., ::-1]), "img_id": 0})
        sample = data["data_samples"]
        mask_height, mask_width = _mask_size(height, width)
        scale_x, scale_y = sample.scale_factor
        sample.set_metainfo(
            {
                "ori_shape": (mask_height, mask_width),
                "scale_factor": (scale_x * width / mask_width, scale_y * height / mask_height),
            }
        )
        rows, columns = data["inputs"].shape[-2:]
        divisor = self._divisor
        padded = (math.ceil(rows / divisor) * divisor, math.ceil(columns / divisor) * divisor)
        return Prepared(data, height, width, padded)

    @contextlib.contextmanager
    def cores_shared(self, num_threads: int) -> Iterator[None]:
        """Let each of ``num_threads`` that predict use its share of a CPU's cores alone.

        PyTorch would use all cores for each operation, whose parts then wait for each other and for
        a core that reads a photo.
        """
        before = torch.get_num_threads()
        if self.device.type == "cpu":
            torch.set_num_threads(max(1, before // num_threads))
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def predict_all(self, photos: Sequence[Prepared]) -> list[Prediction | PconvError]:
        """Run the network on photos of any sizes, batch by batch; see ``predict``."""
        by_shape = defaultdict(list)
        for index, photo in enumerate(photos):
            by_shape[photo.padded_shape].append(index)
        outputs: dict[int, Prediction | PconvError] = {}
        for indices in by_shape.values():
            for start in range(0, len(indices), self.batch_size):
                batch = indices[start : start + self.batch_size]
                predictions = self.predict([photos[index] for index in batch])
                outputs.update(zip(batch, predictions, strict=True))
        return [outputs[index] for index in range(len(photos))]

    def predict(self, batch: Sequence[Prepared]) -> list[Prediction | PconvError]:
        """Run the network on photos of one padded shape.

        A batch that fails, as for lack of memory, is tried again in halves, so that only a photo
        that fails by itself is given as an error.
        """
        precision = self.precision
        try:
            return list(self._predict(batch))
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if self._precision.fall_back(precision, error):
                return self.predict(batch)
            if len(batch) == 1:
                reason = str(error).strip().splitlines()[0]
                return [PconvError(f"the network failed on it ({reason})")]
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        middle = len(batch) // 2
        return self.predict(batch[:middle]) + self.predict(batch[middle:])

    def _predict(self, batch: Sequence[Prepared]) -> list[Prediction]:
        data = {
            "inputs": [photo.data["inputs"] for photo in batch],
            # a retry needs the samples as they were: the model writes into those it is given
            "data_samples": [photo.data["data_samples"].clone() for photo in batch],
        }
        with torch.inference_mode():
            samples = self._model.test_step(data)
            return [
                self._to_prediction(photo, sample.pred_instances)
                for photo, sample in zip(batch, samples, strict=True)
            ]

    def _to_prediction(self, photo: Prepared, instances: Any) -> Prediction:
        if "masks" not in instances:
            raise PconvError("this network finds boxes without masks; expected one with masks")
        kept = instances[instances.scores >= self.min_score]
        kept = kept[kept.scores.argsort(descending=True, stable=True)]
        mask_height, mask_width = photo.data["data_samples"].ori_shape
        scale = np.array([photo.width / mask_width, photo.height / mask_height] * 2)
        limits = np.array([photo.width, photo.height] * 2)
        boxes = kept.bboxes.float().cpu().numpy().reshape(-1, 4) * scale
        return Prediction(
            height=photo.height,
            width=photo.width,
            labels=kept.labels.cpu().numpy(),
            scores=kept.scores.float().cpu().numpy(),
            boxes=np.clip(boxes, 0, limits),
            masks=kept.masks.cpu().numpy().astype(bool),
        )

    def instances(self, prediction: Prediction) -> list[Instance]:
        """Bring a prediction's masks to the photo's size; may be called on any thread.

        Instances of which no pixel is left are left out.
        """
        found = []
        for label, score, box, mask in zip(
            prediction.labels, prediction.scores, prediction.boxes, prediction.masks, strict=True
        ):
            part = _to_photo_size(mask, prediction.height, prediction.width)
            if part is None:
                continue
            pixels, top, left = part
            x0, y0, x1, y1 = (float(end) for end in box)
            if x0 >= x1 or y0 >= y1:  # SOLO and its like find masks without boxes
                x0, y0 = float(left), float(top)
                x1, y1 = x0 + pixels.shape[1], y0 + pixels.shape[0]
            found.append(
                Instance(
                    class_name=self.classes[label],
                    score=float(score),
                    box=(x0, y0, x1, y1),
                    height=prediction.height,
                    width=prediction.width,
                    counts=encode_mask(pixels, top, left, prediction.height, prediction.width),
                )
            )
        return found


def device_of_rank(local_rank: int) -> str:
    """Return the device of one of several processes on a node, which share its GPUs evenly."""
    num_gpus = torch.cuda.device_count()
    return f"cuda:{local_rank % num_gpus}" if num_gpus else "cpu"


def _mask_size(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, math.sqrt(_MAX_MASK_PIXELS / (height * width)))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _to_photo_size(mask: np.ndarray, height: int, width: int) -> tuple[np.ndarray, int, int] | None:
    """Return the part of the photo that a mask marks, and its top and left; None if it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    part = mask[y0:y1, x0:x1]
    if mask.shape == (height, width):
        return part, int(y0), int(x0)
    scale_y, scale_x = height / mask.shape[0], width / mask.shape[1]
    top, bottom = round(y0 * scale_y), round(y1 * scale_y)
    left, right = round(x0 * scale_x), round(x1 * scale_x)
    # False all around, so that the interpolated outline is soft at the part's own edges too.
    pad_y, pad_x = round(scale_y), round(scale_x)
    grown = cv2.resize(
        np.pad(part, 1).astype(np.float32),
        (right - left + 2 * pad_x, bottom - top + 2 * pad_y),
        interpolation=cv2.INTER_LINEAR,
    )
    return grown[pad_y:-pad_y, pad_x:-pad_x] >= 0.5, top, left
