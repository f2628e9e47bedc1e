"""What a person named when the page was started, and the ids by which a browser names it back."""

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pconv_hpc.foundation.errors import UsageError

Kind = Literal["photo", "photos", "out", "runs"]
_ERASE_FOLDER = ("manifest.json", "photos.jsonl")  # what tells one
_RUN = "config.yaml"  # what tells a training run
_MAX_PHOTOS = 100_000  # ids that are remembered; those used last stay


@dataclass(frozen=True)
class Thing:
    """One of the things that were named.

    Attributes:
        id: what a browser calls it.
        kind: ``photo``: one; ``photos``: a folder of them; ``out``: what ``pconv-hpc erase`` makes
            of a folder; ``runs``: a training run, or a folder of them.
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
        path: its file, absolute; of a row of an erase folder that folder.
        row: its number in an erase folder.
    """

    id: str
    name: str
    path: Path
    row: int | None = None


@dataclass
class Named:
    """All things, and the ids that were given to photos; no id says anything about a path."""

    things: dict[str, Thing] = field(default_factory=dict)
    _photos: OrderedDict[str, PhotoFile] = field(default_factory=OrderedDict)
    _ids: dict[tuple[Path, int | None], str] = field(default_factory=dict)

    def thing(self, identifier: str) -> Thing | None:
        """Return the thing of an id; ``None`` if it was never given."""
        return self.things.get(identifier)

    def add_results(self, path: Path) -> Thing | None:
        """Return the erase folder that was made at a path, named from now on, too.

        ``None``: there is none.
        """
        if not path.is_dir() or _kind_of(path) != "out":
            return None
        there = [thing for thing in self.things.values() if thing.path == path]
        thing = there[0] if there else Thing(new_id(), "out", path)
        self.things[thing.id] = thing
        return thing

    def photo(self, identifier: str) -> PhotoFile | None:
        """Return the photo of an id; ``None`` if it was never given, or long ago."""
        photo = self._photos.get(identifier)
        if photo is not None:
            self._photos.move_to_end(identifier)
        return photo

    def give(self, thing: Thing, name: str) -> PhotoFile:
        """Return a photo of a thing with its id, always the same one."""
        return self._give(thing.folder / name, name, None)

    def give_row(self, thing: Thing, row: int, name: str) -> PhotoFile:
        """Return a photo of an erase folder with its id, always the same one."""
        return self._give(thing.path, name, row)

    def _give(self, path: Path, name: str, row: int | None) -> PhotoFile:
        if (path, row) in self._ids:
            return self._photos[self._ids[path, row]]
        photo = PhotoFile(new_id(), name, path, row)
        self._photos[photo.id], self._ids[path, row] = photo, photo.id
        while len(self._photos) > _MAX_PHOTOS:
            _, forgotten = self._photos.popitem(last=False)
            del self._ids[forgotten.path, forgotten.row]
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
        if (path / _RUN).is_file() or any(path.glob(f"*/{_RUN}")):
            return "runs"
        is_erased = all((path / name).is_file() for name in _ERASE_FOLDER)
        return "out" if is_erased else "photos"
    if path.is_file():
        return "photo"
    raise UsageError(
        f"{path}: no such file or folder; expected a photo, or a folder of photos, "
        "of results or of training runs"
    )
