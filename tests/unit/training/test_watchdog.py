"""The watchdog of a run: when it ends a process, and when it leaves it alone."""

import threading

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.training.watchdog import LIMIT_VARIABLE, TICKS, Watchdog, stall_limit


class Ends:
    """Stands in for the end of the process."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.came = threading.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self.came.set()


def test_a_process_that_waits_too_long_ends_as_one_that_can_be_continued(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ends = Ends()
    with Watchdog(0.2, end=ends):
        assert ends.came.wait(300)
    assert ends.codes == [75]
    assert "another rank hangs" in caplog.text
    assert "pconv-hpc resume" in caplog.text


class Ticks:
    """Lets the time of a watchdog pass in ticks, as a test wants them."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._passed = threading.Semaphore(0)
        self._awaited = threading.Semaphore(0)

    def __call__(self, closed: threading.Event, seconds: float) -> bool:
        self._awaited.release()
        while not self._passed.acquire(timeout=0.01):
            if closed.is_set():
                return True
        return False

    def go(self, count: int) -> None:
        """Let so many ticks pass, or fewer if the process ends; the last may not be seen yet."""
        for _ in range(count):
            while not self._awaited.acquire(timeout=0.01):
                if self._ends.came.is_set():
                    return
            self._passed.release()


def test_every_item_asked_for_is_a_sign_of_work() -> None:
    ends = Ends()
    ticks = Ticks(ends)
    with Watchdog(3.0, end=ends, wait=ticks) as watchdog:
        for _ in watchdog.watching(iter(range(4))):
            ticks.go(TICKS - 1)  # together longer than the limit
        assert ends.codes == []
        ticks.go(TICKS)
    assert ends.codes == [75]


def test_the_first_step_gets_more_time_also_after_a_validation() -> None:
    ends = Ends()
    ticks = Ticks(ends)
    with Watchdog(0.5, end=ends, wait=ticks) as watchdog:
        for _ in range(3):
            watchdog.beat()  # what a validation before the first step says
        ticks.go(4 * TICKS - 1)
        assert ends.codes == []
        ticks.go(TICKS)
    assert ends.codes == [75]


def test_a_limit_of_0_is_none_and_a_closed_watchdog_sleeps() -> None:
    ends = Ends()
    Watchdog(0.0, end=ends).close()
    watchdog = Watchdog(0.5, end=ends)
    watchdog.close()
    watchdog.close()
    assert not ends.came.wait(1.0)


def test_the_limit_is_the_one_of_horovod() -> None:
    assert stall_limit({}) == 900.0
    assert stall_limit({LIMIT_VARIABLE: "60"}) == 60.0
    assert stall_limit({LIMIT_VARIABLE: "0"}) == 0.0
    for text in ("soon", "-1", "nan", "inf"):
        with pytest.raises(UsageError, match="expected seconds"):
            stall_limit({LIMIT_VARIABLE: text})
