"""Every fault many times over: ``make soak``. Interrupted at any time, it continues.

    python -m tests.integration.faults.soak [--folder build/soak] [--share 1.0] [--rows 0 4] [--add]

It goes on in rounds, each with a seed of its own that names its folder, and notes each finished one
in ``row_*.json``; what a round that failed left behind is kept beside it. After every round the
table in ``docs/reference/reliability.md`` is written anew. Processes with different ``--rows`` may
share a folder; with ``--add`` the counts begin with those of the table, to go on with what another
machine began.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import EXIT_DONE, EXIT_FAILED
from pconv_hpc.options import cli
from tests.support.paths import REPOSITORY

DOCUMENT = REPOSITORY / "docs/reference/reliability.md"
_TABLE = re.compile(r"(<!-- soak -->\n).*(<!-- end of soak -->)", re.DOTALL)
_FUZZ_RUNS = 20_000  # a round


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        name: in the table.
        wanted: how many times.
        tests: what pytest is given for a round; a test may say how often it tried by the property
            ``tried``, and else counts as one.
        fuzz: the target of the fuzzer for a round, in place of tests.
        repeats: how often a round runs the tests; what they share is made once.
    """

    name: str
    wanted: int
    tests: Sequence[str] = ()
    fuzz: str = ""
    repeats: int = 1

    def round(self, folder: Path, seed: int) -> tuple[int, int]:
        """Try it for a while; return how many times, and how often something was lost."""
        if self.fuzz:
            return self._fuzz(folder, seed)
        report = folder / "report.xml"
        command = ["-m", "pytest", "-q", "--timeout=3600", f"--junitxml={report}", *self.tests]
        code = _python(
            [*command, f"--basetemp={folder / 'pytest'}"],
            folder,
            {"PCONV_FAULT_SEED": str(seed), "PCONV_FAULT_REPEATS": str(self.repeats)},
        )
        if not report.is_file():
            raise RuntimeError(f"pytest ended with exit code {code}; see {folder / 'log'}")
        suite = ElementTree.parse(report).getroot()[0]
        said = [int(p.get("value", "1")) for p in suite.iter("property")]
        lost = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        return (sum(said) if said else int(suite.get("tests", "0"))), lost

    def _fuzz(self, folder: Path, seed: int) -> tuple[int, int]:
        module = ["-m", "tests.integration.faults.fuzz", self.fuzz, str(folder.parent / self.fuzz)]
        code = _python([*module, str(_FUZZ_RUNS), str(seed)], folder, {})
        done = re.search(
            r"number_of_executed_units: (\d+)", (folder / "log").read_text(errors="replace")
        )
        return (int(done[1]) if done else 0), int(code != 0)


_TRAINING, _DATA = (
    "tests/integration/faults/test_training.py",
    "tests/integration/faults/test_data.py",
)
_ERASING = "tests/integration/faults/test_erasing.py"
_PREEMPTION = "tests/integration/cluster/test_preemption.py"
_HOSTILE = (
    "tests/integration/faults/test_hostile_photos.py",
    "tests/integration/faults/test_hostile_files.py",
)
FAULTS = (
    Fault("random interruptions of a run of two ranks", 200, (_TRAINING, "-k", "random")),
    Fault("killed ranks and one that stands still", 20, (_TRAINING, "-k", "kills"), repeats=5),
    Fault("full disk during a run", 20, (_TRAINING, "-k", "full_disk"), repeats=5),
    Fault(
        "second start, and a folder that turns read-only",
        20,
        (_TRAINING, "-k", "second_start"),
        repeats=5,
    ),
    Fault("two newest checkpoints damaged", 20, (_TRAINING, "-k", "two_newest"), repeats=5),
    Fault("jobs preempted at random moments and paces", 20, (_PREEMPTION, "-k", "random")),
    Fault("changed bits in packed photos", 20, (_DATA, "-k", "changed_bit"), repeats=4),
    Fault("erasing tasks and stages killed at random", 50, (_ERASING, "-k", "random")),
    Fault(
        "second task, torn rows, photos that change", 20, (_ERASING, "-k", "second_task"), repeats=5
    ),
    Fault(
        "full disk, then a folder that turns read-only",
        20,
        (_ERASING, "-k", "full_disk"),
        repeats=5,
    ),
    Fault("hostile photos, files and configurations", 200, _HOSTILE),
    Fault("fuzzed images", 1_000_000, fuzz="images"),
    Fault("fuzzed configurations", 1_000_000, fuzz="configurations"),
    Fault("fuzzed manifests and lists of photos", 1_000_000, fuzz="manifests"),
    Fault("fuzzed ledgers, summaries and locks", 1_000_000, fuzz="ledgers"),
)


