"""Measurements of the training step on a GPU, each in a process of its own.

A process of its own begins with empty memory, so that its most memory held is its own, and where
it dies it takes nothing along. What was found is saved after every line.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pconv_hpc import atomic
from pconv_hpc.bench.gpu_request import Request
from pconv_hpc.errors import EXIT_USAGE, UsageError

Record = dict[str, Any]

_ERROR_CHARACTERS = 2000
_GPU_MEMORY_SHARE = "0.92"  # of what JAX takes at its start; its own default is three quarters


def read_records(path: Path) -> list[Record]:
    """Return what an earlier call left in ``path``; nothing where there is no such file.

    Raises:
        UsageError: the file holds something else.
    """
    if not path.exists():
        return []
    try:
        records = json.loads(path.read_text())["measurements"]
        for record in records:
            Request(**record["request"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{path}: holds no measurements of this program ({error}); name another file with --out"
        ) from error
    found: list[Record] = records
    return found


def is_complete(record: Record) -> bool:
    """Return whether a measurement came to its end."""
    return "end" in record


def measure_all(requests: Sequence[Request], path: Path) -> Iterator[tuple[Record, str]]:
    """Measure what is asked for and not yet in ``path``; yield each record as it grows.

    With it comes what is new: ``kept`` (an earlier call measured it), one of the findings of
    ``gpu_measure``, or ``error``. ``path`` holds everything that was yielded.

    Raises:
        UsageError: there is no such device, or an option cannot be used.
    """
    records = read_records(path)
    for request in requests:
        mapping = request.as_mapping()
        old = next((r for r in records if r["request"] == mapping), None)
        if old is not None and is_complete(old):
            yield old, "kept"
            continue
        if old is not None:
            records.remove(old)
        record: Record = {"request": mapping, "runs": []}
        records.append(record)
        for name, found in _findings(request):
            if name == "run":
                record["runs"].append(found)
            else:
                record[name] = found
            atomic.write_json(path, {"measurements": records})
            yield record, name


def _findings(request: Request) -> Iterator[tuple[str, Any]]:
    command = [
        sys.executable,
        "-m",
        "pconv_hpc.bench.gpu_measure",
        json.dumps(request.as_mapping()),
    ]
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # never written to; that it closes tells of our end
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment(request),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("{"):  # torch's profiler prints lines of its own
                    yield from json.loads(line).items()
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        if code:
            errors.seek(0)
            told = errors.read()[-_ERROR_CHARACTERS:].strip()
            if code == EXIT_USAGE:
                raise UsageError(told.rpartition("error: ")[2])
            yield "error", f"the measuring process ended with {code}: {told}"


def _environment(request: Request) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    values = os.environ | {"KERAS_BACKEND": request.backend, "PYTHONPATH": os.pathsep.join(paths)}
    if request.device == "cpu":
        return values | {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    values.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", _GPU_MEMORY_SHARE)
    return values
