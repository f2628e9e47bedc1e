"""Run the steps of an installation: say what happens and how long it takes, keep the output."""

import contextlib
import fcntl
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pconv_hpc.foundation.errors import PconvError

_TAIL_LINES = 25
_TAIL_BYTES = 1 << 14
_LINE_CHARS = 300


def say(message: str) -> None:
    """Print one line at once, also into a pipe."""
    print(message, flush=True)


@contextlib.contextmanager
def step(title: str, *, expected: str) -> Iterator[None]:
    """Announce a step with the time it usually takes; say how long it took when it is done."""
    say(f"==> {title} ({expected})")
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    say(f"    done in {int(seconds // 60)} min {int(seconds % 60):02d} s")


def tail(path: Path) -> str:
    """Return the last lines of a log, long lines cut (a compiler's can have 100,000 characters)."""
    with open(path, "rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = stream.read().decode(errors="replace").splitlines()
    return "\n".join(f"  | {line[:_LINE_CHARS]}" for line in lines[-_TAIL_LINES:])


@contextlib.contextmanager
def locked(path: Path, *, other: str) -> Iterator[bool]:
    """Hold an exclusive lock and say so: a file system without locks lets work be done twice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as stream:
        held = True
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"    waiting for another {other} (lock {path})")
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError:
            say(f"    {path.parent} has no file locks; continuing without one")
            held = False
        yield held


@dataclass(frozen=True)
class Logged:
    """Runs commands whose output goes to files in ``log_dir``, named after the step."""

    log_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)  # added to this process's own

    def run(
        self,
        command: Sequence[str | Path],
        *,
        log: str,
        hint: str = "",
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        """Run ``command`` and return the last line of its log.

        Raises:
            PconvError: it fails; with the last lines and ``hint``.
        """
        self.log_dir.mkdir(parents=True, exist_ok=True)
        log_path = self.log_dir / f"{log}.log"
        words = [str(word) for word in command]
        with open(log_path, "a") as stream:
            stream.write(f"\n$ {shlex.join(words)}\n")
            stream.flush()
            status = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment, **(environment or {})},
                cwd=cwd,
                check=False,
            ).returncode
        if status != 0:
            sys.stdout.flush()
            raise PconvError(
                f"`{shlex.join(words)[:_LINE_CHARS]}` ended with status {status}; its last lines:\n"
                f"{tail(log_path)}\n"
                f"The whole output is in {log_path}.\n"
                f"{hint + ' ' if hint else ''}Run the same command again to continue from here."
            )
        return tail(log_path).rpartition("\n")[2].removeprefix("  | ")


def output_of(command: Sequence[str | Path]) -> str | None:
    """Return what a command prints on both streams, or None if it fails or does not exist."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=600,  # a busy machine or a cold network file system takes its time
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
