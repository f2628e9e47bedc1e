"""The page as people start it, and requests to it over plain sockets."""

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.paths import ASSETS, REPOSITORY

TOOL = REPOSITORY / "tools" / "page.py"
NETWORK = (
    *("--config", ASSETS / "small_mask_rcnn.py"),
    *("--checkpoint", ASSETS / "small_mask_rcnn.pth"),
)


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket file."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(120)
        self.sock.connect(self._path)


@dataclass
class Answer:
    """What the page answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class PageServer:
    """A page that runs, and a session of it.

    Attributes:
        process: the server's.
        url: with the token that it printed first.
        target: ``localhost:PORT``, or the path of the socket.
        said: all lines it printed, growing.
    """

    process: subprocess.Popen[str]
    url: str
    target: str
    said: list[str] = field(default_factory=list)
    cookie: str = ""

    @property
    def port(self) -> int:
        return int(self.target.rpartition(":")[2])

    @property
    def host(self) -> str:
        """What a browser puts into the Host header."""
        return re.sub(r"^http://([^/]+)/.*", r"\1", self.url)

    @property
    def token(self) -> str:
        return self.url.partition("token=")[2]

    def connect(self) -> socket.socket:
        """Return a plain socket to the page."""
        if self.target.startswith("/"):
            plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            plain.connect(self.target)
            return plain
        return socket.create_connection(("127.0.0.1", self.port), timeout=120)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        with_session: bool = True,
    ) -> Answer:
        """Send a request as the page's own script would, except for what ``headers`` say."""
        if self.target.startswith("/"):
            connection: http.client.HTTPConnection = _SocketConnection(self.target)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        sent = {"Host": self.host}
        if with_session:
            sent["Cookie"] = self.cookie
        if method != "GET":
            sent |= {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
        sent |= headers or {}
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            if body is not None and "Content-Length" not in sent:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())

    def get(self, path: str) -> Any:
        """Return the JSON of a page's answer that must be good."""
        answer = self.request("GET", path)
        assert answer.status == 200, (path, answer)
        return answer.json

    def post(self, path: str, value: object = None) -> Any:
        """Return the JSON of a page's answer to JSON that must be good."""
        answer = self.request("POST", path, json.dumps(value or {}).encode())
        assert answer.status == 200, (path, answer)
        return answer.json

    def enter(self, token: str | None = None) -> Answer:
        """Open the link, and keep the cookie."""
        answer = self.request("GET", f"/?token={token or self.token}", with_session=False)
        self.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        return answer

    def photos(self) -> dict[str, str]:
        """Return the ids of the photos of all things, by name."""
        return {
            photo["name"]: photo["id"]
            for thing in self.get("/api/state")["things"]
            for photo in self.get(f"/api/things/{thing['id']}/photos?count=500")["photos"]
        }


@contextlib.contextmanager
def running_page(
    *arguments: object,
    program: Sequence[str] = (str(TOOL),),
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[PageServer]:
    """Start the page, and end it after the block."""
    process = subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said.append(line.rstrip("\n"))
            if line.startswith("stop "):
                break
        words = dict(line.split(maxsplit=1) for line in said if " " in line)
        assert "open" in words, said
        threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True).start()
        yield PageServer(process, words["open"], words["listening"], said)
    finally:
        process.terminate()
        process.wait(timeout=60)
        process.stdout.close()


@contextlib.contextmanager
def entered_page(*arguments: object, **options: Any) -> Iterator[PageServer]:
    """Start the page and begin a session."""
    with running_page(*arguments, **options) as page:
        assert page.enter().status == 200
        yield page
