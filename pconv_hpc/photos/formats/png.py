"""PNG, 8 and 16 bits: every metadata chunk of the original goes back into the new file."""

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import IO

import imagecodecs
import numpy as np
from PIL import Image

from pconv_hpc.photos.color import Alpha, Color
from pconv_hpc.photos.decode import ImageError, exif_orientation
from pconv_hpc.photos.metadata.exif import without_thumbnail
from pconv_hpc.photos.metadata.xmp import without_pictures
from pconv_hpc.photos.photo import Photo
from pconv_hpc.photos.png_chunks import SIGNATURE, bare_png, chunk_data, inflate, read_chunks

_HEADER_END = len(SIGNATURE) + 25  # IHDR is always first and has 13 bytes of data
_PALETTE = 3
_OPAQUE = (0, 2)  # the kinds of pixels, gray and RGB, that are opaque but for a tRNS chunk

# All of them may stand right after the header. Not kept: tRNS, PLTE, hIST and what else describes
# pixels as they are no more, and chunks that nobody here knows the meaning of.
_KEPT = frozenset(b"cHRM gAMA iCCP sRGB cICP mDCV cLLI pHYs eXIf tEXt zTXt iTXt tIME".split())
_KEPT_IN_SAME_PIXEL_FORMAT = frozenset(b"sBIT bKGD".split())
_READ = _KEPT | _KEPT_IN_SAME_PIXEL_FORMAT | {b"tRNS"}

_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_EXIF_TEXT = "Raw profile type exif"  # ImageMagick's, from before there were eXIf chunks
# They may hold thumbnails, written as digits.
_NOT_KEPT_TEXT = frozenset(
    f"raw profile type {kind}".encode() for kind in ("exif", "app1", "8bim", "iptc", "xmp")
)
_XMP_TEXT = b"XML:com.adobe.xmp"
_MAX_XMP_BYTES = _MAX_PROFILE_BYTES = 64 << 20

_LAYOUTS: dict[int, tuple[Color, Alpha]] = {
    1: ("gray", "none"),
    2: ("gray", "straight"),
    3: ("rgb", "none"),
    4: ("rgb", "straight"),
}


def read(data: bytes, image: Image.Image) -> Photo:
    """Read a PNG. Palettes, fewer than 8 bits and a transparent colour become plain channels.

    Raises:
        ImageError: it is animated.
    """
    if getattr(image, "n_frames", 1) > 1:
        raise ImageError("an animated PNG; expected a single picture")
    depth, kind = data[24], data[25]
    stream = io.BytesIO(data)
    chunks, notes = _sound_chunks(stream)
    is_plain = kind != _PALETTE and depth >= 8
    if is_plain:
        pixels = imagecodecs.png_decode(bare_png(stream).read())
    else:
        pixels = np.array(image.convert(_plain_mode(image, kind)))
        changed = f"{depth}-bit {'palette' if kind == _PALETTE else 'gray'}"
        notes = (f"{changed} became 8 bits a channel", *notes)
    pixels = np.atleast_3d(pixels)
    color, alpha = _LAYOUTS[pixels.shape[2]]
    if is_plain and alpha == "straight" and kind in _OPAQUE:
        is_plain = False
        notes = ("the transparent colour became an alpha channel", *notes)
    kept = _KEPT | _KEPT_IN_SAME_PIXEL_FORMAT if is_plain else _KEPT
    return Photo(
        format="PNG",
        pixels=np.require(pixels, requirements="W"),
        color=color,
        alpha=alpha,
        orientation=exif_orientation(image),
        file_parts={
            "chunks": [
                (name, _without_pictures(name, body))
                for name, body in [*_exif_of_text(image, chunks), *chunks]
                if name in kept and not _is_picture_text(name, body)
            ]
        },
        notes=notes,
    )


def encode(photo: Photo) -> bytes:
    """Return the photo as a PNG file with the metadata it was read with."""
    pixels = np.ascontiguousarray(photo.pixels)
    encoded = imagecodecs.png_encode(pixels[..., 0] if pixels.shape[2] == 1 else pixels, level=4)
    parts = [encoded[:_HEADER_END]]
    for name, body in photo.file_parts["chunks"]:
        parts += [struct.pack(">I", len(body)), name, body]
        parts.append(struct.pack(">I", zlib.crc32(name + body)))
    return b"".join([*parts, encoded[_HEADER_END:]])


def _exif_of_text(
    image: Image.Image, chunks: Sequence[tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the EXIF that is kept as text, if there is no other, as a chunk of its own."""
    text = image.info.get(_EXIF_TEXT)
    if isinstance(text, str) and not any(name == b"eXIf" for name, _ in chunks):
        with contextlib.suppress(ValueError):  # no hexadecimal digits
            exif = bytes.fromhex("".join(text.split("\n")[3:])).removeprefix(b"Exif\0\0")
            if exif.startswith((b"II*\0", b"MM\0*")):
                yield b"eXIf", exif


def _is_picture_text(name: bytes, body: bytes) -> bool:
    keyword = body.partition(b"\0")[0]
    is_misplaced_xmp = keyword == _XMP_TEXT and name != b"iTXt"
    return name in _TEXT and (keyword.lower() in _NOT_KEPT_TEXT or is_misplaced_xmp)


def _without_pictures(name: bytes, body: bytes) -> bytes:
    if name == b"eXIf":
        return without_thumbnail(body)
    keyword, _, rest = body.partition(b"\0")
    if name != b"iTXt" or keyword != _XMP_TEXT:
        return body
    if rest[:1] != b"\1":
        return without_pictures(body)
    language, _, rest = rest[2:].partition(b"\0")
    translated, _, packed = rest.partition(b"\0")
    xmp = without_pictures(inflate(packed, _MAX_XMP_BYTES) or b"")
    return b"\0".join([keyword, b"\0\0" + language, translated, xmp])


def _plain_mode(image: Image.Image, kind: int) -> str:
    transparent = image.has_transparency_data
    if kind == _PALETTE:
        return "RGBA" if transparent else "RGB"
    return "LA" if transparent else "L"


def _sound_chunks(stream: IO[bytes]) -> tuple[list[tuple[bytes, bytes]], tuple[str, ...]]:
    """Return (name, data) of the undamaged chunks that count here, and a note of the others."""
    chunks, damaged = [], []
    for chunk in read_chunks(stream):
        if chunk.name in _READ:
            body = chunk_data(stream, chunk)
            if body is None or not _can_be_inflated(chunk.name, body):
                damaged.append(chunk.name.decode())
            else:
                chunks.append((chunk.name, body))
    names = ", ".join(sorted(set(damaged)))
    return chunks, (f"damaged and left out: {names}",) if damaged else ()


def _can_be_inflated(name: bytes, body: bytes) -> bool:
    """Return whether a profile or compressed XMP is whole; other text is never looked into."""
    keyword, _, rest = body.partition(b"\0")
    if name == b"iCCP":
        return inflate(rest[1:], _MAX_PROFILE_BYTES) is not None
    is_packed_xmp = name == b"iTXt" and keyword == _XMP_TEXT and rest[:1] == b"\1"
    return not is_packed_xmp or inflate(rest[2:].split(b"\0", 2)[-1], _MAX_XMP_BYTES) is not None
