"""The programs as they are called on a login node of a cluster."""

import subprocess
import sys
from pathlib import Path

from tests.integration.cluster.slurm_client import SlurmClient
from tests.support.paths import REPOSITORY


def call(client: SlurmClient, tool: str, *arguments: str, cwd: Path, expect: int = 0) -> str:
    """Run a tool as a person would on a login node; return what it printed."""
    command = [sys.executable, str(REPOSITORY / "tools" / tool), *arguments]
    done = subprocess.run(
        command,
        cwd=cwd,
        env=client.environment,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=300,
    )
    assert done.returncode == expect, done.stderr
    return done.stdout + done.stderr
