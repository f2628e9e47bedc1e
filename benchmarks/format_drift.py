"""How much photos of lossy formats change outside of what is erased.

    python -m benchmarks.format_drift [--encode heic|avif] FOLDER [FOLDER ...]

Each JPEG below a folder is erased in an ellipse in its middle, a third of it wide and high, with
gray, written and read again; with --encode it is made a HEIC or AVIF of quality 60 first. Nothing
is left behind.
"""

import argparse
import math
import tempfile
from pathlib import Path
from typing import Any

import jpegio
import numpy as np
from PIL import Image

from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.formats.photo_files import read_photo, write_photo
from pconv_hpc.photos.photo import Box

_SUFFIXES = (".jpg", ".jpeg")
_PROMISED = 0.3
_QUALITY = 60  # of what phones make, about


def main() -> None:
    """Measure the JPEGs of the given folders and print a row for each folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--encode", choices=("heic", "avif"), help="what the JPEGs are made first")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
        with tempfile.TemporaryDirectory() as scratch:
            found = (measure(path, Path(scratch), arguments.encode) for path in paths)
            rows = [row for row in found if row]
        shares, errors, sizes = np.array(rows).T
        blocks = f"untouched blocks with the same coefficients {shares.mean():.2%}, worst photo "
        print(
            f"{folder}: {len(rows)} of {len(paths)} JPEGs; "
            + ("" if arguments.encode else f"{blocks}{shares.min():.2%}; ")
            + f"difference outside of the mask, of 255: mean {errors.mean():.3f}, worst photo "
            f"{errors.max():.3f}, above {_PROMISED} in {np.sum(errors > _PROMISED)}; "
            f"{sizes.mean():.2f} times as many bytes"
        )


def measure(path: Path, scratch: Path, encode: str | None) -> tuple[float, float, float] | None:
    """Return what an erased photo keeps, ``None`` where it is no JPEG that can be erased.

    Args:
        path: the JPEG.
        scratch: a folder for files that are made.
        encode: the suffix of another format that it is made first.

    Returns:
        The share of untouched blocks that are the same (of a JPEG, else NaN), the mean difference
        of pixels outside of the hole, and the result's size as a multiple of the original's.
    """
    try:
        if read_photo(path).format != "JPEG":
            return None
        if encode:
            with Image.open(path) as image:
                path = scratch / f"photo.{encode}"
                image.convert("RGB").save(path, quality=_QUALITY)
        photo, before = read_photo(path), read_photo(path)
    except ImageError:
        return None
    erased_path = scratch / f"erased{path.suffix}"
    rows, columns = np.mgrid[-3 : 3 : photo.height * 1j, -3 : 3 : photo.width * 1j]
    hole = rows**2 + columns**2 < 1
    photo.write_rgb(
        Box(0, 0, photo.height, photo.width), np.full((*hole.shape, 3), 0.5, np.float32), hole
    )
    write_photo(photo, erased_path)
    after = read_photo(erased_path)
    outside = np.abs(after.upright.astype(np.int16) - before.upright)[~hole]
    share = math.nan if encode else _same_share(path, erased_path, photo.erased)
    return share, float(outside.mean()), erased_path.stat().st_size / path.stat().st_size


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
