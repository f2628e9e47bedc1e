"""The routes of training runs: all of a folder, one of them, its pictures of validation."""

import asyncio
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pconv_hpc.foundation.text import printable
from pconv_hpc.page.named import Named
from pconv_hpc.page.workers import Workers

_SIDE = 2400  # of pictures of validation


class RunRoutes:
    """Answers for training runs.

    Args:
        named: what the page was started with.
        workers: do the work.
    """

    def __init__(self, named: Named, workers: Workers) -> None:
        self._named = named
        self._workers = workers

    @property
    def routes(self) -> list[Route]:
        """All routes."""
        return [
            Route("/api/things/{thing}/runs", self._list),
            Route("/api/runs/{run}", self._run),
            Route("/api/runs/{run}/epochs/{epoch:int}", self._grid),
        ]

    async def _list(self, request: Request) -> Response:
        thing = self._named.thing(request.path_params["thing"])
        if thing is None or thing.kind != "runs":
            raise HTTPException(404)
        call = self._workers.runs.call
        names = await call("names", path=str(thing.path))
        overviews: list[dict[str, Any]] = await asyncio.gather(
            *(call("overview", run=name) for name in names)
        )
        runs = [
            {"id": self._named.give(thing, name).id, "name": printable(Path(name).name), **known}
            for name, known in zip(names, overviews, strict=True)
        ]
        return JSONResponse({"runs": runs})

    def _path(self, request: Request) -> str:
        run = self._named.photo(request.path_params["run"])
        if run is None:
            raise HTTPException(404)
        return str(run.path)

    async def _run(self, request: Request) -> Response:
        path = self._path(request)
        return JSONResponse(await self._workers.runs.call("describe", run=path))

    async def _grid(self, request: Request) -> Response:
        path = self._path(request)
        epoch = request.path_params["epoch"]
        file = await self._workers.runs.call("grid", run=path, epoch=epoch)
        data = await self._workers.pictures.call("thumbnail", path=file, side=_SIDE)
        headers = {"cache-control": "private, max-age=60"}
        return Response(data, media_type="image/jpeg", headers=headers)
