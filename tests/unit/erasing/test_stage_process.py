"""Programs whose errors become ours, and that hear when we are told to stop."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from pconv_hpc.erasing.stage_process import PreparedStage, last_words, run_stage, stated_reason
from pconv_hpc.foundation.errors import Interrupted, PconvError, UsageError
from tests.support.waiting import wait_until


def run(program: str, log: Path) -> None:
    run_stage([sys.executable, "-c", program], log)


def test_what_a_program_says_is_kept(tmp_path: Path) -> None:
    run("import sys; print('fine'); print('well', file=sys.stderr)", tmp_path / "a" / "log")
    assert sorted((tmp_path / "a" / "log").read_text().splitlines()) == ["fine", "well"]


@pytest.mark.parametrize(
    ("program", "kind", "message"),
    [
        ("print('error: no such file: x\\n  look there'); exit(2)", UsageError, "no such file: x"),
        # what tqdm leaves in front of a message
        ("print('\\r 0/1\\rfailed: a.jpg: empty\\n\\r 1/1'); exit(1)", PconvError, "a.jpg: empty"),
        ("print('failed: a'); print('failed: b'); exit(1)", PconvError, "a"),
        ("raise KeyError('surprise')", PconvError, "surprise"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            PconvError,
            "killed by SIGKILL",
        ),
    ],
)
def test_its_errors_become_ours(
    tmp_path: Path, program: str, kind: type[PconvError], message: str
) -> None:
    with pytest.raises(PconvError, match=message) as caught:
        run(program, tmp_path / "log")
    assert type(caught.value) is kind
    assert "\r" not in str(caught.value)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("failed: a.jpg: empty\nerror: disk\n  full\nslice 0 of 2: 1 to go\n", "disk\n  full"),
        ("error: first\nfailed: a.jpg: empty\nerror: last\nfailed: b.jpg: empty\n", "last"),
        ("failed: a.jpg: empty\nslice 10 of 12: 3 erased\nfailed: b.jpg: x\n", "a.jpg: empty"),
        ("an error: in a line\nslice 0 of 1: 1 erased\n", None),
    ],
)
def test_the_last_error_counts_more_than_photos_that_failed(
    output: str, reason: str | None
) -> None:
    assert stated_reason(output) == reason


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            "failed: a.jpg: empty\nTraceback …\n  in x\nRuntimeError: no cache\n\n",
            "RuntimeError: no cache",
        ),
        ("error: disk\n  full\nslice 0 of 2: 1 to go\n", "disk\n  full"),
        ("\r 0/1\r 1/1", "1/1"),
        ("", ""),
    ],
)
def test_the_last_words_are_those_behind_a_place_in_the_log(
    tmp_path: Path, output: str, words: str
) -> None:
    log = tmp_path / "log"
    log.write_text(f"error: of an earlier attempt\n{output}")
    assert last_words(log, len("error: of an earlier attempt\n")) == words


_WAITS = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def test_a_signal_is_passed_on(tmp_path: Path) -> None:
    mark = tmp_path / "begun"

    def tell() -> None:
        while not mark.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGUSR2)

    teller = threading.Thread(target=tell)
    teller.start()
    with pytest.raises(Interrupted, match="stopped by SIGUSR2"):
        run_stage([sys.executable, "-c", _WAITS, str(mark)], tmp_path / "log")
    teller.join()


_PREPARED = """
import pathlib, sys
pathlib.Path(sys.argv[1]).touch()
line = sys.stdin.readline()
print("failed: " + line if line else "not needed")
sys.exit(1 if line else 0)
"""


def prepared(tmp_path: Path, program: str = _PREPARED) -> PreparedStage:
    command = [sys.executable, "-c", program, str(tmp_path / "loaded")]
    return PreparedStage(command, tmp_path / "work" / "log")


def test_a_prepared_program_loads_at_once_and_begins_when_it_is_told(tmp_path: Path) -> None:
    with prepared(tmp_path) as stage:
        stage.prepare()
        wait_until((tmp_path / "loaded").exists)
        assert not (tmp_path / "work" / "log").read_text()
        for _ in range(2):  # the second time it is not prepared
            with pytest.raises(PconvError, match="begin"):
                stage.run()


def test_a_prepared_program_that_is_not_needed_is_ended(tmp_path: Path) -> None:
    with prepared(tmp_path) as stage:
        stage.prepare()
        wait_until((tmp_path / "loaded").exists)
        process = stage._process
    assert process is not None
    assert process.returncode == -signal.SIGKILL


def test_a_prepared_program_that_cannot_load_says_why(tmp_path: Path) -> None:
    with prepared(tmp_path, "print('error: no such network'); exit(2)") as stage:
        stage.prepare()
        assert stage._process is not None
        stage._process.wait()
        with pytest.raises(UsageError, match="no such network"):
            stage.run()
