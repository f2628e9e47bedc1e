"""The folder of a local cluster: its lock, what is recorded in it, and what is removed from it."""

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pconv_hpc.foundation.atomic import write_json
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.json_files import read_json
from pconv_hpc.foundation.typed_values import build
from pconv_hpc.local_slurm.slurm_conf import (
    TASK_PROLOG,
    ClusterSpec,
    render_gres_conf,
    render_slurm_conf,
)

# What ends with the cluster. The logs, the lock and cluster.json stay.
_STATE_NAMES = ("etc", "run", "dev", "spool", "state", "tmp")
_LOCK_NAME = "local_slurm.lock"  # also what marks the folder as ours
_SPEC_NAME = "cluster.json"
_LOG_TAIL_LINES = 12


class ClusterFolder:
    """Where one local cluster lives.

    Whoever holds the exclusive lock runs the cluster, or is just starting or removing it. The
    kernel frees the lock when its holder ends, however that came about, so that nobody ever has to
    guess from a recorded pid whether the cluster still runs.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links)

    def exists(self) -> bool:
        """Return whether a cluster was ever started here."""
        return (self.path / _LOCK_NAME).exists()

    def make(self) -> None:
        """Create the folder and its lock file.

        Raises:
            UsageError: it cannot be created, is not root's own, or holds other files.
        """
        try:
            self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._require_roots_own()
            names = {entry.name for entry in self.path.iterdir()}
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be used ({error.strerror})") from error
        if names and _LOCK_NAME not in names:
            raise UsageError(f"{self.path}: holds other files; choose an empty or a new folder")
        (self.path / _LOCK_NAME).touch(mode=0o600)

    def _require_roots_own(self) -> None:
        """Raise ``UsageError`` where somebody else could have written what root obeys."""
        found = self.path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
            raise UsageError(
                f"{self.path}: expected a folder that root owns and nobody else may write to; "
                "choose another"
            )

    def is_locked(self) -> bool:
        """Return whether a process holds the lock."""
        if not self.exists():
            return False
        with self._open_lock() as descriptor:
            return not _try_lock(descriptor, fcntl.LOCK_SH)

    @contextlib.contextmanager
    def lock(self) -> Iterator[int | None]:
        """Take the lock and give the descriptor that holds it, or None if it is held already.

        A child process that inherits the descriptor holds the lock too.
        """
        with self._open_lock() as descriptor:
            while not _try_lock(descriptor, fcntl.LOCK_EX):
                # A shared lock can be had: only somebody's is_locked() was in the way.
                if not _try_lock(descriptor, fcntl.LOCK_SH):
                    yield None
                    return
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                time.sleep(0.01)
            yield descriptor

    @contextlib.contextmanager
    def _open_lock(self) -> Iterator[int]:
        path = self.path / _LOCK_NAME
        self._require_roots_own()
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except PermissionError as error:
            raise UsageError(
                f"{path}: {error.strerror}. The cluster belongs to root; run this as root"
            ) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def write(self, spec: ClusterSpec) -> None:
        """Write all that the daemons of ``spec`` need, in place of what an earlier cluster left."""
        self.remove_state()
        shutil.rmtree(self.path / "log", ignore_errors=True)
        record = {
            "hostname": spec.hostname,
            "controller_port": spec.controller_port,
            "node_ports": list(spec.node_ports),
            "gpus_per_node": spec.gpus_per_node,
        }
        write_json(self.path / _SPEC_NAME, record, durable=False)
        for name in ("etc", "run", "dev", "state", "log"):
            (self.path / name).mkdir()
        for name in spec.node_names:
            (self.path / "spool" / name).mkdir(parents=True)
            (self.path / "tmp" / name).mkdir(parents=True)
            for device in spec.gpu_devices(name):
                _make_device(device)
        descriptor = os.open(spec.munge_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(128))
        spec.slurm_conf.write_text(render_slurm_conf(spec))
        spec.gres_conf.write_text(render_gres_conf(spec))
        spec.task_prolog.write_text(TASK_PROLOG)
        spec.task_prolog.chmod(0o755)

    def read_spec(self) -> ClusterSpec:
        """Return the spec that was written last."""
        path = self.path / _SPEC_NAME
        record = read_json(path, dict[str, Any], kind="the record of a local cluster")
        return build(ClusterSpec, {**record, "folder": str(self.path)}, str(path))

    def write_pids(self, pids: dict[str, int | None]) -> None:
        """Record each process's pid by its name; None once it has ended."""
        write_json(self.path / "run" / "pids.json", pids, durable=False)

    def read_pids(self) -> dict[str, int | None] | None:
        """Return what ``write_pids`` recorded last, or None before and after the cluster."""
        path = self.path / "run" / "pids.json"
        try:
            return read_json(path, dict[str, int | None], kind="the pids of a local cluster")
        except UsageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def log_path(self, name: str) -> Path:
        """Return the file that holds everything process ``name`` printed."""
        return self.path / "log" / f"{name}.err"

    def log_tail(self, name: str) -> str:
        """Return the last lines of a process's log, under its path."""
        path = self.log_path(name)
        if not path.exists():
            return f"{path} does not exist: {name} was never started."
        lines = path.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join([f"The end of {path}:", *(f"  {line}" for line in lines)])

    def remove_state(self) -> None:
        """Remove what a cluster left, its logs excepted."""
        for name in _STATE_NAMES:
            shutil.rmtree(self.path / name, ignore_errors=True)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_device(path: Path) -> None:
    """Make a character device that stands for a GPU; it is /dev/null by another name."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError as error:
        raise UsageError(
            f"{path}: cannot make a device file ({error.strerror}). A container needs the "
            "capability CAP_MKNOD, and the folder a file system that holds devices; or start "
            "with --gpus-per-node 0"
        ) from error
