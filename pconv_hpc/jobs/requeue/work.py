"""The kinds of work a job can do: what is run, how far it has come, whether it is complete."""

import argparse
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from pconv_hpc.cluster.job_environment import JobEnvironment, require_one_gpu_per_task
from pconv_hpc.foundation.config import RunConfig, load_config
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.launchers import program_command
from pconv_hpc.harvest.parts import Parts, num_lines
from pconv_hpc.options.cli import add_override_argument
from pconv_hpc.shards.shard_file import ShardReader
from pconv_hpc.training.checkpoint_files import newest_step
from pconv_hpc.training.run_folder import RunFolder, RunState


class Work(ABC):
    """Something that a job starts, that stops when it is told to, and that can be continued."""

    folder: Path  # where its results go; it belongs to one job at a time

    @abstractmethod
    def check(self, job: JobEnvironment, launcher: str) -> None:
        """Raise ``UsageError`` where this job cannot do this work."""

    @abstractmethod
    def program(self) -> list[str]:
        """Return the command that each rank runs."""

    @abstractmethod
    def progress(self) -> int:
        """Return how much is done and saved; it only grows."""

    @abstractmethod
    def is_finished(self) -> bool:
        """Return whether nothing is left to do."""

    def begin(self) -> None:
        """Remember what the folder says before the ranks start."""
        return

    def was_interrupted(self) -> bool:
        """Return whether the ranks noted, since ``begin``, that they stopped early and saved."""
        return False

    def note_failure(self, reason: str) -> None:
        """Leave a note in the folder why the ranks ended, where they could not do it themselves."""
        return

    def indexes_to_stage(self) -> list[Path]:
        """Return the packs that are worth a copy on each node."""
        return []


class TrainWork(Work):
    """``pconv-hpc train CONFIG --run-dir RUN_DIR …``.

    Args:
        config_path: the configuration; ``None`` takes the one that the run folder holds.
    """

    def __init__(self, config_path: Path | None, run_dir: Path, options: Sequence[str]) -> None:
        self.folder = run_dir
        self._run = RunFolder(run_dir)
        self._config_path = config_path or self._run.config_path
        self._options = list(options)
        self._state_before = RunState()

    def _config(self) -> RunConfig:
        parser = argparse.ArgumentParser(add_help=False)
        add_override_argument(parser)
        overrides: list[str] = parser.parse_known_args(self._options)[0].overrides
        return load_config(self._config_path, overrides)

    def check(self, job: JobEnvironment, launcher: str) -> None:
        if self._config().train.require_gpu:
            require_one_gpu_per_task(job)

    def program(self) -> list[str]:
        command = [*program_command("train"), str(self._config_path)]
        return [*command, "--run-dir", str(self.folder), *self._options]

    def progress(self) -> int:
        return newest_step(self._run.checkpoints_dir)

    def begin(self) -> None:
        self._state_before = self._run.read_state()

    def _new_status(self) -> str | None:
        state = self._run.read_state()
        return state.status if state != self._state_before else None

    def is_finished(self) -> bool:
        return self._new_status() == "finished"

    def was_interrupted(self) -> bool:
        return self._new_status() == "interrupted"

    def note_failure(self, reason: str) -> None:
        state = self._run.read_state()
        if state.status in (None, "running"):
            self._run.write_state(
                "failed", step=self.progress(), total_steps=state.total_steps, reason=reason
            )

    def indexes_to_stage(self) -> list[Path]:
        data = self._config().data
        return [Path(index) for index in (data.train_index, data.val_index) if index]


class PackWork(Work):
    """``pconv-hpc pack SOURCE OUT --split SPLIT …``."""

    def __init__(self, source: Path, out_dir: Path, split: str, options: Sequence[str]) -> None:
        self.folder = out_dir
        self._arguments = [str(source), str(out_dir), "--split", split, *options]

    def check(self, job: JobEnvironment, launcher: str) -> None:
        _require_mpi("packing", job, launcher)

    def program(self) -> list[str]:
        return [*program_command("pack"), *self._arguments]

    def progress(self) -> int:
        return sum(1 for _ in self.folder.glob("*-of-*.h5"))

    def is_finished(self) -> bool:
        """Return whether the index is there, and every shard it names, by its size."""
        with contextlib.suppress(UsageError), ShardReader(self.folder):
            return True
        return False


class EvaluateWork(Work):
    """``pconv-hpc evaluate INDEX --out OUT …``; a job that is stopped starts over."""

    def __init__(self, index: Path, out_dir: Path, options: Sequence[str]) -> None:
        self.folder = out_dir
        self._results_path = out_dir / "results.json"
        self._arguments = [str(index), "--out", str(out_dir), *options]
        self._version_before: tuple[int, int] | None = None

    def check(self, job: JobEnvironment, launcher: str) -> None:
        _require_mpi("evaluation", job, launcher)

    def begin(self) -> None:
        self._version_before = self._version()

    def _version(self) -> tuple[int, int] | None:
        """Return what differs between two results, even of equal content; None without any."""
        try:
            status = self._results_path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def program(self) -> list[str]:
        return [*program_command("evaluate"), *self._arguments]

    def progress(self) -> int:
        return int(self.is_finished())

    def is_finished(self) -> bool:
        return self._version() not in (None, self._version_before)


class HarvestWork(Work):
    """``pconv-hpc harvest PHOTOS OUT …``."""

    def __init__(self, photos: Path, out: Path, options: Sequence[str]) -> None:
        self.folder = Parts(out).folder
        self._out = out
        self._arguments = [str(photos), str(out), *options]

    def check(self, job: JobEnvironment, launcher: str) -> None:
        _require_mpi("harvesting", job, launcher)

    def program(self) -> list[str]:
        return [*program_command("harvest"), *self._arguments]

    def progress(self) -> int:
        return num_lines(self.folder)

    def is_finished(self) -> bool:
        return self._out.is_file()


def _require_mpi(what: str, job: JobEnvironment, launcher: str) -> None:
    if launcher == "gloo" and job.num_tasks > 1:
        raise UsageError(
            f"{what} on several ranks needs MPI, and LAUNCHER=gloo has none: submit with "
            "--nodes=1 --ntasks-per-node=1, or use LAUNCHER=srun-pmix or mpirun"
        )
