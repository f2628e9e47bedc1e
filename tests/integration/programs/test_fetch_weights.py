"""tools/fetch_weights.py as a person runs it."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pconv_hpc.model.find_weights import find_weights
from pconv_hpc.model.weights import load_model
from pconv_hpc.model.weights_catalog import CATALOG
from tests.support import torch_unets
from tests.support.https_server import HttpsServer
from tests.support.paths import REPOSITORY

DATA = b"weights" * 1000
NAME = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"


def run_tool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "tools" / "fetch_weights.py", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        timeout=60,
        umask=0o027,
    )


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    with HttpsServer(folder) as server:
        server.files["/vgg.h5"] = DATA
        yield server


def test_list_and_help_need_no_network():
    done = run_tool("list")
    assert done.returncode == 0
    for text in ("vgg16", NAME, "6d6bbae143d832006294945121d1f1fc", "3e542a40… (only these"):
        assert text in done.stdout
    assert "examples:" in run_tool("--help").stdout


def test_fetch_from_a_mirror_end_to_end(server, tmp_path):
    out = tmp_path / "weights"
    options = ["vgg16", "--out", out, "--url", f"{server.url}/vgg.h5", "--ca-file", server.ca_file]
    options += ["--sha256", hashlib.sha256(DATA).hexdigest().upper()]

    done = run_tool(*options, "--dry-run")
    assert done.returncode == 0
    assert f"{server.url}/vgg.h5" in done.stdout
    assert not out.exists()
    assert server.requests == []

    done = run_tool(*options)
    assert done.returncode == 0, done.stderr
    assert f"{NAME}: fetched, checked: SHA-256" in done.stdout
    assert (out / NAME).read_bytes() == DATA
    assert (out / NAME).stat().st_mode & 0o777 == 0o640
    assert "already there" in run_tool(*options, "--dry-run").stdout
    assert "already there, checked" in run_tool(*options).stdout


def test_a_mirror_does_not_escape_the_known_checks(server, tmp_path):
    options = ["--out", tmp_path, "--url", f"{server.url}/vgg.h5", "--ca-file", server.ca_file]
    done = run_tool("vgg16", *options)
    assert done.returncode == 1
    assert "7,000 bytes, expected 58,889,256" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("out", ["file", "file/below", "link", "x" * 300])
def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path, out):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere/at/all")
    done = run_tool("vgg16", "--out", tmp_path / out, "--url", "https://localhost:1/x")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: {tmp_path / out}: cannot be created (")
    assert "Traceback" not in done.stderr


def test_lpips_is_made_of_files_that_are_right_only(tmp_path):
    wrong, missing = (file.name for file in CATALOG["lpips"])
    (tmp_path / wrong).write_bytes(DATA)
    done = run_tool("lpips", "--out", tmp_path)
    assert done.returncode == 1
    assert "7,000 bytes, expected 244,408,911" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [wrong]
    assert missing in run_tool("lpips", "--out", tmp_path, "--dry-run").stdout


def test_a_public_network_is_fetched_checked_converted_and_goes_by_its_name(server, tmp_path):
    file = io.BytesIO()
    torch.save(torch_unets.saved("mmagic", torch_unets.build("mmagic", widths=[4, 8])), file)
    server.files["/places.pth"] = file.getvalue()
    out, name = tmp_path / "weights", CATALOG["pconv_places2"][0].name
    options = ["pconv_places2", "--out", out, "--ca-file", server.ca_file]
    options += ["--url", f"{server.url}/places.pth"]

    done = run_tool(*options)  # not the file whose SHA-256 is known
    assert done.returncode == 1
    assert ", expected 1ffed0e8" in done.stderr
    assert list(out.iterdir()) == []

    done = run_tool(*options, "--sha256", hashlib.sha256(file.getvalue()).hexdigest())
    assert done.returncode == 0, done.stderr
    assert f"{name}: fetched, checked: SHA-256" in done.stdout
    assert "pconv_places2.h5: PConvUNet of 2 levels, 4 to 8 channels, as MMagic" in done.stdout
    config, found = load_model(find_weights(tmp_path / "places2").path)[1:]
    assert config.pixels == "signed"
    assert (found["image_size"], found["imported_from"]) == (256, name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["everything"], "invalid choice"),
        (["vgg16", "--sha256", "12ab"], "expected 64 hexadecimal digits"),
        (["lpips", "--url", "https://localhost/x"], "lpips has 2"),
        (["vgg16", "--url", "http://localhost/x"], "begins with https://"),
    ],
)
def test_bad_arguments_are_usage_errors(tmp_path, arguments, message):
    done = run_tool(*arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
