"""The colour photos that scikit-image and scikit-learn carry inside their packages: no download."""

import importlib.util
from pathlib import Path

import numpy as np

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.photos.decode import decode_rgb

# Natural scenes only. Left out: the right half of the motorcycle's stereo pair (nearly the left
# one, so it would leak between training and test), gray textures, drawings, and what a microscope,
# an ophthalmoscope or a space telescope saw.
_FILES = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "cat": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "temple": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}


def sample_photos() -> dict[str, np.ndarray]:
    """Return seven photos by name, each uint8 (H, W, 3), 300 to 741 pixels a side.

    Raises:
        PconvError: scikit-image or scikit-learn is not installed, or lacks the file.
    """
    return {name: _load(*location) for name, location in _FILES.items()}


def _load(package: str, relative: str) -> np.ndarray:
    spec = importlib.util.find_spec(package)  # finds the folder without importing the package
    if spec is None or spec.origin is None:
        raise PconvError(f"the package {package!r} is not installed; its sample photos are needed")
    path = Path(spec.origin).parent / relative
    if not path.is_file():
        raise PconvError(f"{path}: this version of {package!r} does not carry the sample photo")
    return decode_rgb(path)
