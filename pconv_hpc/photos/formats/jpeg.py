"""JPEG: saved with its own quantisation tables and subsampling, so that no more is lost."""

import io
import struct
from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin

from pconv_hpc.photos.color import Color
from pconv_hpc.photos.decode import exif_orientation
from pconv_hpc.photos.formats.exif import without_thumbnail
from pconv_hpc.photos.formats.iptc import without_preview
from pconv_hpc.photos.formats.xmp import without_pictures
from pconv_hpc.photos.photo import Photo

_COLORS: dict[str, Color] = {"L": "gray", "RGB": "rgb", "CMYK": "cmyk"}
_UNSUBSAMPLED = 0
_KEPT = ("icc_profile", "comment")
_MAX_DPI = 65535
_MAX_SEGMENT_BYTES = 65535
_PHOTOSHOP = b"Photoshop 3.0\0"
# Of Photoshop's resources this one alone: others are thumbnails, or describe what is edited here.
_IPTC_RESOURCE = 0x0404


def read(data: bytes, image: Image.Image) -> Photo:
    """Read a JPEG. Of a multi-picture file (MPO) the first picture is taken and written."""
    del data
    notes: tuple[str, ...] = ()
    if image.format == "MPO":
        notes = ("other pictures in the file (previews, depth) were left out",)
    return Photo(
        format="JPEG",
        pixels=np.atleast_3d(np.array(image)),
        color=_COLORS[image.mode],
        orientation=exif_orientation(image),
        icc_profile=image.info.get("icc_profile"),
        file_parts=_save_options(image),
        notes=notes,
    )


def encode(photo: Photo) -> bytes:
    """Return the photo as a JPEG file with the tables and metadata it was read with."""
    mode = next(mode for mode, color in _COLORS.items() if color == photo.color)
    pixels = photo.pixels[..., 0] if photo.color == "gray" else photo.pixels
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels), mode).save(stream, "JPEG", **photo.file_parts)
    return stream.getvalue()


def _save_options(image: Image.Image) -> dict[str, Any]:
    options: dict[str, Any] = {
        "qtables": image.quantization,  # type: ignore[attr-defined]
        "progressive": bool(image.info.get("progressive")),
        **{name: image.info[name] for name in _KEPT if image.info.get(name)},
    }
    if image.mode == "RGB":
        sampling = JpegImagePlugin.get_sampling(image)
        keep_rgb = image.info.get("adobe_transform") == 0
        # Pillow does not subsample green and blue, and has no name for such as 4:4:0 of turned
        # photos: neither must lose more colour.
        options["subsampling"] = _UNSUBSAMPLED if keep_rgb or sampling == -1 else sampling
        options["keep_rgb"] = keep_rgb
    if image.info.get("xmp"):
        options["xmp"] = without_pictures(image.info["xmp"])
    iptc = image.info.get("photoshop", {}).get(_IPTC_RESOURCE)
    if iptc:
        options["extra"] = _iptc_segment(without_preview(iptc))
    if image.info.get("exif"):
        options["exif"] = without_thumbnail(image.info["exif"])
    dpi = image.info.get("dpi", (0, 0))
    if all(1 <= value <= _MAX_DPI for value in dpi):
        options["dpi"] = dpi
    return options


def _iptc_segment(iptc: bytes) -> bytes:
    """Return the APP13 segment of a block that came from one, perhaps without its last padding."""
    resource = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(iptc))
    body = (_PHOTOSHOP + resource + iptc + bytes(len(iptc) % 2))[: _MAX_SEGMENT_BYTES - 2]
    return b"\xff\xed" + struct.pack(">H", 2 + len(body)) + body
