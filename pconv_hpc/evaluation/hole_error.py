"""How well a network fills the holes of fixed photos: errors of the composite, by hole ratio."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from skimage.metrics import structural_similarity

from pconv_hpc import atomic
from pconv_hpc.data.loader import ImageReader, validation_batches
from pconv_hpc.data.mask_bank import MaskBank
from pconv_hpc.data.mask_drawing import BIN_EDGES
from pconv_hpc.errors import Interrupted

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
_MAX_PSNR_DB = 100.0


@dataclass(frozen=True)
class HoleError:
    """The composite of one photo against the truth; colours range from 0 to 1.

    ``l1`` is the mean absolute error over the hole's pixels; ``psnr`` (dB, at most 100) and
    ``ssim`` (Wang et al. 2004, Gaussian window, scikit-image) are of the whole photo.
    """

    sample: int
    hole_ratio: float
    l1: float
    psnr: float
    ssim: float


def measure_hole(truth: np.ndarray, composite: np.ndarray, valid: np.ndarray) -> tuple[float, ...]:
    """Return (l1, psnr, ssim) of float32 (H, W, 3) in [0, 1]; ``valid`` (H, W, 1), 1 = valid."""
    error = np.abs(composite - truth)
    num_hole_values = max(3.0 * float((1 - valid).sum()), 1.0)
    mse = float(np.mean(np.square(error)))
    psnr = min(_MAX_PSNR_DB, -10.0 * np.log10(mse)) if mse > 0 else _MAX_PSNR_DB
    ssim = structural_similarity(
        truth,
        composite,
        channel_axis=-1,
        data_range=1.0,
        gaussian_weights=True,
        use_sample_covariance=False,
    )
    return float(error.sum()) / num_hole_values, float(psnr), float(ssim)


def measure_network(
    predict: Predict,
    reader: ImageReader,
    bank: MaskBank,
    *,
    image_size: int,
    num_images: int,
    seed: int,
    batch_size: int,
    rank: int,
    num_ranks: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[HoleError]:
    """Measure this rank's part of the first ``num_images`` photos, each with its own fixed mask.

    Args:
        predict: images (B, S, S, 3) float32 in [0, 1] and masks (B, S, S, 1), 1 = valid → output
            (B, S, S, 3), which is clipped.

    Raises:
        Interrupted: ``should_stop`` said so between two batches.
        UsageError: photos or masks are smaller than ``image_size``.
    """
    found = []
    for batch in validation_batches(
        reader,
        bank,
        image_size=image_size,
        num_images=num_images,
        seed=seed,
        batch_size=batch_size,
        rank=rank,
        num_ranks=num_ranks,
    ):
        if should_stop():
            raise Interrupted("stopped before the end; the same command starts over")
        truth = batch.images.astype(np.float32) / 255.0
        valid = batch.masks.astype(np.float32)
        output = np.clip(predict(truth, valid), 0.0, 1.0)
        composite = valid * truth + (1.0 - valid) * output
        for number, sample in enumerate(batch.samples):
            l1, psnr, ssim = measure_hole(truth[number], composite[number], valid[number])
            ratio = float(1.0 - valid[number].mean())
            found.append(HoleError(int(sample), ratio, l1, psnr, ssim))
    return found


def table_by_hole_ratio(errors: Sequence[HoleError]) -> tuple[list[str], list[list[object]]]:
    """Return header and rows of means in the paper's bins of hole ratio, and over all photos."""
    names = ["l1", "psnr", "ssim"]
    rows: list[list[object]] = []
    for low, high in itertools.pairwise(BIN_EDGES):
        inside = [e for e in errors if low < e.hole_ratio <= high]
        if inside:
            means = [f"{np.mean([getattr(e, name) for e in inside]):.4g}" for name in names]
            rows.append([f"{low:.0%}–{high:.0%}", len(inside), *means])
    means = [f"{np.mean([getattr(e, name) for e in errors]):.4g}" for name in names]
    rows.append(["all", len(errors), *means])
    return ["hole", "photos", "L1 in holes", "PSNR, dB", "SSIM"], rows


def write_errors(path: Path, errors: Sequence[HoleError]) -> None:
    """Write one CSV row a photo."""
    header = [field.name for field in fields(HoleError)]
    atomic.write_csv(path, header, [list(asdict(error).values()) for error in errors])
