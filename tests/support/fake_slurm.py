"""Commands of Slurm that answer as they are told, for what no real Slurm does when it is asked."""

from pathlib import Path

import pytest

from pconv_hpc.cluster import slurm_queries
from pconv_hpc.jobs.requeue.erase_continuation import FRUITLESS_VARIABLE


class FakeSlurm:
    """``scontrol``, ``sbatch`` and ``srun`` that note how they are called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._calls = folder / "calls"
        self._silence = folder / "silence"  # a line each call that gets no answer
        self._silent_about_jobs = folder / "silent_about_jobs"
        self._monkeypatch = monkeypatch
        note = f'#!/bin/sh\necho "$(basename "$0") $*" >> "{self._calls}"\n'
        silent = (
            f'if [ -s "{self._silence}" ] ||\n'
            f'[ "$1" = show -a -e "{self._silent_about_jobs}" ]; then\n'
            f'sed -i 1d "{self._silence}"\n'
            'echo "Unable to contact slurm controller (connect failure)" >&2; exit 1; fi\n'
        )
        scripts = {
            "scontrol": f'{silent}if [ "$1" = requeue ]; then echo "$REFUSAL" >&2\n'
            'test -z "$REFUSAL"; exit; fi\n'
            'echo "JobId=9 JobName=x"\necho "   JobState=$STATE Reason=$REASON"\n'
            'eval "echo \\"   $FIELDS\\""\n',
            "sbatch": f'echo "fruitless ${FRUITLESS_VARIABLE}" >> "{self._calls}"\n'
            'echo "$SBATCH_REFUSAL" >&2; test -z "$SBATCH_REFUSAL" && echo 12\n',
            "srun": 'eval "$SRUN"\n',
        }
        for name, script in scripts.items():
            (folder / name).write_text(note + script)
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        monkeypatch.setattr(slurm_queries, "_PAUSE_S", 0.01)
        monkeypatch.setattr(slurm_queries, "_PATIENCE_S", 0.3)

    def answer(
        self,
        *,
        state: str = "RUNNING",
        reason: str = "None",
        fields: str = "",
        refusal: str = "",
        sbatch: str = "",
        silent_calls: int = 0,
        srun: str = "",
    ) -> None:
        """Say what is answered from here on.

        ``srun`` is a shell line that it runs; ``fields`` are more of a job's record, and may hold
        the substitutions of a shell.
        """
        self._silence.write_text("silent\n" * silent_calls)
        for name, value in {
            "STATE": state,
            "REASON": reason,
            "FIELDS": fields,
            "REFUSAL": refusal,
            "SBATCH_REFUSAL": sbatch,
            "SRUN": srun,
        }.items():
            self._monkeypatch.setenv(name, value)

    def silence(self, calls: int) -> str:
        """Return the shell line that makes the controller silent for so many calls."""
        return f"yes | head -n {calls} > '{self._silence}'"

    def silence_about_jobs(self) -> str:
        """Return the shell line after which it answers no more questions about jobs."""
        return f"touch '{self._silent_about_jobs}'"

    def wait_for(self, call: str) -> str:
        """Return the shell line that waits until a command was called so, and else exits with 2."""
        found = f"grep -q '{call}' '{self._calls}'"
        return f"for _ in $(seq 600); do {found} && break; sleep 0.1; done; {found} || exit 2"

    def count(self, call: str) -> str:
        """Return the shell's substitution for how often a command was called so."""
        return f"$(grep -c '{call}' '{self._calls}')"

    def calls(self) -> list[str]:
        """Return the calls since the last time, without questions about jobs."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        self._calls.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith("scontrol show")]
