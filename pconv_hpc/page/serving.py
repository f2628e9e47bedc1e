"""The page from start to end: listen, say where, serve, and clean up."""

import contextlib
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from pconv_hpc.page.access import Origins, Sessions
from pconv_hpc.page.app import Page, build_app
from pconv_hpc.page.guard import Guard, PatientProtocol
from pconv_hpc.page.listening import Listener
from pconv_hpc.page.named import Named
from pconv_hpc.page.settings import PageSettings
from pconv_hpc.page.workers import Workers

_MAX_CONNECTIONS = 1000


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """How people come in.

    Attributes:
        listener: where the page listens.
        hosts: names it goes by beside this machine's loopback ones.
        secret: of a proxy; see ``Sessions``.
    """

    listener: Listener
    hosts: Sequence[str] = ()
    secret: str = ""


def serve_page(
    named: Named, settings: PageSettings, entrance: Entrance, say: Callable[[str], None]
) -> None:
    """Serve the page until this process is told to stop.

    Args:
        named: photos and folders.
        settings: what is done with them.
        entrance: how people come in.
        say: tells the person who started it.
    """
    listener = entrance.listener
    sessions = Sessions(listener.name, secret=entrance.secret)
    scratch = Path(tempfile.mkdtemp(prefix="pconv-page-work-"))
    with contextlib.ExitStack() as stack:
        stack.callback(listener.close)
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)

        def say_link() -> None:
            say(f"open        {listener.url(sessions.new_link())}")

        workers = Workers(settings, scratch)
        page = Page(named=named, settings=settings, scratch=scratch, new_link=sessions.new_link)
        guard = Guard(
            build_app(page, workers),
            sessions,
            Origins(entrance.hosts),
            on_entry=say_link,
        )
        config = uvicorn.Config(
            guard,
            http=PatientProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
        )
        say(f"listening   {listener.target}")
        say_link()
        say(f"elsewhere   {listener.ssh_line}")
        say("stop        Ctrl-C")
        # uvicorn stops at these signals and raises them again, which would end the process here
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: None)
        signal.signal(signal.SIGHUP, lambda number, frame: signal.raise_signal(signal.SIGTERM))
        _Server(config, workers).run(sockets=[listener.socket])


class _Server(uvicorn.Server):
    """Ends the processes first, so that no request waits for them while the server stops."""

    def __init__(self, config: uvicorn.Config, workers: Workers) -> None:
        super().__init__(config)
        self._workers = workers

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._workers.stop()
        await super().shutdown(sockets)
