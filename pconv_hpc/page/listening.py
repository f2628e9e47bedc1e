"""Where the page listens: a socket in a folder of one's own, or a port; and how to get there."""

import getpass
import os
import secrets
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError

_FORWARDED_PORT = 8080  # what the printed ssh line makes of a socket on the other side
_MAX_SOCKET_PATH_BYTES = 100  # Linux allows 107


@dataclass(frozen=True)
class Listener:
    """A socket that listens, and what people are told about it.

    Attributes:
        socket: bound and listening.
        name: tells this server from others in a browser: the port, or for a socket file random.
        port: of the URL, on the machine where the browser is.
        target: what ssh forwards that port to.
        folder: of the socket file, which goes with the server; ``None``: a port.
        is_local: whether a browser on this machine needs no ssh.
    """

    socket: socket.socket
    name: str
    port: int
    target: str
    folder: Path | None
    is_local: bool

    def url(self, token: str) -> str:
        """Return the address with which a browser begins."""
        return f"http://localhost:{self.port}/?token={token}"

    @property
    def ssh_line(self) -> str:
        """The line to be typed where the browser is."""
        return f"ssh -N -L {self.port}:{self.target} {getpass.getuser()}@{socket.getfqdn()}"

    def close(self) -> None:
        """Stop listening, and remove the socket file."""
        self.socket.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def listen_on_socket(path: Path | None) -> Listener:
    """Listen on a socket file that only this user can reach.

    Args:
        path: where; ``None``: in a new folder. A folder that is there must be this user's alone.

    Raises:
        UsageError: others may reach it, or it cannot be made.
    """
    folder = None
    if path is None:
        folder = path_folder = _new_folder()
        path = folder / "page.sock"
    else:
        path = path.absolute()
        path_folder = path.parent
        _require_private(path_folder)
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH_BYTES:
        raise UsageError(f"{path}: too long for the name of a socket; expected a shorter one")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        before = os.umask(0o177)
        try:
            listening.bind(os.fspath(path))
        finally:
            os.umask(before)
        listening.listen(256)
    except OSError as error:
        raise UsageError(f"{path}: cannot listen there ({error.strerror})") from error
    return Listener(
        listening, secrets.token_hex(4), _FORWARDED_PORT, os.fspath(path), folder, is_local=False
    )


def _new_folder() -> Path:
    """Make a folder for the socket, where its path is short enough; TMPDIR may be long."""
    longest = _MAX_SOCKET_PATH_BYTES - len("/pconv-page-12345678/page.sock")
    parents = (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir())
    usable = [
        parent
        for parent in parents
        if len(os.fsencode(parent)) <= longest
        and Path(parent).is_dir()
        and os.access(parent, os.W_OK)
    ]
    return Path(tempfile.mkdtemp(prefix="pconv-page-", dir=next(iter(usable), "/tmp")))


def _require_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stat = folder.stat()
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made or read ({error.strerror})") from error
    if stat.st_uid != os.getuid() or stat.st_mode & 0o077:
        raise UsageError(
            f"{folder}: others may reach a socket in it; expected a folder of your own with mode "
            f"0700: chmod 700 {folder}"
        )


def _remove_dead(path: Path) -> None:
    """Remove a socket file behind which nobody listens any more."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            path.unlink(missing_ok=True)


def listen_on_port(host: str, port: int) -> Listener:
    """Listen on a port; 0 takes one that is free.

    Raises:
        UsageError: it is taken, or there is no such host.
    """
    if not 0 <= port < 1 << 16:
        raise UsageError(f"{port}: no port; expected 0 to 65535")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(256)
    except OSError as error:
        raise UsageError(f"{host}:{port}: cannot listen there ({error})") from error
    port = listening.getsockname()[1]
    target = f"{'localhost' if host in ('127.0.0.1', '::1') else host}:{port}"
    return Listener(listening, str(port), port, target, None, is_local=True)
