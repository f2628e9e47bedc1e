"""Training in its own process that stops at a chosen step, so that things can be done to it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import REPOSITORY
from tests.support.training_runs import WITH_EVENTS

_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Ending:
    """How a program ended and what it said."""

    code: int
    stderr: str


@dataclass
class PausedRun:
    """A run of one rank that has stopped itself (SIGSTOP) when a step began."""

    process: subprocess.Popen[str]

    def go_on(self) -> Ending:
        """Let it run, and wait for its end."""
        self.process.send_signal(signal.SIGCONT)
        _, stderr = self.process.communicate(timeout=_PATIENCE_SECONDS)
        return Ending(self.process.returncode, stderr)


@contextlib.contextmanager
def paused_run(config: Path, run_dir: Path, *, at_step: int) -> Iterator[PausedRun]:
    """Start a run, wait until it stops itself at ``at_step``, and end it with the block.

    It has no right to ignore the modes of files, also where root starts it.
    """
    events = run_dir.parent / "events.json"
    events.write_text(json.dumps({"signal": "SIGSTOP", "at_step": at_step}))
    command = [sys.executable, str(WITH_EVENTS), str(events), str(config)]
    with subprocess.Popen(
        [*obeying_modes(), *command, "--run-dir", str(run_dir)],
        env=os.environ | {"SLURM_CPUS_PER_TASK": "1", "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _wait_until_stopped(process)
            yield PausedRun(process)
        finally:
            process.kill()


def obeying_modes() -> list[str]:
    """Return what makes a command obey the modes of files although root runs it."""
    if os.geteuid() != 0:
        return []
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", "--"]


def _wait_until_stopped(process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        # The name in parentheses may itself hold blanks and parentheses.
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        if stat[0] == "T":
            return
        if stat[0] in "ZX" or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"the run did not come to its step: {process.communicate()[1]}")
        time.sleep(0.1)
