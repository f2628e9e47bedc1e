"""A process that works for the page: what it answers, refuses, and how its death is told."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.page.worker_process import WorkerError, WorkerProcess


def with_pictures(folder: Path, work: Callable[[WorkerProcess], Awaitable[Any]]) -> Any:
    """Return what ``work`` makes of the process that reads photos."""

    async def run() -> Any:
        worker = WorkerProcess(
            "pconv_hpc.page.processes.pictures",
            {"max_pixels": 1000},
            does="the process that reads photos",
            log=folder / "log",
        )
        try:
            return await work(worker)
        finally:
            await worker.stop()

    return asyncio.run(run())


@pytest.fixture
def photo(tmp_path: Path) -> str:
    Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    return str(tmp_path / "a.png")


def test_answers_are_json_and_bytes(tmp_path: Path, photo: str) -> None:
    async def work(worker: WorkerProcess) -> None:
        assert worker.state == ""
        described, tile = await asyncio.gather(
            worker.call("describe", path=photo),
            worker.call("tile", path=photo, level=0, column=0, row=0),
        )
        assert described["width"] == 30
        assert tile.startswith(b"\xff\xd8")
        assert worker.state == "ready"
        assert worker.num_waiting == 0

    with_pictures(tmp_path, work)


def test_refusals_are_the_packages_own_words(tmp_path: Path, photo: str) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "large.png")

    async def work(worker: WorkerProcess) -> None:
        with pytest.raises(WorkerError, match=r"large\.png: more than 1000 pixels, the limit"):
            await worker.call("describe", path=str(tmp_path / "large.png"))
        with pytest.raises(WorkerError, match="KeyError"):
            await worker.call("no such call")
        assert (await worker.call("describe", path=photo))["width"] == 30

    with_pictures(tmp_path, work)


def test_a_process_that_dies_fails_its_calls_and_is_started_again(
    tmp_path: Path, photo: str
) -> None:
    async def work(worker: WorkerProcess) -> None:
        await worker.call("describe", path=photo)
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        waiting = asyncio.create_task(worker.call("describe", path=photo))
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(WorkerError, match="reads photos was killed by SIGKILL"):
            await waiting
        assert (await worker.call("describe", path=photo))["height"] == 20
        assert worker.pid != first

    with_pictures(tmp_path, work)


def test_a_module_that_cannot_start_says_why(tmp_path: Path) -> None:
    async def run() -> None:
        worker = WorkerProcess("pconv_hpc.page.none", {}, does="it", log=tmp_path / "log")
        with pytest.raises(WorkerError, match=r"it ended \(1\); it said last: .*No module named"):
            await worker.call("anything")
        await worker.stop()

    asyncio.run(run())
