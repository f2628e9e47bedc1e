"""Two programs in place of tools/segment.py and tools/inpaint.py that start at once.

What they do with a photo is written in it: ``star`` or nothing: found and erased; ``empty``:
nothing is found; ``fail``, ``kill``, ``stop me``, ``usage``, ``raise``, ``silent``, ``slow``, each
of which may be followed by `` in inpaint``.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from pconv_hpc.erasing.folder.manifest import Manifest, build_manifest
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.inpainting.settings import InpaintSettings
from tests.support.paths import REPOSITORY

_PROGRAM = """
import itertools, json, os, signal, sys, time
from pathlib import Path

sys.path.insert(0, {repository!r})
from pconv_hpc.foundation.atomic import write_text
from pconv_hpc.erasing.folder.stage_ledger import StageLedger

stage = Path(__file__).stem
options = dict(word[2:].partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
images, *_, out = [Path(word) for word in sys.argv[1:] if not word.startswith("--")]
rows = Path(options["files-from"]).read_text().splitlines()
photos = [json.loads(row)["photo"] for row in rows]
num_threads = json.loads(options["settings"])["resources"]["threads"]
told = []
for number in (signal.SIGUSR2, signal.SIGTERM):
    signal.signal(number, lambda number, frame: told.append(number))
with open({calls!r}, "a") as calls:
    print(json.dumps([stage, num_threads, photos]), file=calls)
failed = False
with StageLedger(Path(options["ledger"]), stage, images) as ledger:
    for first in range(0, len(photos), num_threads):
        part = photos[first : first + num_threads]
        if told:
            sys.exit(75)
        for photo in part:
            ledger.begin(photo)
        for photo in part:
            wish, _, where = (images / photo).read_text().partition(" in ")
            wish = wish if stage == (where or "segment") else "star"
            if wish == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if wish == "stop me":
                os.kill(os.getppid(), signal.SIGUSR2)
                while not told:
                    time.sleep(0.01)
                sys.exit(75)
            if wish == "slow":
                Path({calls!r} + ".slow").touch()
                while not told:
                    time.sleep(0.01)
                sys.exit(75)
            if wish in ("usage", "raise"):
                sys.exit(2 if wish == "usage" else 1)
            if wish == "silent":
                continue
            if wish == "fail":
                failed = True
                ledger.failed(photo, f"{{images / photo}}: a reason")
            elif stage == "inpaint":
                if not (out / photo).exists():
                    write_text(out / photo, "erased")
                ledger.erased(photo)
            else:
                if wish != "empty":
                    write_text(out / "masks" / f"{{photo}}.png", "mask")
                ledger.found(photo, {{}} if wish == "empty" else {{"star": 2}})
sys.exit(failed)
"""


class FakeFolder:
    """A folder of photos with what is to become of them, and its manifest of one slice."""

    def __init__(self, folder: Path, wishes: Mapping[str, str], *, empty: str = "copy") -> None:
        self.tools = folder / "fake tools"
        self.tools.mkdir()
        self.programs = {
            stage: [sys.executable, str(self.tools / f"{stage}.py")]
            for stage in ("segment", "inpaint")
        }
        self._calls = folder / "calls"
        program = _PROGRAM.format(repository=str(REPOSITORY), calls=str(self._calls))
        for stage in ("segment", "inpaint"):
            (self.tools / f"{stage}.py").write_text(program)
        for photo, wish in wishes.items():
            self.wish(folder / "photos" / photo, wish)
        weights = InpaintSettings(weights=Path("/w.h5"))
        settings = EraseSettings(inpaint=weights, empty=empty)  # type: ignore[arg-type]
        self.manifest: Manifest = build_manifest(
            folder / "photos", folder / "out", num_slices=1, settings=settings
        )

    @staticmethod
    def wish(path: Path, wish: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wish)

    @property
    def slow_file(self) -> Path:
        """It appears when a program works on a slow photo."""
        return Path(f"{self._calls}.slow")

    def calls(self) -> list[tuple[str, int, list[str]]]:
        """Return the stage, number of threads and photos of each program that ran."""
        if not self._calls.exists():
            return []
        return [tuple(json.loads(line)) for line in self._calls.read_text().splitlines()]  # type: ignore[misc]

    def outputs(self) -> dict[str, tuple[int, int]]:
        """Return inode and time of change of each finished photo."""
        erased = self.manifest.erased
        return {
            path.relative_to(erased).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in erased.rglob("*")
            if path.is_file()
        }
