"""The routes of photos: listing, tiles, objects, masks, results. Photos are named by ids alone."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.text import printable
from pconv_hpc.page.folder_work import FolderPhotoWork
from pconv_hpc.page.named import Named, Thing, new_id
from pconv_hpc.page.photo_work import PhotoWork, Result, weights_name
from pconv_hpc.page.settings import PageSettings
from pconv_hpc.page.workers import Workers

_MAX_PAGE = 500
_LASTING = {"cache-control": "private, max-age=86400, immutable"}


class PhotoRoutes:
    """Answers for photos.

    Args:
        named: what the page was started with.
        settings: of the page.
        scratch: for what is shown and not kept.
        workers: do the work.
    """

    def __init__(
        self, named: Named, settings: PageSettings, scratch: Path, workers: Workers
    ) -> None:
        self._named = named
        self._settings = settings
        self._scratch = scratch
        self._workers = workers
        self._works: dict[str, PhotoWork] = {}
        (scratch / "uploads").mkdir()

    @property
    def routes(self) -> list[Route]:
        """All routes."""
        photo, mask, result = "/api/photos/{photo}", "/masks/{mask}", "/results/{result}"
        tile = "/tiles/{level:int}/{column:int}/{row:int}"
        table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/api/things/{thing}/photos", self._list),
            ("GET", photo, self._photo),
            ("GET", f"{photo}{tile}", self._tile),
            ("GET", f"{photo}/thumbnail", self._thumbnail),
            ("GET", f"{photo}/objects", self._objects),
            ("POST", f"{photo}/objects", self._search_again),
            ("POST", f"{photo}/pick", self._pick),
            ("POST", f"{photo}/masks", self._compose),
            ("GET", f"{photo}{mask}{tile}", self._mask_tile),
            ("GET", f"{photo}{mask}/file", self._mask_file),
            ("POST", f"{photo}/results", self._erase),
            ("GET", f"{photo}{result}", self._result),
            ("GET", f"{photo}{result}{tile}", self._result_tile),
            ("GET", f"{photo}{result}/file", self._result_file),
            ("POST", f"{photo}{result}/save", self._save),
            ("POST", "/api/uploads", self._upload),
        ]
        return [Route(path, endpoint, methods=[method]) for method, path, endpoint in table]

    async def _list(self, request: Request) -> Response:
        thing = self._named.thing(request.path_params["thing"])
        if thing is None:
            raise HTTPException(404)
        first = whole(request.query_params, "first", 0)
        count = min(whole(request.query_params, "count", 100), _MAX_PAGE)
        part = await self._part(thing, first, count)
        photos = [self._named.give(thing, name) for name in part.pop("names")]
        listed = [{"id": photo.id, "name": printable(photo.name)} for photo in photos]
        return JSONResponse({**part, "first": first, "photos": listed})

    async def _part(self, thing: Thing, first: int, count: int) -> dict[str, Any]:
        if thing.kind == "photo":
            names = [thing.path.name][first : first + count]
            return {"names": names, "total": 1, "is_whole": True}
        part: dict[str, Any] = await self._workers.pictures.call(
            "list_photos",
            folder=str(thing.path),
            left_out=str(self._settings.out or ""),
            first=first,
            count=count,
        )
        return part

    async def work(self, request: Request) -> PhotoWork:
        """Return the work on the photo that a request names.

        Raises:
            HTTPException: there is no such photo.
            PconvError: it is not there any more.
        """
        photo = self._named.photo(request.path_params["photo"])
        if photo is None:
            raise HTTPException(404)
        if photo.id not in self._works:
            kind = PhotoWork if photo.row is None else FolderPhotoWork
            work = kind(photo, self._settings, self._scratch / photo.id, self._workers)
            if isinstance(work, FolderPhotoWork):
                await work.refresh()
            self._works[photo.id] = work
        return self._works[photo.id]

    async def _photo(self, request: Request) -> Response:
        work = await self.work(request)
        if isinstance(work, FolderPhotoWork):
            await work.refresh()
        described = await self._workers.pictures.call("describe", path=work.path)
        name = printable(work.photo.name)
        results = [work.describe(result) for result in work.results.values()]
        return JSONResponse(
            {
                "id": work.photo.id,
                "name": name,
                "results": results,
                "weights": [printable(weights_name(path)) for path in work.weights],
                **_of_folder(work),
                **described,
            }
        )

    async def _tile(self, request: Request) -> Response:
        path = (await self.work(request)).path
        data = await self._workers.pictures.call("tile", path=path, **_place(request))
        return Response(data, media_type="image/jpeg", headers=_LASTING)

    async def _thumbnail(self, request: Request) -> Response:
        path = (await self.work(request)).path
        data = await self._workers.pictures.call("thumbnail", path=path, side=256)
        return Response(data, media_type="image/jpeg")

    async def _objects(self, request: Request) -> Response:
        return JSONResponse(await (await self.work(request)).objects())

    async def _search_again(self, request: Request) -> Response:
        work = await self.work(request)
        work.search_again()
        return JSONResponse(await work.objects())

    async def _pick(self, request: Request) -> Response:
        work = await self.work(request)
        body = await json_object(request)
        x, y, min_score = (number(body, name) for name in ("x", "y", "min_score"))
        return JSONResponse({"index": await work.pick(x, y, min_score)})

    async def _compose(self, request: Request) -> Response:
        return JSONResponse(await (await self.work(request)).compose(await json_object(request)))

    async def _mask_arguments(self, request: Request) -> dict[str, Any]:
        work = await self.work(request)
        arguments = work.mask_arguments(request.path_params["mask"])
        if arguments is None:
            raise HTTPException(404)
        return arguments

    async def _mask_tile(self, request: Request) -> Response:
        arguments = await self._mask_arguments(request) | _place(request)
        data = await self._workers.pictures.call("mask_tile", **arguments)
        return Response(data, media_type="image/png", headers=_LASTING)

    async def _mask_file(self, request: Request) -> Response:
        arguments = await self._mask_arguments(request)
        data = await self._workers.pictures.call("mask_file", **arguments)
        name = f"{(await self.work(request)).file_name}.png"
        return Response(data, media_type="image/png", headers=attachment(name))

    async def _erase(self, request: Request) -> Response:
        work = await self.work(request)
        body = await json_object(request)
        weights = body.get("weights", 0)
        if not isinstance(weights, int):
            raise UsageError(f"weights: expected the number of a network, found {weights!r}")
        result = work.erase(str(body.get("mask")), weights, str(body.get("detail", "patches")))
        return JSONResponse(work.describe(result))

    async def _its_result(self, request: Request) -> tuple[PhotoWork, Result]:
        work = await self.work(request)
        result = work.results.get(request.path_params["result"])
        if result is None:
            raise HTTPException(404)
        return work, result

    async def _result(self, request: Request) -> Response:
        work, result = await self._its_result(request)
        return JSONResponse(work.describe(result))

    async def _result_tile(self, request: Request) -> Response:
        _, result = await self._its_result(request)
        if result.state != "done":
            raise HTTPException(404)
        path = str(result.path)
        data = await self._workers.pictures.call("tile", path=path, **_place(request))
        return Response(data, media_type="image/jpeg", headers=_LASTING)

    async def _result_file(self, request: Request) -> Response:
        work, result = await self._its_result(request)
        if result.state != "done":
            raise HTTPException(404)
        headers = attachment(work.file_name)
        return FileResponse(result.path, media_type="application/octet-stream", headers=headers)

    async def _save(self, request: Request) -> Response:
        work, result = await self._its_result(request)
        body = await json_object(request)
        if await work.save(result, overwrite=body.get("overwrite") is True):
            return JSONResponse(work.describe(result))
        return JSONResponse({"error": "a result is there already"}, status_code=409)

    async def _upload(self, request: Request) -> Response:
        if request.headers.get("content-type") != "application/octet-stream":
            raise HTTPException(415)
        identifier = new_id()
        path = self._scratch / "uploads" / identifier
        try:
            with open(path, "xb") as stream:
                async for part in request.stream():
                    stream.write(part)
            described = await self._workers.pictures.call("check_upload", upload=str(path))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return JSONResponse({"upload": identifier, **described})


def _of_folder(work: PhotoWork) -> dict[str, Any]:
    if not isinstance(work, FolderPhotoWork):
        return {}
    known = {name: value for name, value in work.known.items() if name not in ("files", "photo")}
    return {"row": known, "choices": work.choices}


def _place(request: Request) -> dict[str, int]:
    return {name: request.path_params[name] for name in ("level", "column", "row")}


def attachment(name: str) -> dict[str, str]:
    """Return the header by which a browser keeps a file under a name."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in name)
    return {"content-disposition": f'attachment; filename="{plain}"'}


async def json_object(request: Request) -> dict[str, Any]:
    """Return a request's body; raises ``UsageError`` unless it is an object in JSON."""
    try:
        value = await request.json()
    except (ValueError, RecursionError) as error:
        raise UsageError("expected JSON") from error
    if not isinstance(value, dict):
        raise UsageError("expected an object in JSON")
    return value


def number(body: Mapping[str, Any], name: str) -> float:
    """Return a number of a body; raises ``UsageError`` for anything else."""
    value = body.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UsageError(f"{name}: expected a number, found {value!r}")
    return float(value)


def whole(values: Mapping[str, str], name: str, default: int) -> int:
    """Return a whole number of a query, not less than 0; raises ``UsageError`` for others."""
    text = values.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise UsageError(f"{name}: expected a whole number, found {text!r}")
    return int(text)
