"""What every source of photos can do, and which names it passes on."""

import abc
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from pconv_hpc.foundation.text import printable
from pconv_hpc.photos.decode import DEFAULT_MAX_PIXELS, ImageError, decode_rgb
from pconv_hpc.photos.formats.photo_files import READ_SUFFIXES
from pconv_hpc.photos.sources.passed_over import HIDDEN, kind_of

_MAX_FILE_BYTES = 1 << 30  # of one photo that is decoded; read into memory whole
_MAX_KEY_BYTES = 4096


class Photos(abc.ABC):
    """Photos that can be counted, named and looked at in any order, in constant time each.

    Attributes:
        keys: unique names such as ``class/photo.JPEG``, valid UTF-8.
        fingerprint: equal for equal sets of photos.
    """

    keys: Sequence[str]

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str: ...

    @abc.abstractmethod
    def version(self, index: int) -> int:
        """Return a number of at least 0 that most probably differs once the photo has changed."""

    @abc.abstractmethod
    def image(self, index: int, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
        """Return photo ``index``, uint8 (H, W, 3), upright; may be called on any thread.

        Args:
            index: 0 to N - 1.
            max_pixels: larger photos are refused before they are decoded.

        Raises:
            ImageError: it cannot be decoded, and never will be.
            PconvError: it cannot be read now.
        """


class PhotoSource(Photos):
    """Encoded photos.

    Attributes:
        name: of the folder or file, without where it lies.
        keys: sorted, too.
        sizes: int64 (N,), bytes of each encoded photo.
        ignored: how many entries were left out, by reason.
    """

    name: str
    sizes: np.ndarray
    ignored: Counter[str]

    @abc.abstractmethod
    def read(self, index: int) -> bytes:
        """Return the encoded photo ``index``.

        Raises:
            PconvError: it has vanished or changed since it was listed, or the disk fails.
        """

    def close(self) -> None:
        """Let go of open files."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all names and sizes, in hexadecimal: equal for equal sets of photos."""
        digest = hashlib.sha256()
        for key, size in zip(self.keys, self.sizes, strict=True):
            digest.update(f"{key}\0{size}\n".encode())
        return digest.hexdigest()

    def version(self, index: int) -> int:
        """Return the size of its file, in bytes."""
        return int(self.sizes[index])

    def image(self, index: int, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
        if self.sizes[index] > _MAX_FILE_BYTES:
            raise ImageError(
                f"a file of {self.sizes[index]:,} bytes; at most {_MAX_FILE_BYTES:,} are read"
            )
        return decode_rgb(self.read(index), max_pixels=max_pixels)


def safe_key(name: str) -> str | None:
    """Return ``name`` as a key, or None if a file of that name could lie anywhere.

    Keys end up in file names that others derive, so absolute paths, ``..``, control characters
    and absurd lengths are not passed on.
    """
    name = printable(name)
    path = PurePosixPath(name)  # drops "./" and doubled slashes
    unsafe = (
        path.is_absolute()
        or ".." in path.parts
        or not path.parts
        or len(name.encode()) > _MAX_KEY_BYTES
        or any(unicodedata.category(character) == "Cc" for character in name)
    )
    return None if unsafe else str(path)


def why_no_photo(key: str) -> str | None:
    """Return why a file of this name is not taken for a photo, or None if it is."""
    path = PurePosixPath(key)
    if any(part.startswith(".") for part in path.parts):  # ._photo.jpg is what macOS leaves behind
        return HIDDEN
    return None if path.suffix.lower() in READ_SUFFIXES else kind_of(key)
