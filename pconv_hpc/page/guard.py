"""What stands before every route: hosts, origins, sessions, sizes and patience."""

import asyncio
from collections.abc import Callable

import h11
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from pconv_hpc.page.access import Origins, Sessions, split_prefix

MAX_BODY_BYTES = 16 << 20
MAX_UPLOAD_BYTES = 256 << 20
_SILENCE_S = 30  # between two parts of a body, and for all headers
_READING = ("GET", "HEAD")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
}
_NO_SESSION = (
    "This page opens with a link that works once: the one that pconv-hpc page printed when it "
    "started. It prints another one when a link was used.\n"
)
# A navigation that another site began would not carry a cookie that is SameSite=Strict; one that
# this document begins does.
_ENTER = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Opening</title>'
    '<meta http-equiv="refresh" content="0; url=./"></head><body><p><a href="./">Open</a></p>'
    "</body></html>"
)


class PatientProtocol(H11Protocol):
    """Closes connections that take too long over the headers of a request."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(_SILENCE_S, self.transport.close)

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class _BadBody(HTTPException):
    """A body is larger than any this page takes, or its next part does not come."""


class Guard:
    """Lets a request through to the routes if it is this page's own.

    Args:
        app: the routes; their paths have no prefix.
        sessions: who may.
        origins: from where.
        on_entry: called when a session was begun.
    """

    def __init__(
        self,
        app: ASGIApp,
        sessions: Sessions,
        origins: Origins,
        on_entry: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._origins = origins
        self._on_entry = on_entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._handle(scope, receive, _with_headers(send))

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        prefix, path = split_prefix(scope["path"], headers.get("x-forwarded-prefix", ""))
        limit = _limit(headers)
        began = False

        async def started(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            bounded = _bounded(receive, limit)
            response = await self._answer(scope, headers, path, prefix, bounded)
            if response is None:
                scope = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
                await self._app(scope, bounded, started)
                return
        except _BadBody as error:
            response = _refused(error.status_code, error.detail)
        if not began:
            await response(scope, receive, send)

    async def _answer(
        self, scope: Scope, headers: Headers, path: str, prefix: str, receive: Receive
    ) -> Response | None:
        """Return what to say instead of a route's answer; ``None``: let the route answer."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._origins.knows_host(hosts[0]):
            return _refused(403, "this page does not go by that name; see --allow-host")
        is_entry = path in ("", "/")
        problem = self._foreign(scope["method"], headers, hosts[0], is_entry=is_entry)
        if problem:
            return _refused(403, problem)
        has_session = self._has_session(headers)
        if is_entry and (token := await _token(scope, headers, receive)):
            return self._enter(token, headers, has_session=has_session)
        if not has_session:
            return _refused(403, _NO_SESSION)
        if path == "":  # relative addresses need the slash at the end
            return RedirectResponse(f"./{prefix.rpartition('/')[2]}/", status_code=307)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > _limit(headers):
            raise _BadBody(413, f"more than {_limit(headers)} bytes")
        return None

    def _foreign(self, method: str, headers: Headers, host: str, *, is_entry: bool) -> str:
        """Return what is wrong with where a request comes from; empty: nothing."""
        origins = headers.getlist("origin")
        forwarded = headers.get("x-forwarded-host", "").partition(",")[0].strip()
        site = headers.get("sec-fetch-site", "")
        if len(origins) > 1 or any(not self._origins.is_own(o, host, forwarded) for o in origins):
            return "the request comes from another page"
        navigates = is_entry and headers.get("sec-fetch-mode") == "navigate"
        if site in ("cross-site", "same-site") and not navigates:
            return "the request comes from another page"
        if method not in _READING and not origins:
            return "the request does not say which page it comes from"
        return ""

    def _has_session(self, headers: Headers) -> bool:
        name = self._sessions.cookie_name
        sent = (cookie_parser(line).get(name, "") for line in headers.getlist("cookie"))
        return any(session and self._sessions.is_open(session) for session in sent)

    def _enter(self, token: str, headers: Headers, *, has_session: bool) -> Response:
        if has_session:
            return HTMLResponse(_ENTER, headers={"cache-control": "no-store"})
        session = self._sessions.open(token)
        if session is None:
            return _refused(403, f"This link does not work, or not any more. {_NO_SESSION}")
        self._on_entry()
        response = HTMLResponse(_ENTER, headers={"cache-control": "no-store"})
        secure = "; Secure" if headers.get("x-forwarded-proto", "") == "https" else ""
        # without a path the browser takes the one it sees, with a proxy's prefix
        response.headers["set-cookie"] = (
            f"{self._sessions.cookie_name}={session}; HttpOnly; SameSite=Strict{secure}"
        )
        return response


def _limit(headers: Headers) -> int:
    is_upload = headers.get("content-type", "") == "application/octet-stream"
    return MAX_UPLOAD_BYTES if is_upload else MAX_BODY_BYTES


async def _token(scope: Scope, headers: Headers, receive: Receive) -> str:
    """Return the token of a link, or of a form that a proxy's page sends."""
    if scope["method"] in _READING:
        return _field(scope["query_string"])
    if headers.get("content-type", "") != "application/x-www-form-urlencoded":
        return ""
    body = b""
    more = True
    while more and len(body) < 1024:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return _field(body)


def _field(query: bytes) -> str:
    return QueryParams(query.decode("latin-1")).get("token", "")


def _refused(status: int, message: str) -> Response:
    headers = {"cache-control": "no-store", "connection": "close"}
    return PlainTextResponse(message, status_code=status, headers=headers)


def _bounded(receive: Receive, limit: int) -> Receive:
    """Return ``receive`` for bodies of at most ``limit`` bytes whose sender keeps sending."""
    total = 0
    is_whole = False

    async def bounded() -> Message:
        nonlocal total, is_whole
        try:
            async with asyncio.timeout(None if is_whole else _SILENCE_S):
                message = await receive()
        except TimeoutError as error:
            raise _BadBody(408, "the rest of the request did not come") from error
        is_whole = not message.get("more_body", False)
        total += len(message.get("body", b""))
        if total > limit:
            raise _BadBody(413, f"more than {limit} bytes")
        return message

    return bounded


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sending
