"""What a stage says of its photos, and how it exits."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pconv_hpc.erasing.stage_loop import follow
from pconv_hpc.foundation.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from pconv_hpc.foundation.stop_request import StopRequest


@dataclass(frozen=True)
class Result:
    status: str
    reason: str = ""


def results(*statuses: str) -> Iterator[Result]:
    return (Result(status, "a.jpg: damaged" if status == "failed" else "") for status in statuses)


@pytest.mark.parametrize(
    ("statuses", "num_photos", "exit_code"),
    [
        (("erased", "skipped", "erased"), 3, EXIT_DONE),
        (("erased", "failed"), 2, EXIT_FAILED),
        (("erased", "failed"), 3, EXIT_INTERRUPTED),
    ],
)
def test_photos_are_counted_and_failures_named(
    statuses: tuple[str, ...],
    num_photos: int,
    exit_code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    noted: list[Result] = []
    with StopRequest() as stop:
        assert follow(results(*statuses), num_photos, stop, noted.append) == exit_code
    assert [result.status for result in noted] == list(statuses)
    said = capsys.readouterr()
    assert said.out == f"{statuses.count('erased')} erased, 1 {sorted(statuses)[-1]}\n"
    assert ("failed: a.jpg: damaged" in said.err) == ("failed" in statuses)
    assert ("with 1 photos left" in said.err) == (exit_code == EXIT_INTERRUPTED)
