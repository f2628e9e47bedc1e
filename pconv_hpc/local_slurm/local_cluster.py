"""A real Slurm on one machine: slurmctld, virtual GPU nodes and munged under one folder.

It runs as root without systemd, beside any other Slurm, and serves the tests and anyone who wants
to try the job scripts before spending an allocation on them.
"""

import contextlib
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pconv_hpc
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.local_slurm.cluster_folder import ClusterFolder
from pconv_hpc.local_slurm.slurm_conf import ClusterSpec, check_shape

DEFAULT_FOLDER = Path("/tmp/pconv_hpc-slurm")

_PACKAGE_OF_COMMAND = {
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
    "scontrol": "slurm-client",
    "sinfo": "slurm-client",
    "srun": "slurm-client",
}
_ALL_PACKAGES = "slurm-wlm slurm-wlm-basic-plugins munge libpmix2 openmpi-bin"
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 30
# Without a slurmctld to talk to, sinfo itself would wait much longer.
_SINFO_TIMEOUT_S = 3
_POLL_S = 0.1
# Below Linux's range for outgoing connections (32768 and up), which could take a port between our
# choosing it and the daemon's binding it.
_PORTS = range(20000, 32000)
# Variables that a surrounding job or another cluster left, and that would redirect our commands.
_FOREIGN_PREFIXES = ("SLURM", "SBATCH_", "SRUN_", "SQUEUE_", "SINFO_", "SALLOC_", "PMIX_", "PMI_")


def check_requirements() -> None:
    """Raise ``UsageError`` saying what to install, or that root is needed, where one is missing."""
    path = _search_path()
    missing = [name for name in _PACKAGE_OF_COMMAND if shutil.which(name, path=path) is None]
    if missing:
        packages = sorted({_PACKAGE_OF_COMMAND[name] for name in missing})
        raise UsageError(
            f"a local Slurm cluster needs {', '.join(missing)}, found neither on PATH nor in "
            f"/usr/sbin (Debian packages: {', '.join(packages)}). To install all it uses: "
            f"apt-get install {_ALL_PACKAGES}"
        )
    if os.geteuid() != 0:
        raise UsageError(
            "a local Slurm cluster must be started by root (its daemons start jobs and its GPUs "
            "are made with mknod); use a container or a virtual machine where you are root"
        )


