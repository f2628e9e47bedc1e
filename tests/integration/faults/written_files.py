"""What must hold for every file that a program writes: the user's umask, and nothing of secrets."""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

UMASK = 0o027
SECRET = "hunter2-in-the-environment"


@contextlib.contextmanager
def umask_and_secret() -> Iterator[None]:
    """Let programs that the block starts have ``UMASK``, and ``SECRET`` in their environment."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MY_TOKEN", SECRET)
        before = os.umask(UMASK)
        try:
            yield
        finally:
            os.umask(before)


def check_written(paths: Iterable[Path]) -> None:
    """Files and folders have the modes that ``UMASK`` leaves, and no file holds ``SECRET``."""
    paths = list(paths)
    assert any(path.is_file() for path in paths)
    for path in paths:
        mode = (0o777 if path.is_dir() else 0o666) & ~UMASK
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
