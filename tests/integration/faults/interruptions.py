"""Interruptions of a run of two ranks, drawn at random: who, how and at which moment."""

import random
from pathlib import Path
from typing import Any

from pconv_hpc.training.checkpoint_files import list_checkpoints, verify
from pconv_hpc.training.run_folder import RunFolder
from tests.support.same_runs import assert_same_run
from tests.support.training_runs import TOTAL_STEPS, RunTool, run_with_event

RANKS = 2
_MAX_STEPS_LATER = 3
_MAX_SECONDS_LATER = 0.3  # a step takes about 0.02 s, a save 0.1 s, an epoch's validation 2 s


def draw_interruption(rng: random.Random, *, step: int) -> dict[str, Any]:
    """Return the event of ``train_with_events`` for a run that continues after ``step``."""
    at_step = rng.randint(step + 1, min(step + _MAX_STEPS_LATER, TOTAL_STEPS))
    if rng.random() < 0.2:
        return {"signal": "SIGKILL", "at_step": at_step, "during_save": True}
    return {
        "signal": rng.choice(["SIGKILL", "SIGKILL", "SIGUSR2", "SIGTERM"]),
        "at_step": at_step,
        "rank": rng.randrange(-1, RANKS),
        "after_seconds": round(rng.uniform(0.0, _MAX_SECONDS_LATER), 3),
    }


def saved_step(folder: RunFolder) -> int:
    """Return the step of the newest checkpoint, all of which must be undamaged; 0 without one."""
    checkpoints = list_checkpoints(folder.checkpoints_dir)
    assert [problem for c in checkpoints if (problem := verify(c))] == []
    return checkpoints[-1].step if checkpoints else 0


def interrupt_and_compare(
    run_tool: RunTool,
    config: Path,
    folder: RunFolder,
    reference: RunFolder,
    *,
    seed: int,
    most: int,
) -> int:
    """Interrupt a run up to ``most`` times, let it end, and compare it with ``reference``.

    Returns how many interruptions struck before the run was over.
    """
    rng = random.Random(seed)
    count = 0
    while count < most and (step := saved_step(folder)) < TOTAL_STEPS:
        event = draw_interruption(rng, step=step)
        code = run_with_event(run_tool, config, folder.path, RANKS, **event)
        assert saved_step(folder) >= step, f"{event} lost a checkpoint"
        if code == 0:
            break
        count += 1
    run_tool("tools/train.py", config, "--run-dir", folder.path, ranks=RANKS)
    assert_same_run(folder, reference)
    return count
