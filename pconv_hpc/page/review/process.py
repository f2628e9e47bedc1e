"""The process that knows erase folders for the page; see ``worker_loop``."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.text import printable
from pconv_hpc.foundation.typed_values import to_mapping
from pconv_hpc.page.processes.worker_loop import serve_object
from pconv_hpc.page.review.index import ORDERS, STATES, Filter, FolderIndex, state_of
from pconv_hpc.page.review.marks import Marks
from pconv_hpc.page.review.members import KINDS, Members
from pconv_hpc.page.review.redo import Replacement, replace_result

_BY_HOLE = "hole"
_MAX_MEASURED = 20_000  # photos of which the holes are read
_COLUMNS = ("photo", "state", "objects", "reason", "mark", "by", "time")


class Folder:
    """One erase folder.

    Args:
        out: the folder of the results.
        scratch: where members of tar files are made files.
    """

    def __init__(self, out: Path, scratch: Path) -> None:
        self.index = FolderIndex(out)
        self.marks = Marks(out)
        self.members = Members(self.index.manifest, scratch)
        self._holes: dict[int, tuple[float, float]] = {}

    def by_hole(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return rows by the share of the photo that was erased, the largest first.

        Raises:
            UsageError: they are too many to read a file for each.
        """
        if len(rows) > _MAX_MEASURED:
            raise UsageError(
                f"{len(rows):,} photos: at most {_MAX_MEASURED:,} are sorted by the size of their "
                "holes; filter them first"
            )
        ratios = np.array([self._hole(int(row)) for row in rows])
        return np.asarray(rows)[np.argsort(-ratios, kind="stable")]

    def _hole(self, row: int) -> float:
        when = self.index.time(row)
        if row not in self._holes or self._holes[row][0] != when:
            path = self.members.find(self.index.photo(row), "instances")
            self._holes[row] = when, _hole_ratio(path)
        return self._holes[row][1]

    def describe(self, row: int) -> dict[str, Any]:
        """Return what is known of a photo."""
        photo = self.index.photo(row)
        outcome = self.index.outcome(row)
        mark = self.marks.of(row, photo.photo)
        state = state_of(outcome)
        return {
            "row": row,
            "name": printable(photo.photo),
            "state": state,
            "objects": outcome.classes or {},
            "reason": outcome.reason if state in ("failed", "set aside") else "",
            "time": outcome.time,
            "mark": mark.word if mark else "",
            "by": mark.by if mark else "",
        }


def _hole_ratio(path: Path | None) -> float:
    """Return the share of a photo that its selected objects cover; 0 where that cannot be told."""
    try:
        found = json.loads(path.read_bytes()) if path else {}
        areas = [found["instances"][number - 1]["area"] for number in found.get("selected", ())]
        return float(sum(areas) / (found["width"] * found["height"])) if areas else 0.0
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return 0.0


class Review:
    """What the server may ask this process for; folders are named by their paths.

    Args:
        scratch: where members of tar files are made files.
    """

    def __init__(self, *, scratch: str) -> None:
        self._scratch = Path(scratch)
        self._folders: dict[str, Folder] = {}

    def _folder(self, out: str) -> Folder:
        if out not in self._folders:
            self._folders[out] = Folder(Path(out), self._scratch)
        return self._folders[out]

    def overview(self, out: str) -> dict[str, Any]:
        """Return counts, and what can be filtered by."""
        folder = self._folder(out)
        folder.marks.refresh()
        index = folder.index
        settings = index.manifest.settings
        return {
            "photos": index.manifest.num_photos,
            "slices": index.num_slices,
            "read": index.num_read,
            "states": index.counts(),
            "classes": index.classes(),
            "reasons": [printable(reason) for reason in index.reasons()[:200]],
            "marked": len(folder.marks.rows("marked")),
            "images": printable(str(index.manifest.images)),
            "settings": to_mapping(settings),
        }

    def rows(
        self, out: str, wanted: dict[str, str], order: str, first: int, count: int
    ) -> dict[str, Any]:
        """Return some of the photos that are wanted, and how many those are."""
        folder = self._folder(out)
        rows = self._wanted(folder, wanted, order)
        shown = rows[first : first + count]
        return {"total": len(rows), "rows": [folder.describe(int(row)) for row in shown]}

    def _wanted(self, folder: Folder, wanted: dict[str, str], order: str) -> Any:
        if order not in (*ORDERS, _BY_HOLE):
            raise UsageError(f"order {order!r}: expected one of {', '.join((*ORDERS, _BY_HOLE))}")
        state = wanted.get("state", "")
        if state and state not in STATES:
            raise UsageError(f"state {state!r}: expected one of {', '.join(STATES)}")
        mark = wanted.get("mark", "")
        if mark:
            folder.marks.refresh()
        asked = Filter(
            state=state,
            object_class=wanted.get("class", ""),
            reason=wanted.get("reason", ""),
            rows=folder.marks.rows(mark) if mark else None,
        )
        if order == _BY_HOLE:
            return folder.by_hole(folder.index.rows(asked, "name"))
        return folder.index.rows(asked, ORDERS[ORDERS.index(order)])

    def photo(self, out: str, row: int) -> dict[str, Any]:
        """Return all about one photo: what is known of it, and its files."""
        folder = self._folder(out)
        photo = folder.index.photo(row)
        files = {kind: folder.members.find(photo, kind) for kind in KINDS}
        named = {kind: str(path) if path else "" for kind, path in files.items()}
        return {**folder.describe(row), "photo": photo.photo, "files": named}

    def mark(self, out: str, row: int, word: str) -> dict[str, Any]:
        """Mark a photo, or with an empty word take its mark back; return what is known of it."""
        folder = self._folder(out)
        folder.marks.add(folder.index.photo(row).photo, row, word)
        return folder.describe(row)

    def table(
        self, out: str, wanted: dict[str, str], order: str, first: int, count: int
    ) -> dict[str, Any]:
        """Return lines of a table (CSV) of the photos that are wanted, with a head at first."""
        folder = self._folder(out)
        rows = self._wanted(folder, wanted, order)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if first == 0:
            writer.writerow(_COLUMNS)
        for row in rows[first : first + count]:
            known = folder.describe(int(row))
            objects = "; ".join(f"{number} {name}" for name, number in known["objects"].items())
            cells = [known["name"], known["state"], objects, printable(known["reason"])]
            writer.writerow([*map(_cell, cells), known["mark"], known["by"], known["time"] or ""])
        return {"text": text.getvalue(), "is_last": first + count >= len(rows)}

    def redo(
        self, out: str, row: int, result: str, mask: str, instances: str, selected: list[int]
    ) -> dict[str, Any]:
        """Replace a photo's result; return what is known of it."""
        folder = self._folder(out)
        new = Replacement(
            result=Path(result),
            mask=Path(mask),
            instances=Path(instances) if instances else None,
            selected=tuple(selected),
        )
        photo = folder.index.photo(row)
        replace_result(folder.index.manifest, folder.index.slice_of(row), photo, new)
        return folder.describe(row)


def _cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


if __name__ == "__main__":
    serve_object(Review)
