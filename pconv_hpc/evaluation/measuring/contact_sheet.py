"""Contact sheets: the same hole filled by each method side by side, one picture pixel a pixel."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pconv_hpc.evaluation.figures.hole_error import HoleError
from pconv_hpc.evaluation.measuring.baselines import BASELINES, OPENCV
from pconv_hpc.evaluation.measuring.views import view_of
from pconv_hpc.foundation import atomic

SIDE = 320  # of what is shown of a photo, pixels
ROWS_OF_PAGE = 4
_MASK_GRAY = 128
_GAP = 6
_TEXT_HEIGHT = 22
_FONT_SIZE = 14
_PAPER, _INK = (255, 255, 255), (0, 0, 0)
_BEST_OF_OPENCV = "OpenCV (best of)"
_BESIDE_NETWORKS = "patchmatch"


@dataclass(frozen=True)
class SheetRow:
    """Parts of one photo, uint8 (h, w, 3) each, by what is above their column; and a caption."""

    caption: str
    pictures: Mapping[str, np.ndarray]


def sheet_row(
    photo: np.ndarray,
    hole: np.ndarray,
    results: Mapping[str, np.ndarray],
    errors: Sequence[HoleError],
    *,
    key: str,
) -> SheetRow:
    """Return a row: before, the mask, the best of OpenCV's, PatchMatch, each network's results.

    Args:
        photo: uint8 (H, W, 3).
        hole: bool (H, W).
        results: uint8 (H, W, 3) by method.
        errors: of each of them; the least LPIPS, or L1 where that is not measured, is best.
        key: the photo's name.
    """
    view = view_of(hole, SIDE)
    masked = np.where(hole[..., np.newaxis], np.uint8(_MASK_GRAY), photo)
    pictures = {"before": photo, "mask": masked}
    caption = f"{key}: {errors[0].masks}, {errors[0].hole_ratio:.0%} hole" if errors else key
    opencv = [error for error in errors if error.method in OPENCV]
    if opencv:
        best = min(opencv, key=lambda e: e.l1 if e.lpips is None else e.lpips).method
        pictures[_BEST_OF_OPENCV] = results[best]
        caption += f"; OpenCV: {best}"
    networks = [method for method in results if method not in BASELINES]
    for method in (_BESIDE_NETWORKS, *sorted(networks, key=_shows_detail)):
        if method in results:
            pictures[method] = results[method]
    return SheetRow(caption, {name: picture[view].copy() for name, picture in pictures.items()})


def _shows_detail(method: str) -> bool:
    """Return what sorts networks alone before those with detail."""
    return not method.endswith(" alone")


def write_pages(folder: Path, rows: Sequence[SheetRow]) -> list[Path]:
    """Write ``contact_sheet_1.png`` and so on; return their paths, and remove older ones."""
    paths = []
    for number, start in enumerate(range(0, len(rows), ROWS_OF_PAGE), start=1):
        stream = io.BytesIO()
        _draw(rows[start : start + ROWS_OF_PAGE]).save(stream, "PNG")
        paths.append(folder / f"contact_sheet_{number}.png")
        atomic.write_bytes(paths[-1], stream.getvalue())
    for path in set(folder.glob("contact_sheet_*.png")) - {*paths}:
        path.unlink()
    return paths


def _draw(rows: Sequence[SheetRow]) -> Image.Image:
    columns = list(dict.fromkeys(name for row in rows for name in row.pictures))
    heights = [max(len(picture) for picture in row.pictures.values()) for row in rows]
    width = max(picture.shape[1] for row in rows for picture in row.pictures.values())
    sheet = Image.new(
        "RGB",
        (
            len(columns) * (width + _GAP) + _GAP,
            _TEXT_HEIGHT + sum(_TEXT_HEIGHT + height + _GAP for height in heights) + _GAP,
        ),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    lefts = {name: _GAP + place * (width + _GAP) for place, name in enumerate(columns)}
    for name, left in lefts.items():
        draw.text((left, _GAP), name, _INK, font)
    top = _TEXT_HEIGHT
    for row, height in zip(rows, heights, strict=True):
        draw.text((_GAP, top + _GAP), row.caption, _INK, font)
        for name, picture in row.pictures.items():
            sheet.paste(Image.fromarray(picture), (lefts[name], top + _TEXT_HEIGHT))
        top += _TEXT_HEIGHT + height + _GAP
    return sheet
