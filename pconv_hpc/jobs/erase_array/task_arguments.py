"""What a task of ``jobs/erase_array.sbatch`` is to do: from its arguments and Slurm's variables."""

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from pconv_hpc.erasing.folder.manifest import MANIFEST_NAME, Manifest, build_manifest, read_manifest
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.options import cli
from pconv_hpc.options.erase import add_erase_options, erase_settings, refuse_given
from pconv_hpc.photos.sources.passed_over import list_kinds

_USAGE = (
    "sbatch --array=0-63 jobs/erase_array.sbatch IMAGES OUT --classes person …, or "
    "sbatch --array=3,5 jobs/erase_array.sbatch OUT to continue what OUT/manifest.json records"
)


_FROM_ENVIRONMENT = ("WEIGHTS", "CHECKPOINT", "CONFIG")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"jobs/erase_array.sbatch: {message}")


def open_work(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Manifest, int]:
    """Return the work and the number of this task's slice; make the manifest if there is none.

    Args:
        arguments: ``IMAGES OUT`` with options, or ``OUT`` alone; without either they are read from
            ``IMAGES`` and ``OUT`` in the environment.
        environment: Slurm's variables, and ``WEIGHTS``, ``CHECKPOINT`` and ``CONFIG`` for options
            that are not given.

    Raises:
        UsageError: something is missing, or the array's indices do not fit the slices.
    """
    names = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
    words = list(arguments[len(names) :])
    if not names:
        names = [environment[name] for name in ("IMAGES", "OUT") if environment.get(name)]
    if len(names) == 1 and not words:
        manifest = read_manifest(Path(names[0]))
    elif len(names) == 2:
        manifest = _build(Path(names[0]), Path(names[1]), words, environment)
    else:
        found = " ".join([*names, *words]) or "nothing"
        raise UsageError(f"expected IMAGES OUT, or OUT alone, found {found}: {_USAGE}")
    number = _task(environment)
    if number >= manifest.num_slices:
        raise UsageError(
            f"task {number}: {manifest.out} has {manifest.num_slices} slices, expected 0 to "
            f"{manifest.num_slices - 1}"
        )
    return manifest, number


def _build(
    images: Path, out: Path, words: Sequence[str], environment: Mapping[str, str]
) -> Manifest:
    recorded = read_manifest(out) if (out / MANIFEST_NAME).exists() else None
    settings, num_slices = parse_settings(
        words, environment, recorded.settings if recorded else None
    )
    if num_slices is None:
        num_slices = recorded.num_slices if recorded else _count(environment)
    others = Counter[str]()
    manifest = build_manifest(
        images,
        out,
        num_slices=num_slices,
        settings=settings,
        environment=environment,
        record=False,  # a task of an older array would take back what somebody has changed since
        passed_over=others,
    )
    if others:
        print(f"{images}: left out: {list_kinds(others)}", file=sys.stderr)
    return manifest


def parse_settings(
    words: Sequence[str], environment: Mapping[str, str], recorded: EraseSettings | None
) -> tuple[EraseSettings, int | None]:
    """Return what options of the job describe, and ``--num-slices`` if it is among them.

    Args:
        words: the options of ``pconv-hpc erase`` that say what is to be done to each photo.
        environment: ``WEIGHTS``, ``CHECKPOINT`` and ``CONFIG`` for those that are not given.
        recorded: what a manifest that is there says; see ``erase_settings``.

    Raises:
        UsageError: an option is unknown, or weights or a selection are missing.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--num-slices", type=cli.positive_int)
    for_photo, for_folder = add_erase_options(parser)
    known = [f"--{n.lower()}={environment[n]}" for n in _FROM_ENVIRONMENT if environment.get(n)]
    parsed = parser.parse_args([*known, *words])
    refuse_given(for_photo, parsed, "one photo")
    for_person = (option for option in for_folder if option.dest != "empty")
    refuse_given(for_person, parsed, "pconv-hpc erase FOLDER OUT")
    return erase_settings(parsed, recorded), parsed.num_slices


def _task(environment: Mapping[str, str]) -> int:
    number = environment.get("SLURM_ARRAY_TASK_ID")
    if number is None:
        raise UsageError(f"not a task of a job array: {_USAGE}")
    return int(number)


def _count(environment: Mapping[str, str]) -> int:
    """Return how many slices an array that begins the work describes."""
    number = _task(environment)
    count, last = (int(environment[f"SLURM_ARRAY_TASK_{name}"]) for name in ("COUNT", "MAX"))
    # Some indices of an array alone do not tell how many slices there are to be.
    if count != last + 1:
        raise UsageError(
            f"task {number}: the array has {count} tasks, the last of them {last}, so the number "
            "of slices is unknown; use --array=0-N, or add --num-slices"
        )
    return count
