"""A run of training under time limits that are shorter than it, on a cluster of its own."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.integration.cluster.slurm_client import SlurmClient
from tests.integration.cluster.training_jobs import TrainingFolder

_NAME = "limited"
_NUM_SLOW_STARTS = 2


@dataclass(frozen=True)
class LimitedRun:
    """The submitted job, where it runs and where it was submitted from."""

    client: SlurmClient
    folder: TrainingFolder
    job: int

    @classmethod
    def submit(cls, client: SlurmClient, parent: Path) -> Self:
        """Submit it: two starts of at most a minute do at most 240 of its 300 steps.

        The start behind them goes at full speed, and takes no time from the other tests.
        """
        folder = TrainingFolder.make(parent)
        folder.set_seconds_per_step(0.5)
        with open(folder.path / "site.sh", "a") as stream:
            seconds = shlex.quote(str(folder.path / "seconds"))
            slow = f"((${{SLURM_RESTART_COUNT:-0}} < {_NUM_SLOW_STARTS}))"
            stream.write(f"{slow} || echo 0 >{seconds}\n")
        # With one second to go by its own count, slurmctld sends the signal 1 to 31 s before the
        # limit.
        job = folder.submit(client, "--time=1", "--signal=USR2@1", name=_NAME)
        return cls(client, folder, job)

    @property
    def name(self) -> str:
        """The run's folder, below ``folder``."""
        return _NAME
