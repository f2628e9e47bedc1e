"""The files of one training run, and the note it leaves about where it stands."""

import contextlib
import dataclasses
import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.config import RunConfig, config_to_mapping, config_to_yaml, load_config
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.json_files import read_json

Status = Literal["running", "interrupted", "failed", "finished"]


@dataclass(frozen=True, kw_only=True)
class RunState:
    """Where a run stands, as its last start noted it; ``status`` is ``None`` before the first."""

    status: Status | None = None
    step: int = 0
    total_steps: int = 0
    reason: str = ""
    updated: str = ""  # ISO 8601, UTC


class RunFolder:
    """Names every file of a run; nothing else in the project spells them out."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config_path = self.path / "config.yaml"
        self.state_path = self.path / "state.json"
        self.checkpoints_dir = self.path / "checkpoints"
        self.masks_dir = self.path / "masks"
        self.metrics_path = self.path / "metrics.csv"
        self.validation_metrics_path = self.path / "validation.csv"
        self.validation_dir = self.path / "validation"
        self.curves_path = self.path / "curves.png"
        self.tensorboard_dir = self.path / "tensorboard"
        self.log_path = self.path / "train.log"
        self.weights_path = self.path / "weights.h5"

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.config_path.is_file()

    @property
    def has_saved(self) -> bool:
        """Whether there is, or was, a checkpoint."""
        return any(self.checkpoints_dir.glob("step_*.json*"))

    def grid_path(self, epoch: int) -> Path:
        """Return where the picture of validation after ``epoch`` (from 1) goes."""
        return self.validation_dir / f"epoch_{epoch:04d}.png"

    def load_config(self) -> RunConfig:
        """Return the configuration the run was started with.

        Raises:
            UsageError: no run was started here.
        """
        if not self.exists:
            raise UsageError(
                f"{self.path}: no training run here (there is no config.yaml); start one with "
                f"pconv-hpc train CONFIG --run-dir {self.path}"
            )
        return load_config(self.config_path)

    def save_config(self, config: RunConfig) -> None:
        """Write the resolved configuration."""
        atomic.write_text(self.config_path, config_to_yaml(config))

    def write_state(self, status: Status, *, step: int, total_steps: int, reason: str) -> None:
        """Record where the run stands, for ``pconv-hpc resume`` and people."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        state = RunState(
            status=status, step=step, total_steps=total_steps, reason=reason, updated=now
        )
        atomic.write_json(self.state_path, dataclasses.asdict(state))

    def read_state(self) -> RunState:
        """Return what ``write_state`` wrote last; an empty one before that or if it is damaged."""
        with contextlib.suppress(UsageError):
            return read_json(self.state_path, RunState, kind="the state of a run")
        return RunState()


# What decides which samples a run has seen, or what its weights and its optimizer are. Changing one
# of them half way would make "continues on exactly the next sample" untrue.
_FIXED_KEYS = (
    "data.image_size",
    "data.shuffle_block_images",
    "data.shuffle_window_blocks",
    "model",
    "train.freeze_encoder_batch_norm",
    "train.seed",
    "train.global_batch_size",
    "train.steps_per_epoch",
    "validation",
)
# What banks that the run draws for itself, once, look like; silhouettes are not read again.
_DRAWN_KEYS = ("masks.strokes", "masks.boxes", "masks.objects")
_DRAWN_FOR_TRAINING_KEYS = ("masks.num_masks",)
_DRAWN_FROM_KEYS = ("masks.objects_from", "data.image_size", "train.seed", "validation.seed")


def changed_keys(old: RunConfig, new: RunConfig) -> list[str]:
    """Return ``section.key`` of every value that differs."""
    before, after = config_to_mapping(old), config_to_mapping(new)
    return [
        f"{section}.{key}"
        for section, values in after.items()
        for key, value in values.items()
        if before[section][key] != value
    ]


def redraws_masks(changed: Iterable[str]) -> bool:
    """Return whether banks drawn before these keys changed are none of the run's any more."""
    drawn = {*_DRAWN_KEYS, *_DRAWN_FOR_TRAINING_KEYS, *_DRAWN_FROM_KEYS}
    return not drawn.isdisjoint(changed)


def check_continuation(folder: RunFolder, new: RunConfig) -> list[str]:
    """Return the keys that change when a run goes on with ``new``; any may before its first save.

    Raises:
        UsageError: a key changes that must stay the same during a run.
    """
    old = folder.load_config()
    changed = changed_keys(old, new)
    fixed = [k for k in changed if k in _FIXED_KEYS or k.partition(".")[0] in _FIXED_KEYS]
    if not (new.masks.train_bank and new.masks.val_bank):
        fixed += [k for k in changed if k in _DRAWN_KEYS]
    if not new.masks.train_bank:
        fixed += [k for k in changed if k in _DRAWN_FOR_TRAINING_KEYS]
    if "train.precision" in changed and "float16" in (old.train.precision, new.train.precision):
        fixed.append("train.precision")  # only float16 has a loss scale, which is saved
    if fixed and folder.has_saved:
        raise UsageError(
            f"{folder.path}: {', '.join(fixed)} cannot change during a run, which continues on "
            "exactly the next sample. Leave them as they were, or start a new run "
            "from these weights: pconv-hpc train CONFIG --run-dir NEW "
            f"--set train.initial_weights={folder.path}"
        )
    return changed
