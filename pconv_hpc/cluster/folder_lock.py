"""A folder belongs to one job, or one process, at a time.

``lock`` in the folder names its holder. Only one of several can make it appear. A holder that ended
without removing it is recognised: Slurm is asked about its job, or, outside Slurm, this machine
about its process.
"""

import contextlib
import dataclasses
import os
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pconv_hpc.cluster.slurm_queries import is_alive
from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.json_files import read_json

LOCK_NAME = "lock"
TOKEN_VARIABLE = "PCONV_LOCK_TOKEN"  # hands the lock of a job on to the ranks it launches
_MAX_ATTEMPTS = 10
_TORN_SECONDS = 1.0  # so long a lock that names nobody may be one that is just being written


@dataclass(frozen=True, kw_only=True)
class LockHolder:
    """Who holds a lock: a Slurm job (``job_id`` above 0) or a process."""

    job_id: int
    restart_count: int
    host: str
    pid: int
    pid_started: str  # tells a process from a later one with the same number
    token: str

    @classmethod
    def current(cls, environment: Mapping[str, str]) -> "LockHolder":
        """Return this process, and the job it belongs to if there is one."""
        return cls(
            job_id=int(environment.get("SLURM_JOB_ID") or 0),
            restart_count=int(environment.get("SLURM_RESTART_COUNT") or 0),
            host=socket.gethostname(),
            pid=os.getpid(),
            pid_started=_process_start(os.getpid()) or "",
            token=environment.get(TOKEN_VARIABLE) or uuid.uuid4().hex,
        )

    def describe(self) -> str:
        """Name the holder for a message."""
        process = f"process {self.pid} on {self.host}"
        return f"job {self.job_id} ({process})" if self.job_id else process


class FolderLock:
    """Holds a folder while the ``with`` block runs.

    Ranks that a holder launched, with its token in their environment, share its lock.

    Raises:
        UsageError: another job or process holds it, or may hold it.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] = os.environ) -> None:
        self._path = folder / LOCK_NAME
        self._me = LockHolder.current(environment)
        self._owns = False

    @property
    def token(self) -> str:
        """What ranks launched by this holder must find in ``TOKEN_VARIABLE``."""
        return self._me.token

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = atomic.temporary_path(self._path)
        atomic.write_json(temporary, dataclasses.asdict(self._me))
        try:
            for _ in range(_MAX_ATTEMPTS):
                try:
                    _place(temporary, self._path)
                except FileExistsError:
                    holder = self._holder()
                    if holder is not None and holder.token == self._me.token:
                        return self
                    if holder is not None and _may_live(holder, self._me):
                        raise UsageError(self._refusal(holder)) from None
                    self._remove_stale(holder)
                else:
                    # Without hard links: somebody may have taken it, slow to be written, for torn.
                    if read_holder(self._path.parent) == self._me:
                        self._owns = True
                        return self
        finally:
            temporary.unlink(missing_ok=True)
        raise PconvError(f"{self._path}: other processes keep taking this lock; try again")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._owns and read_holder(self._path.parent) == self._me:
            # In a folder that has turned read-only it stays: others see that its holder is gone.
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _remove_stale(self, holder: LockHolder | None) -> None:
        """Remove the lock of ``holder``, and not one that was taken since."""
        aside = self._path.with_name(f".{LOCK_NAME}.{self._me.token}.stale")
        try:
            self._path.rename(aside)
        except FileNotFoundError:
            return
        if _parse_holder(aside) != holder:
            with contextlib.suppress(FileExistsError):
                _place(aside, self._path)
        aside.unlink()

    def _holder(self) -> LockHolder | None:
        """Return who the lock names; ``None`` if it is gone, or torn and not being written."""
        for _ in range(_MAX_ATTEMPTS):
            holder = read_holder(self._path.parent)
            if holder is not None or not self._path.exists():
                return holder
            time.sleep(_TORN_SECONDS / _MAX_ATTEMPTS)
        return None

    def _refusal(self, holder: LockHolder) -> str:
        return (
            f"{self._path.parent}: locked by {holder.describe()}; wait until it ends or stop it"
            + (f" (scancel {holder.job_id})" if holder.job_id else "")
            + f". If you are sure that it is gone, delete {self._path}"
        )


def _place(source: Path, path: Path) -> None:
    """Make ``path`` appear with what ``source`` holds, or raise ``FileExistsError``.

    At once as a whole where there are hard links; some mounts (object stores, SMB) have none, and
    there a reader may see the beginning alone for a moment.
    """
    try:
        os.link(source, path)
    except FileExistsError:
        raise
    except OSError:
        with open(path, "xb") as stream:
            stream.write(source.read_bytes())


def read_holder(folder: Path) -> LockHolder | None:
    """Return who a folder's lock names; ``None`` without a lock or if it cannot be read."""
    return _parse_holder(folder / LOCK_NAME)


def living_holder(folder: Path, environment: Mapping[str, str] = os.environ) -> LockHolder | None:
    """Return who is, or may be, at work in a folder; changes nothing."""
    holder = read_holder(folder)
    if holder is None or not _may_live(holder, LockHolder.current(environment)):
        return None
    return holder


def _may_live(holder: LockHolder, me: LockHolder) -> bool:
    if holder.job_id and holder.job_id != me.job_id:
        try:
            return is_alive(holder.job_id)
        except PconvError:  # no Slurm here to ask, or it does not answer
            return True
    if holder.job_id and holder.restart_count != me.restart_count:
        return False  # an earlier start of this very job: Slurm never runs two at once
    if holder.host != me.host:
        return True
    return _process_start(holder.pid) == holder.pid_started


def _parse_holder(path: Path) -> LockHolder | None:
    with contextlib.suppress(UsageError):
        return read_json(path, LockHolder, kind="a lock")
    return None


def _process_start(pid: int) -> str | None:
    """Return when a process of this machine started, in the kernel's ticks; ``None`` if it is gone.

    Where there is no ``/proc`` a living process gives the empty text.
    """
    try:
        # The name in parentheses may itself hold blanks and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""
