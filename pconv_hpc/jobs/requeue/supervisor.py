"""The control flow of a batch script: one start of a job, and whether there is a next one."""

import contextlib
import datetime
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pconv_hpc.cluster.folder_lock import TOKEN_VARIABLE, FolderLock
from pconv_hpc.cluster.gloo_rendezvous import rendezvous
from pconv_hpc.cluster.job_environment import JobEnvironment
from pconv_hpc.cluster.slurm_commands import launch_command, once_per_node_command, options_of_job
from pconv_hpc.cluster.slurm_queries import SlurmSilentError, job_record, run_slurm
from pconv_hpc.foundation.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    PconvError,
    UsageError,
)
from pconv_hpc.jobs.requeue.chain import (
    MAX_FRUITLESS_STARTS,
    STARTS_NAME,
    Action,
    Ending,
    Start,
    append_start,
    count_fruitless,
    decide,
    no_progress_reason,
    read_starts,
)
from pconv_hpc.jobs.requeue.rank_launcher import Launch
from pconv_hpc.jobs.requeue.succession import requeue, submit_successor, successor_command
from pconv_hpc.jobs.requeue.work import Work
from pconv_hpc.shards.staging import STAGE_VARIABLE

CHAIN_VARIABLE = "PCONV_CHAIN"  # tells a successor which job its chain began with

_DEFAULT_JOB_NAMES = ("pconv-train", "pconv-pack", "pconv-harvest", "pconv-evaluate")


