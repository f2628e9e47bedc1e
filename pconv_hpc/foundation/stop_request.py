"""Being asked to stop: signals only set a flag, which the ranks read together between steps.

Imports nothing slow: a program that may be signalled at any time installs it before all else.
"""

import signal
from types import FrameType, TracebackType
from typing import Self

# USR2: Slurm's --signal before the walltime. TERM: preemption, scancel. INT: Ctrl-C.
STOP_SIGNALS = (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """While active, a stop signal sets a flag instead of ending the process.

    A signal handler may run between any two instructions, so it must not do more. A second Ctrl-C
    raises ``KeyboardInterrupt``: a person who insists is not kept waiting.
    """

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self._previous: dict[int, object] = {}
        self._ignores_all = False

    def install(self) -> Self:
        """Catch the stop signals from now on."""
        for number in STOP_SIGNALS:
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def ignore_further(self) -> None:
        """Ignore the stop signals until this process has ended.

        For ranks that agreed to stop: they do not end at the same moment, and ``srun`` terminates
        the others as soon as one has ended with an exit code other than 0.
        """
        self._ignores_all = True
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    @property
    def is_set(self) -> bool:
        """Whether this process was asked to stop."""
        return self.signal_name is not None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT and self.signal_name == "SIGINT":
            raise KeyboardInterrupt
        self.signal_name = signal.Signals(number).name

    def __enter__(self) -> Self:
        return self.install()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._ignores_all:
            return
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
