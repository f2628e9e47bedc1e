"""Every fault many times over: ``make soak``. Interrupted at any time, it continues.

    python -m tests.faults.soak [--folder build/soak] [--share 1.0]

It goes on in rounds, each with its own seed, and notes each finished one in ``state.json``; what a
round that failed left behind is kept beside it. After every round the table in
``docs/reliability.md`` is written anew.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pconv_hpc import atomic, cli
from pconv_hpc.errors import EXIT_DONE, EXIT_FAILED

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/reliability.md"
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
    """

    name: str
    wanted: int
    tests: Sequence[str] = ()
    fuzz: str = ""

    def round(self, folder: Path, seed: int) -> tuple[int, int]:
        """Try it for a while; return how many times, and how often something was lost."""
        if self.fuzz:
            return self._fuzz(folder, seed)
        report = folder / "report.xml"
        command = ["-m", "pytest", "-q", "--timeout=3600", f"--junitxml={report}", *self.tests]
        code = _python(
            [*command, f"--basetemp={folder / 'pytest'}"], folder, {"PCONV_FAULT_SEED": str(seed)}
        )
        if not report.is_file():
            raise RuntimeError(f"pytest ended with exit code {code}; see {folder / 'log'}")
        suite = ElementTree.parse(report).getroot()[0]
        said = [int(p.get("value", "1")) for p in suite.iter("property")]
        lost = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        return (sum(said) if said else int(suite.get("tests", "0"))), lost

    def _fuzz(self, folder: Path, seed: int) -> tuple[int, int]:
        module = ["-m", "tests.faults.fuzz", self.fuzz, str(folder.parent / self.fuzz)]
        code = _python([*module, str(_FUZZ_RUNS), str(seed)], folder, {})
        done = re.search(
            r"number_of_executed_units: (\d+)", (folder / "log").read_text(errors="replace")
        )
        return (int(done[1]) if done else 0), int(code != 0)


_TRAINING, _DATA = "tests/faults/test_training.py", "tests/faults/test_data.py"
_ERASING = "tests/faults/test_erasing.py"
_HOSTILE = ("tests/faults/test_hostile_photos.py", "tests/faults/test_hostile_files.py")
FAULTS = (
    Fault("random interruptions of a run of two ranks", 200, (_TRAINING, "-k", "random")),
    Fault("killed ranks and one that stands still", 20, (_TRAINING, "-k", "kills")),
    Fault("full disk during a run", 20, (_TRAINING, "-k", "full_disk")),
    Fault("second start, and a folder that turns read-only", 20, (_TRAINING, "-k", "second_start")),
    Fault("two newest checkpoints damaged", 20, (_TRAINING, "-k", "two_newest")),
    Fault("changed bits in packed photos", 20, (_DATA, "-k", "changed_bit")),
    Fault("erasing tasks and stages killed at random", 50, (_ERASING, "-k", "random")),
    Fault("second task, torn rows, photos that change", 20, (_ERASING, "-k", "second_task")),
    Fault("full disk, then a folder that turns read-only", 20, (_ERASING, "-k", "full_disk")),
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
            cwd=ROOT,
            env=os.environ | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        ).returncode


def main() -> int:
    """Go on until every fault was tried as often as is wanted."""
    parser = cli.build_parser(__doc__ or "")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/soak", help="where it works")
    parser.add_argument("--share", type=float, default=1.0, help="of the full counts")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    tallies = read_state(folder)
    for fault in FAULTS:
        while tallies[fault.name]["tried"] < fault.wanted * arguments.share:
            soak_once(fault, folder, tallies)
    return EXIT_FAILED if any(tally["lost"] for tally in tallies.values()) else EXIT_DONE


def soak_once(fault: Fault, folder: Path, tallies: dict[str, dict[str, int]]) -> None:
    """Do one round, note it, and write the table."""
    tally = tallies[fault.name]
    seed = tally["rounds"] + 1
    place = folder / f"{FAULTS.index(fault)}-{seed}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    tried, lost = fault.round(place, seed)
    for name, more in (("tried", tried), ("lost", lost), ("rounds", 1)):
        tally[name] += more
    atomic.write_json(folder / "state.json", tallies)
    print(f"{fault.name}: {tally['tried']:,} of {fault.wanted:,}, {tally['lost']} lost", flush=True)
    if not lost:
        shutil.rmtree(place)
    document = DOCUMENT.read_text(encoding="utf-8")
    atomic.write_text(DOCUMENT, _TABLE.sub(rf"\g<1>{table(tallies)}\g<2>", document))


def read_state(folder: Path) -> dict[str, dict[str, int]]:
    """Return the tallies so far; zeros for what was not tried yet."""
    path = folder / "state.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    nothing = {"tried": 0, "lost": 0, "rounds": 0}
    return {fault.name: found.get(fault.name, dict(nothing)) for fault in FAULTS}


def table(tallies: dict[str, dict[str, int]]) -> str:
    """Return the table of the document."""
    lines = ["| fault | tried | of | lost |", "|---|---|---|---|"]
    for fault in FAULTS:
        tally = tallies[fault.name]
        lost = "nothing" if tally["tried"] and not tally["lost"] else tally["lost"] or "–"
        lines.append(f"| {fault.name} | {tally['tried']:,} | {fault.wanted:,} | {lost} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    cli.run(main)
