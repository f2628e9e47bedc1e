"""Flame graphs of Python programs, drawn by py-spy."""

import html
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import PconvError, UsageError

_FRAME = re.compile(
    r"<title>(?P<name>.+?) \(.*?\) \((?P<samples>[\d,]+) samples, [\d.]+%\)</title>"
)
_TITLE = re.compile(r'(<text id="title"[^>]*>)[^<]*')
_SAMPLES_PER_SECOND = 50


def find_py_spy() -> str:
    """Return the path of py-spy.

    Raises:
        UsageError: it is not installed.
    """
    beside_python = str(Path(sys.executable).parent)
    path = os.pathsep.join([beside_python, os.environ.get("PATH", os.defpath)])
    found = shutil.which("py-spy", path=path)
    if found is None:
        raise UsageError("py-spy is not installed; it draws the flame graph: pip install py-spy")
    return found


def record(command: Sequence[str], svg: Path, *, title: str) -> None:
    """Run a Python program under py-spy and write its flame graph; waiting threads are in it too.

    ``title`` takes the place of py-spy's own, which is the command with all its paths.

    Raises:
        UsageError: py-spy is not installed.
        PconvError: it may not look into the program, or the program failed.
    """
    py_spy = find_py_spy()
    with atomic.atomic_path(svg, durable=False) as temporary:
        options = ["--format", "flamegraph", "--function", "--idle"]
        options += ["--rate", str(_SAMPLES_PER_SECOND), "--output", str(temporary)]
        done = subprocess.run(
            [py_spy, "record", *options, "--", *command],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode or not temporary.exists():
            told = (done.stdout + done.stderr).strip()[-2000:]
            raise PconvError(f"py-spy ended with {done.returncode} and drew nothing: {told}")
        drawn = _TITLE.sub(rf"\g<1>{html.escape(title)}", temporary.read_text())
        temporary.write_text(drawn)


def samples_by_function(svg: str) -> dict[str, int]:
    """Return how many samples of a flame graph lie in each function or in what it called.

    A method's name is ``Class.method``. A function that calls itself counts once for each level.
    """
    found: Counter[str] = Counter()
    for frame in _FRAME.finditer(svg):
        found[html.unescape(frame["name"])] += int(frame["samples"].replace(",", ""))
    return dict(found)
