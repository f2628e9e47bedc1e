"""What tests do on a Slurm cluster: submit jobs, wait for them, look at their log files."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from pconv_hpc.local_slurm.local_cluster import LocalCluster

FINAL_STATES = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "TIMEOUT",
    }
)
_POLL_S = 0.3


class SlurmClient:
    """Runs Slurm's commands against one cluster.

    ``environment`` is what they, and programs that call them, run with. Tests may change a copy.
    """

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster
        self.environment = cluster.environment()

    def run(self, *command: str, check: bool = True, cwd: Path | None = None) -> str:
        """Run a command and return its standard output; with ``check`` it must succeed."""
        answer = subprocess.run(
            command,
            env=self.environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=120,
        )
        if check and answer.returncode != 0:
            pytest.fail(f"{command} ended with {answer.returncode}:\n{answer.stderr}")
        return answer.stdout

    def submit(self, *arguments: str, cwd: Path) -> int:
        """Run ``sbatch`` with ``arguments`` in ``cwd`` and return the job's id."""
        answer = self.run("sbatch", "--parsable", *arguments, cwd=cwd)
        return int(answer.partition(";")[0])

    def jobs(self, job_id: int) -> list[dict[str, str]]:
        """Return the fields of ``scontrol show job``, once for each record of an array."""
        text = self.run("scontrol", "show", "job", "--oneliner", str(job_id))
        # Values may hold blanks and equal signs; a key follows a blank and starts a new field.
        return [
            dict(re.findall(r"(?:^|\s)([A-Z][\w:/]*)=(.*?)(?=\s[A-Z][\w:/]*=|\s*$)", line))
            for line in text.splitlines()
            if line
        ]

    def squeue(self, *arguments: str) -> list[dict[str, str]]:
        """Return the jobs that wait or run: JobID, Name, State, Reason, NodeList, RestartCnt."""
        names = ("JobID", "Name", "State", "Reason", "NodeList", "RestartCnt")
        form = ",".join(f"{name}:;" for name in names)
        text = self.run("squeue", "--noheader", f"--Format={form}", *arguments)
        rows = [line.split(";") for line in text.splitlines()]
        return [dict(zip(names, (value.strip() for value in row), strict=False)) for row in rows]

    def wait(
        self, job_id: int, *states: str, restarts: int = 0, timeout_s: float = 240
    ) -> list[dict[str, str]]:
        """Wait until all of a job's records are in ``states``; return them.

        ``restarts`` is how often the job must have been requeued at least. Fails, with the end of
        the job's log, when the time is up or when the job ended in another state.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            jobs = self.jobs(job_id)
            found = {job["JobState"] for job in jobs}
            if found <= set(states) and all(int(job["Restarts"]) >= restarts for job in jobs):
                return jobs
            if found <= FINAL_STATES or time.monotonic() > deadline:
                expected = f"expected {states} after {restarts} restarts or more"
                pytest.fail(f"job {job_id}: {found}, {expected}{self._describe(jobs)}")
            time.sleep(_POLL_S)

    def wait_for_preemption(self, job_id: int) -> None:
        """Wait until Slurm has begun to preempt a job."""
        deadline = time.monotonic() + 120
        while (record := self.jobs(job_id)[0]).get("PreemptTime", "None") == "None":
            if record["JobState"] in FINAL_STATES or time.monotonic() > deadline:
                pytest.fail(f"job {job_id} is not preempted{self._describe([record])}")
            time.sleep(_POLL_S)

    def wait_for_text(self, path: Path, text: str, *, timeout_s: float = 240) -> str:
        """Wait until a file holds ``text`` and return the file's content."""
        deadline = time.monotonic() + timeout_s
        while True:
            content = path.read_text(errors="replace") if path.exists() else ""
            if text in content:
                return content
            if time.monotonic() > deadline:
                pytest.fail(f"{path} does not hold {text!r} after {timeout_s} s:\n{content}")
            time.sleep(_POLL_S)

    def reset(self) -> None:
        """Cancel all jobs and bring all nodes back, so that one test cannot disturb the next."""
        job_ids = [job["JobID"] for job in self.squeue()]
        if job_ids:
            self.run("scancel", *job_ids, check=False)
            self.run("scancel", "--signal=KILL", "--full", *job_ids, check=False)
        deadline = time.monotonic() + 60
        while self.squeue() or not self._nodes_are_idle():
            assert time.monotonic() < deadline, self.run("scontrol", "show", "nodes")
            time.sleep(_POLL_S)

    def _nodes_are_idle(self) -> bool:
        rows = self.run("sinfo", "--noheader", "--partition=gpu", "--Node", "--format=%N %T")
        states = dict(row.split() for row in rows.splitlines())
        for node, state in states.items():
            if state.startswith(("down", "drain", "fail")):
                # The node may come back by itself in between: then there is nothing to resume.
                self.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        return set(states.values()) == {"idle"}

    def _describe(self, jobs: list[dict[str, str]]) -> str:
        log = Path(jobs[0].get("StdOut", ""))
        tail = log.read_text(errors="replace")[-3000:] if log.is_file() else "(no log)"
        return f"\n{jobs[0]}\n--- {log}\n{tail}"
