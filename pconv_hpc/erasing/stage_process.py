"""A stage of erasing as a process of its own, for a person who waits for one photo."""

import re
from collections.abc import Sequence
from pathlib import Path

from pconv_hpc.erasing.programs import Programs
from pconv_hpc.errors import EXIT_DONE, EXIT_USAGE, Interrupted, PconvError, UsageError

_TAIL_CHARACTERS = 2000


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
        name, tail = Path(command[1]).name, output[-_TAIL_CHARACTERS:]
        raise PconvError(f"{name} ended with exit code {code} and said last:\n{tail}")
    raise (UsageError if code == EXIT_USAGE else PconvError)(reason)


def stated_reason(output: str) -> str | None:
    """Return what a program said of its failure, as ``error: …`` or ``failed: …``."""
    # Progress bars go back to the start of their line; nothing else does.
    text = re.sub(r"[^\n]*\r", "", output)
    said = re.search(r"^(?:error|failed): (.*?)(?=^failed: |\Z)", text, re.DOTALL | re.MULTILINE)
    return said[1].strip() if said else None
