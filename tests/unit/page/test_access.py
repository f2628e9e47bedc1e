"""Links, sessions, origins and prefixes."""

import pytest

from pconv_hpc.page.access import Origins, Sessions, split_prefix


def test_a_link_opens_one_session() -> None:
    sessions = Sessions("8080")
    link = sessions.new_link()
    session = sessions.open(link)
    assert session is not None
    assert sessions.is_open(session)
    assert sessions.open(link) is None
    assert sessions.cookie_name == "pconv_page_8080"


def test_old_links_are_forgotten() -> None:
    sessions = Sessions("8080")
    links = [sessions.new_link() for _ in range(17)]
    assert sessions.open(links[0]) is None
    assert sessions.open(links[-1]) is not None


@pytest.mark.parametrize("token", ["", "x", "é", "\udc80"])
def test_other_words_open_nothing(token: str) -> None:
    sessions = Sessions("8080")
    sessions.new_link()
    assert sessions.open(token) is None
    assert not sessions.is_open(token)


def test_a_proxys_secret_opens_any_number() -> None:
    sessions = Sessions("8080", secret="of the proxy")
    assert sessions.open("of the proxy") != sessions.open("of the proxy")
    assert sessions.open("of another") is None


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:1", True),
        ("[::1]:8080", True),
        ("ondemand.site.edu", True),
        ("site.edu", False),
        ("localhost.evil.example", False),
        ("evil.example@localhost.evil.example", False),
        ("", False),
        ("[", False),
    ],
)
def test_hosts(host: str, is_known: bool) -> None:
    assert Origins(["OnDemand.site.edu"]).knows_host(host) is is_known


@pytest.mark.parametrize(
    ("origin", "is_own"),
    [
        ("http://localhost:8080", True),
        ("http://localhost:8081", False),
        ("http://localhost", False),
        ("https://ondemand.site.edu", True),
        ("https://ondemand.site.edu:444", True),
        ("https://evil.example", False),
        ("null", False),
        ("ftp://localhost:8080", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_origins(origin: str, is_own: bool) -> None:
    assert Origins(["ondemand.site.edu"]).is_own(origin, "localhost:8080") is is_own


@pytest.mark.parametrize(
    ("path", "forwarded", "expected"),
    [
        ("/", "", ("", "/")),
        ("/api/state", "", ("", "/api/state")),
        ("/node/c01.site/4711/api/state", "", ("/node/c01.site/4711", "/api/state")),
        ("/rnode/c01/4711", "", ("/rnode/c01/4711", "")),
        ("/rnode/c01/4711/", "", ("/rnode/c01/4711", "/")),
        ("/node/c01/x/api", "", ("", "/node/c01/x/api")),
        ("/user/ada/pconv/page.js", "/user/ada/pconv", ("/user/ada/pconv", "/page.js")),
        ("/page.js", "/user/ada/pconv/", ("", "/page.js")),
        ("/user/adam/page.js", "/user/ada", ("", "/user/adam/page.js")),
        ("/a/page.js", "//evil.example", ("", "/a/page.js")),
    ],
)
def test_prefixes(path: str, forwarded: str, expected: tuple[str, str]) -> None:
    assert split_prefix(path, forwarded) == expected
