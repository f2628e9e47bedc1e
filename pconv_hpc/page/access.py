"""Who may use the page: links that work once, sessions in cookies, and where requests come from."""

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Collection
from urllib.parse import urlsplit

_MAX_LINKS = 16
_MAX_SESSIONS = 256
# What Open OnDemand puts before a path: /node/HOST/PORT, and /rnode/HOST/PORT, which it may keep.
_ONDEMAND = re.compile(r"/r?node/[A-Za-z0-9.-]+/[0-9]+(?=/|$)")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~@%+-]+)+")
_LOCAL = ("localhost", "127.0.0.1", "::1")


class Sessions:
    """Links that were handed out and the sessions that were begun with them.

    Args:
        name: tells this server's cookie from those of others on the same host, which a browser
            sends here, too.
        secret: of a proxy that starts this server: opens any number of sessions; empty: none does.
    """

    def __init__(self, name: str, *, secret: str = "") -> None:
        self.cookie_name = f"pconv_page_{name}"
        self._secret = secret
        self._links: OrderedDict[str, None] = OrderedDict()
        self._sessions: OrderedDict[str, None] = OrderedDict()

    def new_link(self) -> str:
        """Return a token that opens one session."""
        token = secrets.token_urlsafe(32)
        self._links[token] = None
        while len(self._links) > _MAX_LINKS:
            self._links.popitem(last=False)
        return token

    def open(self, token: str) -> str | None:
        """Return a new session for a token, which works no more then; ``None`` for a wrong one."""
        known = next((link for link in self._links if _same(link, token)), None)
        if known is not None:
            del self._links[known]
        elif not (self._secret and _same(self._secret, token)):
            return None
        session = secrets.token_urlsafe(32)
        self._sessions[session] = None
        while len(self._sessions) > _MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def is_open(self, session: str) -> bool:
        """Return whether a cookie holds a session of this server."""
        return any(_same(known, session) for known in self._sessions)


def _same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode("utf-8", "surrogateescape"))


class Origins:
    """Which hosts the page goes by, and so which pages may send requests to it.

    Args:
        hosts: names beside this machine's loopback ones, without ports, such as that of a proxy;
            ``*``: any, where a proxy that knows its users is the only way here.
    """

    def __init__(self, hosts: Collection[str] = ()) -> None:
        self._named = frozenset(host.lower() for host in hosts)

    def knows_host(self, host: str) -> bool:
        """Return whether a Host header names this page: what another name leads here is a trap."""
        name = _name_of(f"//{host}")
        return name in {*_LOCAL, *self._named} or ("*" in self._named and name != "")

    def is_own(self, origin: str, host: str, forwarded_host: str = "") -> bool:
        """Return whether a page of ``origin`` is this one.

        Another port of this machine is another page; a proxy's name has the proxy's port.

        Args:
            origin: what the browser says.
            host: what the page was asked for by.
            forwarded_host: what a proxy was asked for by; no page can make a browser send it.
        """
        scheme, separator, place = origin.partition("://")
        if scheme not in ("http", "https") or not separator or not place:
            return False
        asked = {host.lower(), forwarded_host.lower()}
        return place.lower() in asked or _name_of(origin) in self._named


def _name_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def split_prefix(path: str, forwarded: str) -> tuple[str, str]:
    """Return what a proxy put before a path, and the page's own path: empty, or begun by ``/``.

    Args:
        path: as it was requested.
        forwarded: the header ``X-Forwarded-Prefix``, if the proxy sends it; many remove the prefix
            themselves, and then it is not there any more.
    """
    if found := _ONDEMAND.match(path):
        return found[0], path[found.end() :]
    prefix = forwarded.rstrip("/")
    if _PREFIX.fullmatch(prefix) and (path == prefix or path.startswith(f"{prefix}/")):
        return prefix, path[len(prefix) :]
    return "", path
