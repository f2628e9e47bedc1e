"""JPEG XL for Pillow, by imagecodecs; the header is read here, as it decodes everything at once.

ISO/IEC 18181-1: sizes and image metadata are packed in bits, the least significant first.
"""

from typing import Any, NamedTuple

import imagecodecs
import numpy as np
from PIL import Image, ImageFile

from pconv_hpc.photos.color import to_8_bits
from pconv_hpc.photos.image_error import ImageError

FORMAT = "JXL"
_CODESTREAM = b"\xff\x0a"
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_HEADER_BYTES = 4096
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class JxlHeader(NamedTuple):
    """What the head of a codestream says.

    Attributes:
        width, height: as displayed.
        is_animated: whether it may have several frames.
        depth: bits of a channel; 0 for floating-point numbers.
        is_lossy: whether it is stored in XYB, the colours of lossy compression.
        is_srgb: whether colours are sRGB, or gray of its curve, as they are without a profile.
    """

    width: int
    height: int
    is_animated: bool
    depth: int
    is_lossy: bool
    is_srgb: bool


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data[:_HEADER_BYTES], "little")
        self._left = 8 * len(data[:_HEADER_BYTES])

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ImageError("a JPEG XL that is cut short")
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        return value

    def choose(self, *choices: tuple[int, int]) -> int:
        """Read which of four (offset, bits) follows, and that."""
        offset, count = choices[self.take(2)]
        return offset + self.take(count)

    def size(self) -> tuple[int, int]:
        """Read a size: width and height."""
        is_small = self.take(1)
        height = self._side(is_small)
        ratio = self.take(3)
        if ratio:
            across, down = _RATIOS[ratio - 1]
            return height * across // down, height
        return self._side(is_small), height

    def _side(self, is_small: int) -> int:
        if is_small:
            return 8 * (1 + self.take(5))
        return self.choose((1, 9), (1, 13), (1, 18), (1, 30))


def codestream(data: bytes) -> bytes:
    """Return the beginning of a JPEG XL's codestream, in a container or bare."""
    if data.startswith(_CODESTREAM):
        return data[: _HEADER_BYTES + 2]
    position = 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        name, first = data[position + 4 : position + 8], position + 8
        if length == 1:
            length, first = int.from_bytes(data[first : first + 8], "big"), first + 8
        skipped = {b"jxlc": 0, b"jxlp": 4}.get(name)
        if skipped is not None:
            return data[first + skipped : first + skipped + _HEADER_BYTES + 2]
        if length < 8:
            break
        position += length
    raise ImageError("a JPEG XL without its codestream")


def read_header(data: bytes) -> JxlHeader:
    """Parse the head of a JPEG XL.

    Raises:
        ImageError: it is none, or cut short.
    """
    start = codestream(data)
    if not start.startswith(_CODESTREAM):
        raise ImageError("a JPEG XL without its codestream")
    bits = _Bits(start[2:])
    width, height = bits.size()
    if bits.take(1):  # all is as usual
        return JxlHeader(width, height, False, 8, True, True)
    if bits.take(1):
        orientation = 1 + bits.take(3)
        if orientation > 4:
            width, height = height, width
        if bits.take(1):
            bits.size()
        if bits.take(1):
            raise ImageError("a JPEG XL with a preview; expected one without")
        if bits.take(1):
            return JxlHeader(width, height, True, 8, True, False)
    depth = _bit_depth(bits)
    bits.take(1)  # 16-bit buffers are enough
    for _ in range(bits.choose((0, 0), (1, 0), (2, 4), (1, 12))):
        if not bits.take(1):  # else alpha as usual
            return JxlHeader(width, height, False, depth, True, False)
    is_lossy = bool(bits.take(1))
    return JxlHeader(width, height, False, depth, is_lossy, _is_srgb(bits))


def _bit_depth(bits: _Bits) -> int:
    if bits.take(1):
        bits.choose((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
        return 0
    return bits.choose((8, 0), (10, 0), (12, 0), (1, 6))


def _is_srgb(bits: _Bits) -> bool:
    if bits.take(1):
        return True
    if bits.take(1):  # an ICC profile
        return False
    space = _enumeration(bits)
    if space not in (0, 1):  # RGB, gray
        return False
    white = _enumeration(bits)
    primaries = _enumeration(bits) if space == 0 and white == 1 else 1
    if white != 1 or primaries != 1 or bits.take(1):
        return False
    return _enumeration(bits) == 13  # the curve of sRGB


def _enumeration(bits: _Bits) -> int:
    return bits.choose((0, 0), (1, 0), (2, 4), (18, 6))


class JxlImage(ImageFile.ImageFile):
    """A JPEG XL as Pillow sees it, upright, 8 bits a channel; opened without decoding it."""

    format = "JXL"

    def _open(self) -> None:
        assert self.fp is not None
        self.header = read_header(self.fp.read())
        self._size = (self.header.width, self.header.height)
        self._mode = "RGB"  # until it is decoded
        self.tile = []

    def load(self) -> Any:
        """Decode the first frame, once."""
        if self._im is None:
            pixels = to_8_bits(self.stored_pixels())
            image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
            self._mode = image.mode
            self.im = image.im
        return super().load()

    def stored_pixels(self) -> np.ndarray:
        """Return the pixels (H, W, C), uint8 or uint16 and scaled to that, upright."""
        assert self.fp is not None
        self.fp.seek(0)
        index = 0 if self.header.is_animated else None
        pixels = np.asarray(imagecodecs.jpegxl_decode(self.fp.read(), index=index))
        if pixels.dtype not in (np.uint8, np.uint16):
            raise ImageError(f"a JPEG XL of {pixels.dtype} pixels; expected 8 or 16 bits")
        pixels = np.atleast_3d(pixels)
        if pixels.shape[:2] != (self.height, self.width) or pixels.shape[2] not in _MODES:
            raise ImageError(f"a JPEG XL of {pixels.shape} pixels, which its header does not say")
        return pixels


Image.register_open(FORMAT, JxlImage, lambda start: start.startswith((_CODESTREAM, _CONTAINER)))
