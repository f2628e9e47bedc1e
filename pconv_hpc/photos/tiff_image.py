"""TIFF photos for Pillow: gray, RGB and CMYK of 8 and 16 bits, however they are stored.

Pillow's own reader knows no 16-bit gray with alpha, nor most pictures in planes. It decodes what is
compressed with loss, as libtiff never decodes more than the directory says, and has the pictures
that are no photos, such as bilevel and palette ones.
"""

import io
import itertools
import logging
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import tifffile
from PIL import Image, ImageFile, TiffImagePlugin

from pconv_hpc.photos.color import NUM_COLORANTS, Alpha, Color, cmyk_to_rgb, to_8_bits
from pconv_hpc.photos.image_error import ImageError, RawPhotoError
from pconv_hpc.photos.photo import upright_view

# Damaged tags of one photo are no news; what matters is raised as an error.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

FORMAT = "TIFF_PHOTO"  # what Pillow calls this reader; its images are TIFF all the same
SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_COLORS: dict[str, Color] = {
    "MINISBLACK": "gray",
    "MINISWHITE": "gray",
    "RGB": "rgb",
    "SEPARATED": "cmyk",
}
_LOSSLESS = ("NONE", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "ZSTD", "LZMA")
_LOSSY = ("JPEG",)
_ALPHAS: dict[str, Alpha] = {"ASSOCALPHA": "premultiplied", "UNASSALPHA": "straight"}
_MAX_TILE_SIDE = 4096
_MAX_PAGES = 16  # looked at, to tell thumbnails from pictures
_REDUCED = 1  # NewSubfileType: a smaller version of another page
_ORIENTATION_TAG, _ICC_TAG, _SUB_DIRECTORIES_TAG, _DNG_TAG = 274, 34675, 330, 50706
_MODES = {"gray": "L", "rgb": "RGB", "cmyk": "CMYK"}


@dataclass(frozen=True)
class TiffPhoto:
    """The page of a TIFF that is the photo, and what its channels mean.

    Attributes:
        page: from tifffile.
        color, alpha: as in ``Photo``.
        is_lossy: its compression is.
        num_thumbnails: pages that show the photo again, smaller.
    """

    page: Any
    color: Color
    alpha: Alpha
    is_lossy: bool
    num_thumbnails: int

    @property
    def orientation(self) -> int:
        """The EXIF orientation, as the file has it."""
        return int(self.page.tags.valueof(_ORIENTATION_TAG, 1))

    def pixels(self) -> np.ndarray:
        """Decode: uint8 or uint16 (H, W, C), ink or light as ``color`` says, never inverted."""
        planes = self.page.asarray(squeeze=False)[:, 0]  # (P, H, W, S); P or S is 1
        pixels = np.moveaxis(planes, 0, 2).reshape(*planes.shape[1:3], -1)
        if self.page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            pixels = np.iinfo(pixels.dtype).max - pixels
        return np.ascontiguousarray(pixels)


def find_photo(file: tifffile.TiffFile, num_bytes: int, *, only: bool) -> TiffPhoto:
    """Return the photo of a TIFF file of ``num_bytes``: its first page that is no thumbnail.

    Args:
        file: from tifffile.
        num_bytes: its size.
        only: whether a second picture in it is an error.

    Raises:
        ImageError: it holds several pictures, or one that is no photo.
        RawPhotoError: it is a camera's raw file.
    """
    pages: list[Any] = list(itertools.islice(file.pages, _MAX_PAGES))
    pictures = [page for page in pages if not int(page.subfiletype) & _REDUCED]
    num_pages = len(file.pages)
    if _DNG_TAG in pages[0].tags or (not pictures and _SUB_DIRECTORIES_TAG in pages[0].tags):
        raise RawPhotoError  # the picture is in a directory below that of a thumbnail
    pictures = pictures or pages[:1]
    if only and (len(pictures) > 1 or num_pages > _MAX_PAGES):
        raise ImageError(f"a TIFF of {num_pages} pages; expected a single picture")
    page = pictures[0]
    color, alpha = _check(page, num_bytes)
    is_lossy = page.compression.name in _LOSSY
    return TiffPhoto(page, color, alpha, is_lossy, len(pages) - len(pictures))


def why_no_photo(stream: IO[bytes]) -> str | None:
    """Return why a TIFF that Pillow cannot open is no photo; ``None`` if it is no TIFF."""
    stream.seek(0)
    if stream.read(4) not in SIGNATURES:
        return None
    stream.seek(0)
    try:
        with tifffile.TiffFile(stream) as file:
            find_photo(file, _size(stream), only=False)
    except ImageError as error:
        return str(error)
    except Exception:  # tifffile raises nearly anything on damaged data
        return "a damaged TIFF"
    return "a TIFF of an unsupported kind"


