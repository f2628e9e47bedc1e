"""A signal that comes while the program still loads stops it like any other: saved, exit 75."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pconv_hpc.training.checkpoint_files import list_checkpoints
from tests.support.paths import REPOSITORY


def catches_usr2(pid: int) -> bool:
    """Return whether a process has a handler for USR2, by what the kernel says."""
    fields = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return bool(int(fields["SigCgt"], 16) >> (signal.SIGUSR2 - 1) & 1)


def test_a_signal_during_start_up_is_heeded_after_the_first_step(
    config_path: Path, tmp_path: Path
) -> None:
    command = [sys.executable, str(REPOSITORY / "tools/train.py"), str(config_path)]
    environment = os.environ | {"SLURM_CPUS_PER_TASK": "1", "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        [*command, "--run-dir", str(tmp_path / "run")], env=environment, stderr=subprocess.PIPE
    ) as program:
        while program.poll() is None and not catches_usr2(program.pid):
            time.sleep(0.01)
        assert "tensorflow" not in Path(f"/proc/{program.pid}/maps").read_text()
        program.send_signal(signal.SIGUSR2)
        _, error = program.communicate(timeout=120)
    assert program.returncode == 75, error.decode()
    (checkpoint,) = list_checkpoints(tmp_path / "run" / "checkpoints")
    assert checkpoint.step in (1, 2)
