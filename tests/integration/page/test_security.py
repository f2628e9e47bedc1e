"""What the page refuses, over plain sockets: strangers, other pages, paths, and too much."""

import concurrent.futures
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pconv_hpc.page import guard
from tests.support.page_server import PageServer, entered_page, running_page
from tests.support.paths import REPOSITORY
from tests.support.photo_folders import write_photos
from tests.support.waiting import wait_until

ROUTES = (
    "/",
    "/page.js",
    "/page.css",
    "/icon.svg",
    "/api/state",
    "/api/photos/0123456789abcdef01234567",
    "/no/such/route",
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "photos"
    write_photos(folder, 3)
    (folder.parent / "secret.txt").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def page(photos: Path) -> Iterator[PageServer]:
    with entered_page(photos, "--out", photos.parent / "out", "--port", 0) as page:
        yield page


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("cookie", ["", "pconv_page_1=x", "{name}=", "{name}=x", '{name}="'])
def test_without_a_session_every_route_is_refused(page: PageServer, path: str, cookie: str) -> None:
    name = page.cookie.partition("=")[0]
    headers = {"Cookie": cookie.format(name=name)}
    assert page.request("GET", path, headers=headers).status == 403
    assert page.request("POST", path, b"{}", headers=headers).status == 403


def test_a_link_works_once_and_the_next_one_is_printed(photos: Path) -> None:
    with running_page(photos, "--port", 0) as page:
        first = page.enter()
        assert first.status == 200
        cookie = first.headers["set-cookie"]
        assert cookie.startswith(f"pconv_page_{page.port}=")
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert page.request("GET", f"/?token={page.token}", with_session=False).status == 403
        assert page.request("GET", "/?token=x", with_session=False).status == 403
        assert page.request("GET", "/").status == 200
        wait_until(lambda: next_links(page), page.process)
        assert page.enter(next_links(page)[0].strip().partition("token=")[2]).status == 200
        assert page.request("GET", "/", headers={"Cookie": cookie.partition(";")[0]}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "localhost.evil.example", "", "[", "@"]
)
def test_other_names_than_its_own_are_refused(page: PageServer, host: str) -> None:
    headers = {"Host": host.format(port=page.port)}
    assert page.request("GET", "/api/state", headers=headers).status in (400, 403)


def test_a_request_without_or_with_two_hosts_is_refused(page: PageServer) -> None:
    for hosts in ("", f"Host: {page.host}\r\nHost: {page.host}\r\n"):
        with page.connect() as plain:
            head = f"GET /api/state HTTP/1.1\r\n{hosts}Cookie: {page.cookie}\r\n\r\n"
            plain.sendall(head.encode())
            assert plain.recv(100).split()[1] in (b"400", b"403")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:1"},  # another server of this machine
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "file://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_other_pages_are_refused(page: PageServer, headers: dict[str, str]) -> None:
    assert page.request("GET", "/api/state", headers=headers).status == 403
    assert page.request("POST", "/api/links", b"{}", headers=headers).status == 403


def test_a_change_must_say_which_page_it_comes_from(page: PageServer) -> None:
    with page.connect() as plain:
        head = f"POST /api/links HTTP/1.1\r\nHost: {page.host}\r\nCookie: {page.cookie}\r\n"
        plain.sendall(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
        assert plain.recv(100).split()[1] == b"403"


def test_answers_forbid_what_is_foreign(page: PageServer) -> None:
    for path in ("/", "/api/state", "/no/such/route"):
        headers = page.request("GET", path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    html = page.request("GET", "/").body.decode()
    assert "://" not in html
    assert " style=" not in html
    assert html.count("<script") == html.count("<script src=") == 1


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/api/photos/..%2f..%2fsecret.txt",
        "/api/photos/{photo}/../../../secret.txt",
        "/api/photos/{photo}/results/..%2f..%2fsecret.txt/file",
        "/api/photos/{photo}/masks/%2e%2e/file",
        "/api/photos/{photo}/tiles/0/0/..%2f..",
        "/page.js/../../settings.py",
        "//etc/passwd",
        "/api/things/../photos",
        "/%00",
    ],
)
def test_paths_lead_nowhere(page: PageServer, path: str) -> None:
    (photo, *_) = page.photos().values()
    answer = page.request("GET", path.format(photo=photo))
    assert answer.status in (400, 404, 422), answer
    assert b"secret" not in answer.body


def test_ids_of_others_are_unknown(page: PageServer, photos: Path) -> None:
    with entered_page(photos, "--port", 0) as other:
        (foreign, *_) = other.photos().values()
        (own, *_) = page.photos().values()
        for path in (f"/api/photos/{foreign}", f"/api/photos/{foreign}/tiles/0/0/0"):
            assert page.request("GET", path).status == 404
        assert page.request("GET", f"/api/photos/{own}/masks/{'0' * 24}/file").status == 404
        assert page.request("GET", f"/api/photos/{own}/results/{'0' * 24}").status == 404
        name, _, value = other.cookie.partition("=")
        assert page.request("GET", "/", headers={"Cookie": other.cookie}).status == 403
        own_name = page.cookie.partition("=")[0]
        assert name != own_name
        assert page.request("GET", "/", headers={"Cookie": f"{own_name}={value}"}).status == 403


