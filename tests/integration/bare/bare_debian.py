"""A bare Debian 12 in a folder, which runs commands as a container would."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
# The mounts end with the command: nothing of the machine hangs in the folder when it is removed.
_ENTER = """\
mount --bind /dev "$0/dev"
mount --bind /dev/shm "$0/dev/shm"
mount -t proc proc "$0/proc"
exec chroot "$0" /bin/sh -e -c "$1"
"""
_UP = """\
import fcntl, socket, struct
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class BareDebian:
    """The system in the folder ``root``; needs root, debootstrap and Debian's mirror."""

    root: Path

    def make(self) -> None:
        """Make what Docker's debian:12 is too: Debian's essential packages and apt."""
        tool = shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if os.geteuid() != 0 or tool is None:
            raise SystemExit(
                "error: a bare Debian needs root and debootstrap: apt-get install debootstrap"
            )
        self.root.mkdir(parents=True)
        subprocess.run([tool, "--variant=minbase", SUITE, self.root, MIRROR], check=True)

    def copy_to(self, root: Path) -> "BareDebian":
        """Return a copy of it."""
        subprocess.run(["cp", "--archive", self.root, root], check=True)
        return BareDebian(root)

    def put(self, source: Path, target: str) -> None:
        """Copy a file or a folder in, links followed, as %files does."""
        path = self.root / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and source.is_dir():
            source = source / "."
        subprocess.run(["cp", "--force", "--dereference", "--recursive", source, path], check=True)

    def run(self, script: str, variables: Mapping[str, str], *, network: bool = True) -> None:
        """Run a script with /bin/sh, which ends at the first command that fails.

        It sees no variable of this process, only ``variables``; without ``network`` it reaches
        itself alone.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        shutil.copyfile("/etc/resolv.conf", self.root / "etc" / "resolv.conf")
        enter = ["/bin/sh", "-e", "-c", _ENTER]
        if not network:
            up = shlex.join([sys.executable, "-c", _UP])
            enter = ["--net", "/bin/sh", "-e", "-c", f"{up}\n{_ENTER}"]
        isolated = ["unshare", "--mount", "--pid", "--fork", *enter]
        environment = {"PATH": _PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", **variables}
        subprocess.run([*isolated, self.root, script], env=environment, check=True)
