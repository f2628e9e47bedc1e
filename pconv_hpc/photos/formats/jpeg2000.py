"""JPEG 2000: always written lossless; every box that describes the photo stays."""

import struct
from typing import NamedTuple

import imagecodecs
import numpy as np
from PIL import Image

from pconv_hpc.photos.color import LAYOUTS
from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.metadata.boxes import box, boxes
from pconv_hpc.photos.metadata.exif import without_thumbnail
from pconv_hpc.photos.metadata.iptc import without_preview
from pconv_hpc.photos.metadata.xmp import without_pictures
from pconv_hpc.photos.photo import Photo

_START = b"\xff\x4f\xff\x51"  # of a codestream
_KEPT = (b"jP  ", b"ftyp", b"jp2h", b"xml ")
_CLEANERS = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): without_pictures,
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): without_preview,
    b"JpgTiffExif->JP2": without_thumbnail,
    bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03"): bytes,  # where on earth
}
_MODES = {"L": 1, "I;16": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_CODING_STYLE = 0xFF52
_SYCC = b"\1\0\0\0\0\0\x12"  # a colour space by number: 18


class _Codestream(NamedTuple):
    """What the head of a codestream says."""

    width: int
    height: int
    depth: int
    num_channels: int
    is_plain: bool
    is_lossy: bool


def read(data: bytes, image: Image.Image) -> Photo:
    """Read a JPEG 2000: gray or RGB of up to 16 bits, with or without alpha.

    Raises:
        ImageError: a palette, subsampled or YCC colours, signed numbers, or several pictures.
    """
    parts = list(boxes(data)) if not data.startswith(_START) else []
    streams = [first for name, first, _ in parts if name == b"jp2c"] if parts else [0]
    if len(streams) != 1:
        raise ImageError(f"a JPEG 2000 file of {len(streams)} pictures; expected one")
    stream = _head(data, streams[0])
    if (stream.width, stream.height) != image.size:
        raise ImageError("its boxes and its codestream give two different sizes")
    if _MODES.get(image.mode) != stream.num_channels or not stream.is_plain or _is_converted(data):
        raise ImageError("a JPEG 2000 with a palette, subsampled, YCC or other colours")
    pixels = np.atleast_3d(imagecodecs.jpeg2k_decode(data))
    color, alpha = LAYOUTS[stream.num_channels]
    return Photo(
        format="JPEG2000",
        pixels=_scaled(pixels, (1 << stream.depth) - 1, 255 if stream.depth <= 8 else 65535),
        color=color,
        alpha=alpha,
        file_parts={
            "depth": stream.depth,
            "boxes": [
                (name, _clean(name, data[first:end]))
                for name, first, end in parts
                if name in (*_KEPT, b"uuid", b"jp2c")
            ],
        },
        notes=("lossy JPEG 2000 was written lossless, and is larger",) if stream.is_lossy else (),
    )


def encode(photo: Photo) -> bytes:
    """Return the photo as a lossless JPEG 2000 file with the boxes it was read with."""
    depth = photo.file_parts["depth"]
    pixels = _scaled(photo.pixels, np.iinfo(photo.pixels.dtype).max, (1 << depth) - 1)
    stream = imagecodecs.jpeg2k_encode(
        np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels),
        codecformat="J2K",
        reversible=True,
        level=0,
        bitspersample=depth,
    )
    parts = photo.file_parts["boxes"]
    if not parts:
        return bytes(stream)
    return b"".join(
        box(name, stream if name == b"jp2c" else content)
        for name, content in parts
        if name == b"jp2c" or content
    )


def _head(data: bytes, start: int) -> _Codestream:
    """Parse the head of the codestream at ``start``."""
    try:
        if data[start : start + 4] != _START:
            raise ImageError("a JPEG 2000 file without its codestream")
        size = struct.unpack_from(">8I", data, start + 8)
        (channels,) = struct.unpack_from(">H", data, start + 40)
        signs = {data[start + 42 + 3 * i : start + 45 + 3 * i] for i in range(channels)}
        depth = (data[start + 42] & 0x7F) + 1
        is_plain = len(signs) == 1 and signs.pop()[1:] == b"\1\1" and data[start + 42] < 0x80
        position, is_lossy = start + 2, False
        while (marker := struct.unpack_from(">H", data, position)[0]) != _CODING_STYLE:
            if not 0xFF50 <= marker < 0xFF90:
                break
            position += 2 + struct.unpack_from(">H", data, position + 2)[0]
        else:
            is_lossy = data[position + 13] == 0  # the wavelet that rounds
    except (struct.error, IndexError) as error:
        raise ImageError("the file is cut short") from error
    width, height = size[0] - size[2], size[1] - size[3]
    return _Codestream(width, height, depth, channels, is_plain and depth <= 16, is_lossy)


def _is_converted(data: bytes) -> bool:
    """Return whether Pillow shows other colours than the codestream holds."""
    for name, first, end in boxes(data):
        for inner, start, stop in boxes(data[:end], first) if name == b"jp2h" else ():
            if inner == b"pclr" or (inner == b"colr" and data[start:stop][:7] == _SYCC):
                return True
    return False


def _scaled(values: np.ndarray, maximum: int, target: int) -> np.ndarray:
    """Scale whole numbers up to ``maximum`` to ones up to ``target``, rounded."""
    if maximum == target:
        return np.require(values, requirements="W")
    scaled = (values.astype(np.uint64) * target + maximum // 2) // maximum
    return np.minimum(scaled, target).astype(np.uint8 if target <= 255 else np.uint16)


def _clean(name: bytes, content: bytes) -> bytes:
    """Return a box's content without pictures in it; nothing of what nobody knows."""
    if name == b"jp2c":
        return b""
    if name != b"uuid":
        return content
    cleaner = _CLEANERS.get(content[:16])
    return content[:16] + cleaner(content[16:]) if cleaner else b""
