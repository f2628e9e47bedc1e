"""How much JPEGs change outside of what is erased.

    python -m benchmarks.jpeg_drift FOLDER [FOLDER ...]

Each JPEG below a folder is erased in an ellipse in its middle, a third of it wide and high, with
gray, written and read again; nothing is left behind.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import jpegio
import numpy as np

from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.formats.photo_files import read_photo, write_photo
from pconv_hpc.photos.photo import Box

_SUFFIXES = (".jpg", ".jpeg")
_PROMISED = 0.3


def main() -> None:
    """Measure the JPEGs of the given folders and print a row for each folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    for folder in parser.parse_args().folders:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
        with tempfile.TemporaryDirectory() as scratch:
            rows = [row for path in paths if (row := measure(path, Path(scratch) / "erased.jpg"))]
        shares, errors = np.array(rows).T
        print(
            f"{folder}: {len(rows)} of {len(paths)} JPEGs; untouched blocks with the same "
            f"coefficients {shares.mean():.2%}, worst photo {shares.min():.2%}; difference "
            f"outside of the mask, of 255: mean {errors.mean():.3f}, worst photo "
            f"{errors.max():.3f}, above {_PROMISED} in {np.sum(errors > _PROMISED)}"
        )


def measure(path: Path, erased_path: Path) -> tuple[float, float] | None:
    """Return the share of untouched blocks that are the same, and the mean difference of pixels.

    ``None`` where it is no JPEG that can be erased.
    """
    try:
        photo, before = read_photo(path), read_photo(path)
    except ImageError:
        return None
    if photo.format != "JPEG":
        return None
    rows, columns = np.mgrid[-3 : 3 : photo.height * 1j, -3 : 3 : photo.width * 1j]
    hole = rows**2 + columns**2 < 1
    photo.write_rgb(
        Box(0, 0, photo.height, photo.width), np.full((*hole.shape, 3), 0.5, np.float32), hole
    )
    write_photo(photo, erased_path)
    after = read_photo(erased_path)
    outside = np.abs(after.upright.astype(np.int16) - before.upright)[~hole]
    return _same_share(path, erased_path, photo.erased), float(outside.mean())


def _same_share(path: Path, erased_path: Path, hole: np.ndarray) -> float:
    original: Any = jpegio.read(str(path))
    erased: Any = jpegio.read(str(erased_path))
    same = total = 0
    planes = zip(original.coef_arrays, erased.coef_arrays, original.comp_info, strict=True)
    for plane, other, component in planes:
        blocks = (plane.shape[0] // 8, 8, plane.shape[1] // 8, 8)
        down = 8 * original.max_v_samp_factor // component.v_samp_factor
        across = 8 * original.max_h_samp_factor // component.h_samp_factor
        touched = np.zeros((blocks[0], blocks[2]), dtype=bool)
        marked_rows, marked_columns = np.nonzero(hole)
        touched[marked_rows // down, marked_columns // across] = True
        equal = np.logical_and.reduce((plane == other).reshape(blocks), axis=(1, 3))
        same += int(np.sum(equal & ~touched))
        total += int(np.sum(~touched))
    return same / total


if __name__ == "__main__":
    main()
