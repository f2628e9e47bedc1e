"""HEIC: decoded upright, encoded again at high quality with the chroma and depth it had."""

import io

import numpy as np
from PIL import Image

from pconv_hpc.photos.color import Alpha, Color
from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.metadata.kept_info import kept_info
from pconv_hpc.photos.photo import Photo

# What is lost with it outside the mask is in docs/guide/inpaint.md.
_QUALITY, _LOSSLESS = 95, -1
_ENCODER = {"preset": "ultrafast"}  # of x265: a seventh of the time, less loss, a tenth larger
_MODES: dict[str, tuple[Color, Alpha]] = {
    "L": ("gray", "none"),
    "LA": ("gray", "straight"),
    "RGB": ("rgb", "none"),
    "RGBA": ("rgb", "straight"),
    "RGBa": ("rgb", "premultiplied"),
}
_NCLX = {"color_primaries", "transfer_characteristics", "matrix_coefficients", "full_range_flag"}


def read(data: bytes, image: Image.Image) -> Photo:
    """Read the primary picture of a HEIC, 8 bits or, of 10 and 12, 16 bits a channel.

    The container says how the picture is turned, EXIF only repeats it: pixels come upright, and
    EXIF's orientation is 1.

    Raises:
        ImageError: a sequence, or pixels of another kind.
    """
    import pillow_heif

    if data[8:12] in (b"msf1", b"hevc", b"hevx"):
        raise ImageError("a HEIC sequence; expected a single picture")
    info = image.info
    depth = int(info.get("bit_depth", 8))
    notes = []
    if getattr(image, "n_frames", 1) > 1:
        notes.append("other pictures in the file were left out")
    if info.get("depth_images") or info.get("aux") or info.get("thumbnails"):
        notes.append("depth, gain map and thumbnails were left out")
    if depth == 8:
        pixels, mode = np.array(image), image.mode
    else:
        file = pillow_heif.HeifFile(io.BytesIO(data), convert_hdr_to_8bit=False)
        picture = file[file.primary_index]
        pixels, mode = np.array(picture), picture.mode.partition(";")[0]
    if mode not in _MODES or pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"a HEIC of mode {mode}; expected gray or RGB")
    color, alpha = _MODES[mode]
    profile = info.get("nclx_profile") or {}
    numbers = {name: profile[name] for name in _NCLX if name in profile}
    is_lossless = numbers.get("matrix_coefficients") == 0
    return Photo(
        format="HEIF",
        pixels=np.atleast_3d(pixels),
        color=color,
        alpha=alpha,
        file_parts={
            "mode": mode if depth == 8 else f"{mode};16",
            "options": {
                **kept_info(image),
                **numbers,
                "bit_depth": depth,
                "chroma": info.get("chroma") or 420,
                "enc_params": _ENCODER,
                "quality": _LOSSLESS if is_lossless else _QUALITY,
            },
        },
        notes=tuple(notes),
    )


def encode(photo: Photo) -> bytes:
    """Return the photo as a HEIC file with the metadata it was read with."""
    import pillow_heif

    stream = io.BytesIO()
    height, width = photo.pixels.shape[:2]
    parts = photo.file_parts
    pillow_heif.encode(
        parts["mode"], (width, height), photo.pixels.tobytes(), stream, **parts["options"]
    )
    return stream.getvalue()
