"""Measure speed as ratios, ours against a reference, side by side in one run.

The two sides of each comparison take turns, and the medians count, so that a noisy machine disturbs
both alike. Everything takes about half an hour on two cores; name groups to measure only those.
"""

import argparse
import dataclasses
import os
import tempfile
from importlib import metadata
from pathlib import Path

from benchmarks.compare import HEADER
from benchmarks.suite import GROUPS, run_groups
from pconv_hpc.foundation import atomic
from pconv_hpc.options import cli

_EXAMPLES = """\
  make bench
  python tools/bench.py network loading --rounds 15
  python tools/bench.py --growth --out bench/growth.json
  python tools/bench.py --profile --pictures bench     # needs: pip install py-spy
  python tools/bench.py --precisions --pictures bench
"""


def main() -> None:
    """Parse, measure, print the table and write results.json."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"some of: {', '.join(GROUPS)} (all)"
    )
    parser.add_argument("--rounds", type=cli.positive_int, default=7, help="counted repetitions")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--growth", action="store_true", help="instead: how cost grows with size, as tables"
    )
    instead.add_argument(
        "--profile",
        action="store_true",
        help="instead: where the time of a training step and of erasing a folder goes",
    )
    instead.add_argument(
        "--precisions",
        action="store_true",
        help="instead: one short course of training in float32 and bfloat16, with and without XLA",
    )
    parser.add_argument(
        "--steps", type=cli.positive_int, default=200, help="of each course of --precisions"
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        default=Path("build/bench"),
        help="folder for what --profile and --precisions draw",
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench/results.json"))
    arguments = parser.parse_args()

    cores = len(os.sched_getaffinity(0))
    tensorflow = metadata.version("tensorflow")
    described: dict[str, object] = {"cores": cores, "tensorflow": tensorflow}
    print(f"{cores} core(s), TensorFlow {tensorflow}")
    if arguments.growth:
        described["growth"] = _growth()
    elif arguments.profile:
        described["profile"] = _profile(arguments.pictures)
    elif arguments.precisions:
        described["precisions"] = _precisions(arguments.pictures, arguments.steps)
    else:
        print(f"{arguments.rounds} rounds")
        described |= {"rounds": arguments.rounds, "results": _compare(arguments)}
    atomic.write_json(arguments.out, described)
    print(f"results: {arguments.out}")


def _growth() -> list[dict[str, object]]:
    from benchmarks.growth import growths

    tables = []
    for table in growths():
        tables.append(dataclasses.asdict(table) | {"slope": table.slope})
        print("\n".join(table.lines()), flush=True)
    return tables


def _profile(pictures: Path) -> list[str]:
    from benchmarks.profiles import profile_everything

    lines = []
    for line in profile_everything(pictures):
        lines.append(line)
        print(line, flush=True)
    return lines


def _precisions(pictures: Path, num_steps: int) -> list[dict[str, object]]:
    from benchmarks.precisions import draw_courses, run_courses

    courses = []
    picture = pictures / "precisions.png"
    with tempfile.TemporaryDirectory() as folder:
        for course in run_courses(Path(folder), num_steps=num_steps, image_size=128):
            courses.append(course)
            print(course.line(), flush=True)
            draw_courses(picture, courses)
    print(f"picture: {picture}")
    return [dataclasses.asdict(course) for course in courses]


def _compare(arguments: argparse.Namespace) -> list[dict[str, object]]:
    print("  ".join(HEADER[:-1]))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for result in run_groups(arguments.groups, Path(folder), arguments.rounds):
            results.append(result)
            print("  ".join(result.row()), flush=True)
    return [dataclasses.asdict(result) | {"reached": result.reached} for result in results]


if __name__ == "__main__":
    cli.run(main)
