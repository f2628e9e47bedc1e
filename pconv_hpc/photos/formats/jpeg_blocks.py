"""Erased JPEGs in which every block of 8 x 8 that no hole touches has its own coefficients.

A block that is touched is made again from the samples of the original, as exact as the file holds
them, and from new ones where the photo was erased. Sampling, quantisation, colour model, restart
interval and whether the file is progressive stay; Huffman tables are made anew.
"""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jpegio
import numpy as np
from scipy.fft import dctn, idctn

from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.jpeg_segments import END, read_segments

# Sequential and progressive frames, Huffman or arithmetic; others have no coefficients to keep.
_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_ALL_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # those three are tables
_TABLES = b"\xff\xdb"
_SIDE = 8
_MIDDLE = 128  # of 8-bit samples; coefficients are those of samples around 0
_MAX_AC, _MIN_DC = 1023, -1024  # of 8-bit samples; the lossless coding knows no larger ones
_YCC, _CMYK, _YCCK = 3, 4, 5  # libjpeg's numbers of colour spaces
# ITU-R BT.601 at full range, as JFIF has it.
_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]],
    dtype=np.float32,
)


def check_blocks(data: bytes, tables: Mapping[int, Sequence[int]]) -> None:
    """Refuse now what could not be written later.

    Raises:
        ImageError: a JPEG is lossless, or its quantisation tables cannot be written back.
    """
    segments = list(read_segments(io.BytesIO(data)))
    frames = [segment.marker for segment in segments if segment.marker in _ALL_FRAMES]
    if len(frames) != 1 or frames[0] not in _FRAMES:
        kinds = ", ".join(f"SOF{frame - 0xC0}" for frame in frames)
        raise ImageError(f"a JPEG of kind {kinds}; expected a sequential or progressive one")
    if any(0 in table for table in tables.values()):
        raise ImageError("a quantisation table with zeros in it")
    scans = slice(segments[-1].stop, data.find(END, segments[-1].stop))
    if _TABLES in data[scans]:
        raise ImageError("its quantisation tables change from scan to scan")


def with_new_blocks(
    data: bytes, tables: Mapping[int, Sequence[int]], pixels: np.ndarray, erased: np.ndarray
) -> bytes:
    """Return a JPEG in which blocks with erased pixels are new, and all others as they were.

    Args:
        data: a JPEG of one picture, sequential or progressive, 8 bits.
        tables: its quantisation tables, by their numbers in the file.
        pixels: uint8 (H, W, C), stored order; CMYK as Pillow has it, 255 = full ink.
        erased: bool (H, W), true where pixels are not the original's.

    Returns:
        A JPEG without metadata.

    Raises:
        RuntimeError: the coefficients cannot be read.
    """
    jpeg = _read(data)
    height_step, width_step = _SIDE * jpeg.max_v_samp_factor, _SIDE * jpeg.max_h_samp_factor
    for top in range(0, pixels.shape[0], height_step):
        columns = np.flatnonzero(erased[top : top + height_step].any(axis=0))
        if columns.size:
            left = columns[0] // width_step * width_step
            right = (columns[-1] // width_step + 1) * width_step
            # a block that the edge cuts is filled up with the edge's pixels, erased ones as well
            rows = np.minimum(np.arange(top, top + height_step), pixels.shape[0] - 1)
            columns = np.minimum(np.arange(left, right), pixels.shape[1] - 1)
            samples = _samples(pixels[np.ix_(rows, columns)], jpeg.jpeg_color_space)
            _replace(jpeg, tables, (top, left), samples, erased[np.ix_(rows, columns)])
    for coefficients in jpeg.coef_arrays:
        constant = np.clip(coefficients[::_SIDE, ::_SIDE], _MIN_DC, _MAX_AC)
        np.clip(coefficients, -_MAX_AC, _MAX_AC, out=coefficients)
        coefficients[::_SIDE, ::_SIDE] = constant
    return _written(jpeg)


def _replace(
    jpeg: Any,
    tables: Mapping[int, Sequence[int]],
    corner: tuple[int, int],
    samples: np.ndarray,
    erased: np.ndarray,
) -> None:
    """Replace the touched blocks of a row of MCUs.

    Args:
        jpeg: the coefficients, which are changed.
        tables: as above.
        corner: row and column of the samples in the photo, whole MCUs.
        samples: float32 (h, w, C), 0 to 255.
        erased: bool (h, w).
    """
    for index, component in enumerate(jpeg.comp_info):
        down = jpeg.max_v_samp_factor // component.v_samp_factor
        across = jpeg.max_h_samp_factor // component.h_samp_factor
        cells = (erased.shape[0] // down, down, erased.shape[1] // across, across)
        is_new = _blocks(np.logical_or.reduce(erased.reshape(cells), axis=(1, 3)))
        new = _blocks(samples[..., index].reshape(cells).mean(axis=(1, 3)))
        stored = jpeg.coef_arrays[index][corner[0] // down :, corner[1] // across :]
        stored = stored[: _SIDE * is_new.shape[0], : _SIDE * is_new.shape[1]]
        blocks = _blocks(stored)  # a view; fewer than new ones where the photo ends
        touched = np.logical_or.reduce(is_new, axis=(2, 3))[
            : blocks.shape[0], : blocks.shape[1]
        ].nonzero()
        table = np.reshape(tables[component.quant_tbl_no], (_SIDE, _SIDE))
        own = idctn(blocks[touched] * table, axes=(1, 2), norm="ortho") + _MIDDLE
        mixed = np.where(is_new[touched], new[touched], own)
        blocks[touched] = np.rint(dctn(mixed - _MIDDLE, axes=(1, 2), norm="ortho") / table)


def _blocks(plane: np.ndarray) -> np.ndarray:
    """Return a view (rows, columns, 8, 8) of an array of whole blocks."""
    height, width = plane.shape
    return plane.reshape(height // _SIDE, _SIDE, width // _SIDE, _SIDE).swapaxes(1, 2)


def _samples(pixels: np.ndarray, color_space: int) -> np.ndarray:
    """Convert pixels (h, w, C) to float32 samples as the file stores them."""
    values = pixels.astype(np.float32)
    if color_space == _CMYK:
        return 255 - values
    if color_space in (_YCC, _YCCK):
        values[..., :3] = values[..., :3] @ _TO_YCC.T
        values[..., 1:3] += _MIDDLE
    if color_space == _YCCK:
        values[..., 3] = 255 - values[..., 3]
    return values


def _read(data: bytes) -> Any:
    with _memory_file(data) as path:
        return jpegio.read(path)


def _written(jpeg: Any) -> bytes:
    jpeg.markers = []
    jpeg.optimize_coding = True
    luma = jpeg.comp_info[0].quant_tbl_no
    for component in jpeg.comp_info:
        table = int(component.quant_tbl_no != luma)
        component.dc_tbl_no = component.ac_tbl_no = table
    with _memory_file(b"") as path:
        jpegio.write(jpeg, path)
        with open(path, "rb") as stream:
            return stream.read()


@contextmanager
def _memory_file(data: bytes) -> Iterator[str]:
    """Give the library, which takes paths alone, a file that is on no disk."""
    with os.fdopen(os.memfd_create("photo.jpg"), "wb", buffering=0) as stream:
        stream.write(data)
        yield f"/proc/self/fd/{stream.fileno()}"
