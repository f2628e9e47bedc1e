"""A training run in a real browser while it trains, and after."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import Tab
from tests.support.page_server import running_page
from tests.support.paths import REPOSITORY


def test_a_run_is_watched_while_it_trains(
    browser: Browser, config_path: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "a run"
    command = [sys.executable, REPOSITORY / "tools" / "train.py", config_path, "--run-dir", run]
    training = subprocess.Popen(
        [*map(str, command), "--set", "train.epochs=6"],
        env=os.environ | {"SLURM_CPUS_PER_TASK": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (run / "config.yaml").exists():
            assert training.poll() is None
        with running_page(run.parent, "--port", 0) as page:
            tab = Tab(browser, page.url)
            tab.until("frame.view?.run?.status === 'running'")
            tab.until("frame.view.run.curves[0]?.training.length > 1")
            first = tab.page.evaluate("frame.view.run.step")
            tab.until("document.querySelectorAll('.chart polyline').length > 1")
            tab.until("frame.view.run.epochs.length > 1 && frame.view.grid.naturalWidth > 0")
            tab.page.focus("[aria-label='Epoch']")
            tab.page.keyboard.press("Home")
            assert "epoch 1 of" in tab.page.text_content(".pictures-of-run output")
            tab.until("frame.view.run.status === 'finished'")
            assert tab.page.evaluate("frame.view.run.step") == 36 > first
            assert "epoch 1 of" in tab.page.text_content(".pictures-of-run output")
            resume = tab.page.text_content("code")
            assert resume == f"pconv-hpc resume '{run}'"
            assert tab.barriers() == []
            tab.page.click("#theme")
            assert tab.barriers() == []
            assert tab.problems == []
            tab.close()
        assert training.wait(timeout=300) == 0
    finally:
        training.kill()
        training.wait()


def test_runs_that_are_broken_are_named(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.yaml").write_text("no_such_section: 1")
    with running_page(tmp_path, "--port", 0) as page:
        tab = Tab(browser, page.url)
        tab.until("frame.view?.run?.status === 'cannot be read'")
        assert "no_such_section" in tab.page.text_content(".run-head .bad >> nth=1")
        tab.close()


@pytest.mark.parametrize("path", ["/api/runs/{photo}", "/api/things/{thing}/runs"])
def test_photos_are_no_runs(tmp_path: Path, path: str) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    with running_page(tmp_path / "photos", "--port", 0) as page:
        page.enter()
        (photo,) = page.photos().values()
        (thing,) = page.get("/api/state")["things"]
        answer = page.request("GET", path.format(photo=photo, thing=thing["id"]))
        assert answer.status in (200, 404)
        if answer.status == 200:
            assert answer.json["status"] == "cannot be read"
