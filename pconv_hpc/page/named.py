"""What a person named when the page was started, and the ids by which a browser names it back."""

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pconv_hpc.foundation.errors import UsageError

Kind = Literal["photo", "photos"]
_MAX_PHOTOS = 100_000  # ids that are remembered; those used last stay


@dataclass(frozen=True)
class Thing:
    """One of the things that were named.

    Attributes:
        id: what a browser calls it.
        kind: ``photo``: one; ``photos``: a folder of them.
        path: absolute.
    """

    id: str
    kind: Kind
    path: Path

    @property
    def folder(self) -> Path:
        """What the photos' names are relative to."""
        return self.path.parent if self.kind == "photo" else self.path


@dataclass(frozen=True)
class PhotoFile:
    """A photo that a browser may look at.

    Attributes:
        id: what a browser calls it.
        name: its path relative to the folder of its thing, with ``/``.
        path: its file, absolute.
    """

    id: str
    name: str
    path: Path


@dataclass
class Named:
    """All things, and the ids that were given to photos; no id says anything about a path."""

    things: dict[str, Thing] = field(default_factory=dict)
    _photos: OrderedDict[str, PhotoFile] = field(default_factory=OrderedDict)
    _ids: dict[Path, str] = field(default_factory=dict)

    def thing(self, identifier: str) -> Thing | None:
        """Return the thing of an id; ``None`` if it was never given."""
        return self.things.get(identifier)

    def photo(self, identifier: str) -> PhotoFile | None:
        """Return the photo of an id; ``None`` if it was never given, or long ago."""
        photo = self._photos.get(identifier)
        if photo is not None:
            self._photos.move_to_end(identifier)
        return photo

    def give(self, thing: Thing, name: str) -> PhotoFile:
        """Return a photo of a thing with its id, always the same one."""
        path = thing.folder / name
        if path in self._ids:
            return self._photos[self._ids[path]]
        photo = PhotoFile(new_id(), name, path)
        self._photos[photo.id], self._ids[path] = photo, photo.id
        while len(self._photos) > _MAX_PHOTOS:
            _, forgotten = self._photos.popitem(last=False)
            del self._ids[forgotten.path]
        return photo


def new_id() -> str:
    """Return an id that nobody can guess."""
    return secrets.token_hex(12)


def name_all(paths: Sequence[Path]) -> Named:
    """Return the things that paths stand for.

    Raises:
        UsageError: one of them is not there.
    """
    named = Named()
    for path in paths:
        thing = Thing(new_id(), _kind_of(path), path.absolute())
        named.things[thing.id] = thing
    return named


def _kind_of(path: Path) -> Kind:
    if path.is_dir():
        return "photos"
    if path.is_file():
        return "photo"
    raise UsageError(f"{path}: no such file or folder; expected a photo or a folder of photos")
