"""``jobs/erase_array.sbatch``, unchanged, on two nodes of the real Slurm, and what ends tasks."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.cluster.folder_lock import read_holder
from pconv_hpc.erasing.folder.ledger import read_slice
from pconv_hpc.erasing.folder.manifest import MANIFEST_NAME, Manifest, read_manifest
from pconv_hpc.erasing.folder.slice_summary import read_done, summarise
from pconv_hpc.jobs.erase_array.array_jobs import noted_jobs
from pconv_hpc.photos.mask_values import ERASED
from tests.integration.cluster.slurm_client import FINAL_STATES, SlurmClient
from tests.support.assets.shape_photos import ShapePhotos
from tests.support.inpainting_files import save_tiny_weights
from tests.support.paths import ASSETS, REPOSITORY

pytestmark = [pytest.mark.cluster]

NETWORK = ("--config", str(ASSETS / "small_mask_rcnn.py"))
NETWORK += ("--checkpoint", str(ASSETS / "small_mask_rcnn.pth"), "--device", "cpu")
NUM_SLICES = 8
ODD_NAMES = ("two\nlines", "-rf", "ünï ☃", "a'b\"c", os.fsdecode(b"latin\xe4"))
NUM_BAD = 4


def submit(client: SlurmClient, folder: Path, indices: str, *arguments: str) -> int:
    """Submit the job script; each task has a node of its own, as it asks for all its GPUs."""
    client.environment |= {"PCONV_SITE": str(REPOSITORY / "jobs/sites/debian_local.sh")}
    shape = (f"--array={indices}", "--gres=gpu:a100:4", "--cpus-per-task=1", "--mem=2G")
    script = str(REPOSITORY / "jobs/erase_array.sbatch")
    return client.submit(*shape, script, *arguments, cwd=folder)


def write_photos(folder: Path) -> set[str]:
    """Write 200 photos in folders, a few of which are no photos; return the names of these."""
    supply = ShapePhotos(seed=11, held_out=True, size=112)
    bad = set()
    for index in range(200):
        stem = ODD_NAMES[index] if index < len(ODD_NAMES) else f"{index:03}"
        path = folder / f"sub {index // 67}" / f"{stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if index >= 200 - NUM_BAD:
            path.write_bytes(b"no photo" * (index % 2))
            bad.add(path.relative_to(folder).as_posix())
        else:
            Image.fromarray(supply[index].image).save(path)
    return bad


class Chaos:
    """Ends tasks of an array at random moments, in all the ways there are."""

    def __init__(self, client: SlurmClient, manifest: Manifest, job: int, seed: int) -> None:
        self._client = client
        self._manifest = manifest
        self._job = job
        self._random = random.Random(seed)
        self._victims: set[int] = set()
        self._commands: list[subprocess.Popen[bytes]] = []
        self.told: list[str] = []

    def run(self) -> None:
        """End a task in each way, each another one, when it has written a random number of rows."""
        ways: list[Callable[[int, int], None]] = [
            self._kill_stage,
            self._kill_task,
            self._requeue,
            self._usr2,
        ]
        self._random.shuffle(ways)
        for way in ways:
            number, pid = self._next_victim(self._random.randint(1, 60))
            self.told.append(f"{way.__name__} {number}")
            way(number, pid)

    def _next_victim(self, num_rows: int) -> tuple[int, int]:
        """Wait for a task at work that was not disturbed yet and has come that far."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            for number in set(range(NUM_SLICES)) - self._victims:
                holder = read_holder(self._manifest.slice_dir(number))
                if holder and self._num_rows(number) >= num_rows:
                    self._victims.add(number)
                    return number, holder.pid
            time.sleep(0.05)
        pytest.fail(f"no task came to {num_rows} rows: {self.told}")

    def _num_rows(self, number: int) -> int:
        files = self._manifest.slice_dir(number).glob("2*.jsonl")
        return sum(path.read_bytes().count(b"}") for path in files)

    def _kill_stage(self, number: int, pid: int) -> None:
        with contextlib.suppress(OSError):  # the runner, or its stage, ended this very moment
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)

    def _kill_task(self, number: int, pid: int) -> None:
        self._slurm("scancel", "--batch", "--signal=KILL", number)

    def _requeue(self, number: int, pid: int) -> None:
        self._slurm("scontrol", "requeue", number)

    def _usr2(self, number: int, pid: int) -> None:
        self._slurm("scancel", "--batch", "--signal=USR2", number)

    def _slurm(self, *words: str | int) -> None:
        *command, number = words
        # Not waited for: it may refuse, as the task may just have ended, and tries for long then.
        task = f"{self._job}_{number}"
        self._commands.append(
            subprocess.Popen(
                [*map(str, command), task],
                env=self._client.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def close(self) -> None:
        for command in self._commands:
            command.kill()
            command.wait()


def rows_of(manifest: Manifest) -> Iterator[dict[str, str]]:
    for path in manifest.out.glob("slices/*/2*.jsonl"):
        for line in path.read_bytes().splitlines():
            try:
                yield json.loads(line)
            except ValueError:  # torn
                continue


def stamps_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of change of the finished files in a folder."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.1)


@pytest.mark.timeout(1500)
def test_every_photo_is_accounted_for_once_whatever_ends_the_tasks(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    photos, out = tmp_path / "my photos", tmp_path / "an out"
    bad = write_photos(photos)
    save_tiny_weights(tmp_path / "w.h5", image_size=64)
    work = ("my photos", "an out", "--weights", "w.h5", *NETWORK, "--classes", "star")
    job = submit(slurm_cluster, tmp_path, f"0-{NUM_SLICES - 1}%2", *work)
    wait_for_file(out / MANIFEST_NAME)
    manifest = read_manifest(out)
    assert (manifest.num_photos, manifest.num_slices) == (200, NUM_SLICES)

    chaos = Chaos(slurm_cluster, manifest, job, seed=3)
    chaos.run()
    print(chaos.told)
    slurm_cluster.wait(job, *FINAL_STATES, timeout_s=300)
    chaos.close()
    logs = "".join(path.read_text() for path in tmp_path.glob("*.out"))
    assert "was killed by SIGKILL" in logs
    assert "DUE TO JOB REQUEUE" in logs
    finished = stamps_of(manifest.erased)
    for _ in range(3):  # photos that fail have three chances
        left = [k for k in range(NUM_SLICES) if not summarise(manifest, k).is_accounted]
        if not left:
            break
        indices = ",".join(map(str, left))
        jobs = [submit(slurm_cluster, tmp_path, indices, "an out") for _ in range(2)]
        for job in jobs:  # two tasks for each slice: one of them has nothing to do
            slurm_cluster.wait(job, *FINAL_STATES, timeout_s=200)

    summaries = [read_done(manifest.slice_dir(k)) for k in range(NUM_SLICES)]
    assert None not in summaries, "every slice says that it is done"
    assert sum(summary.photos for summary in summaries) == 200
    assert sum(summary.set_aside for summary in summaries) == len(bad) == NUM_BAD
    listed = [row.photo for k in range(NUM_SLICES) for row in manifest.photos(k)]
    good = set(listed) - bad
    assert (len(listed), len(good)) == (200, 200 - NUM_BAD)
    ended = Counter(
        row["photo"] for row in rows_of(manifest) if row["status"] in ("erased", "empty")
    )
    assert ended == Counter(good), "each photo ends once"
    outcomes = {}
    for number in range(NUM_SLICES):
        outcomes |= read_slice(manifest.slice_dir(number)).outcomes
    assert {photo for photo, outcome in outcomes.items() if outcome.is_set_aside} == bad

    made = stamps_of(manifest.erased)
    assert set(made) == good
    assert {name: made[name] for name in finished} == finished, "what was finished is not touched"
    assert not list(manifest.erased.rglob(".*")), "nothing half written is left"
    erased = [photo for photo in good if outcomes[photo].status == "erased"]
    assert 20 < len(erased) < 180
    for photo in good:
        before, after = (np.asarray(Image.open(root / photo)) for root in (photos, out / "erased"))
        differs = (before != after).any(axis=-1)
        if photo in erased:
            mask = np.asarray(Image.open(out / "found/masks" / f"{photo}.png")) == ERASED
            assert differs.any()
            assert not differs[~mask].any()
        else:
            assert not differs.any()


def test_where_requeue_is_forbidden_a_successor_goes_on(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    supply = ShapePhotos(seed=5, held_out=True, size=112)
    (tmp_path / "photos").mkdir()
    for index in range(4):
        Image.fromarray(supply[index].image).save(tmp_path / f"photos/{index}.png")
    save_tiny_weights(tmp_path / "w.h5", image_size=64)
    slurm_cluster.environment |= {"PCONV_REQUEUE": "no"}
    work = ("photos", "100% out", "--weights", "w.h5", *NETWORK, "--all")
    job = submit(slurm_cluster, tmp_path, "0-1", *work, "--num-slices=2")
    log = tmp_path / f"pconv-erase-{job}_1.out"
    slurm_cluster.wait_for_text(log, "inpaint: 2 photos", timeout_s=200)
    slurm_cluster.run("scancel", "--batch", "--signal=USR2", f"{job}_1", check=False)
    text = slurm_cluster.wait_for_text(log, " continues", timeout_s=100)
    successor = int(re.search(r"PCONV_REQUEUE=no\); job (\d+) continues", text)[1])  # type: ignore[index]

    (record,) = slurm_cluster.wait(successor, "COMPLETED", timeout_s=200)
    assert (record["ArrayTaskId"], record["TimeLimit"]) == ("1", "08:00:00")
    assert "nothing to erase" in log.read_text()[len(text) :], "it writes on in the task's log"
    manifest = read_manifest(tmp_path / "100% out")
    slurm_cluster.wait(job, *FINAL_STATES, timeout_s=200)
    summaries = [read_done(manifest.slice_dir(number)) for number in range(2)]
    assert [summary.erased for summary in summaries] == [2, 2]
    assert {noted.job_id for noted in noted_jobs(manifest.out)} == {job, successor}
