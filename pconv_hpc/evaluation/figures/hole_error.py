"""Errors of filled holes against the truth, and their means by hole ratio."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from skimage.metrics import structural_similarity

from pconv_hpc.masks.mask_drawing import BIN_EDGES

Border = str
BORDERS: tuple[Border, ...] = ("any", "clear", "touching")
FIGURES = ("l1", "psnr", "ssim", "lpips", "texture", "seconds")
MEDIANS = ("texture", "photo_texture")  # a ratio's mean would be of the few large ones
BIN_NAMES = tuple(f"{low:.0%}–{high:.0%}" for low, high in itertools.pairwise(BIN_EDGES))
ALL_BINS = "all"
_MAX_PSNR_DB = 100.0
_SSIM_RADIUS = 5  # of the Gaussian window
_SSIM_PIXELS = 1 << 21  # at once; each takes about 200 bytes


@dataclass(frozen=True, kw_only=True)
class MeasuredHole:
    """One hole that every method was given, filled or not; attributes as of ``HoleError``."""

    photo: int
    masks: str
    number: int
    hole_ratio: float
    touches_border: bool
    photo_texture: float | None


@dataclass(frozen=True, kw_only=True)
class HoleError:
    """One filled hole: the composite of one photo against the truth; colours range from 0 to 1.

    Attributes:
        photo: its number; ``key``: its name.
        method: what filled the hole.
        masks: the kind of mask; ``number``: of the measurement, the same for all methods.
        hole_ratio: share of hole pixels.
        touches_border: whether the hole reaches the photo's border.
        photo_texture: of the photo itself, see ``texture``; None in holes that are all rim.
        l1: mean absolute error over the hole's pixels.
        psnr: of the whole photo, dB, at most 100.
        ssim: of the whole photo (Wang et al. 2004, Gaussian window, scikit-image).
        lpips: of the whole photo (Zhang et al. 2018); None without its weights.
        texture: energy of texture in the hole over that around it, see ``texture``.
        seconds: that filling took, wall clock; what alone differs from run to run.
    """

    photo: int
    key: str
    method: str
    masks: str
    number: int
    hole_ratio: float
    touches_border: bool
    photo_texture: float | None
    l1: float
    psnr: float
    ssim: float
    lpips: float | None
    texture: float | None
    seconds: float = field(compare=False)


def hole_l1(truth: np.ndarray, result: np.ndarray, hole: np.ndarray) -> float:
    """Return the mean absolute error over a hole, bool (H, W), of float (H, W, 3) in [0, 1]."""
    return float(np.abs(result[hole] - truth[hole]).mean()) if hole.any() else 0.0


def psnr_db(truth: np.ndarray, result: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of float (H, W, 3) in [0, 1], at most 100 dB."""
    mse = float(np.mean(np.square(result - truth, dtype=np.float64)))
    return min(_MAX_PSNR_DB, -10.0 * float(np.log10(mse))) if mse > 0 else _MAX_PSNR_DB


def ssim(truth: np.ndarray, result: np.ndarray) -> float:
    """Return the structural similarity of float (H, W, 3) in [0, 1], sides of at least 11.

    Large photos are taken in strips, which changes nothing but the memory it needs.
    """
    height, width = truth.shape[:2]
    inner = height - 2 * _SSIM_RADIUS  # rows whose windows lie within the photo
    step = max(1, _SSIM_PIXELS // width)
    total = 0.0
    for start in range(0, inner, step):
        rows = min(step, inner - start)
        strip = slice(start, start + rows + 2 * _SSIM_RADIUS)
        total += rows * _mean_similarity(truth[strip], result[strip])
    return total / inner


def _mean_similarity(truth: np.ndarray, result: np.ndarray) -> float:
    return float(
        structural_similarity(
            truth,
            result,
            channel_axis=-1,
            data_range=1.0,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
    )


def touches_border(hole: np.ndarray) -> bool:
    """Return whether a hole, bool (H, W), has a pixel at the border."""
    return bool(hole[[0, -1]].any() or hole[:, [0, -1]].any())


def rows_by_hole_ratio(
    errors: Sequence[HoleError],
    measured: Sequence[MeasuredHole],
    *,
    borders: Sequence[Border] = ("any",),
) -> list[dict[str, object]]:
    """Return means in the paper's bins of hole ratio, and over all of them.

    A method that did not fill every hole of a group has no row there: its mean would be over
    easier holes than the group's.

    Args:
        errors: of the holes that were filled.
        measured: all holes, also those that no method filled.
        borders: which of them to tell apart.

    Returns:
        A row for each kind of masks, method, border and bin that has holes: ``masks``, ``method``,
        ``border`` (any; clear of it; touching it), ``hole`` (the bin), ``photos`` and ``holes``
        (how many different ones), and the means of ``FIGURES``, of texture the medians, also of
        the photos themselves (``photo_texture``).
    """
    rows: list[dict[str, object]] = []
    methods = list(dict.fromkeys(error.method for error in errors))
    filled = {(error.method, error.masks, error.photo, error.number): error for error in errors}
    for masks in dict.fromkeys(hole.masks for hole in measured):
        of_kind = [hole for hole in measured if hole.masks == masks]
        for method, border, (name, group) in itertools.product(methods, borders, _bins(of_kind)):
            places = [(masks, hole.photo, hole.number) for hole in group if _is_at(hole, border)]
            own = [filled[method, *place] for place in places if (method, *place) in filled]
            if not own or len(own) < len(places):
                continue
            rows.append(
                {
                    "masks": masks,
                    "method": method,
                    "border": border,
                    "hole": name,
                    "photos": len({error.photo for error in own}),
                    "holes": len(places),
                    **{figure: mean_of(own, figure) for figure in (*FIGURES, "photo_texture")},
                }
            )
    return rows


def mean_of(errors: Sequence[object], figure: str) -> float | None:
    """Return the mean of an attribute, to six digits; None where it was not measured.

    Of texture it is the median, over the holes that have one.
    """
    values = [getattr(error, figure) for error in errors]
    if figure in MEDIANS:
        values = [value for value in values if value is not None]
    if not values or None in values:
        return None
    return float(f"{np.median(values) if figure in MEDIANS else np.mean(values):.6g}")


def _bins(holes: Sequence[MeasuredHole]) -> Iterator[tuple[str, list[MeasuredHole]]]:
    for name, (low, high) in zip(BIN_NAMES, itertools.pairwise(BIN_EDGES), strict=True):
        yield name, [hole for hole in holes if low < hole.hole_ratio <= high]
    yield ALL_BINS, list(holes)


def _is_at(hole: MeasuredHole, border: Border) -> bool:
    return border == "any" or hole.touches_border == (border == "touching")
