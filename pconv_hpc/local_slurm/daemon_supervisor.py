"""The process that a local cluster's daemons, and every process of its jobs, descend from.

Slurm detaches the processes that run job steps from the daemon that started them, on purpose: jobs
outlive a restart of ``slurmd``. The supervisor makes itself their subreaper (prctl(2)), so whatever
detaches becomes its child instead of init's. To stop the cluster is then to end one process's
descendants, never to search for names.

It is started by ``LocalCluster.start`` as ``python -m pconv_hpc.local_slurm.daemon_supervisor
FOLDER LOCK_FD``: LOCK_FD is the folder's lock, already taken. The supervisor holds it as long as it
lives, which is how everyone else knows that the cluster runs.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pconv_hpc.local_slurm.cluster_folder import ClusterFolder
from pconv_hpc.local_slurm.slurm_conf import munged_command, slurm_daemon_commands

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_MUNGE_SOCKET_TIMEOUT_S = 20
_LIBC = ctypes.CDLL(None, use_errno=True)


def descendants(pid: int) -> set[int]:
    """Return the pids of all processes below ``pid``, ended ones that nobody reaped included."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended while we looked
                # The name in parentheses may hold anything; what follows it does not.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting.extend(below)
    return found


class Supervisor:
    """Starts the daemons of one cluster, reaps what ends, and ends all of it on SIGTERM."""

    def __init__(self, folder: ClusterFolder) -> None:
        self._folder = folder
        self._spec = folder.read_spec()
        self._pids: dict[str, int | None] = {"supervisor": os.getpid()}

    def run(self) -> None:
        """Start the daemons; return when SIGTERM or SIGINT has come and nothing is left."""
        signals = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        self._folder.write_pids(self._pids)
        self._start("munged", munged_command(self._spec))
        if self._munge_answers():
            for name, command in slurm_daemon_commands(self._spec).items():
                self._start(name, command)
        while signal.sigwait(signals) == signal.SIGCHLD:
            self._reap()
        self._end_descendants()
        self._folder.remove_state()

    def _start(self, name: str, command: list[str]) -> None:
        def prepare() -> None:
            # Jobs inherit this mask through slurmd: they must not find SIGTERM blocked.
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

        with open(self._folder.log_path(name), "ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509  (the supervisor has one thread)
            )
        process.returncode = 0  # it is reaped below, with everything else that ends
        self._pids[name] = process.pid
        self._folder.write_pids(self._pids)

    def _munge_answers(self) -> bool:
        deadline = time.monotonic() + _MUNGE_SOCKET_TIMEOUT_S
        while not self._spec.munge_socket.exists():
            self._reap()
            munged = self._pids["munged"]
            if munged is None:
                return False
            if time.monotonic() > deadline:
                print(f"munged created no socket within {_MUNGE_SOCKET_TIMEOUT_S} s", flush=True)
                os.kill(munged, signal.SIGKILL)
                return False
            time.sleep(0.02)
        return True

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._note_end(*ended)

    def _note_end(self, pid: int, status: int) -> None:
        for name, daemon_pid in self._pids.items():
            if daemon_pid == pid:
                code = os.waitstatus_to_exitcode(status)
                how = f"signal {-code}" if code < 0 else f"exit status {code}"
                print(f"{name} (pid {pid}) ended with {how}", flush=True)
                self._pids[name] = None
                self._folder.write_pids(self._pids)
                return

    def _end_descendants(self) -> None:
        # Nothing of the cluster outlives its folder, so nothing needs time to save itself.
        while remaining := descendants(os.getpid()):
            for pid in remaining:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._reap()
            time.sleep(0.02)


def main() -> None:
    folder = ClusterFolder(Path(sys.argv[1]))
    lock_fd = int(sys.argv[2])
    if os.fork():  # the starter reaps this half at once; the other one belongs to init
        os._exit(0)
    os.setsid()
    os.set_inheritable(lock_fd, False)
    if _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    Supervisor(folder).run()


if __name__ == "__main__":
    main()
