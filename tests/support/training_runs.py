"""What training tests share: a small pack, a small configuration, and a way to start real runs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from pconv_hpc.foundation.launchers import mpirun_command
from tests.support.packed_crops import write_pack
from tests.support.paths import REPOSITORY

RunTool = Callable[..., subprocess.CompletedProcess[str]]

TOTAL_STEPS = 12  # of ``config_path``
WITH_EVENTS = REPOSITORY / "tests/integration/training/train_with_events.py"


@pytest.fixture(scope="session")
def config_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 12 steps in 2 epochs on 21 crops: a pass over them ends in the middle of a batch."""
    root = tmp_path_factory.mktemp("pack")
    train = write_pack(root / "train", split="train", num_images=21, num_shards=2, seed=1)
    val = write_pack(root / "val", split="val", num_images=5, num_shards=1, seed=2)
    config: dict[str, dict[str, Any]] = {
        "data": {
            "train_index": str(train),
            "val_index": str(val),
            "image_size": 32,
            "shuffle_block_images": 4,
            "shuffle_window_blocks": 2,
        },
        "masks": {"num_masks": 24, "boxes": 1.0},
        "model": {"levels": 3, "base_channels": 8, "max_channels": 16, "encoder_kernels": [5, 3]},
        "optimizer": {"warmup_steps": 3, "learning_rate": 1.0e-3, "schedule": "cosine"},
        "train": {
            "epochs": 2,
            "steps_per_epoch": 6,
            "global_batch_size": 4,
            "log_every_steps": 2,
            "checkpoint_every_minutes": 0.0,
        },
        "validation": {"num_images": 5, "grid_images": 2},
    }
    path = root / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def run_tool() -> RunTool:
    """Run a program of ``tools/`` (or of these tests) in processes of its own, as a user would."""

    def run(
        program: str | Path,
        *arguments: object,
        ranks: int = 1,
        expect: Sequence[int] = (0,),
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(REPOSITORY / program), *map(str, arguments)]
        if ranks > 1:
            command = mpirun_command(ranks, command)
        # one thread each: several ranks on two cores, and sums that never depend on the cores
        environment = os.environ | {"SLURM_CPUS_PER_TASK": "1", "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode in expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


def run_with_event(
    run_tool: RunTool, config: Path, run_dir: Path, ranks: int = 1, **event: object
) -> int:
    """Train with an event of ``train_with_events``; return the exit status."""
    events = run_dir.with_suffix(".events.json")
    events.write_text(json.dumps(event))
    done = run_tool(
        *(WITH_EVENTS, events, config, "--run-dir", run_dir),
        ranks=ranks,
        expect=(0, 75, -9, 137),
    )
    return done.returncode
