"""The options of ``pconv-hpc erase``, and the work on a folder that they describe."""

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pconv_hpc.erasing.settings import EraseSettings, Resources
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.model.weight_header import check_weights
from pconv_hpc.options import cli
from pconv_hpc.options.from_settings import Options, add_setting_options, settings_of
from pconv_hpc.options.sbatch import add_sbatch_options
from pconv_hpc.segmentation.choices import read_choices
from pconv_hpc.segmentation.network_files import check_network, default_checkpoint
from pconv_hpc.segmentation.settings import SegmentSettings

SBATCH_OPTIONS = {
    "time": "time limit of each start, such as 12:00:00",
    "gres": "GPUs of each task, such as gpu:a100:1; none: a CPU node, 4 cores and 16G",
    "cpus-per-task": "cores of each task",
    "mem": "main memory of each task, such as 64G",
    "partition": "partition to submit to",
    "account": "account to charge",
    "qos": "quality of service",
}


def add_erase_options(parser: argparse.ArgumentParser) -> tuple[Options, Options]:
    """Add all options; return those that are only for one photo, and those only for a folder."""
    for cls in (SegmentSettings, InpaintSettings, Resources):
        add_setting_options(parser, cls)
    return _add_photo_options(parser), _add_folder_options(parser)


def _add_photo_options(parser: argparse.ArgumentParser) -> Options:
    photo = parser.add_argument_group("one photo")
    return [
        photo.add_argument(
            "--work", type=Path, metavar="DIR", help="keep objects, masks, pictures and logs here"
        ),
        photo.add_argument("--show", action="store_true", help="open the picture to choose from"),
        photo.add_argument("--overwrite", action="store_true", help="replace an existing result"),
    ]


def _add_folder_options(parser: argparse.ArgumentParser) -> Options:
    folder = parser.add_argument_group("a folder")
    return [
        *add_setting_options(folder, EraseSettings),
        folder.add_argument(
            "--tasks",
            type=cli.positive_int,
            metavar="N",
            help="slices, each a task of the array (default: one for 2,000 photos, at most 1,000)",
        ),
        folder.add_argument(
            "--max-running", type=cli.positive_int, metavar="N", help="tasks that may run at once"
        ),
        folder.add_argument(
            "--local", action="store_true", help="do the work here, not as Slurm jobs"
        ),
        folder.add_argument(
            "--dry-run", action="store_true", help="only show what would be done, write nothing"
        ),
        *add_sbatch_options(folder, SBATCH_OPTIONS),
    ]


def refuse_given(
    options: Iterable[argparse.Action], arguments: argparse.Namespace, purpose: str
) -> None:
    """Raise ``UsageError`` where one of ``options``, which are for ``purpose``, was given."""
    for option in options:
        if getattr(arguments, option.dest, option.default) != option.default:
            raise UsageError(f"{option.option_strings[0]} is for {purpose}")


def erase_settings(arguments: argparse.Namespace, recorded: EraseSettings | None) -> EraseSettings:
    """Return what is to be done to each photo of a folder, after checks that need no network.

    Args:
        arguments: what a parser with ``add_erase_options`` returned.
        recorded: what a manifest that is there says. Without a selection every option that was not
            given is taken from it, and with one only the weights, what becomes of photos with
            nothing to erase, and the resource options.

    Raises:
        UsageError: something is missing, or nothing is selected.
    """
    before = recorded or EraseSettings()
    if recorded is None or settings_of(arguments, SegmentSettings()).selects:
        weights = InpaintSettings(weights=before.inpaint.weights)
        before = replace(before, segment=SegmentSettings(), inpaint=weights)
    settings = settings_of(arguments, before)
    segment = settings.segment
    if before is not recorded:
        _require_selection(segment)
        checkpoint = segment.checkpoint or default_checkpoint(segment.config).absolute()
        settings = replace(settings, segment=replace(segment, checkpoint=checkpoint))
    check_settings(settings)
    return settings


def check_settings(settings: EraseSettings) -> None:
    """Raise ``UsageError`` for what is known to be wrong before a stage is started."""
    segment = settings.segment
    check_weights(settings.inpaint.weights)
    classes = segment.classes
    if segment.choices is not None:  # where its photos are is looked at when they are listed
        classes += read_choices(segment.choices, segment.selection, Path("/")).classes
    # Where MMDetection is not installed, the jobs' environment may have it.
    check_network(segment.config, segment.checkpoint, classes, is_here=False)


def _require_selection(settings: SegmentSettings) -> None:
    if not settings.selects:
        raise UsageError(
            "nothing is selected: for a folder say what to erase, such as --classes person, --all "
            "or --choices table.csv"
        )
