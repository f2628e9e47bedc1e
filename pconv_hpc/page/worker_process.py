"""A process that works for the page, as the server sees it: started when needed, and again."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pconv_hpc.foundation.errors import PconvError

_MAX_LINE_BYTES = 1 << 28


class WorkerError(PconvError):
    """A process could not do what it was asked for; the message is its own, or says how it died."""


class WorkerProcess:
    """Calls what a module of ``pconv_hpc.page`` serves, in a process of its own.

    It is started by the first call. When it dies, the calls it was at fail, and the next call
    starts it again.

    Args:
        module: run as ``python -m``; it is given ``settings`` as JSON.
        settings: what it needs to know.
        does: what people call it, such as "the process that finds objects".
        log: where its standard error goes.

    Attributes:
        state: what it is at, for people; empty: it was not needed yet.
    """

    def __init__(self, module: str, settings: dict[str, Any], *, does: str, log: Path) -> None:
        self._module = module
        self._settings = settings
        self._does = does
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._is_stopped = False
        self.state = ""

    @property
    def num_waiting(self) -> int:
        """How many calls have not been answered yet."""
        return len(self._waiting)

    @property
    def pid(self) -> int | None:
        """The process' number; ``None`` where none runs."""
        return self._process.pid if self._process else None

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """Return what the process answers: what JSON holds, or bytes.

        Raises:
            WorkerError: it cannot be done, or the process died over it.
        """
        process = await self._running()
        number = next(self._numbers)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        request = {"id": number, "call": name, "arguments": arguments}
        try:
            assert process.stdin is not None
            with contextlib.suppress(ConnectionError):  # it died: its reader says so
                process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
                await process.stdin.drain()
            return await future
        finally:
            self._waiting.pop(number, None)

    async def start(self) -> None:
        """Start the process, unless it runs."""
        await self._running()

    async def _running(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._is_stopped:
                raise WorkerError("the page is being stopped")
            if self._process is None:
                self.state = "starting"
                with open(self._log, "ab") as log:
                    self._process = await asyncio.create_subprocess_exec(
                        *(sys.executable, "-P", "-m", self._module, json.dumps(self._settings)),
                        stdin=asyncio.subprocess.PIPE,
                        stdout=asyncio.subprocess.PIPE,
                        stderr=log,
                        limit=_MAX_LINE_BYTES,
                        start_new_session=True,  # a terminal's Ctrl-C is the server's to handle
                        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
                    )
                self._reader = asyncio.create_task(self._read(self._process))
            return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand replies to who waits for them, to the process' end."""
        assert process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while line := await process.stdout.readline():
                reply = json.loads(line)
                data = await process.stdout.readexactly(reply["size"]) if "size" in reply else None
                if "state" in reply:
                    self.state = str(reply["state"])
                elif (future := self._waiting.get(reply["id"])) and not future.done():
                    if "error" in reply:
                        future.set_exception(WorkerError(reply["error"]))
                    else:
                        future.set_result(data if data is not None else reply["result"])
        code = await process.wait()
        self._process = None
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended ({code})"
        self.state = f"{how}; it starts again when it is needed"
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(WorkerError(f"{self._does} {how}{self._last_words()}"))

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            said = [line.strip() for line in lines if line.strip()]
            return f"; it said last: {said[-1]}" if said else "; try again"
        return "; try again"

    async def stop(self) -> None:
        """End the process, for good."""
        self._is_stopped = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        if self._reader is not None:
            await self._reader
