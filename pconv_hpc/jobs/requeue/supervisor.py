"""The control flow of a batch script: one start of a job, and whether there is a next one."""

import contextlib
import dataclasses
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
from pconv_hpc.foundation.stop_request import StopRequest
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
from pconv_hpc.jobs.requeue.fate import Fate, ask_fate, is_being_ended
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
        earlier: what caught signals until now.
    """

    def __init__(
        self,
        work: Work,
        *,
        arguments: Sequence[str],
        job: JobEnvironment,
        environment: Mapping[str, str],
        earlier: StopRequest | None = None,
    ) -> None:
        self._work = work
        self._arguments = list(arguments)
        self._job = job
        self._environment = dict(environment)
        self._launcher = environment.get("LAUNCHER") or "srun-pmix"
        self._chain = environment.get(CHAIN_VARIABLE) or str(job.job_id)
        self._launch = Launch(
            forward=self._launcher == "mpirun", on_told_to_end=self._continue_before_it_is_killed
        )
        if earlier is not None and earlier.signal_name == "SIGTERM":
            self._launch.is_told_to_end = True
        self._record = job_record(job.job_id, patient=True) or {}
        self._start: Start | None = None
        self._progress_before = 0
        self._fruitless = 0
        self._is_continued = False

    def run(self) -> int:
        """Do this start's share of the work, see to the next start, and return the exit code."""
        self._work.check(self._job, self._launcher)
        command = launch_command(
            self._launcher, num_tasks=self._job.num_tasks, program=self._work.program()
        )
        with self._claimed_folder() as lock:
            self._note_start()
            if self._fruitless >= MAX_FRUITLESS_STARTS:
                raise PconvError(f"not started: {no_progress_reason(self._work.progress())}")
            code = self._work_once(command, lock.token)
            if self._is_continued:
                return EXIT_DONE
            ending = self._ending(code, self._ask_fate())
            action, reason = decide(ending)
            if action is Action.STOP:
                self._work.note_failure(reason)
        self._say(reason)
        if action is Action.CONTINUE:
            self._continue()
        if action is not Action.STOP:
            return EXIT_DONE
        if ending.fate is Fate.CANCELLED or ending.interrupted:
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

    def _note_start(self) -> None:
        """Note this start, and count how many in a row before it made no progress."""
        path = self._work.folder / STARTS_NAME
        progress = self._progress_before = self._work.progress()
        self._fruitless = count_fruitless(read_starts(path), chain=self._chain, progress=progress)
        self._start = Start(
            chain=self._chain,
            job_id=self._job.job_id,
            restart_count=self._job.restart_count,
            progress=progress,
            time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            options=options_of_job(self._record),
        )
        append_start(path, self._start)
        self._say(
            f"start {self._job.restart_count + 1} on {self._record.get('NodeList', '?')}: "
            f"{self._job.num_tasks} rank(s) by {self._launcher}, at {progress} in "
            f"{self._work.folder}"
        )

    def _work_once(self, command: Sequence[str], token: str) -> int:
        """Stage, launch the ranks, and return the exit code."""
        self._work.begin()
        environment = self._environment | {TOKEN_VARIABLE: token}
        code = self._stage(environment)
        if self._launch.is_told_to_end:
            return EXIT_INTERRUPTED
        if code == EXIT_INTERRUPTED:
            return code
        return self._launch_ranks(command, environment)

    def _ending(self, exit_code: int, fate: Fate) -> Ending:
        """Gather how this start ended."""
        return Ending(
            exit_code=exit_code,
            finished=self._work.is_finished(),
            interrupted=self._work.was_interrupted() or exit_code == EXIT_INTERRUPTED,
            fate=fate,
            progress_before=self._progress_before,
            progress_after=self._work.progress(),
            fruitless_before=self._fruitless,
        )

    def _ask_fate(self) -> Fate:
        """Ask Slurm what becomes of this job, and note it where this start is not to blame."""
        fate, _ = ask_fate(
            self._job.job_id,
            restart_count=self._job.restart_count,
            is_told_to_end=self._launch.is_told_to_end,
        )
        if fate is Fate.UNKNOWN:
            self._say("Slurm does not answer; assuming that the job goes on")
        self._note_fate(fate)
        return fate

    def _note_fate(self, fate: Fate) -> None:
        if fate.is_blameless and self._start is not None and not self._start.preempted:
            self._start = dataclasses.replace(self._start, preempted=True)
            append_start(self._work.folder / STARTS_NAME, self._start)

    def _continue_before_it_is_killed(self) -> bool:
        """See to the next start now, where Slurm ends the ranks whatever they still have to do.

        It kills this process too, possibly before they have ended. Returns false where that is not
        to be done, yet: the ranks may save something first.
        """
        fate, record = ask_fate(
            self._job.job_id,
            restart_count=self._job.restart_count,
            is_told_to_end=True,
            patient=False,
        )
        if not record or not is_being_ended(record):
            return False
        self._note_fate(fate)
        action, reason = decide(self._ending(EXIT_INTERRUPTED, fate))
        if action is Action.CONTINUE:
            self._say(f"{reason}; Slurm ends the ranks ({fate.value})")
            self._continue()
        return fate in (Fate.REQUEUED, Fate.CANCELLED) or self._is_continued

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
        refusal = requeue(
            self._job.job_id, self._environment, restart_count=self._job.restart_count
        )
        self._is_continued = True
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
