"""Programs that a batch script runs itself, one after the other, and its signals passed on."""

import signal
import subprocess
from collections.abc import Sequence
from types import FrameType


class Programs:
    """Runs programs; USR2 and TERM reach the one that runs, and are remembered."""

    def __init__(self) -> None:
        self._signal: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGUSR2, signal.SIGTERM):
            signal.signal(number, self._handle)

    @property
    def is_told_to_stop(self) -> bool:
        """Whether this process was told to stop."""
        return self._signal is not None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._signal = number
        if self._process is not None:
            self._process.send_signal(number)

    def run(self, command: Sequence[str]) -> int:
        """Run a program to its end and return its exit code, 128 + N if signal N ended it."""
        self._process = subprocess.Popen(command)
        if self._signal is not None:  # it came while the program was being started
            self._process.send_signal(self._signal)
        code = self._process.wait()
        return code if code >= 0 else 128 - code
