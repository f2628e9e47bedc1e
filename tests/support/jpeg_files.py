"""JPEG files put together segment by segment, and what is in them."""

import struct
from pathlib import Path
from typing import Any

import jpegio
import numpy as np


def jpeg_segment(marker: int, body: bytes) -> bytes:
    """Return a segment of at most 65,533 bytes."""
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def with_jpeg_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Return a JPEG with segments in front of its own, but behind JFIF's."""
    position = 2
    if jpeg[2:4] == b"\xff\xe0":
        position += 2 + int.from_bytes(jpeg[4:6])
    return jpeg[:position] + b"".join(segments) + jpeg[position:]


def jpeg_bodies(jpeg: bytes, marker: int, head: bytes = b"") -> list[bytes]:
    """Return what follows ``head`` in the segments of a kind."""
    bodies, position = [], 2
    while jpeg[position + 1] != 0xDA:
        found, length = struct.unpack_from(">xBH", jpeg, position)
        body = jpeg[position + 4 : position + 2 + length]
        if found == marker and body.startswith(head):
            bodies.append(body.removeprefix(head))
        position += 2 + length
    return bodies


def read_blocks(path: Path) -> list[tuple[np.ndarray, tuple[int, int]]]:
    """Return each component's coefficients, and how many pixels a block is high and wide.

    The coefficients are int (rows, columns, 8, 8), of blocks.
    """
    jpeg: Any = jpegio.read(str(path))
    components = []
    for plane, info in zip(jpeg.coef_arrays, jpeg.comp_info, strict=True):
        height, width = plane.shape
        blocks = plane.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).copy()
        down = jpeg.max_v_samp_factor // info.v_samp_factor
        across = jpeg.max_h_samp_factor // info.h_samp_factor
        components.append((blocks, (8 * down, 8 * across)))
    return components
