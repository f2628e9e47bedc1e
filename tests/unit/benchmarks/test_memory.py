"""What a process held counts, and nothing that the one held which started it."""

import subprocess
import sys

from benchmarks.memory import peak_bytes_of_process

MIB = 1 << 20
SAY = "from benchmarks.memory import peak_bytes_of_process as p; {}; print(p())"


def peak_of(statement: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SAY.format(statement)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_what_was_held_and_given_back_counts() -> None:
    nothing, much = peak_of("pass"), peak_of(f"x = b'1' * {256 * MIB}; del x")
    assert 250 * MIB < much - nothing < 320 * MIB


def test_what_the_starting_process_held_does_not_count() -> None:
    held = b"1" * (512 * MIB)
    assert peak_bytes_of_process() >= len(held)
    assert peak_of("pass") < 256 * MIB