def _search_path() -> str:
    """Return PATH with the folders of the daemons, which a user's PATH often lacks."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def free_ports(count: int) -> list[int]:
    """Return ``count`` different TCP ports that nothing listens on now."""
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        for port in random.sample(_PORTS, len(_PORTS)):
            if len(ports) == count:
                break
            candidate = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                candidate.bind(("", port))
                ports.append(port)
        return ports


@dataclass(frozen=True)
class ClusterStatus:
    """What ``LocalCluster.status`` found."""

    spec: ClusterSpec
    pids: dict[str, int | None]  # by process name; None: it has ended

    def describe(self) -> str:
        """Return a line about the cluster and one about each of its processes."""
        lines = [
            f"a cluster of {len(self.spec.node_ports)} nodes × {self.spec.gpus_per_node} GPUs "
            f"runs in {self.spec.folder}"
        ]
        for name, pid in self.pids.items():
            state = f"pid {pid}" if pid else f"ended; see {self.spec.folder}/log/{name}.err"
            lines.append(f"  {name:<11} {state}")
        return "\n".join(lines)


class LocalCluster:
    """A Slurm cluster under one folder, running or not."""

    def __init__(self, folder: Path = DEFAULT_FOLDER) -> None:
        self._folder = ClusterFolder(folder)

    @property
    def folder(self) -> Path:
        return self._folder.path

    @property
    def slurm_conf(self) -> Path:
        """The file that ``SLURM_CONF`` must name for Slurm's commands to reach this cluster."""
        return self.folder / "etc" / "slurm.conf"

    @property
    def export_line(self) -> str:
        """The shell line after which Slurm's commands reach this cluster."""
        return f"export SLURM_CONF={shlex.quote(str(self.slurm_conf))}"

    def environment(self) -> dict[str, str]:
        """Return this process's environment, made to reach this cluster and no other."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN_PREFIXES)}
        return kept | {"SLURM_CONF": str(self.slurm_conf), "PATH": _search_path()}

    def is_running(self) -> bool:
        """Return whether the cluster runs, or is just being started or stopped."""
        return self._folder.is_locked()

    def status(self) -> ClusterStatus | None:
        """Return what runs, or None where nothing does."""
        if not self.is_running():
            return None
        pids = self._folder.read_pids()
        if pids is None:
            raise PconvError(
                f"{self.folder}: the cluster is being started or stopped; try again in a "
                "few seconds"
            )
        return ClusterStatus(self._folder.read_spec(), pids)

    def start(self, *, num_nodes: int = 2, gpus_per_node: int = 4) -> bool:
        """Start the cluster and return when all its nodes are idle.

        Returns False, without doing anything, where it runs already.

        Raises:
            UsageError: root or a package is missing, or the folder or a number cannot be used.
            PconvError: a daemon failed, with the end of its log; nothing is left running.
        """
        check_shape(num_nodes, gpus_per_node)
        check_requirements()
        ports = free_ports(num_nodes + 1)
        spec = ClusterSpec(
            folder=self.folder,
            hostname=socket.gethostname().partition(".")[0],
            controller_port=ports[0],
            node_ports=tuple(ports[1:]),
            gpus_per_node=gpus_per_node,
        )
        self._folder.make()
        with self._folder.lock() as lock_fd:
            if lock_fd is None:
                return False
            try:
                self._folder.write(spec)
                self._spawn_supervisor(lock_fd)
            except Exception:
                self._folder.remove_state()
                raise
        try:
            self._wait_until_ready(spec)
        except BaseException:  # Ctrl-C too: a cluster that nobody was told of would stay forever
            self.stop()
            raise
        return True

    def stop(self) -> bool:
        """End the cluster with its jobs, and remove its files, logs excepted.

        Returns whether it was running. What a cluster that died with its machine left is removed
        all the same.
        """
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        was_running = False
        while self._folder.exists():
            with self._folder.lock() as lock_fd:
                if lock_fd is not None:
                    self._folder.remove_state()
                    break
            was_running = True
            if time.monotonic() > deadline:
                raise PconvError(
                    f"{self.folder}: the cluster did not end within {_STOP_TIMEOUT_S} s; "
                    f"see {self._folder.log_path('supervisor')}"
                )
            self._signal_supervisor()
            time.sleep(_POLL_S)
        return was_running

    def _signal_supervisor(self) -> None:
        # The lock is held, so the recorded pid is the supervisor's and not a successor's.
        pid = (self._folder.read_pids() or {}).get("supervisor")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _spawn_supervisor(self, lock_fd: int) -> None:
        module = "pconv_hpc.local_slurm.daemon_supervisor"
        environment = self.environment()
        package_parent = str(Path(pconv_hpc.__file__).parents[1])
        paths = [package_parent, environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        with open(self._folder.log_path("supervisor"), "wb") as log:
            started = subprocess.run(
                [sys.executable, "-m", module, str(self.folder), str(lock_fd)],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock_fd,),
                check=False,
            )
        if started.returncode != 0:
            raise self._start_error("supervisor")

    def _wait_until_ready(self, spec: ClusterSpec) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._nodes_are_idle(spec):
            failed = self._failed_process(spec)
            if failed is not None:
                raise self._start_error(failed)
            if time.monotonic() > deadline:
                raise PconvError(
                    f"the nodes were not idle within {_START_TIMEOUT_S} s.\n"
                    f"{self._folder.log_tail('slurmctld')}"
                )
            time.sleep(_POLL_S)

    def _nodes_are_idle(self, spec: ClusterSpec) -> bool:
        command = ["sinfo", "--noheader", "--partition=gpu", "--Node", "--format=%N %T"]
        try:
            answer = subprocess.run(
                command,
                env=self.environment(),
                capture_output=True,
                text=True,
                timeout=_SINFO_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        states = answer.stdout.splitlines()
        return answer.returncode == 0 and states == [f"{name} idle" for name in spec.node_names]

    def _failed_process(self, spec: ClusterSpec) -> str | None:
        if not self.is_running():
            return "supervisor"
        pids = self._folder.read_pids() or {}
        names = ("munged", "slurmctld", *spec.node_names)
        return next((name for name in names if name in pids and pids[name] is None), None)

    def _start_error(self, name: str) -> PconvError:
        return PconvError(
            f"the cluster did not start: {name} ended.\n{self._folder.log_tail(name)}"
        )
