"""A step's output is kept, and shown when it fails."""

import sys
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.install.commands import Logged, output_of, step


def test_output_goes_to_the_log_and_settings_reach_the_command(tmp_path: Path) -> None:
    logged = Logged(tmp_path / "logs", environment={"COLOR": "red"})
    code = "import os; print(os.environ['COLOR'], os.environ['SHAPE'])"
    said = logged.run([sys.executable, "-c", code], log="paint", environment={"SHAPE": "square"})
    assert said == "red square"
    assert (tmp_path / "logs" / "paint.log").read_text().splitlines()[-1] == said


def test_a_failure_shows_the_last_lines_cut_and_where_the_rest_is(tmp_path: Path) -> None:
    code = "for i in range(100): print(f'line {i}', 'x' * 1000)\nraise SystemExit(3)"
    with pytest.raises(PconvError) as caught:
        Logged(tmp_path).run([sys.executable, "-c", code], log="count", hint="Count on fingers.")
    message = str(caught.value)
    assert "ended with status 3" in message
    assert "line 99 xxx" in message
    assert "line 9 " not in message
    assert str(tmp_path / "count.log") in message
    assert "Count on fingers." in message
    assert max(map(len, message.splitlines())) < 600
    assert "line 0 " in (tmp_path / "count.log").read_text()


def test_the_log_keeps_earlier_commands_of_the_step(tmp_path: Path) -> None:
    logged = Logged(tmp_path)
    for word in ("one", "two"):
        logged.run(["echo", word], log="words")
    assert (tmp_path / "words.log").read_text() == "\n$ echo one\none\n\n$ echo two\ntwo\n"


def test_a_step_says_what_and_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    with step("Baking", expected="1 hour"):
        assert capsys.readouterr().out == "==> Baking (1 hour)\n"
    assert capsys.readouterr().out == "    done in 0 min 00 s\n"


def test_output_of_what_fails_is_none(tmp_path: Path) -> None:
    assert output_of(["echo", "hello"]) == "hello\n"
    assert output_of(["false"]) is None
    assert output_of([tmp_path / "nothing-here"]) is None
