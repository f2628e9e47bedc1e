"""A stage of erasing as a process of its own, for a person who waits for one photo."""

import contextlib
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pconv_hpc.erasing.stage_programs import Programs, how_it_ended, start_program
from pconv_hpc.foundation.closing import Closing
from pconv_hpc.foundation.errors import EXIT_DONE, EXIT_USAGE, Interrupted, PconvError, UsageError
from pconv_hpc.foundation.launchers import program_name

_TAIL_CHARACTERS = 2000
_LOG_TAIL_BYTES = 1 << 16
_LINES = re.DOTALL | re.MULTILINE
# Up to what a stage says next, or the runner of its slice.
_MESSAGE = r"(.*?)(?=^(?:error: |failed: |slice \d+ of )|\Z)"


def run_stage(command: Sequence[str], log_path: Path) -> None:
    """Run one of the project's programs, its output kept in ``log_path``, and pass on its errors.

    Raises:
        UsageError: it cannot use what it was given; the message is its own.
        Interrupted: this process was told to stop, and so was the program.
        PconvError: it failed; the message is its own, or the end of its output.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with open(log_path, "wb") as log, Programs() as programs:
        code = programs.run(command, log)
    _pass_on_errors(code, programs, command, log_path)


class PreparedStage(Closing):
    """A stage whose program loads all that it needs, and then waits to be told what it waits for.

    Args:
        command: the program, which takes ``--when-told``, and its arguments.
        log_path: keeps its output.
    """

    def __init__(self, command: Sequence[str], log_path: Path) -> None:
        self._command = [*command, "--when-told"]
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Start the program, unless it is prepared already, and do not wait for it."""
        self._prepared()

    def _prepared(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._log_path, "wb") as log:
                self._process = start_program(self._command, log, stdin=subprocess.PIPE)
        return self._process

    def run(self) -> None:
        """Tell the program to begin, and wait for its end; errors are those of ``run_stage``."""
        process = self._prepared()
        with Programs() as programs:
            # One that has ended already is told nothing; its exit code says how it did.
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:  # type: ignore[union-attr]
                stdin.write(b"begin\n")
            code = programs.follow(process)
        self._process = None
        _pass_on_errors(code, programs, self._command, self._log_path)

    def close(self) -> None:
        """End a program that was prepared and is not needed; it has written nothing yet."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()  # closes the pipe, and waits
            self._process = None


def _pass_on_errors(code: int, programs: Programs, command: Sequence[str], log_path: Path) -> None:
    if code == EXIT_DONE:
        return
    if programs.is_told_to_stop:
        raise Interrupted(f"stopped by {programs.signal_name}; run the same command again")
    output = log_path.read_text(encoding="utf-8", errors="replace")
    reason = stated_reason(output)
    if reason is None:
        name, tail = program_name(command), output[-_TAIL_CHARACTERS:]
        raise PconvError(f"{name} {how_it_ended(code)}; its last output:\n{tail}")
    raise (UsageError if code == EXIT_USAGE else PconvError)(reason)


def stated_reason(output: str) -> str | None:
    """Return what a program's last ``error: …`` says, else its first ``failed: …``."""
    text = _without_bars(output)
    said = {word: re.findall(rf"^{word}: {_MESSAGE}", text, _LINES) for word in ("error", "failed")}
    reasons = said["error"][-1:] or said["failed"][:1]
    return reasons[0].strip() if reasons else None


def last_words(log: Path, begin: int) -> str:
    """Return what a program said last that wrote to ``log`` from ``begin`` on; empty if nothing.

    That is its last ``error: …``, or else its last line: of a traceback, the exception.
    """
    with open(log, "rb") as stream:
        stream.seek(max(begin, log.stat().st_size - _LOG_TAIL_BYTES))
        text = _without_bars(stream.read().decode(errors="replace"))
    errors = re.findall(rf"^error: {_MESSAGE}", text, _LINES)
    said = errors or [line for line in text.splitlines() if line.strip()]
    return said[-1].strip() if said else ""


def _without_bars(output: str) -> str:
    # Progress bars go back to the start of their line; nothing else does.
    return re.sub(r"[^\n]*\r", "", output)
