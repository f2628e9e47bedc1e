"""The routes of erase folders: counts, rows, small pictures, marks, and the table of them all."""

from collections.abc import AsyncIterator, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.page.named import Named, Thing
from pconv_hpc.page.photo_routes import attachment, json_object, whole
from pconv_hpc.page.settings import PageSettings
from pconv_hpc.page.workers import Workers

_MAX_ROWS = 200
_TABLE_ROWS = 2000  # at once
_SMALL_SIDE = 320
_FILTERS = ("state", "class", "reason", "mark")


class FolderRoutes:
    """Answers for erase folders.

    Args:
        named: what the page was started with.
        settings: of the page.
        workers: do the work.
    """

    def __init__(self, named: Named, settings: PageSettings, workers: Workers) -> None:
        self._named = named
        self._settings = settings
        self._workers = workers

    @property
    def routes(self) -> list[Route]:
        """All routes."""
        thing, photo = "/api/things/{thing}", "/api/photos/{photo}"
        return [
            Route(f"{thing}/overview", self._overview),
            Route(f"{thing}/rows", self._rows),
            Route(f"{thing}/marks.csv", self._table),
            Route(f"{photo}/small/{{kind}}", self._small),
            Route(f"{photo}/mark", self._mark, methods=["POST"]),
        ]

    def _thing(self, request: Request) -> Thing:
        thing = self._named.thing(request.path_params["thing"])
        if thing is None or thing.kind != "out":
            raise HTTPException(404)
        return thing

    async def _overview(self, request: Request) -> Response:
        out = str(self._thing(request).path)
        return JSONResponse(await self._workers.review.call("overview", out=out))

    async def _rows(self, request: Request) -> Response:
        thing, query = self._thing(request), request.query_params
        answer = await self._workers.review.call(
            "rows",
            out=str(thing.path),
            wanted=_wanted(query),
            order=query.get("order", "name"),
            first=whole(query, "first", 0),
            count=min(whole(query, "count", 60), _MAX_ROWS),
        )
        for row in answer["rows"]:
            row["id"] = self._named.give_row(thing, row["row"], row["name"]).id
        return JSONResponse(answer)

    async def _table(self, request: Request) -> Response:
        thing, query = self._thing(request), request.query_params

        async def lines() -> AsyncIterator[str]:
            first, is_last = 0, False
            while not is_last:
                part = await self._workers.review.call(
                    "table",
                    out=str(thing.path),
                    wanted=_wanted(query),
                    order=query.get("order", "name"),
                    first=first,
                    count=_TABLE_ROWS,
                )
                yield part["text"]
                first, is_last = first + _TABLE_ROWS, part["is_last"]

        headers = attachment(f"{thing.path.name}.csv")
        return StreamingResponse(lines(), media_type="text/csv", headers=headers)

    async def _small(self, request: Request) -> Response:
        photo = self._named.photo(request.path_params["photo"])
        kind = request.path_params["kind"]
        if photo is None or photo.row is None or kind not in ("before", "mask", "after"):
            raise HTTPException(404)
        known = await self._workers.review.call("photo", out=str(photo.path), row=photo.row)
        path = known["files"][kind]
        if not path:
            raise HTTPException(404)
        data = await self._workers.pictures.call("thumbnail", path=path, side=_SMALL_SIDE)
        headers = {"cache-control": "private, max-age=3600"}  # its address has the row's time
        return Response(data, media_type="image/jpeg", headers=headers)

    async def _mark(self, request: Request) -> Response:
        photo = self._named.photo(request.path_params["photo"])
        if photo is None or photo.row is None:
            raise HTTPException(404)
        if self._settings.read_only:
            raise UsageError("this page was started with --read-only")
        word = str((await json_object(request)).get("word", ""))
        known = await self._workers.review.call(
            "mark", out=str(photo.path), row=photo.row, word=word
        )
        return JSONResponse(known)


def _wanted(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query[name] for name in _FILTERS if query.get(name)}
