"""A disk that can be filled: a file system of its own where we may mount one, else a limit."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LIMIT_BYTES = 4096  # of every file, where nothing can be mounted


@dataclass(frozen=True)
class SmallDisk:
    """A folder to write to, and whether it is a file system of its own."""

    path: Path
    mounted: bool

    def fill(self, process_id: int) -> None:
        """Leave no room: none at all, or none for the process's files to grow."""
        if not self.mounted:
            resource.prlimit(process_id, resource.RLIMIT_FSIZE, (_LIMIT_BYTES, _LIMIT_BYTES))
            return
        with open(self._filler, "wb", buffering=0) as stream, contextlib.suppress(OSError):
            while stream.write(bytes(os.sysconf("SC_PAGE_SIZE"))):
                pass

    def make_room(self) -> None:
        """Undo ``fill`` (a limit ends with its process)."""
        self._filler.unlink(missing_ok=True)

    @property
    def reason(self) -> str:
        """What the system says of a write that does not fit."""
        return "No space left on device" if self.mounted else "File too large"

    @property
    def _filler(self) -> Path:
        return self.path / "filler"


@contextlib.contextmanager
def small_disk(path: Path, num_bytes: int) -> Iterator[SmallDisk]:
    """Make a disk of ``num_bytes`` at ``path``, for as long as the block runs."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", str(path)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield SmallDisk(path, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(path)], check=True)