def _python(arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> int:
    with open(folder / "log", "wb") as log:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env=os.environ | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        ).returncode


def main() -> int:
    """Go on until every fault was tried as often as is wanted."""
    parser = cli.build_parser(__doc__ or "")
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / "build/soak", help="where it works"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the full counts")
    parser.add_argument(
        "--rows",
        type=int,
        nargs="+",
        choices=range(len(FAULTS)),
        metavar="ROW",
        help="of the table, the first is 0 (default: all)",
    )
    parser.add_argument("--add", action="store_true", help="begin with the counts of the table")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.add:
        begin_with_table(folder)
    for row in arguments.rows or range(len(FAULTS)):
        while read_tally(folder, row)["tried"] < FAULTS[row].wanted * arguments.share:
            soak_once(row, folder)
    lost = any(read_tally(folder, row)["lost"] for row in range(len(FAULTS)))
    return EXIT_FAILED if lost else EXIT_DONE


def soak_once(row: int, folder: Path) -> None:
    """Do one round, note it, and write the table."""
    fault, seed = FAULTS[row], secrets.randbelow(2**31)
    place = folder / f"{row}-{seed}"
    place.mkdir()
    tried, lost = fault.round(place, seed)
    tally = read_tally(folder, row)
    tally["tried"] += tried
    tally["lost"] += lost
    atomic.write_json(folder / f"row_{row}.json", tally)
    print(f"{fault.name}: {tally['tried']:,} of {fault.wanted:,}, {tally['lost']} lost", flush=True)
    if not lost:
        shutil.rmtree(place)
    document = DOCUMENT.read_text(encoding="utf-8")
    tallies = [read_tally(folder, row) for row in range(len(FAULTS))]
    atomic.write_text(DOCUMENT, _TABLE.sub(rf"\g<1>{table(tallies)}\g<2>", document))


def read_tally(folder: Path, row: int) -> dict[str, int]:
    """Return how often a fault was tried and something was lost so far."""
    path = folder / f"row_{row}.json"
    if not path.is_file():
        return {"tried": 0, "lost": 0}
    tally: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    return tally


def begin_with_table(folder: Path) -> None:
    """Take the counts of the document's table for faults that have none in the folder yet."""
    rows = re.findall(r"^\| (.+) \| ([\d,]+) \| [\d,]+ \| (.+) \|$", _table_text(), re.MULTILINE)
    counts = {name: (tried, lost) for name, tried, lost in rows}
    for row, fault in enumerate(FAULTS):
        path = folder / f"row_{row}.json"
        if not path.exists() and fault.name in counts:
            tried, lost = counts[fault.name]
            tally = {
                "tried": int(tried.replace(",", "")),
                "lost": int(lost) if lost.isdigit() else 0,
            }
            atomic.write_json(path, tally)


def _table_text() -> str:
    found = _TABLE.search(DOCUMENT.read_text(encoding="utf-8"))
    assert found, f"{DOCUMENT}: the marks of the table are gone"
    return found[0]


def table(tallies: Sequence[dict[str, int]]) -> str:
    """Return the table of the document."""
    lines = ["| fault | tried | of | lost |", "|---|---|---|---|"]
    for fault, tally in zip(FAULTS, tallies, strict=True):
        lost = "nothing" if tally["tried"] and not tally["lost"] else tally["lost"] or "–"
        lines.append(f"| {fault.name} | {tally['tried']:,} | {fault.wanted:,} | {lost} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    cli.run(main)
