#!/usr/bin/env python
"""Show where training runs stand: in Slurm, in steps, in time, and what went wrong last."""

import dataclasses
import json
import sys
import time
from pathlib import Path

from pconv_hpc import cli
from pconv_hpc.training.overview import find_runs, format_table, read_overview

_EXAMPLES = """\
  python tools/status.py                                  # all runs in ./runs
  python tools/status.py runs/imagenet_256 runs/finetune
  python tools/status.py --watch                          # again every 10 seconds, until Ctrl-C
  python tools/status.py --json | jq '.[].step'

"left" is at the speed of the last row of metrics.csv. Of a run that was killed the status is
"ended without a word": tools/resume.py continues it.
"""


def main() -> None:
    """Parse, read, show."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument(
        "run_dirs", type=Path, nargs="*", metavar="RUN_DIR", help="run folders; none: all in ./runs"
    )
    parser.add_argument(
        "--watch",
        type=cli.positive_int,
        nargs="?",
        const=10,
        metavar="SECONDS",
        help="show again every so many seconds (10), until Ctrl-C",
    )
    parser.add_argument(
        "--json", action="store_true", help="for programs: a list, one object a run"
    )
    arguments = parser.parse_args()
    _show(arguments.run_dirs, as_json=arguments.json, clear=False)
    try:
        while arguments.watch:
            time.sleep(arguments.watch)
            _show(arguments.run_dirs, as_json=arguments.json, clear=sys.stdout.isatty())
    except KeyboardInterrupt:  # the way to end it
        return


def _show(run_dirs: list[Path], *, as_json: bool, clear: bool) -> None:
    overviews = [read_overview(path) for path in run_dirs or find_runs(Path("runs"))]
    if as_json:
        text = json.dumps([dataclasses.asdict(overview) for overview in overviews], indent=2)
    else:
        text = format_table(overviews)
    print(("\033[H\033[2J" if clear else "") + text, flush=True)


if __name__ == "__main__":
    cli.run(main)
