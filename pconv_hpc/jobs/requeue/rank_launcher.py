"""The launcher of a job's ranks, from start to end, and the signals that reach it on the way."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import FrameType

_LOOK_S = 1.0  # between two looks at whether TERM has come


class Launch:
    """Runs one launcher after another and keeps what Slurm says meanwhile.

    Slurm sends TERM when it ends the job, for whatever reason; it has told the ranks of ``srun``
    itself. The ranks that ``mpirun`` starts beside the batch script hear nothing from Slurm:
    ``mpirun`` passes USR2 on.

    Args:
        forward: whether to pass stop signals on to the launcher.
        on_told_to_end: called, in the thread that called ``run``, when TERM has come while a
            launcher runs; both are killed soon after. Again every second until it returns true.
    """

    def __init__(self, *, forward: bool, on_told_to_end: Callable[[], bool]) -> None:
        self.is_told_to_end = False
        self._is_seen_to = False
        self._on_told_to_end = on_told_to_end
        self._forward = forward
        self._process: subprocess.Popen[bytes] | None = None
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGUSR2, self._on_usr2)

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.is_told_to_end = True
        self._tell_ranks()

    def _on_usr2(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._tell_ranks()

    def _tell_ranks(self) -> None:
        if self._forward and self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGUSR2)

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stop_at: datetime | None = None,
    ) -> int:
        """Run a launcher to its end and return its exit code, 128 + N if signal N ended it.

        ``stop_at`` is when the ranks are told to stop, where ``forward`` says that Slurm does not.
        """
        self._process = subprocess.Popen(command, env=environment)
        if stop_at is not None and self._forward:
            seconds = max(0.0, stop_at.timestamp() - time.time())
            # A signal to this process, so that only its main thread ever deals with the ranks.
            timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR2))
            timer.daemon = True
            timer.start()
        code = self._wait(self._process)
        return code if code >= 0 else 128 - code

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK_S)
            if self.is_told_to_end and not self._is_seen_to:
                self._is_seen_to = self._on_told_to_end()
