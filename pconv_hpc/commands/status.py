"""Show the state of training runs and erase folders, and what went wrong last."""

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pconv_hpc.foundation.errors import EXIT_DONE, EXIT_USAGE, PconvError, UsageError
from pconv_hpc.jobs.erase_array.overview import (
    find_erase_folders,
    format_erase_table,
    is_erase_folder,
)
from pconv_hpc.jobs.erase_array.status import read_erase_status
from pconv_hpc.jobs.run_overview import find_runs, format_table, read_overview
from pconv_hpc.options import cli

_EXAMPLES = """\
  pconv-hpc status                                  # all runs in ./runs, all results here
  pconv-hpc status runs/imagenet_256 runs/finetune erased
  pconv-hpc status --watch                          # again every 10 seconds, until Ctrl-C
  pconv-hpc status --json | jq '.[] | select(.kind == "run") | .step'

"left" is extrapolated from the speed in the last row of metrics.csv. A run that was killed shows
as "exited without recording a status"; pconv-hpc resume continues it. pconv-hpc erase-status shows
more about one erase folder, and submits the slices to "rerun".
"""


T = TypeVar("T")


def main() -> int:
    """Parse, read, show."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument(
        "folders",
        type=Path,
        nargs="*",
        metavar="RUN_DIR",
        help="run folders, or OUT folders of pconv-hpc erase (default: all in . and ./runs)",
    )
    parser.add_argument(
        "--watch",
        type=cli.positive_int,
        nargs="?",
        const=10,
        metavar="SECONDS",
        help="repeat every SECONDS (10), until Ctrl-C",
    )
    parser.add_argument("--json", action="store_true", help="print JSON: a list of objects")
    arguments = parser.parse_args()
    problems = _show(arguments.folders, as_json=arguments.json, clear=False)
    try:
        while arguments.watch:
            time.sleep(arguments.watch)
            _show(arguments.folders, as_json=arguments.json, clear=sys.stdout.isatty())
    except KeyboardInterrupt:  # the way to end it
        pass
    return EXIT_USAGE if problems else EXIT_DONE


def _show(folders: list[Path], *, as_json: bool, clear: bool) -> list[str]:
    """Show those that can be read; return what is wrong with the others, which is told, too."""
    runs, erased = _sorted(folders) if folders else _found()
    problems: list[str] = []
    overviews = _read_all(read_overview, runs, problems)
    statuses = _read_all(read_erase_status, erased, problems)
    if as_json:
        objects = [{"kind": "run", **dataclasses.asdict(overview)} for overview in overviews]
        objects += [{"kind": "erase", **status.to_json()} for status in statuses]
        text = json.dumps(objects, indent=2)
    else:
        tables = [format_table(overviews)] if overviews else []
        tables += [format_erase_table(statuses)] if statuses else []
        text = "\n\n".join(tables)
    print(("\033[H\033[2J" if clear else "") + text, flush=True)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr, flush=True)
    return problems


def _read_all(read: Callable[[Path], T], paths: list[Path], problems: list[str]) -> list[T]:
    found = []
    for path in paths:
        try:
            found.append(read(path))
        except PconvError as error:
            problems.append(str(error))
    return found


def _sorted(folders: list[Path]) -> tuple[list[Path], list[Path]]:
    """Return the folders of training runs and those of erased photos."""
    erased = [path for path in folders if is_erase_folder(path)]
    return [path for path in folders if path not in erased], erased


def _found() -> tuple[list[Path], list[Path]]:
    runs_dir = Path("runs")
    runs, erased = find_runs(runs_dir), find_erase_folders(Path(), runs_dir)
    if not runs and not erased:
        raise UsageError(
            f"{runs_dir}: no run folders here, and no results of pconv-hpc erase beside it; name "
            "them: pconv-hpc status RUN_DIR …"
        )
    return runs, erased


if __name__ == "__main__":
    cli.run(main)