def test_bodies_are_bounded(page: PageServer) -> None:
    (photo, *_) = page.photos().values()
    path = f"/api/photos/{photo}/masks"
    too_long = {"Content-Length": str(guard.MAX_BODY_BYTES + 1)}
    assert page.request("POST", path, b"{}", headers=too_long).status == 413
    with page.connect() as plain:  # no length: in chunks, without an end
        head = f"POST {path} HTTP/1.1\r\nHost: {page.host}\r\nCookie: {page.cookie}\r\n"
        head += f"Origin: http://{page.host}\r\nTransfer-Encoding: chunked\r\n\r\n"
        plain.sendall(head.encode())
        chunk = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
        answer = b""
        try:
            for _ in range(guard.MAX_BODY_BYTES // (1 << 20) + 8):
                plain.sendall(chunk)
            answer = plain.recv(100)
        except OSError:
            answer = b"HTTP/1.1 413"  # it hung up on what it had refused
        assert answer.split()[1] == b"413"
    assert page.request("GET", "/api/state").status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"selected": [99]}',
        b'{"selected": ["a"]}',
        b'{"selected": 1}',
        b'{"shape": "circle"}',
        b'{"dilation": -1}',
        b'{"growth": 1e9}',
        b'{"strokes": [{"kind": "brush"}]}',
        b'{"strokes": [{"kind": "brush", "radius": NaN, "points": [1, 1]}]}',
        b'{"strokes": [{"kind": "lasso", "radius": 1, "points": [1e300, 1]}]}',
        b'{"upload": "../../secret.txt"}',
    ],
)
def test_what_is_no_mask_is_refused_by_name(page: PageServer, body: bytes) -> None:
    (photo, *_) = page.photos().values()
    answer = page.request("POST", f"/api/photos/{photo}/masks", body)
    assert answer.status == 422, answer
    assert answer.json["error"]
    assert b"Error:" not in answer.body


def test_uploads_are_read_as_hostile_files(page: PageServer) -> None:
    octets = {"Content-Type": "application/octet-stream"}
    for body in (b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\xff" * 100):
        answer = page.request("POST", "/api/uploads", body, headers=octets)
        assert answer.status == 422
    assert page.request("POST", "/api/uploads", b"x").status == 415


_IMPATIENT = """
from pconv_hpc.commands.page import main
from pconv_hpc.page import guard
guard._SILENCE_S = 1
main()
"""


def test_slow_clients_are_dropped_and_others_served(photos: Path) -> None:
    environment = {"PYTHONPATH": str(REPOSITORY)}
    with entered_page(
        photos, "--port", 0, program=("-c", _IMPATIENT), environment=environment
    ) as page:
        slow = [page.connect() for _ in range(50)]
        for number, plain in enumerate(slow):
            if number % 2:  # a beginning of the headers, or of a body
                plain.sendall(b"GET / HTTP/1.1\r\nHost: loc")
            else:
                head = f"POST /api/links HTTP/1.1\r\nHost: {page.host}\r\nCookie: {page.cookie}\r\n"
                head += f"Origin: http://{page.host}\r\nContent-Length: 9\r\n\r\n"
                plain.sendall(head.encode() + b"{")
        assert page.request("GET", "/api/state").status == 200
        for plain in slow:
            plain.settimeout(60)
            received = plain.recv(100)
            assert received == b"" or received.split()[1] in (b"200", b"408")
            plain.close()
        assert page.request("GET", "/api/state").status == 200


def test_two_hundred_requests_at_once(page: PageServer) -> None:
    photos = list(page.photos().values())

    def fetch(number: int) -> int:
        return page.request("GET", f"/api/photos/{photos[number % 3]}/tiles/0/0/0").status

    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        assert list(pool.map(fetch, range(200))) == [200] * 200


@pytest.mark.parametrize("is_long", [False, True])
def test_a_socket_is_for_its_user_alone(photos: Path, is_long: bool) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # a socket's path must be short
        temporary = Path(folder, "long" * 20 if is_long else "")
        temporary.mkdir(exist_ok=True)
        environment = {"XDG_RUNTIME_DIR": "", "TMPDIR": str(temporary)}
        with entered_page(photos, environment=environment) as page:
            path = Path(page.target)
            assert path.parent.parent == (Path("/tmp") if is_long else temporary)
            assert path.parent.stat().st_mode & 0o777 == 0o700
            assert path.stat().st_mode & 0o077 == 0
            assert page.get("/api/state")["things"]
            assert f"-L 8080:{path}" in "\n".join(page.said)
            page.process.send_signal(signal.SIGINT)
            assert page.process.wait(timeout=60) == 0
            assert not path.parent.exists()
        assert list(temporary.iterdir()) == []


def test_a_socket_where_others_may_go_is_refused(photos: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with (
        pytest.raises(AssertionError, match="others may reach"),
        running_page(photos, "--socket", tmp_path / "page.sock"),
    ):
        pass
    tmp_path.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "page.sock"))
    with entered_page(photos, "--socket", tmp_path / "page.sock") as page:
        assert page.get("/api/state")["things"]


def test_a_killed_server_leaves_no_process(photos: Path) -> None:
    with entered_page(photos, "--port", 0) as page:
        page.photos()
        (child,) = children_of(page.process.pid)
        page.process.kill()
        page.process.wait()
        wait_until(lambda: not (Path(f"/proc/{child}").exists() and is_running(child)))


def next_links(page: PageServer) -> list[str]:
    """Return the lines with links that were said after the first one."""
    return [line for line in page.said[4:] if line.startswith("open")]


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(word) for word in listed.split()]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
