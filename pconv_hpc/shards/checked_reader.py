"""Packed images that are checked, the first time each is read, against their checksum."""

import logging
from collections.abc import Sequence
from typing import Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.shards.shard_file import ShardReader

OnDamage = Literal["stop", "skip"]

_LOG = logging.getLogger(__name__)


class CheckedReader:
    """The images of a pack, none of which was damaged when it was first read.

    A disk, a copy or a file system that changes bits would otherwise go into the training unseen.
    The check costs about as much as copying an image, once per process.

    With ``skip`` the next undamaged image of the pack is used in a damaged one's place, and a
    warning names both. Which one follows from the pack alone, so all ranks and later starts do the
    same.

    Args:
        reader: the pack; it stays open as long as this is used, and belongs to the caller.
        on_damage: ``stop`` raises.
    """

    def __init__(self, reader: ShardReader, *, on_damage: OnDamage = "stop") -> None:
        self._reader = reader
        self._on_damage = on_damage
        self._checked = np.zeros(reader.num_images, dtype=bool)
        self._stand_ins: dict[int, int] = {}

    @property
    def num_images(self) -> int:
        return self._reader.num_images

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels."""
        return self._reader.image_size

    def image_views(self, indices: Sequence[int] | NDArray[np.int64]) -> list[NDArray[np.uint8]]:
        """Return the images at ``indices`` (n,), as ``ShardReader.image_views`` does.

        Raises:
            UsageError: one is damaged and ``on_damage`` is ``stop``, or nothing is left undamaged.
        """
        indices = np.asarray(indices, dtype=np.int64)
        views = self._reader.image_views(indices)
        places = np.flatnonzero(~self._checked[indices])
        expected = self._reader.checksums(indices[places])
        for place, checksum in zip(places.tolist(), expected.tolist(), strict=True):
            index = int(indices[place])
            if _crc32(views[place]) == checksum:
                self._checked[index] = True
            else:
                views[place] = self._instead_of(index)
        return views

    def _instead_of(self, index: int) -> NDArray[np.uint8]:
        if index not in self._stand_ins:
            if self._on_damage == "stop":
                raise UsageError(
                    f"{self._describe(index)} is damaged: its CRC-32 is not the one it was packed "
                    "with. Delete the shard named here and run pconv-hpc pack again to rebuild it, "
                    "or train on the rest with data.on_damage=skip"
                )
            self._stand_ins[index] = self._find_stand_in(index)
            _LOG.warning(
                "%s is damaged; %r is used in its place (data.on_damage is skip)",
                self._describe(index),
                self._reader.key(self._stand_ins[index]),
            )
        return self._reader.image_views([self._stand_ins[index]])[0]

    def _find_stand_in(self, index: int) -> int:
        for distance in range(1, self.num_images):
            candidate = (index + distance) % self.num_images
            [image] = self._reader.image_views([candidate])
            if _crc32(image) == self._reader.checksums([candidate])[0]:
                return candidate
        raise UsageError(f"{self._reader.shard_path(index)}: every image of this pack is damaged")

    def _describe(self, index: int) -> str:
        return f"{self._reader.shard_path(index)}: image {self._reader.key(index)!r}"


def _crc32(image: NDArray[np.uint8]) -> int:
    # fifteen times as fast as zlib's; takes any buffer, whatever its annotation says
    return imagecodecs.deflate_crc32(image)  # type: ignore[arg-type]
