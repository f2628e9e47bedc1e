"""The page behind proxies that show it under a prefix, and the app for Open OnDemand."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from PIL import Image
from playwright.sync_api import Browser

from pconv_hpc.page.jupyter import setup_page
from tests.support.assets.shape_photos import ShapePhotos
from tests.support.browser import Tab
from tests.support.page_server import NETWORK, PageServer, running_page
from tests.support.paths import REPOSITORY
from tests.support.prefix_proxy import prefix_proxy

ONDEMAND = REPOSITORY / "deploy" / "ondemand"
SECRET = "s3cret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    folder = tmp_path_factory.mktemp("proxied")
    Image.fromarray(ShapePhotos(seed=501, held_out=True)[1].image).save(folder / "a.png")
    environment = {"PCONV_PAGE_TOKEN": SECRET}
    with running_page(folder, "--port", 0, *NETWORK, environment=environment) as page:
        yield page


@pytest.mark.parametrize(
    ("prefix", "strips", "tells"),
    [
        ("/rnode/c01.site/4711", True, False),
        ("/node/c01.site/4711", False, False),
        ("/user/ada/pconv", True, True),
        ("/hub/page", False, True),
    ],
)
def test_it_works_unchanged_under_a_prefix(
    browser: Browser, server: PageServer, prefix: str, strips: bool, tells: bool
) -> None:
    with prefix_proxy(server.port, prefix, strips=strips, tells=tells) as address:
        tab = Tab(browser, f"{address}/?token={SECRET}")
        tab.until("frame.state && frame.view")
        assert tab.page.url.startswith(f"{address}/")
        assert SECRET not in tab.page.url
        tab.wait_for_photo()
        tab.page.keyboard.press("r")
        tab.drag((20, 20), (60, 60))
        assert tab.page.evaluate("frame.view.viewer.mask.area") == 1600
        cookies = tab.page.context.cookies()
        assert [cookie["path"] for cookie in cookies] == [prefix]
        assert tab.problems == []
        tab.close()


def test_the_slash_at_the_end_is_added(server: PageServer) -> None:
    server.enter(SECRET)
    answer = server.request("GET", "/node/c01/4711")
    assert answer.status == 307
    assert answer.headers["location"] == "./4711/"


def test_open_ondemands_form_opens_it(server: PageServer) -> None:
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": "https://ondemand.site.edu",
        "X-Forwarded-Host": "ondemand.site.edu",
        "X-Forwarded-Proto": "https",
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "navigate",
    }
    body = f"token={SECRET}".encode()
    answer = server.request("POST", "/", body, headers=headers, with_session=False)
    assert answer.status == 200
    assert answer.headers["set-cookie"].endswith("; HttpOnly; SameSite=Strict; Secure")
    foreign = headers | {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = server.request("POST", "/", body, headers=foreign, with_session=False)
    assert answer.status == 403


def rendered(name: str, context: dict[str, str]) -> str:
    """Return a template with ``<%= … %>`` replaced; Ruby does no more with these."""
    text = (ONDEMAND / name).read_text()
    return re.sub(r"<%= (?:context\.)?(\w+)(?:\.to_i)? %>", lambda match: context[match[1]], text)


def test_the_app_for_open_ondemand_starts_the_page(tmp_path: Path) -> None:
    program = tmp_path / "env" / "bin" / "pconv-hpc"
    program.parent.mkdir(parents=True)
    program.write_text(
        "#!/usr/bin/env python3\nimport json, os, sys\n"
        "print(json.dumps([sys.argv[1:], os.environ['PCONV_PAGE_TOKEN']]))\n"
    )
    program.chmod(0o755)
    context = {
        "things": f"{tmp_path}/my photos\n\n~/$(touch {tmp_path}/owned) `id` out",
        "out": "~/clean",
        "environment": str(tmp_path / "env"),
    }
    before, script = (rendered(f"template/{name}.sh.erb", context) for name in ("before", "script"))
    own = "find_port() { echo 4711; }; host=c01; password=s3cret\n"  # Open OnDemand's
    done = subprocess.run(
        ["bash", "-c", f"{own}export host\n{before}\n{script}"],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    words, token = json.loads(done.stdout)
    assert words[:6] == ["page", "--port", "4711", "--host", "0.0.0.0", "--allow-host"]
    assert words[words.index("--out") + 1] == f"{tmp_path}/clean"
    assert words[words.index("--") + 1 :] == [
        f"{tmp_path}/my photos",
        f"{tmp_path}/$(touch {tmp_path}/owned) `id` out",
    ]
    assert token == "s3cret"
    assert "s3cret" not in words
    assert not (tmp_path / "owned").exists()


def test_the_app_for_open_ondemand_is_complete() -> None:
    manifest = yaml.safe_load((ONDEMAND / "manifest.yml").read_text())
    form = yaml.safe_load((ONDEMAND / "form.yml").read_text())
    assert manifest["role"] == "batch_connect"
    asked = {name for name in form["form"] if not name.startswith("bc_")}
    assert asked <= form["attributes"].keys()
    used = {
        name
        for path in ONDEMAND.rglob("*.erb")
        for name in re.findall(r"(?:context\.|<%= (?!context)|if )(\w+)", path.read_text())
    }
    assert used - {"host", "port", "password"} == asked
    submit = rendered("submit.yml.erb", {"num_cores": "4", "num_gpus": "1"})
    submit = re.sub(r"<%-.*?-%>\n", "", submit)
    options = yaml.safe_load(submit)["script"]["native"]
    assert options == ["--nodes=1", "--ntasks=1", "--cpus-per-task=4", "--gres=gpu:1"]
    view = rendered("view.html.erb", {"host": "c01", "port": "4711", "password": "s3cret"})
    assert 'action="/rnode/c01/4711/"' in view
    assert "s3cret" not in view.split("value=")[0]


def test_jupyters_proxy_starts_it_and_keeps_the_token_from_command_lines(tmp_path: Path) -> None:
    told = setup_page()
    token = told["environment"]["PCONV_PAGE_TOKEN"]
    assert token not in " ".join(told["command"])
    assert told["launcher_entry"]["path_info"] == f"pconv/?token={token}"
    assert Path(told["launcher_entry"]["icon_path"]).is_file()
    tmp_path.chmod(0o700)
    words = [word.format(unix_socket=tmp_path / "s") for word in told["command"][1:]]
    environment = told["environment"] | {"PYTHONPATH": str(REPOSITORY)}
    with running_page(program=words, cwd=tmp_path, environment=environment) as page:
        hub = {"Host": "hub.site.edu", "X-Forwarded-Prefix": "/user/ada/pconv"}
        answer = page.request("GET", f"/?token={token}", headers=hub, with_session=False)
        assert answer.status == 200
        cookie = answer.headers["set-cookie"].partition(";")[0]
        own = hub | {"Cookie": cookie, "Origin": "https://hub.site.edu"}
        assert page.request("POST", "/api/links", b"{}", headers=own).status == 200
        foreign = own | {"Origin": "https://evil.example"}
        assert page.request("POST", "/api/links", b"{}", headers=foreign).status == 403
