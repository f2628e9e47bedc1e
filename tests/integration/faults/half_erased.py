"""A folder of which every object is found and nothing is erased yet, and the erasing of it.

So a round starts TensorFlow and not torch. What ends tasks in the first stage is in
``tests/integration/cluster/test_erase_array.py``.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.erasing.folder.ledger import LedgerWriter, attempt_path
from pconv_hpc.erasing.folder.manifest import Manifest, build_manifest
from pconv_hpc.erasing.settings import EraseSettings, Resources
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.photos.sample_photos import sample_photos
from pconv_hpc.segmentation.settings import SegmentSettings
from tests.integration.faults.running_training import Ending, obeying_modes
from tests.integration.faults.written_files import SECRET, UMASK
from tests.support.paths import ASSETS, REPOSITORY

NUM_PHOTOS, NUM_EMPTY = 24, 4
# What a run that nothing happens to adds: begun and erased, or empty.
NUM_ROWS = 2 * (NUM_PHOTOS - NUM_EMPTY) + NUM_EMPTY
_PATIENCE_SECONDS = 300.0
_ASSETS = ASSETS


def make_half_erased(folder: Path, weights: Path, out: Path | None = None) -> Manifest:
    """Write photos and what the first stage leaves of them: always the same."""
    pixels = sample_photos()["cat"]
    settings = EraseSettings(
        segment=SegmentSettings(
            config=str(_ASSETS / "small_mask_rcnn.py"),
            checkpoint=_ASSETS / "small_mask_rcnn.pth",
            classes=("star",),
        ),
        inpaint=InpaintSettings(weights=weights),
        # else some processors round by who shares a batch
        resources=Resources(inpaint_batch_size=1),
    )
    (folder / "photos/sub").mkdir(parents=True)
    for index in range(NUM_PHOTOS):
        top = 3 * index
        place = "sub/" if index % 3 == 0 else ""
        path = folder / f"photos/{place}{index:02}.{'jpg' if index % 5 == 0 else 'png'}"
        Image.fromarray(pixels[top : top + 160, top : top + 200]).save(path)
    manifest = build_manifest(
        folder / "photos", out or folder / "out", num_slices=1, settings=settings
    )
    with LedgerWriter(attempt_path(manifest.slice_dir(0), {})) as ledger:
        for index, row in enumerate(manifest.photos(0)):
            ledger.write(row.photo, "begun", stage="segment")
            is_empty = index % (NUM_PHOTOS // NUM_EMPTY) == 0
            classes = {} if is_empty else {"star": 1}
            ledger.write(row.photo, "found", stage="segment", classes=classes)
            if not is_empty:
                hole = np.zeros((160, 200), np.uint8)
                hole[40 + index : 80 + index, 60:110] = 255
                mask = manifest.found / "masks" / f"{row.photo}.png"
                mask.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(hole).save(mask)
    return manifest


@dataclass
class Erasing:
    """``tools/erase.py`` at work, in its own session, obeying modes of files even as root."""

    process: subprocess.Popen[str]
    manifest: Manifest
    _rows_before: int

    def wait_for_rows(self, count: int) -> bool:
        """Wait until it has added so many rows; return whether it is still at work."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.process.poll() is None:
            if num_rows(self.manifest) - self._rows_before >= count:
                return True
            assert time.monotonic() < deadline, "no such row came"
            time.sleep(0.005)
        return False

    @property
    def stage(self) -> int | None:
        """The process of the stage at work; ``None`` between two."""
        with contextlib.suppress(OSError):
            path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            for child in path.read_text().split():
                return int(child)
        return None

    def pause(self) -> int:
        """Stop the stage when it is at its first photos, and return its process."""
        assert self.wait_for_rows(NUM_EMPTY + 1), self.end()
        assert self.stage is not None
        os.kill(self.stage, signal.SIGSTOP)
        return self.stage

    def kill(self, who: str) -> None:
        """End the task, its stage, or both at once, as nobody can prevent."""
        stage = self.stage
        with contextlib.suppress(ProcessLookupError):
            if who == "both":
                os.killpg(self.process.pid, signal.SIGKILL)
            elif who == "task":
                self.process.kill()
            elif stage is not None:
                os.kill(stage, signal.SIGKILL)

    def end(self) -> Ending:
        """Wait for its end."""
        _, stderr = self.process.communicate(timeout=_PATIENCE_SECONDS)
        return Ending(self.process.returncode, stderr)


@contextlib.contextmanager
def erasing(manifest: Manifest) -> Iterator[Erasing]:
    """Start erasing here what is left of a folder, and end it with the block."""
    command = [REPOSITORY / "tools/erase.py", manifest.images, manifest.out, "--local"]
    with subprocess.Popen(
        [*obeying_modes(), sys.executable, *map(str, command)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "MY_TOKEN": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        start_new_session=True,
        umask=UMASK,
    ) as process:
        try:
            yield Erasing(process, manifest, num_rows(manifest))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def erase(manifest: Manifest) -> Ending:
    """Erase what is left, with nothing happening."""
    with erasing(manifest) as run:
        ending = run.end()
    assert "Traceback" not in ending.stderr
    return ending


def num_rows(manifest: Manifest) -> int:
    """Return how many rows the ledger has."""
    files = manifest.slice_dir(0).glob("2*.jsonl")
    return sum(path.read_bytes().count(b"}\n") for path in files)


def num_endings(manifest: Manifest) -> Counter[str]:
    """Return how often each photo came to its end."""
    endings = Counter[str]()
    for path in manifest.slice_dir(0).glob("2*.jsonl"):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError, KeyError):  # torn
                row = json.loads(line)
                endings[str(row["photo"])] += row["status"] in ("erased", "empty")
    return endings


def results(manifest: Manifest) -> dict[str, bytes]:
    """Return the finished photos."""
    return {
        path.relative_to(manifest.erased).as_posix(): path.read_bytes()
        for path in manifest.erased.rglob("[!.]*")
        if path.is_file()
    }


def stamps(manifest: Manifest) -> dict[str, tuple[int, int]]:
    """Return inode and time of change of the finished photos."""
    return {
        name: ((manifest.erased / name).stat().st_ino, (manifest.erased / name).stat().st_mtime_ns)
        for name in results(manifest)
    }


def assert_complete(manifest: Manifest, expected: dict[str, bytes]) -> None:
    """Every photo ended once, as where nothing happened, and nothing half-written is left."""
    photos = {row.photo for row in manifest.photos(0)}
    assert +num_endings(manifest) == Counter(photos)
    assert results(manifest) == expected
    assert (manifest.slice_dir(0) / "done.json").is_file()
    assert [str(path) for path in manifest.out.rglob(".*")] == []
    assert not (manifest.slice_dir(0) / "lock").exists()
