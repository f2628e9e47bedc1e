"""GIF of one frame: the palette stays, and holes are filled with the colours that it has."""

import io

import numpy as np
from PIL import Image

from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.photo import Photo

_AT_ONCE = 4096  # pixels, times 256 colours
_KEPT = ("transparency", "background", "comment")


def read(data: bytes, image: Image.Image) -> Photo:
    """Read a GIF.

    Raises:
        ImageError: it is animated.
    """
    del data
    if getattr(image, "n_frames", 1) > 1:
        raise ImageError("an animated GIF; expected a single picture")
    image.load()
    if image.mode not in ("P", "L"):
        raise ImageError(f"a GIF of mode {image.mode}; expected a palette")
    palette = image.getpalette() if image.mode == "P" else np.repeat(np.arange(256), 3).tolist()
    pixels = np.array(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    return Photo(
        format="GIF",
        pixels=pixels,
        color="rgb",
        alpha="straight" if pixels.shape[2] == 4 else "none",
        file_parts={
            "indices": np.array(image),
            "palette": palette,
            "options": {name: image.info[name] for name in _KEPT if name in image.info},
        },
        notes=("holes were filled with colours of the GIF's palette",),
    )


def encode(photo: Photo) -> bytes:
    """Return the photo as a GIF file; pixels that were not erased keep their index."""
    parts = photo.file_parts
    indices = parts["indices"].copy()
    changed = photo.erased.copy()
    if photo.alpha == "straight":
        changed &= photo.pixels[..., 3] > 0
    colours = np.array(parts["palette"], np.int32).reshape(-1, 3)
    usable = np.ones(len(colours), bool)
    transparent = parts["options"].get("transparency")
    if isinstance(transparent, int) and transparent < len(usable):
        usable[transparent] = False
    wanted = photo.pixels[changed][:, :3].astype(np.int32)
    indices[changed] = np.flatnonzero(usable)[_nearest(wanted, colours[usable])]
    image = Image.fromarray(indices, "P")
    image.putpalette(parts["palette"])
    stream = io.BytesIO()
    image.save(stream, "GIF", optimize=False, **parts["options"])
    return stream.getvalue()


def _nearest(wanted: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return for each colour (N, 3) that is wanted the index of the nearest there is."""
    found = np.zeros(len(wanted), np.int64)
    for first in range(0, len(wanted), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        found[part] = np.square(wanted[part, None] - colours).sum(axis=2).argmin(axis=1)
    return found
