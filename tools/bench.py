#!/usr/bin/env python
"""Measure speed as ratios, ours against a reference, side by side in one run.

The two sides of each comparison take turns, and the medians count, so that a noisy machine disturbs
both alike. Everything takes about half an hour on two cores; name groups to measure only those.
"""

import dataclasses
import os
import tempfile
from importlib import metadata
from pathlib import Path

from pconv_hpc import atomic, cli
from pconv_hpc.bench.compare import HEADER
from pconv_hpc.bench.suite import GROUPS, run_groups

_EXAMPLES = """\
  make bench
  python tools/bench.py network loading --rounds 15
  python tools/bench.py --out bench/results.json
"""


def main() -> None:
    """Parse, measure, print the table and write results.json."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"some of: {', '.join(GROUPS)} (all)"
    )
    parser.add_argument("--rounds", type=cli.positive_int, default=7, help="counted repetitions")
    parser.add_argument("--out", type=Path, default=Path("build/bench/results.json"))
    arguments = parser.parse_args()

    cores = len(os.sched_getaffinity(0))
    tensorflow = metadata.version("tensorflow")
    print(f"{cores} core(s), TensorFlow {tensorflow}, {arguments.rounds} rounds")
    print("  ".join(HEADER[:-1]))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for result in run_groups(arguments.groups, Path(folder), arguments.rounds):
            results.append(result)
            print("  ".join(result.row()), flush=True)
    described = {
        "cores": cores,
        "tensorflow": tensorflow,
        "rounds": arguments.rounds,
        "results": [dataclasses.asdict(r) | {"reached": r.reached} for r in results],
    }
    atomic.write_json(arguments.out, described)
    print(f"results: {arguments.out}")


if __name__ == "__main__":
    cli.run(main)
