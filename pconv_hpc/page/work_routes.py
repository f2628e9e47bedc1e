"""Work on a folder from the page: the commands' own dry runs are shown, and run when confirmed."""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.launchers import program_command
from pconv_hpc.foundation.text import printable
from pconv_hpc.page.named import Named, Thing, new_id
from pconv_hpc.page.photo_routes import json_object
from pconv_hpc.page.settings import PageSettings

_MAX_PLANS = 100
_PATIENCE_S = 20.0  # for a submission; work on this machine goes on
_STATUS_AGE_S = 3.0
_STATUS_REST = 5.0  # times as long as asking took
# Options of the command that a browser may give, by how they are called there.
_OPTIONS = {
    "classes": "--classes",
    "mask": "--mask",
    "dilate": "--dilate",
    "tasks": "--tasks",
    "max_running": "--max-running",
    "time": "--time",
}


@dataclass(frozen=True)
class _Plan:
    """A command that was shown and may be run.

    Attributes:
        command: without ``--dry-run``.
        out: the folder of the results.
    """

    command: Sequence[str]
    out: Path


class WorkRoutes:
    """Answers for work on folders.

    Args:
        named: what the page was started with.
        settings: of the page.
        scratch: where the output of what was started is kept.
    """

    def __init__(self, named: Named, settings: PageSettings, scratch: Path) -> None:
        self._named = named
        self._settings = settings
        self._scratch = scratch
        self._plans: dict[str, _Plan] = {}
        self._status: dict[str, tuple[float, Any]] = {}
        self._asking = asyncio.Lock()

    @property
    def routes(self) -> list[Route]:
        """All routes."""
        thing = "/api/things/{thing}"
        return [
            Route(f"{thing}/status", self._show),
            Route(f"{thing}/plans", self._plan, methods=["POST"]),
            Route(f"{thing}/plans/{{plan}}", self._start, methods=["POST"]),
        ]

    def _thing(self, request: Request, *kinds: str) -> Thing:
        thing = self._named.thing(request.path_params["thing"])
        if thing is None or thing.kind not in kinds:
            raise HTTPException(404)
        return thing

    async def _show(self, request: Request) -> Response:
        """Answer with what ``pconv-hpc erase-status --json`` says."""
        thing = self._thing(request, "out")
        async with self._asking:
            until, status = self._status.get(thing.id, (0.0, None))
            if time.monotonic() > until:
                began = time.monotonic()
                command = [*program_command("erase_status"), str(thing.path), "--json"]
                code, output = await _run(command)
                if code:
                    raise PconvError(output)
                status = json.loads(output)
                seconds = time.monotonic() - began  # a large folder is not asked all the time
                until = time.monotonic() + max(_STATUS_AGE_S, _STATUS_REST * seconds)
                self._status[thing.id] = until, status
        return JSONResponse(status)

    async def _plan(self, request: Request) -> Response:
        """Answer with what the command's dry run says."""
        thing = self._thing(request, "out", "photos")
        if self._settings.read_only:
            raise UsageError("this page was started with --read-only")
        body = await json_object(request)
        plan = self._continuation(thing, body) if thing.kind == "out" else self._new(thing, body)
        place = plan.command.index("--")
        dry = [*plan.command[:place], "--dry-run", *plan.command[place:]]
        code, output = await _run(dry)
        if code:
            return JSONResponse({"text": printable(output), "plan": None})
        identifier = new_id()
        self._plans[identifier] = plan
        while len(self._plans) > _MAX_PLANS:
            del self._plans[next(iter(self._plans))]
        return JSONResponse({"text": printable(output), "plan": identifier})

    def _continuation(self, thing: Thing, body: Mapping[str, Any]) -> _Plan:
        """Return the command that goes on with a folder."""
        options = self._options({name: body.get(name) for name in ("max_running", "time")})
        if body.get("slurm") is not True:
            # The manifest's own reader imports NumPy, which this process starts without; the
            # command checks what it says.
            manifest = json.loads((thing.path / "manifest.json").read_text(encoding="utf-8"))
            images = manifest["images"]
            command = [*program_command("erase"), "--local", "--", images, str(thing.path)]
            return _Plan(command, thing.path)
        options += ["--retry-failed"] if body.get("retry") is True else []
        command = [*program_command("erase_status"), *options, "--resubmit", "--", str(thing.path)]
        return _Plan(command, thing.path)

    def _new(self, thing: Thing, body: Mapping[str, Any]) -> _Plan:
        """Return the command that begins with a folder of photos."""
        if self._settings.out is None:
            raise UsageError("no folder for results; start with --out FOLDER")
        out = self._settings.out / f"{thing.path.name}_erased"
        options = self._options(body)
        if not body.get("classes"):
            options.append("--all")
        settings = self._settings
        options.append(f"--weights={settings.weights[0]}")
        options += [f"--checkpoint={settings.checkpoint}"] if settings.checkpoint else []
        options += [f"--config={settings.config}"] if settings.config else []
        return _Plan([*program_command("erase"), *options, "--", str(thing.path), str(out)], out)

    def _options(self, body: Mapping[str, Any]) -> list[str]:
        # --name=value, so that no value passes for an option
        return [
            f"{option}={value}"
            for name, option in _OPTIONS.items()
            if (value := str(body.get(name) or "").strip())
        ]

    async def _start(self, request: Request) -> Response:
        """Run a command that was shown; answer with what it says, or that it works on."""
        self._thing(request, "out", "photos")
        plan = self._plans.pop(request.path_params["plan"], None)
        if plan is None:
            raise HTTPException(404)
        log = self._scratch / f"work-{new_id()}.log"
        process = await _begin(plan.command, log)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _PATIENCE_S)
        said = log.read_text(encoding="utf-8", errors="replace")
        # work on this machine that is done, but for photos that failed, ends with 1, too
        if process.returncode and any(line.startswith("error: ") for line in said.splitlines()):
            raise PconvError(printable(said))
        thing = self._named.add_results(plan.out)
        return JSONResponse(
            {
                "text": printable(said),
                "runs_here": process.returncode is None,
                "thing": thing.id if thing else None,
            }
        )


async def _run(command: Sequence[str]) -> tuple[int, str]:
    """Return a command's exit code and all it says."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace").strip()


async def _begin(command: Sequence[str], log: Path) -> asyncio.subprocess.Process:
    """Start a command that outlives this page."""
    with open(log, "wb") as stream:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stream,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
