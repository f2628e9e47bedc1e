"""Programs that run one after the other: exit codes, signals passed on, nobody left behind."""

import os
import signal
import sys
from pathlib import Path

import pytest

from pconv_hpc.erasing.stage_programs import Programs

_TOLD = """
import os, signal, sys, time
told = []
for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, frame: told.append(number))
os.kill(os.getppid(), signal.{sent})
while not told:
    time.sleep(0.01)
sys.exit(75 if told == [signal.{received}] else 1)
"""


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


@pytest.mark.parametrize(
    ("sent", "received"),
    [("SIGUSR2", "SIGUSR2"), ("SIGTERM", "SIGTERM"), ("SIGINT", "SIGTERM")],
)
def test_signals_reach_the_program_and_are_remembered(sent: str, received: str) -> None:
    with Programs() as programs:
        assert not programs.is_told_to_stop
        assert programs.run(python(_TOLD.format(sent=sent, received=received))) == 75
        assert programs.is_told_to_stop
        assert programs.signal_name == sent


def test_a_signal_before_the_program_could_catch_it_is_remembered() -> None:
    with Programs() as programs:
        program = "import os, signal, time; os.kill(os.getppid(), signal.SIGUSR2); time.sleep(60)"
        assert programs.run(python(program)) == -signal.SIGUSR2
        assert programs.is_told_to_stop


def test_a_signal_between_two_programs_reaches_the_next_one() -> None:
    with Programs() as programs:
        assert programs.run(python("")) == 0
        os.kill(os.getpid(), signal.SIGTERM)
        assert programs.run(python("import time; time.sleep(60)")) == -signal.SIGTERM


def test_term_is_acted_on_while_the_program_still_runs(tmp_path: Path) -> None:
    acted = tmp_path / "acted"
    answers = iter([False, True])

    def act() -> bool:
        answer = next(answers)
        if answer:
            acted.touch()
        return answer

    waits = f"import time\nwhile not os.path.exists({str(acted)!r}): time.sleep(0.01)"
    deaf = "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    with Programs() as programs:
        programs.on_term = act
        assert programs.run(python(f"{deaf}os.kill(os.getppid(), signal.SIGTERM)\n{waits}")) == 0


def test_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGUSR2)
    with Programs():
        assert signal.getsignal(signal.SIGUSR2) != before
    assert signal.getsignal(signal.SIGUSR2) == before


def test_exit_codes_and_output(tmp_path: Path) -> None:
    with Programs() as programs, open(tmp_path / "log", "wb") as log:
        assert programs.run(python("print('said'); exit(3)"), log) == 3
        killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        assert programs.run(python(killed), log) == -signal.SIGKILL
    assert (tmp_path / "log").read_text() == "said\n"
