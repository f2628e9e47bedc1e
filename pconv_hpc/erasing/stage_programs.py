"""Programs, and the signals of whoever started them passed on to the one that is waited for."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from types import FrameType
from typing import IO

from pconv_hpc.foundation.closing import Closing
from pconv_hpc.foundation.stop_request import STOP_SIGNALS

_LOOK_S = 1.0  # between two looks at whether TERM has come
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Programs(Closing):
    """Runs programs one after the other; stop signals reach the one that runs, and are remembered.

    A program never outlives this process: whoever takes the work over finds nobody at it. Made in
    the main thread; as a context manager it gives the signals back at its end.

    Attributes:
        on_term: called, in the thread that runs a program, when TERM has come meanwhile; again
            every second until it returns true.
    """

    def __init__(self) -> None:
        self.on_term: Callable[[], bool] | None = None
        self._signal: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._previous = {number: signal.signal(number, self._handle) for number in STOP_SIGNALS}

    @property
    def is_told_to_stop(self) -> bool:
        """Whether this process was told to stop."""
        return self._signal is not None

    @property
    def signal_name(self) -> str:
        """The signal that told it; empty if none did."""
        return signal.Signals(self._signal).name if self._signal else ""

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._signal = number
        if self._process is not None:
            self._process.send_signal(_passed_on(number))

    def run(self, command: Sequence[str], output: IO[bytes] | None = None) -> int:
        """Run a program to its end and return its exit code, -N if signal N ended it.

        Args:
            command: the program and its arguments.
            output: where its standard output and error go; this process's own if not given.
        """
        return self.follow(start_program(command, output))

    def follow(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end of a program that ``start_program`` started; return as ``run`` does."""
        self._process = process
        if self._signal is not None:  # it came while the program was being started
            process.send_signal(_passed_on(self._signal))
        return self._wait(process)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK_S)
            if self._signal == signal.SIGTERM and self.on_term and self.on_term():
                self.on_term = None

    def close(self) -> None:
        """Leave signals to whoever handled them before."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def start_program(
    command: Sequence[str], output: IO[bytes] | None = None, *, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start a program that is killed when this process ends.

    Args:
        command: the program and its arguments.
        output: where its standard output and error go; this process's own if not given.
        stdin: as ``subprocess.Popen`` takes it.
    """
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        # Looked up before the fork: nothing in the new process waits for another thread's lock.
        preexec_fn=_die_with_parent(),  # noqa: PLW1509
    )


def how_it_ended(code: int) -> str:
    """Return how a program ended, by what ``run`` returned."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _passed_on(number: int) -> int:
    # A terminal's Ctrl-C has reached the program as well; a second one would not let it finish.
    return signal.SIGTERM if number == signal.SIGINT else number


def _die_with_parent() -> Callable[[], None] | None:
    """Return what a new process must call so that it is killed when this one ends (on Linux)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        return None
    parent = os.getpid()

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended just before
            os._exit(1)

    return prepare
