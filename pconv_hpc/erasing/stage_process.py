"""A stage of erasing as a process of its own, for a person who waits for one photo."""

import re
from collections.abc import Sequence
from pathlib import Path

from pconv_hpc.erasing.stage_programs import Programs, how_it_ended
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
