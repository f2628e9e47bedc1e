"""Photos from anywhere into upright 8-bit RGB, whatever their format, or a clear reason why not.

Files are hostile until proven otherwise: only formats that Pillow decodes in this process are
tried, the number of pixels is checked before any of them is decoded, and damage of any kind is
an ``ImageError``.
"""

import contextlib
import io
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.photos import heif_image, jpeg_segments, jxl_image, png_chunks, tiff_image
from pconv_hpc.photos.color import cmyk_to_rgb
from pconv_hpc.photos.image_error import ImageError as ImageError
from pconv_hpc.photos.image_error import RawPhotoError

DEFAULT_MAX_PIXELS = 200_000_000

Image.init()  # Image.open with a list of formats does not load their plugins by itself

# No EPS (Pillow would start Ghostscript), no PSD, no icons and no scientific containers.
FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    tiff_image.FORMAT,
    "TIFF",
    *heif_image.FORMATS,
    "AVIF",
    jxl_image.FORMAT,
    "JPEG2000",
    "BMP",
    "GIF",
    "PPM",
)

# Cameras' raw files that are no TIFFs; of those that look like one, tiff_image knows most.
_RAW_STARTS = (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FOVb", b"\0MRM")

# Alpha is flattened over white: it is the page that cut-outs are made for, so their soft edges
# fade into what their makers saw, and photos with plain white surroundings exist.
_BACKGROUND = (255, 255, 255, 255)

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow's own limit is one global number; it is ours only while a header is read.
_header_lock = threading.Lock()

# Damaged metadata of one photo in a million is no news; what matters is raised as an error.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_rgb(source: bytes | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
    """Decode an image file to an upright photo.

    Gray, palette, CMYK and 16-bit images are converted to 8-bit RGB (16 bits are scaled, not
    clipped), alpha is flattened over white, of an animation the first frame is taken, and EXIF
    orientation is applied. RGB values stay as they are stored: a colour profile is used for CMYK
    alone, where values must change in any case.

    Args:
        source: the file's content, or its path.
        max_pixels: larger images are refused before they are decoded.

    Returns:
        uint8 (H, W, 3), writable.

    Raises:
        ImageError: the file is missing, damaged, truncated, too large or no supported image.
    """
    with open_image(source, max_pixels) as image:
        return np.array(_to_upright_rgb(image))


def decode_square(
    source: bytes | Path, size: int, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> np.ndarray:
    """Decode an image file as ``decode_rgb`` does, then scale and crop it to a centred square.

    The short side is scaled to ``size`` with an antialiasing bicubic filter. JPEGs at least four
    times as large are decoded at a fraction of their size first, never below twice the target.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ImageError: as ``decode_rgb``.
    """
    with open_image(source, max_pixels) as image:
        image.draft(None, (2 * size, 2 * size))  # JPEG only; a no-op elsewhere
        rgb = _to_upright_rgb(image)
        side = min(rgb.size)
        left, top = (rgb.width - side) / 2, (rgb.height - side) / 2
        square = rgb.resize(
            (size, size),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
            reducing_gap=3.0,
        )
        return np.array(square)


def decode_reduced(
    source: bytes | Path, level: int, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> np.ndarray:
    """Decode an image file as ``decode_rgb`` does, to a ``2 ** level``-th of its size.

    Sides are halved ``level`` times and rounded up each time. JPEGs are decoded at an eighth of
    their size or more, which takes a fraction of the time and memory.

    Returns:
        uint8 (h, w, 3).

    Raises:
        ImageError: as ``decode_rgb``.
    """
    with open_image(source, max_pixels) as image:
        width, height = (-(-side // (1 << level)) for side in upright_size(image))
        image.draft(None, (image.width >> level, image.height >> level))
        rgb = _to_upright_rgb(image)
        if rgb.size != (width, height):
            rgb = rgb.resize((width, height), Image.Resampling.BOX)
        return np.array(rgb)


@contextlib.contextmanager
def open_image(source: bytes | Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open an image file, and turn whatever its decoding in the block raises into ``ImageError``.

    Only ``FORMATS`` are tried and only the header is read: its size is at most ``max_pixels``.
    """
    where = "" if isinstance(source, bytes) else f"{source}: "
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(_open_stream(source))
        except OSError as error:
            raise ImageError(f"{where}cannot be read ({error.strerror})") from error
        try:
            yield stack.enter_context(_read_header(stream, max_pixels))
        except ImageError as error:
            raise ImageError(f"{where}{error}") from error
        except MemoryError as error:  # says more about this machine than about the file
            raise PconvError(f"{where}not enough memory to decode this image") from error
        except Exception as error:  # decoders raise nearly anything on damaged data
            raise ImageError(f"{where}{_reason(error)}") from error


def _open_stream(source: bytes | Path) -> IO[bytes]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if not stat.S_ISREG(Path(source).stat().st_mode):  # a pipe would be waited for, for ever
        raise ImageError(f"{source}: not a regular file")
    return open(source, "rb")


def _read_header(stream: IO[bytes], max_pixels: int) -> Image.Image:
    start = stream.read(16)
    if not start:
        raise ImageError("empty file")
    if start.startswith(_RAW_STARTS) or start[4:12] == b"ftypcrx ":
        raise RawPhotoError
    if start.startswith(tiff_image.SIGNATURES) and start[8:10] == b"CR":  # Canon's
        raise RawPhotoError
    stream = _without_metadata(stream)
    with _header_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            image = Image.open(stream, formats=FORMATS)
        except Image.DecompressionBombError as error:  # more than twice the limit
            raise ImageError(f"more than {max_pixels} pixels, the limit") from error
        except UnidentifiedImageError as error:
            raise ImageError(_why_unknown(stream)) from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    if image.width * image.height > max_pixels:
        raise ImageError(f"more than {max_pixels} pixels, the limit")
    return image


def _without_metadata(stream: IO[bytes]) -> IO[bytes]:
    """Return what is left of a JPEG or PNG when nothing is that could only be in the way."""
    stream.seek(0)
    signature = stream.read(len(png_chunks.SIGNATURE))
    if signature.startswith(jpeg_segments.SIGNATURE):
        return jpeg_segments.bare_jpeg(stream)
    if signature == png_chunks.SIGNATURE:
        return png_chunks.bare_png(stream)
    stream.seek(0)
    return stream


def _why_unknown(stream: IO[bytes]) -> str:
    stream.seek(0)
    return (
        heif_image.why_no_photo(stream.read(12))
        or tiff_image.why_no_photo(stream)
        or "not an image in a supported format"
    )


def _reason(error: Exception) -> str:
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", str(error)) or type(error).__name__
    return f"damaged or unsupported image ({' '.join(text.split())})"


def _to_upright_rgb(image: Image.Image) -> Image.Image:
    image.load()
    turn = _UPRIGHT.get(exif_orientation(image))
    rgb = rgb_image(image)
    return rgb if turn is None else rgb.transpose(turn)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of an opened image as ``decode_rgb`` gives it; decodes nothing."""
    width, height = image.size
    # of a TIFF Pillow tells the size that it will have once it is loaded
    is_turned = image.format != "TIFF" and exif_orientation(image) >= 5
    return (height, width) if is_turned else (width, height)


def exif_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where the metadata is absent or broken.

    TIFF images that Pillow reads itself are turned as they load, and have the tag removed.
    """
    try:
        orientation = int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # broken metadata never makes a readable photo unreadable
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def rgb_image(image: Image.Image) -> Image.Image:
    """Return an open image as 8-bit RGB in stored orientation, alpha flattened over white."""
    if image.mode.startswith("I"):
        return _from_gray16(image)
    if image.mode == "F":
        raise ImageError("floating-point pixels; expected 8 or 16 bits per channel")
    if image.mode == "CMYK":
        return cmyk_to_rgb(image)
    if image.has_transparency_data:
        photo = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", photo.size, _BACKGROUND), photo).convert(
            "RGB"
        )
    return image.convert("RGB")


def _from_gray16(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError("32-bit pixels; expected 8 or 16 bits per channel")
    gray = (values.astype(np.uint32) * 255 + 32767) // 65535  # rounded; Pillow would clip at 255
    return Image.fromarray(gray.astype(np.uint8)).convert("RGB")
