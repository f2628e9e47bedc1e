"""Which photos to segment, and where the results of each go."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.file_names import with_ending
from pconv_hpc.photos.decode import decode_rgb
from pconv_hpc.photos.formats.photo_files import PHOTO_SUFFIXES
from pconv_hpc.photos.sources.passed_over import no_photos
from pconv_hpc.photos.sources.photo_source import Photos
from pconv_hpc.photos.sources.visible_files import visible_files
from pconv_hpc.shards.shard_index import is_pack


@dataclass(frozen=True)
class Places:
    """Where one photo is and where what is found in it goes.

    Attributes:
        image: the photo's path relative to its folder, with ``/``: its name in reports.
        photo: the photo's file; in a pack or a tar file, its path and the photo's name.
        instances: its JSON file.
        mask: its mask, white = erase; pconv-hpc inpaint finds the photo's mask by this name.
        overlay: the picture with numbered instances.
        source: the pack or tar file; ``None`` for a file of its own.
        index: of the photo in ``source``.
    """

    image: str
    photo: Path
    instances: Path
    mask: Path
    overlay: Path
    source: Photos | None = None
    index: int = 0

    def version(self) -> int:
        """Return the size of the photo's file, or a packed photo's checksum.

        Raises:
            UsageError: it cannot be read.
        """
        if self.source is not None:
            return self.source.version(self.index)
        try:
            return self.photo.stat().st_size
        except OSError as error:
            raise UsageError(f"{self.photo}: cannot be read ({error.strerror})") from error

    def read(self, *, max_pixels: int) -> np.ndarray:
        """Return the photo, uint8 (H, W, 3), upright.

        Raises:
            PconvError: it cannot be read, or has more than ``max_pixels``.
        """
        if self.source is not None:
            return self.source.image(self.index, max_pixels=max_pixels)
        return decode_rgb(self.photo, max_pixels=max_pixels)


class PlacesList(Sequence[Places]):
    """The places of many photos, each made when it is asked for: a pack may hold millions.

    Args:
        folder: of the photos; or the pack, or the tar file.
        images: their names.
        out: the folder of the results.
        source: what holds them, unless they are files of ``folder``.
    """

    def __init__(
        self, folder: Path, images: Sequence[str], out: Path, source: Photos | None = None
    ) -> None:
        self._folder, self._images, self._out, self._source = folder, images, out, source

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Places:  # type: ignore[override]  # no slices
        found = places(self._folder, self._images[index], self._out)
        return replace(found, source=self._source, index=index)


def places(folder: Path, image: str, out: Path) -> Places:
    """Return the files of the photo ``image`` of ``folder`` and of its results in ``out``."""
    return Places(
        image=image,
        photo=folder / image,
        instances=with_ending(out / "instances" / image, ".json"),
        mask=with_ending(out / "masks" / image, ".png"),
        overlay=with_ending(out / "overlays" / image, ".jpg"),
    )


def is_source(images: Path) -> bool:
    """Return whether photos are in a pack or a tar file, and not files of their own."""
    return is_pack(images) or (images.suffix.lower() == ".tar" and images.is_file())


def find_photos(
    images: Path, out: Path, passed_over: Counter[str] | None = None
) -> tuple[Path, list[str]]:
    """Return the folder of the photos and their relative paths, sorted.

    Args:
        images: a photo, or a folder with all its subfolders; hidden files are left out.
        out: the folder of the results; photos in it are left out.
        passed_over: is told how many other files there are, by kind.

    Raises:
        UsageError: there is none.
    """
    if images.is_file():
        return images.parent, [images.name]
    if not images.is_dir():
        raise UsageError(f"{images}: no such file or folder")
    others = Counter[str]() if passed_over is None else passed_over
    found = list(visible_files(images, out, PHOTO_SUFFIXES, others))
    if not found:
        raise no_photos(images, others)
    return images, found
