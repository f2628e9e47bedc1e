"""``tools/train.py`` with things happening at chosen moments: signals, crashes; and a record.

    train_with_events.py EVENTS.json CONFIG --run-dir DIR [--set …]

EVENTS holds ``signal`` (a name), ``at_step`` (from 1; sent when the step begins), ``rank`` (of who
gets it; -1: all), ``after_seconds`` (send it so much later, from a thread, wherever the run is by
then), ``during_save`` (send it between writing and renaming the first checkpoint from that step on
instead), ``around_validation_save`` (``before`` or ``after``: send it just before, or after, the
checkpoint that notes the first validation from that step on), ``useless_network`` (the figures of
the first validation are not finite), and ``record`` (a folder: each rank appends the samples of its
steps, and writes its weights' checksum at the end). Nothing of the training code is replaced; its
calls are wrapped.
"""

import hashlib
import json
import os
import re
import runpy
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from pconv_hpc.foundation import atomic
from pconv_hpc.training import trainer
from pconv_hpc.training.loop import TrainingLoop
from pconv_hpc.training.step import TrainingStep
from pconv_hpc.training.validation import Validator
from tests.support.paths import REPOSITORY

EVENTS: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())


def my_rank() -> int:
    return int(os.environ.get("OMPI_COMM_WORLD_RANK", "0"))


def send() -> None:
    os.kill(os.getpid(), getattr(signal, EVENTS["signal"]))


def is_mine() -> bool:
    return EVENTS.get("rank", -1) in (-1, my_rank())


call_step = TrainingStep.__call__
run_loop = TrainingLoop.run
save_progress = TrainingLoop._save
hash_file = atomic.sha256_of
measure = Validator.measure


def step_with_events(self: TrainingStep, batch: Any, **requests: bool) -> Any:
    if "record" in EVENTS:
        with open(Path(EVENTS["record"]) / f"rank{my_rank()}.jsonl", "a") as stream:
            stream.write(json.dumps([batch.step, batch.samples.tolist()]) + "\n")
    elsewhere = EVENTS.get("during_save") or EVENTS.get("around_validation_save")
    due = EVENTS.get("at_step") == batch.step + 1 and not elsewhere
    if due and is_mine() and "after_seconds" in EVENTS:
        threading.Timer(EVENTS["after_seconds"], send).start()
    elif due and is_mine():
        send()
        requests["stop"] = requests["stop"] or EVENTS["signal"] not in ("SIGKILL", "SIGSTOP")
    return call_step(self, batch, **requests)


def loop_with_record(self: TrainingLoop, batches: Any) -> None:
    run_loop(self, batches)
    if "record" in EVENTS:
        digest = hashlib.sha256()
        for variable in self.model.variables:
            digest.update(variable.numpy().tobytes())
        (Path(EVENTS["record"]) / f"rank{my_rank()}.sha256").write_text(digest.hexdigest())


def save_with_events(self: TrainingLoop, *, wait: bool, best: bool = False) -> None:
    at_epoch_end = self.progress.step % self.steps_per_epoch == 0
    notes_validation = at_epoch_end and self._validated()
    due = notes_validation and self.progress.step >= EVENTS.get("at_step", 0)
    when = EVENTS.get("around_validation_save") if due else None
    if when == "before":
        send()
    save_progress(self, wait=wait or when == "after", best=best)
    if when == "after":
        send()


def measure_with_events(self: Validator) -> dict[str, float]:
    figures = measure(self)
    return figures | {"loss": float("inf")} if EVENTS.get("useless_network") else figures


def hash_with_events(path: Path) -> str:
    checkpoint = re.match(r"\.step_(\d+)\.h5\.", path.name)
    if EVENTS.get("during_save") and checkpoint and int(checkpoint[1]) >= EVENTS["at_step"]:
        send()
    return hash_file(path)


if __name__ == "__main__":
    TrainingStep.__call__ = step_with_events  # type: ignore[method-assign]
    TrainingLoop.run = loop_with_record  # type: ignore[method-assign]
    TrainingLoop._save = save_with_events  # type: ignore[method-assign]
    atomic.sha256_of = hash_with_events
    Validator.measure = measure_with_events  # type: ignore[method-assign]
    assert trainer.TrainingStep is TrainingStep
    sys.argv = ["train.py", *sys.argv[2:]]
    runpy.run_path(str(REPOSITORY / "tools" / "train.py"), run_name="__main__")