class Supervisor:
    """One start of a job.

    Args:
        work: what the ranks do.
        arguments: the batch script's, for its successor.
        job: what Slurm says of this job.
        environment: ``LAUNCHER`` (srun-pmix), ``PCONV_REQUEUE`` (yes or no), ``PCONV_STAGE_DIR``,
            ``PCONV_MPIRUN_STOP_SECONDS`` and ``PCONV_JOB_SCRIPT``, from the site file and
            ``jobs/common.sh``.
    """

    def __init__(
        self,
        work: Work,
        *,
        arguments: Sequence[str],
        job: JobEnvironment,
        environment: Mapping[str, str],
    ) -> None:
        self._work = work
        self._arguments = list(arguments)
        self._job = job
        self._environment = dict(environment)
        self._launcher = environment.get("LAUNCHER") or "srun-pmix"
        self._chain = environment.get(CHAIN_VARIABLE) or str(job.job_id)
        self._launch = Launch(forward=self._launcher == "mpirun")
        self._record = job_record(job.job_id, patient=True) or {}

    def run(self) -> int:
        """Do this start's share of the work, see to the next start, and return the exit code."""
        self._work.check(self._job, self._launcher)
        command = launch_command(
            self._launcher, num_tasks=self._job.num_tasks, program=self._work.program()
        )
        with self._claimed_folder() as lock:
            fruitless = self._note_start()
            if fruitless >= MAX_FRUITLESS_STARTS:
                raise PconvError(f"not started: {no_progress_reason(self._work.progress())}")
            ending = self._work_once(command, lock.token, fruitless)
            action, reason = decide(ending)
            if action is Action.STOP:
                self._work.note_failure(reason)
        self._say(reason)
        if action is Action.CONTINUE:
            self._continue()
        if action is not Action.STOP:
            return EXIT_DONE
        if ending.cancelled or ending.interrupted:
            return EXIT_INTERRUPTED
        return EXIT_USAGE if ending.exit_code == EXIT_USAGE else EXIT_FAILED

    @contextlib.contextmanager
    def _claimed_folder(self) -> Iterator[FolderLock]:
        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context(FolderLock(self._work.folder, self._environment))
            except OSError as error:
                raise UsageError(f"{self._work.folder}: cannot be written to ({error})") from error
            yield lock

    def _note_start(self) -> int:
        """Note this start; return how many starts in a row before it made no progress."""
        path = self._work.folder / STARTS_NAME
        progress = self._work.progress()
        fruitless = count_fruitless(read_starts(path), chain=self._chain, progress=progress)
        start = Start(
            chain=self._chain,
            job_id=self._job.job_id,
            restart_count=self._job.restart_count,
            progress=progress,
            time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            options=options_of_job(self._record),
        )
        append_start(path, start)
        self._say(
            f"start {self._job.restart_count + 1} on {self._record.get('NodeList', '?')}: "
            f"{self._job.num_tasks} rank(s) by {self._launcher}, at {progress} in "
            f"{self._work.folder}"
        )
        return fruitless

    def _work_once(self, command: Sequence[str], token: str, fruitless: int) -> Ending:
        """Stage, launch the ranks, and gather how that ended."""
        progress_before = self._work.progress()
        self._work.begin()
        environment = self._environment | {TOKEN_VARIABLE: token}
        code = self._stage(environment)
        if code != EXIT_INTERRUPTED and not self._launch.is_cancelled:
            code = self._launch_ranks(command, environment)
        return Ending(
            exit_code=code,
            finished=self._work.is_finished(),
            interrupted=self._work.was_interrupted() or code == EXIT_INTERRUPTED,
            cancelled=self._is_cancelled(),
            progress_before=progress_before,
            progress_after=self._work.progress(),
            fruitless_before=fruitless,
        )

    def _is_cancelled(self) -> bool:
        """Return whether Slurm ends this job, for a reason other than its time limit.

        Ranks that were too slow for the signal before the limit have saved at the one on the limit,
        and requeue is still possible then.
        """
        try:
            record = job_record(self._job.job_id, patient=True) or {}
        except SlurmSilentError as error:
            self._say(f"{error}; assuming that the job goes on")
            return self._launch.is_cancelled
        if record.get("Reason") == "TimeLimit":
            return False
        return self._launch.is_cancelled or record.get("JobState") != "RUNNING"

    def _stage(self, environment: Mapping[str, str]) -> int:
        """Copy the packs to every node where the site names a folder for it."""
        indexes = self._work.indexes_to_stage()
        folder = environment.get(STAGE_VARIABLE)
        if not folder or not indexes:
            return EXIT_DONE
        program = [
            sys.executable,
            "-m",
            "pconv_hpc.jobs.requeue.stage_packs",
            folder,
            *map(str, indexes),
        ]
        return self._launch.run(once_per_node_command(self._job.num_nodes, program), environment)

    def _launch_ranks(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        with contextlib.ExitStack() as stack:
            if self._launcher == "gloo":
                environment = {**environment, **stack.enter_context(rendezvous())}
            code = self._launch.run(command, environment, stop_at=self._time_to_stop())
        self._say(f"{command[0]} ended with exit code {code}")
        return code

    def _time_to_stop(self) -> datetime.datetime | None:
        """Return when ranks that Slurm does not signal must be told to stop."""
        text = self._environment.get("PCONV_MPIRUN_STOP_SECONDS") or "300"
        if not text.isdecimal():
            raise UsageError(
                f"PCONV_MPIRUN_STOP_SECONDS is {text!r}; expected seconds, such as 300"
            )
        try:
            end = datetime.datetime.fromisoformat(self._record.get("EndTime", ""))
        except ValueError:  # Slurm wrote Unknown: there is no time limit
            return None
        return end - datetime.timedelta(seconds=int(text))

    def _continue(self) -> None:
        """Put this job back into the queue, or submit its successor where that is not allowed."""
        refusal = requeue(self._job.job_id, self._environment)
        if refusal is None:
            self._say("requeued: the next start continues")
            return
        self._say(f"requeue is not allowed here: {refusal}")
        options = {"dependency": "singleton", "job-name": self._unique_job_name()}
        script = Path(self._environment["PCONV_JOB_SCRIPT"])
        command = successor_command(script, self._arguments, self._record, options)
        answer = submit_successor(command, {**self._environment, CHAIN_VARIABLE: self._chain})
        if answer.returncode != 0:
            raise PconvError(
                f"the work should continue, but neither requeue nor sbatch is allowed: "
                f"{answer.stderr.strip()}. Submit it by hand with pconv-hpc resume, or the same "
                "sbatch command as before"
            )
        self._say(f"submitted job {answer.stdout.strip()} to continue")

    def _unique_job_name(self) -> str:
        """Return a name that only this folder's jobs have: singletons of one name wait in line."""
        name = self._record.get("JobName", _DEFAULT_JOB_NAMES[0])
        if name not in _DEFAULT_JOB_NAMES:
            return name
        unique = re.sub(r"[^\w.-]", "_", f"{name}-{self._work.folder.resolve().name}")
        update = ["scontrol", "update", f"JobId={self._job.job_id}", f"JobName={unique}"]
        try:
            return unique if run_slurm(update, patient=True).returncode == 0 else name
        except SlurmSilentError:
            return name

    def _say(self, message: str) -> None:
        print(f"[{datetime.datetime.now():%F %T} job {self._job.job_id}] {message}", flush=True)
