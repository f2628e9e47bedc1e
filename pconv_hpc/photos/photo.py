"""A photo opened for editing: its stored pixels, seen upright, and what its file needs to stay."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from pconv_hpc.photos.color import NUM_COLORANTS, Alpha, Color, from_rgb, to_rgb

Format = Literal[
    "JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF", "JXL", "JPEG2000", "BMP", "GIF"
]  # as Pillow calls them


class Box(NamedTuple):
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right``, the ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """What to index an array (H, W, ...) with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def relative_to(self, origin: "Box") -> "Box":
        """Return where it lies in an array of what ``origin`` encloses."""
        top, left = origin.top, origin.left
        return Box(self.top - top, self.left - left, self.bottom - top, self.right - left)

    def intersection(self, other: "Box") -> "Box":
        """Return what both enclose; it may be empty."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Box(top, left, max(top, bottom), max(left, right))


@dataclass(kw_only=True)
class Photo:
    """Pixels in stored order, which are never turned, and how to see them upright.

    Attributes:
        format: of the file it came from and goes to.
        pixels: uint8 or uint16 (H, W, C) in stored orientation, alpha last where there is one.
        color: meaning of the channels that are not alpha.
        alpha: whether the last channel is alpha.
        orientation: EXIF orientation, 1 to 8; the tag stays in the file, the pixels stay put.
        icc_profile: colour profile, used for the colours of CMYK.
        file_parts: what the format's writer needs beside the pixels, such as metadata.
        notes: what a person should know about this file, such as a changed pixel format.
        erased: bool (H, W) in stored order, true where ``write_rgb`` replaced pixels.
    """

    format: Format
    pixels: np.ndarray
    color: Color
    alpha: Alpha = "none"
    orientation: int = 1
    icc_profile: bytes | None = None
    file_parts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    erased: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        channels = NUM_COLORANTS[self.color] + (self.alpha != "none")
        if self.pixels.ndim != 3 or self.pixels.shape[2] != channels:
            raise ValueError(f"{self.pixels.shape} pixels; expected (H, W, {channels})")
        self.erased = np.zeros(self.pixels.shape[:2], dtype=bool)

    @property
    def upright(self) -> np.ndarray:
        """The pixels as they are displayed: a view, so writing to it changes ``pixels``."""
        return upright_view(self.pixels, self.orientation)

    @property
    def height(self) -> int:
        """Number of rows of the upright photo."""
        return int(self.upright.shape[0])

    @property
    def width(self) -> int:
        """Number of columns of the upright photo."""
        return int(self.upright.shape[1])

    def read_rgb(self, box: Box) -> np.ndarray:
        """Return a part of the upright photo as float32 (h, w, 3) in [0, 1]."""
        return to_rgb(self.upright[box.slices], self.color, self.alpha, self.icc_profile)

    def write_rgb(self, box: Box, rgb: np.ndarray, hole: np.ndarray) -> None:
        """Replace the colours of the upright photo where ``hole`` is true, and nothing else.

        Args:
            box: where in the upright photo.
            rgb: float (h, w, 3) in [0, 1]; clipped.
            hole: bool (h, w).
        """
        target = self.upright[box.slices]
        upright_view(self.erased, self.orientation)[box.slices] |= hole
        target[hole] = from_rgb(rgb[hole], target[hole], self.color, self.alpha, self.icc_profile)


def upright_view(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return a view of stored pixels (H, W, ...) as EXIF ``orientation`` says they are shown."""
    match orientation:
        case 2:
            return pixels[:, ::-1]
        case 3:
            return pixels[::-1, ::-1]
        case 4:
            return pixels[::-1]
        case 5:
            return pixels.swapaxes(0, 1)
        case 6:
            return np.rot90(pixels, -1)
        case 7:
            return pixels[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return np.rot90(pixels)
        case _:
            return pixels
