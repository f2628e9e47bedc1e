"""The routes of the page put together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.foundation.text import printable
from pconv_hpc.page.folder_routes import FolderRoutes
from pconv_hpc.page.named import Named
from pconv_hpc.page.photo_routes import PhotoRoutes
from pconv_hpc.page.photo_work import weights_name
from pconv_hpc.page.run_routes import RunRoutes
from pconv_hpc.page.settings import PageSettings
from pconv_hpc.page.work_routes import WorkRoutes
from pconv_hpc.page.workers import Workers

_STATIC = Path(__file__).parent / "static"
_FILES = {
    "": ("page.html", "text/html"),
    "page.js": ("page.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}


@dataclass(frozen=True, kw_only=True)
class Page:
    """All that the routes share.

    Attributes:
        named: what the page was started with.
        settings: what is done with it.
        scratch: a folder for what is shown and not kept.
        new_link: returns the token of a link for another browser.
    """

    named: Named
    settings: PageSettings
    scratch: Path
    new_link: Callable[[], str]


def build_app(page: Page, workers: Workers) -> Starlette:
    """Return the application; ``workers`` are for it alone."""
    photo_routes = PhotoRoutes(page.named, page.settings, page.scratch, workers)
    folder_routes = FolderRoutes(page.named, page.settings, workers)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        warming = asyncio.create_task(workers.pictures.start())
        yield
        await warming

    async def state(request: Request) -> Response:
        del request
        return JSONResponse(_state(page, workers))

    async def link(request: Request) -> Response:
        del request
        return JSONResponse({"token": page.new_link()})

    return Starlette(
        routes=[
            *(Route(f"/{name}", _file(*file)) for name, file in _FILES.items()),
            Route("/api/state", state),
            Route("/api/links", link, methods=["POST"]),
            *photo_routes.routes,
            *folder_routes.routes,
            *RunRoutes(page.named, workers).routes,
            *WorkRoutes(page.named, page.settings, page.scratch).routes,
        ],
        exception_handlers={PconvError: _explain, HTTPException: _refuse},
        lifespan=lifespan,
    )


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        del request
        headers = {"cache-control": "no-cache"}
        return FileResponse(_STATIC / name, media_type=media_type, headers=headers)

    return endpoint


def _state(page: Page, workers: Workers) -> dict[str, Any]:
    settings = page.settings
    processes = {
        "finding": workers.finding,
        "filling": workers.filling,
    }
    return {
        "things": [
            {"id": thing.id, "kind": thing.kind, "name": printable(thing.path.name)}
            for thing in page.named.things.values()
        ],
        "processes": {
            name: {"text": process.state, "waiting": process.num_waiting}
            for name, process in processes.items()
        },
        "weights": [printable(weights_name(path)) for path in settings.weights],
        "saves": settings.out is not None and not settings.read_only,
        "out": printable(str(settings.out or "")),
        "read_only": settings.read_only,
    }


async def _explain(request: Request, error: Exception) -> Response:
    del request
    return JSONResponse({"error": printable(str(error))}, status_code=422)


async def _refuse(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, status_code=error.status_code)
