"""Training jobs for tests: a tiny run, a site file, and steps that take as long as a test wants."""

import atexit
import dataclasses
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from pconv_hpc.foundation.launchers import mpirun_command
from pconv_hpc.jobs.requeue.chain import STARTS_NAME, read_starts
from pconv_hpc.training.checkpoint import read_checkpoint
from pconv_hpc.training.checkpoint_files import list_checkpoints
from pconv_hpc.training.run_folder import RunFolder
from tests.integration.cluster.slurm_client import SlurmClient
from tests.support.packed_crops import write_pack
from tests.support.paths import REPOSITORY

TRAIN_JOB = REPOSITORY / "jobs" / "train_a100.sbatch"
TOTAL_STEPS = 300
# Two nodes with a rank each; small enough that nothing queues for memory or cores.
TWO_NODES = ("--nodes=2", "--ntasks-per-node=1", "--gres=gpu:a100:1", "--cpus-per-task=1")
_SITE = """\
source {repository}/jobs/sites/debian_local.sh
export PYTHONPATH={folder}/slow
"""
# Python imports this module by itself. Nothing of a step's arithmetic changes.
_SITECUSTOMIZE = """\
import sys, time
from pathlib import Path

if "pconv_hpc.commands.train" in sys.orig_argv:
    sys.path.insert(0, {repository!r})
    from pconv_hpc.shards.loader import BatchLoader

    fast = BatchLoader.__next__

    def slow(self):
        time.sleep(float(Path({file!r}).read_text()))
        return fast(self)

    BatchLoader.__next__ = slow
"""


@dataclass(frozen=True)
class TrainingFolder:
    """A folder to submit training jobs from; its name is not an easy one."""

    path: Path

    @classmethod
    def make(cls, parent: Path) -> "TrainingFolder":
        """Write a pack, a configuration and a site file."""
        path = parent / "it's a folder"
        (path / "slow").mkdir(parents=True)
        write_pack(path / "packed/train", split="train", num_images=21, num_shards=2, seed=1)
        write_pack(path / "packed/val", split="val", num_images=5, num_shards=1, seed=2)
        config = {
            "data": {
                "train_index": "packed/train/index.json",  # as people write it: relative
                "val_index": "packed/val/index.json",
                "image_size": 32,
                "shuffle_block_images": 4,
                "shuffle_window_blocks": 2,
            },
            "masks": {"num_masks": 24, "boxes": 1.0},
            "model": {
                "levels": 2,
                "base_channels": 4,
                "max_channels": 8,
                "encoder_kernels": [3],
            },
            "optimizer": {"warmup_steps": 3, "learning_rate": 1.0e-3},
            "train": {
                "epochs": 2,
                "steps_per_epoch": TOTAL_STEPS // 2,
                "global_batch_size": 4,
                "log_every_steps": 20,
                "checkpoint_every_minutes": 0.0,
                "checkpoint_every_steps": 10,
            },
            "validation": {"num_images": 5, "grid_images": 2},
        }
        (path / "tiny config.yaml").write_text(yaml.safe_dump(config))
        folder = cls(path)
        folder.set_seconds_per_step(0)
        (path / "slow" / "sitecustomize.py").write_text(
            _SITECUSTOMIZE.format(repository=str(REPOSITORY), file=str(path / "seconds"))
        )
        (path / "site.sh").write_text(
            _SITE.format(
                repository=REPOSITORY, folder=str(path).replace("'", "\\'").replace(" ", "\\ ")
            )
        )
        return folder

    def set_seconds_per_step(self, seconds: float) -> None:
        """Let every step from now on, also in running jobs, take that much longer."""
        temporary = self.path / "seconds.new"
        temporary.write_text(str(seconds))
        temporary.replace(self.path / "seconds")

    def run(self, name: str = "a run") -> RunFolder:
        """Return a run folder below this folder."""
        return RunFolder(self.path / name)

    def submit(
        self,
        client: SlurmClient,
        *options: str,
        name: str = "a run",
        overrides: tuple[str, ...] = (),
        **variables: str,
    ) -> int:
        """Submit ``jobs/train_a100.sbatch`` as it is; ``variables`` are the user's environment."""
        client.environment |= {"PCONV_SITE": str(self.path / "site.sh"), **variables}
        words = [word for override in overrides for word in ("--set", override)]
        arguments = (str(TRAIN_JOB), "tiny config.yaml", name, *words)
        return client.submit(*TWO_NODES, *options, *arguments, cwd=self.path)

    def log(self, job: int) -> str:
        """Return what a job printed."""
        return (self.path / f"pconv-train-{job}.out").read_text()


def wait_for_checkpoint(run: RunFolder, after: int) -> int:
    """Wait until a checkpoint later than step ``after`` is there; return its step."""
    deadline = time.monotonic() + 300
    while not (found := [c.step for c in list_checkpoints(run.checkpoints_dir) if c.step > after]):
        assert time.monotonic() < deadline, run.log_path.read_text()
        time.sleep(0.2)
    return found[-1]


@functools.cache
def uninterrupted() -> RunFolder:
    """Return the run of every ``TrainingFolder`` by two ranks of ``mpirun``, never interrupted."""
    parent = Path(tempfile.mkdtemp(prefix="uninterrupted-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    folder = TrainingFolder.make(parent)
    run = folder.run("uninterrupted")
    program = [sys.executable, str(REPOSITORY / "tools/train.py"), "tiny config.yaml"]
    command = mpirun_command(2, [*program, "--run-dir", str(run.path)])
    environment = os.environ | {"SLURM_CPUS_PER_TASK": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=folder.path, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    return run


def starts_of(folder: RunFolder) -> list[dict[str, object]]:
    """Return what the run folder notes about each start of its jobs."""
    return [dataclasses.asdict(start) for start in read_starts(folder.path / STARTS_NAME)]


def assert_same_weights(found: RunFolder, expected: RunFolder) -> None:
    """Compare the arrays after the last step, of model and optimizer, bit for bit."""
    assert found.read_state().status == "finished"
    ours, theirs = (list_checkpoints(run.checkpoints_dir)[-1] for run in (found, expected))
    assert ours.step == theirs.step == TOTAL_STEPS
    mine, other = read_checkpoint(ours.path), read_checkpoint(theirs.path)
    assert mine.keys() == other.keys()
    for group, arrays in mine.items():
        assert arrays.keys() == other[group].keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, other[group][name], err_msg=f"{group}/{name}")
