"""What a harvest has found so far: a folder beside its file, from which it continues.

Each rank of each start appends to a journal of its own, a line for a block of photos when all of
them are done. A line that a crash tore does not count, and its block is done again.
"""

import contextlib
import dataclasses
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.disk_space import writing
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.file_names import with_ending
from pconv_hpc.masks.silhouette_file import Silhouette
from pconv_hpc.photos.sources.open_source import TAR_INDEX_NAME

_RECIPE_NAME = "harvest.json"
_JOURNALS = "blocks-*.jsonl"
_TORN = (ValueError, KeyError, TypeError, OverflowError, RecursionError)  # what a line then raises


@dataclass(frozen=True)
class Block:
    """What was found in one block of photos.

    Attributes:
        number: of the block.
        silhouettes: in the order of the photos.
        failed: (photo, reason) of those that cannot be read.
    """

    number: int
    silhouettes: list[Silhouette]
    failed: list[tuple[str, str]]


class Parts:
    """The folder ``OUT.parts`` of the file ``OUT``."""

    def __init__(self, out: Path) -> None:
        self.folder = with_ending(out, ".parts")

    def begin(self, recipe: Mapping[str, Any]) -> None:
        """Note what is harvested and how.

        Raises:
            UsageError: the folder holds parts of another harvest.
        """
        path = self.folder / _RECIPE_NAME
        if path.exists():
            try:
                found = json.loads(path.read_bytes())
            except (OSError, ValueError) as error:
                raise UsageError(f"{path}: cannot be read ({error}); {self._advice}") from error
            check_same_harvest(self.folder, found, recipe, self._advice)
        elif any(self.folder.glob(_JOURNALS)):
            raise UsageError(f"{self.folder}: has parts but no {_RECIPE_NAME}; {self._advice}")
        with writing(path):
            atomic.write_json(path, recipe)

    @property
    def _advice(self) -> str:
        return f"delete {self.folder}, or choose another name for the result"

    def blocks(self) -> Iterator[Block]:
        """Yield what was found so far, a block perhaps twice, in no order."""
        for journal in sorted(self.folder.glob(_JOURNALS)):
            with open(journal, "rb") as lines:
                for line in lines:
                    with contextlib.suppress(*_TORN):
                        yield _parse(json.loads(line))

    @contextlib.contextmanager
    def journal(self) -> Iterator["Journal"]:
        """Open a journal that nobody else writes."""
        path = self.folder / _JOURNALS.replace("*", uuid.uuid4().hex)
        with writing(path), open(path, "xb") as stream:
            yield Journal(stream)

    def remove(self) -> None:
        """Remove what a harvest leaves here; files of others, and then the folder, stay."""
        names = [*self.folder.glob(_JOURNALS), self.folder / TAR_INDEX_NAME]
        for path in (*names, self.folder / _RECIPE_NAME):
            path.unlink(missing_ok=True)

    def remove_folder(self) -> None:
        """Remove the folder if it is empty."""
        with contextlib.suppress(OSError):
            self.folder.rmdir()


class Journal:
    """Appends blocks, each on the disk before the next."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def append(self, block: Block) -> None:
        silhouettes = [
            dataclasses.asdict(one) | {"counts": one.counts.tolist()} for one in block.silhouettes
        ]
        value = {"block": block.number, "failed": block.failed, "silhouettes": silhouettes}
        self._stream.write(json.dumps(value).encode() + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())


def num_lines(folder: Path) -> int:
    """Return how many blocks the journals of a folder hold, without reading what is in them."""
    return sum(journal.read_bytes().count(b"\n") for journal in folder.glob(_JOURNALS))


def check_same_harvest(
    path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], advice: str
) -> None:
    """Raise ``UsageError`` where two recipes differ, naming what differs."""
    differences = [
        f"{name} is {found.get(name)!r}, wanted {value!r}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    if differences:
        raise UsageError(f"{path}: is of another harvest ({'; '.join(differences)}); {advice}")


def _parse(value: Any) -> Block:
    silhouettes = [
        Silhouette(
            photo=one["photo"],
            photo_size=tuple(one["photo_size"]),
            box=tuple(one["box"]),
            class_name=one["class_name"],
            score=one["score"],
            size=tuple(one["size"]),
            counts=np.array(one["counts"], np.uint32),
        )
        for one in value["silhouettes"]
    ]
    failed = [(photo, reason) for photo, reason in value["failed"]]
    return Block(int(value["block"]), silhouettes, failed)
