import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.model.download import download
from pconv_hpc.model.weights_catalog import CATALOG, WeightsFile, fetch, recorded_sha256
from tests.support.https_server import HttpsServer

DATA = np.random.default_rng(0).bytes(700_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    with HttpsServer(folder) as server:
        server.files["/model.h5"] = DATA
        yield server


@pytest.fixture
def wanted(server) -> WeightsFile:
    return WeightsFile(
        name="model.h5",
        url=f"{server.url}/model.h5",
        purpose="tests",
        md5=hashlib.md5(DATA).hexdigest(),
        num_bytes=len(DATA),
    )


def get(server: HttpsServer, file: WeightsFile, folder: Path) -> tuple[Path, bool]:
    return fetch(file, folder, ca_file=server.ca_file, show_progress=False)


def test_a_file_is_fetched_checked_and_recorded_once(server, wanted, tmp_path):
    out = tmp_path / "a" / "weights"
    path, is_new = get(server, wanted, out)
    assert is_new
    assert path.read_bytes() == DATA
    assert (out / "model.h5.sha256").read_text() == f"{SHA256}  model.h5\n"
    assert sorted(p.name for p in out.iterdir()) == ["model.h5", "model.h5.sha256"]

    assert get(server, wanted, out) == (path, False)
    assert len(server.requests) == 1


def test_a_broken_transfer_continues_where_it_stopped(server, wanted, tmp_path):
    server.break_after = 300_000
    with pytest.raises(PconvError, match="broke off") as caught:
        get(server, wanted, tmp_path)
    assert "Run the same command again to continue" in str(caught.value)
    assert not (tmp_path / "model.h5").exists()
    assert (tmp_path / ".model.h5.part").read_bytes() == DATA[:300_000]

    path, _ = get(server, wanted, tmp_path)
    assert path.read_bytes() == DATA
    assert server.requests == [("/model.h5", None), ("/model.h5", "bytes=300000-")]
    assert not (tmp_path / ".model.h5.part").exists()


def test_a_server_without_ranges_starts_over(server, wanted, tmp_path):
    server.supports_ranges = False
    (tmp_path / ".model.h5.part").write_bytes(b"some old beginning")
    path, _ = get(server, wanted, tmp_path)
    assert path.read_bytes() == DATA


def test_a_transfer_that_ended_just_before_the_rename_is_completed(server, wanted, tmp_path):
    (tmp_path / ".model.h5.part").write_bytes(DATA)
    path, _ = get(server, wanted, tmp_path)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"md5": "0" * 32}, "MD5 "),
        ({"sha256": "00000000"}, f"SHA-256 {SHA256}, expected 00000000"),
        ({"num_bytes": len(DATA) + 1}, "700,000 bytes, expected 700,001"),
    ],
)
def test_a_wrong_file_is_refused_and_leaves_nothing(server, wanted, tmp_path, change, message):
    out = tmp_path / "out"
    with pytest.raises(PconvError, match=re.escape(message)):
        get(server, dataclasses.replace(wanted, **change), out)
    assert list(out.iterdir()) == []


def test_what_is_there_already_is_checked_too(server, wanted, tmp_path):
    (tmp_path / "model.h5").write_bytes(DATA[:-1] + b"x")
    with pytest.raises(PconvError, match="not the expected file"):
        get(server, wanted, tmp_path)
    assert server.requests == []


def test_the_first_download_is_trusted_from_then_on(server, wanted, tmp_path):
    unchecked = dataclasses.replace(wanted, md5="", num_bytes=None, sha256=SHA256[:8])
    path, _ = get(server, unchecked, tmp_path)
    assert recorded_sha256(path) == SHA256
    path.unlink()
    server.files["/model.h5"] = b"another"
    with pytest.raises(PconvError, match="at the first download it was"):
        get(server, dataclasses.replace(unchecked, sha256=""), tmp_path)
    assert not path.exists()

    (tmp_path / "model.h5.sha256").write_text("nonsense")
    with pytest.raises(PconvError, match="holds no SHA-256"):
        get(server, unchecked, tmp_path)


@pytest.mark.parametrize("announced", [True, False])
def test_a_flood_is_stopped(server, wanted, tmp_path, announced, monkeypatch):
    small = dataclasses.replace(wanted, num_bytes=1000)
    if not announced:
        send = "http.server.BaseHTTPRequestHandler.send_header"
        monkeypatch.setattr(send, lambda *_: None)
    message = "700,000 bytes are offered" if announced else "sends more than 1,000 bytes"
    with pytest.raises(PconvError, match=message):
        get(server, small, tmp_path)
    assert (tmp_path / ".model.h5.part").exists() != announced
    assert not (tmp_path / "model.h5").exists()


def test_only_https_to_known_certificates(server, wanted, tmp_path):
    for url in ("http://localhost/model.h5", "file:///etc/passwd", "ftp://localhost/x"):
        with pytest.raises(UsageError, match="begins with https"):
            download(url, tmp_path / "x", max_bytes=10)
    server.redirects["/away"] = "http://localhost/model.h5"
    with pytest.raises(UsageError, match="begins with https"):
        get(server, dataclasses.replace(wanted, url=f"{server.url}/away"), tmp_path)
    server.redirects["/moved"] = f"{server.url}/model.h5"
    assert get(server, dataclasses.replace(wanted, url=f"{server.url}/moved"), tmp_path)[1]

    with pytest.raises(PconvError, match="certificate verify failed"):
        fetch(wanted, tmp_path / "untrusted", show_progress=False)
    with pytest.raises(UsageError, match="cannot be used as certificates"):
        download(wanted.url, tmp_path / "x", max_bytes=10, ca_file=tmp_path / "absent.pem")
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(UsageError, match="cannot be used as certificates"):
        download(wanted.url, tmp_path / "x", max_bytes=10, ca_file=tmp_path / "empty.pem")


def test_without_connection_it_says_what_to_do(server, wanted, tmp_path):
    with pytest.raises(PconvError, match="the server answered 404") as caught:
        get(server, dataclasses.replace(wanted, url=f"{server.url}/absent"), tmp_path)
    assert f"curl -fL -o model.h5 {server.url}/absent" in str(caught.value)
    assert f"copy the file to {tmp_path}/model.h5" in str(caught.value)
    with pytest.raises(PconvError, match="no connection"):
        get(server, dataclasses.replace(wanted, url="https://localhost:1/model.h5"), tmp_path)


def test_the_catalog_is_sound():
    names = [file.name for files in CATALOG.values() for file in files]
    assert len(set(names)) == len(names)
    for files in CATALOG.values():
        for file in files:
            assert file.url.startswith("https://")
            assert re.fullmatch(r"[\w.-]+", file.name)
            assert re.fullmatch(r"([0-9a-f]{8}|[0-9a-f]{64})?", file.sha256)
            assert file.checks()