class TiffImage(ImageFile.ImageFile):
    """A TIFF photo as Pillow sees it, 8 bits a channel; opened without decoding it."""

    format = "TIFF"

    def _open(self) -> None:
        try:
            photo, _ = self._read(decode=False)
        except RawPhotoError:  # Pillow would show its thumbnail
            raise
        except Exception as error:
            raise SyntaxError("left to Pillow") from error
        self._size = (photo.page.imagewidth, photo.page.imagelength)
        self._mode = _MODES[photo.color]
        if _shows_alpha(photo):
            self._mode = "LA" if photo.color == "gray" else "RGBA"
        profile = photo.page.tags.valueof(_ICC_TAG)
        if isinstance(profile, bytes):
            self.info["icc_profile"] = profile
        self.getexif()[_ORIENTATION_TAG] = photo.orientation
        self.tile = []

    def load(self) -> Any:
        """Decode, once."""
        if self._im is None:
            photo, pixels = self._read(decode=True)
            if photo.is_lossy:
                self.im = _decoded_by_pillow(self.fp, photo, self.mode).im
            else:
                self.im = _as_8_bits(pixels, photo, self.info.get("icc_profile")).im
        return super().load()

    def stored_pixels(self) -> np.ndarray:
        """Return the pixels (H, W, C) as they are stored, with all their bits."""
        photo, pixels = self._read(decode=True)
        return np.atleast_3d(np.asarray(self)) if photo.is_lossy else pixels

    def _read(self, *, decode: bool) -> tuple[TiffPhoto, np.ndarray]:
        """Return the photo, and its pixels if they are wanted and stored without loss."""
        assert self.fp is not None
        self.fp.seek(0)
        with tifffile.TiffFile(self.fp) as file:
            photo = find_photo(file, _size(self.fp), only=False)
            return photo, photo.pixels() if decode and not photo.is_lossy else np.empty(0)


def _decoded_by_pillow(stream: Any, photo: TiffPhoto, mode: str) -> Image.Image:
    """Decode a lossy page, in stored order; libtiff compares its parts with the directory."""
    stream.seek(0)
    image = TiffImagePlugin.TiffImageFile(stream)
    image.seek(photo.page.index)
    image.load()  # and turned upright
    if image.mode != mode:
        raise ImageError(f"a TIFF with {photo.page.compression.name} of mode {image.mode}")
    back = {6: 8, 8: 6}.get(photo.orientation, photo.orientation)
    return Image.fromarray(np.ascontiguousarray(upright_view(np.asarray(image), back)), mode)


def _shows_alpha(photo: TiffPhoto) -> bool:
    """Return whether alpha shows what is behind; premultiplied inks thin out to white without."""
    return photo.alpha == "straight" or (photo.alpha == "premultiplied" and photo.color != "cmyk")


def _as_8_bits(pixels: np.ndarray, photo: TiffPhoto, profile: bytes | None) -> Image.Image:
    """Return pixels as an image of the photo's mode, its alpha straight."""
    colorants, opacity = pixels[..., : NUM_COLORANTS[photo.color]], pixels[..., -1:]
    if not _shows_alpha(photo):
        shown = to_8_bits(colorants)
        return Image.fromarray(
            shown[..., 0] if photo.color == "gray" else shown, _MODES[photo.color]
        )
    if photo.alpha == "premultiplied":
        largest = np.iinfo(pixels.dtype).max
        colorants = np.minimum(colorants, opacity).astype(np.uint32) * largest
        colorants = (colorants // np.maximum(opacity, 1)).astype(pixels.dtype)
    if photo.color == "cmyk":
        inks = Image.fromarray(to_8_bits(colorants), "CMYK")
        inks.info["icc_profile"] = profile
        colorants = np.asarray(cmyk_to_rgb(inks))
    return Image.fromarray(np.concatenate([to_8_bits(colorants), to_8_bits(opacity)], axis=2))


def _size(stream: IO[bytes]) -> int:
    return stream.seek(0, io.SEEK_END)


def _check(page: Any, num_bytes: int) -> tuple[Color, Alpha]:
    """Return what the channels of a page mean; refuse what is no photo, or not as it says."""
    compression = page.compression.name
    if compression not in (*_LOSSLESS, *_LOSSY):
        raise ImageError(f"a TIFF with {compression} compression; expected a lossless one or JPEG")
    width, height = page.imagewidth, page.imagelength
    tile = max(page.tilewidth, page.tilelength) * page.tiledepth
    if tile > max(_MAX_TILE_SIDE, width, height):  # each is decoded whole, whatever is in it
        raise ImageError(
            f"a tile of {page.tilewidth} x {page.tilelength} pixels in a picture of "
            f"{width} x {height}"
        )
    if page.dtype not in (np.uint8, np.uint16) or page.bitspersample not in (8, 16):
        raise ImageError(
            f"a TIFF with pixels of {page.bitspersample} bits ({page.dtype}); expected 8 or 16"
        )
    photometric = page.photometric.name
    color = "rgb" if photometric == "YCBCR" and compression in _LOSSY else _COLORS.get(photometric)
    if color is None:
        raise ImageError(f"a TIFF with {photometric} pixels; expected gray, RGB or CMYK")
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or min(page.databytecounts) <= 0 or max(ends) > num_bytes:
        raise ImageError("the file is cut short")
    if compression in _LOSSY and page.bitspersample != 8:
        raise ImageError(f"{page.bitspersample}-bit {compression} in a TIFF; expected 8 bits")
    extra = page.samplesperpixel - NUM_COLORANTS[color]
    if extra == 0:
        return color, "none"
    if extra == 1:  # what is not said to be alpha is kept, and is none of the colours' business
        name = page.extrasamples[0].name if page.extrasamples else ""
        return color, _ALPHAS.get(name, "ignored")
    raise ImageError(f"{page.samplesperpixel} channels; expected at most one beside the colours")


Image.register_open(FORMAT, TiffImage, lambda start: start.startswith(SIGNATURES))
