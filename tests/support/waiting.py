"""Waits that know no seconds: until something is so, or whoever should make it so has ended.

How long that takes is the machine's business; pytest's own limit ends what never comes.
"""

import subprocess
import time
from collections.abc import Callable
from typing import Any


def wait_until(
    condition: Callable[[], object], process: "subprocess.Popen[Any] | None" = None
) -> None:
    """Wait until ``condition`` is true; fail when ``process`` has ended before it was."""
    while not condition():
        has_ended = process is not None and process.poll() is not None
        assert not has_ended or condition(), end_of(process)
        time.sleep(0.02)


def end_of(process: "subprocess.Popen[Any]") -> tuple[Any, Any]:
    """Wait for the end of a process and return its output and errors; it never outlives a test."""
    try:
        return process.communicate()
    except BaseException:
        process.kill()
        raise
