"""The work on one photo as the page goes through it: objects, masks, results, saving."""

import asyncio
import hashlib
import json
import shutil
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.text import printable
from pconv_hpc.page.named import PhotoFile, new_id
from pconv_hpc.page.settings import PageSettings
from pconv_hpc.page.workers import Workers

_MAX_MASKS = 1000  # of one photo, descriptions of which are remembered
_MAX_RESULTS = 40  # of one photo; files of older ones are removed

State = Literal["waiting", "working", "done", "failed"]


@dataclass
class Result:
    """An erased photo that is shown and not kept.

    Attributes:
        id: what a browser calls it.
        path: its file.
        weights: the name of the network.
        detail: how its texture was made.
        mask: the id of the mask.
        state: how far it is.
        text: why it failed.
        notes: what a person should know about the file.
        seconds: how long it took.
        saved: where it was saved.
    """

    id: str
    path: Path
    weights: str
    detail: str
    mask: str
    state: State = "waiting"
    text: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    saved: str = ""


class PhotoWork:
    """One photo in the page.

    Args:
        photo: the photo.
        settings: of the page.
        scratch: a folder of its own, for what is shown and not kept.
        workers: do the work.
    """

    def __init__(
        self, photo: PhotoFile, settings: PageSettings, scratch: Path, workers: Workers
    ) -> None:
        self.photo = photo
        self.results: OrderedDict[str, Result] = OrderedDict()
        self._settings = settings
        self._scratch = scratch
        self._workers = workers
        self._finding: asyncio.Task[int] | None = None
        self._masks: OrderedDict[str, tuple[dict[str, Any], str]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        scratch.mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> str:
        """The photo's file."""
        return str(self.photo.path)

    @property
    def file_name(self) -> str:
        """What results are called."""
        return self.photo.path.name

    @property
    def weights(self) -> tuple[Path, ...]:
        """The networks to choose from."""
        return self._settings.weights

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of erasing that are not chosen on the page."""
        return {}

    @property
    def instances(self) -> str:
        """The file of the objects that were found; empty before that."""
        path = self._scratch / "instances.json"
        return str(path) if path.exists() else ""

    async def objects(self) -> dict[str, Any]:
        """Return the objects, or how far the search for them is; the first call begins it."""
        if self.instances:
            found = await self._workers.pictures.call("objects", instances=self.instances)
            return {"state": "done", **found}
        if self._finding is None:
            target = str(self._scratch / "instances.json")
            self._finding = asyncio.create_task(
                self._workers.finding.call(
                    "find", photo=self.path, name=self.photo.name, instances=target
                )
            )
            self._finding.add_done_callback(lambda task: task.exception())  # it is asked for later
        if not self._finding.done():
            return {"state": "working", "text": self._workers.finding.state}
        return {"state": "failed", "text": str(self._finding.exception() or "try again")}

    def search_again(self) -> None:
        """Let the next call of ``objects`` begin a search that failed once more."""
        if self._finding is not None and self._finding.done():
            self._finding = None

    async def pick(self, x: float, y: float, min_score: float) -> int:
        """Return the index of the object that a click means.

        Raises:
            PconvError: it means none.
        """
        if not self.instances:
            raise UsageError("no objects were looked for yet")
        index: int = await self._workers.pictures.call(
            "pick", instances=self.instances, x=x, y=y, min_score=min_score
        )
        return index

    async def compose(self, edit: dict[str, Any]) -> dict[str, Any]:
        """Make the mask that an edit describes; return its id and what it covers.

        Raises:
            PconvError: the edit is no description of a mask.
        """
        upload = self._upload_path(edit)
        covers: dict[str, Any] = await self._workers.pictures.call(
            "compose", **self._mask_arguments(edit, upload)
        )
        text = json.dumps([self.instances, edit], sort_keys=True)
        identifier = hashlib.sha256(text.encode()).hexdigest()[:24]
        self._masks[identifier] = edit, upload
        self._masks.move_to_end(identifier)
        while len(self._masks) > _MAX_MASKS:
            self._masks.popitem(last=False)
        return {"mask": identifier, **covers}

    def _mask_arguments(self, edit: dict[str, Any], upload: str) -> dict[str, Any]:
        return {"path": self.path, "edit": edit, "instances": self.instances, "upload": upload}

    def _upload_path(self, edit: dict[str, Any]) -> str:
        name = str(edit.get("upload") or "")
        if not name:
            return ""
        path = self._scratch.parent / "uploads" / name
        if not name.isalnum() or not path.is_file():
            raise UsageError("the uploaded mask is not there any more; upload it again")
        return str(path)

    def mask_arguments(self, identifier: str) -> dict[str, Any] | None:
        """Return what ``pictures`` must know of a mask; ``None`` for an unknown id."""
        if identifier not in self._masks:
            return None
        return self._mask_arguments(*self._masks[identifier])

    def erase(self, mask: str, weights: int, detail: str) -> Result:
        """Begin to erase what a mask marks; return the result, which is not done yet.

        The same work is not done twice.

        Raises:
            UsageError: there is no such mask or network.
        """
        if mask not in self._masks:
            raise UsageError("there is no such mask any more; change it, and it is made again")
        if not 0 <= weights < len(self.weights):
            raise UsageError(f"network {weights + 1} is not there")
        network = self.weights[weights]
        name = weights_name(network)
        for result in self.results.values():
            same = (result.mask, result.weights, result.detail) == (mask, name, detail)
            if same and result.state != "failed":
                return result
        identifier = new_id()
        path = self._scratch / identifier / self.file_name
        result = Result(identifier, path, name, detail, mask)
        self.results[identifier] = result
        task = asyncio.create_task(self._erase(result, network))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return result

    async def _erase(self, result: Result, network: Path) -> None:
        mask_path = result.path.parent / "mask.png"
        try:
            result.path.parent.mkdir(parents=True, exist_ok=True)
            arguments = self._mask_arguments(*self._masks[result.mask])
            await self._workers.pictures.call("write_mask", **arguments, target=str(mask_path))
            began = time.monotonic()
            result.state = "working"
            result.notes = await self._workers.filling.call(
                "erase",
                photo=self.path,
                mask=str(mask_path),
                output=str(result.path),
                weights=str(network),
                detail=result.detail,
                settings=self.settings,
                name=self.photo.name,
            )
            result.seconds = time.monotonic() - began
            result.state = "done"
        except (PconvError, OSError) as error:
            result.state, result.text = "failed", str(error)
        self._forget_old()

    def _forget_old(self) -> None:
        own = [r for r in self.results.values() if r.path.is_relative_to(self._scratch)]
        for old in own[:-_MAX_RESULTS]:
            del self.results[old.id]
            shutil.rmtree(old.path.parent, ignore_errors=True)

    def selected(self, mask: str) -> list[int]:
        """Return the indices of the objects that a mask was made from."""
        edit, _ = self._masks.get(mask, ({}, ""))
        return sorted(edit.get("selected", []))

    def describe(self, result: Result) -> dict[str, Any]:
        """Return how far a result is, as a browser is told it."""
        return {
            "result": result.id,
            "state": result.state,
            "text": result.text or (self._workers.filling.state if result.state != "done" else ""),
            "weights": result.weights,
            "detail": result.detail,
            "mask": result.mask,
            "notes": result.notes,
            "seconds": round(result.seconds, 1),
            "saved": printable(result.saved),
        }

    async def save(self, result: Result, *, overwrite: bool) -> bool:
        """Keep a result's bytes in the folder of results.

        Returns:
            False, and nothing is done, where something is there and ``overwrite`` is false.

        Raises:
            PconvError: there is no such folder, or it cannot be written.
        """
        out = self._settings.out
        if self._settings.read_only:
            raise UsageError("this page was started with --read-only")
        if out is None:
            raise UsageError("no folder for results; start with --out FOLDER, or download it")
        if result.state != "done":
            raise UsageError("it is not done yet")
        target = str(out / self.photo.name)
        is_saved: bool = await self._workers.pictures.call(
            "save", result=str(result.path), photo=self.path, target=target, overwrite=overwrite
        )
        if is_saved:
            result.saved = target
        return is_saved


def weights_name(path: Path) -> str:
    """Return what people call a network: the name of its file, or of its run."""
    return path.name if path.is_dir() else path.stem
