"""Wheels appear in the cache whole or not at all, and are built once."""

import threading
import time
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.install import wheel_cache


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PCONV_WHEEL_CACHE", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


def test_a_wheel_is_built_once(cache: Path) -> None:
    calls = []

    def build(out: Path) -> None:
        calls.append(out)
        (out / "x-1-py3-none-any.whl").write_text("wheel")

    first = wheel_cache.get_or_build("x-1", build)
    second = wheel_cache.get_or_build("x-1", build)
    assert first == second == cache / "x-1" / "x-1-py3-none-any.whl"
    assert first.read_text() == "wheel"
    assert len(calls) == 1


def test_a_build_that_breaks_off_leaves_nothing_and_can_be_repeated(cache: Path) -> None:
    def break_off(out: Path) -> None:
        (out / "x-1-py3-none-any.whl").write_text("half a wh")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wheel_cache.get_or_build("x-1", break_off)
    assert wheel_cache.find("x-1") is None
    assert [path for path in cache.iterdir() if path.suffix != ".lock"] == []

    wheel = wheel_cache.get_or_build("x-1", lambda out: _write(out / "x.whl", "whole"))
    assert wheel.read_text() == "whole"


def test_what_a_killed_process_left_is_not_taken_for_a_wheel_and_goes(cache: Path) -> None:
    (cache / "x-1").mkdir(parents=True)
    (cache / ".building-x-1-abc" / "out").mkdir(parents=True)
    _write(cache / ".building-x-1-abc" / "out" / "x.whl", "half")
    (cache / ".building-y-1-abc").mkdir()  # another wheel's, perhaps at work
    wheel = wheel_cache.get_or_build("x-1", lambda out: _write(out / "x.whl", "whole"))
    assert wheel.read_text() == "whole"
    assert sorted(path.name for path in cache.glob(".building-*")) == [".building-y-1-abc"]


def test_two_at_once_build_once() -> None:
    calls, wheels = [], []

    def build(out: Path) -> None:
        calls.append(out)
        time.sleep(0.2)  # long enough for the other to arrive
        _write(out / "x.whl", "whole")

    def ask() -> None:
        wheels.append(wheel_cache.get_or_build("x-1", build))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert len(set(wheels)) == 1


def test_a_build_without_a_wheel_is_an_error() -> None:
    with pytest.raises(PconvError, match="left 0 wheels, expected one: none"):
        wheel_cache.get_or_build("x-1", lambda out: None)


def test_keys_name_what_was_built_against_and_are_safe_as_folders() -> None:
    key = wheel_cache.wheel_key("x", "1", "tf2.21.0", "a/../b c")
    assert key == f"x-1-{wheel_cache.platform_key()}-tf2.21.0-a_.._b_c"
    assert "/" not in key


def test_the_cache_is_outside_the_checkout_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PCONV_WHEEL_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    assert wheel_cache.cache_dir() == Path("/home/ada/.cache/pconv_hpc/wheels")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch/ada")
    assert wheel_cache.cache_dir() == Path("/scratch/ada/pconv_hpc/wheels")


def _write(path: Path, text: str) -> None:
    path.write_text(text)
