"""Where a run stands, read from its folder alone; imports nothing slow, so tools answer at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pconv_hpc.training.checkpoint_files import (
    Checkpoint,
    list_checkpoints,
    set_aside_before,
    verify,
)
from pconv_hpc.training.run_folder import RunFolder


@dataclass(frozen=True)
class RunStatus:
    """What a run folder says of its run.

    ``step`` is where the run would continue: the step of the newest checkpoint that verifies, 0
    where there is none. ``status`` and ``reason`` are from the last start's own note; ``damaged``
    says what is wrong with newer checkpoints, if anything.
    """

    path: Path
    status: str
    reason: str
    step: int
    total_steps: int
    epoch: int
    checkpoint: Checkpoint | None
    damaged: list[str]

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.status == "finished"


def read_run_status(run_dir: Path) -> RunStatus:
    """Read where the run in ``run_dir`` stands; changes nothing.

    Raises:
        UsageError: no run was started there.
    """
    folder = RunFolder(run_dir)
    folder.load_config()
    state = folder.read_state()
    damaged: list[str] = []
    checkpoint = None
    for candidate in reversed(list_checkpoints(folder.checkpoints_dir)):
        problem = verify(candidate)
        if problem is None:
            checkpoint = candidate
            break
        damaged.append(problem)
    damaged = damaged if checkpoint or damaged else set_aside_before(folder.checkpoints_dir)
    progress: dict[str, Any] = checkpoint.description.get("progress", {}) if checkpoint else {}
    step = checkpoint.step if checkpoint else 0
    return RunStatus(
        path=folder.path,
        status=state.status or "not started",
        reason=state.reason,
        step=step,
        total_steps=state.total_steps,
        epoch=int(progress.get("validated_epochs", 0)),
        checkpoint=checkpoint,
        damaged=damaged,
    )


def describe(status: RunStatus) -> str:
    """Return the lines a person wants to read before continuing a run."""
    said = status.status
    if said == "running":
        said = "running, or exited without recording a status (killed, node lost)"
    without = "none is usable; it will not start" if status.damaged else "none: starts over"
    lines = [
        f"run         {status.path}",
        f"status      {said}",
        f"why         {status.reason or '-'}",
        f"position    step {status.step} of {status.total_steps or '?'}, "
        f"{status.epoch} epoch(s) validated",
        f"checkpoint  {status.checkpoint.path if status.checkpoint else without}",
    ]
    lines += [f"damaged     {problem}" for problem in status.damaged]
    return "\n".join(lines)
