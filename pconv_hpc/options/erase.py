"""The options of ``pconv-hpc erase``, and the work on a folder that they describe."""

import argparse
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pconv_hpc.erasing.folder.resource_options import capacity_of
from pconv_hpc.erasing.folder.settings import EraseSettings
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.find_weights import SHIPPED_WEIGHTS
from pconv_hpc.model.weight_header import check_weights
from pconv_hpc.options import cli
from pconv_hpc.options.command_words import option_words, words_of
from pconv_hpc.options.files import add_max_pixels_option, add_threads_option
from pconv_hpc.options.inpaint import add_filling_options, add_weights_option, fill_settings_of
from pconv_hpc.options.sbatch import add_sbatch_options
from pconv_hpc.options.segment import (
    add_mask_options,
    add_network_options,
    add_selection_options,
    selection_of,
)
from pconv_hpc.segmentation.choices import read_choices
from pconv_hpc.segmentation.network_files import default_checkpoint, find_config

Options = list[argparse.Action]

SBATCH_OPTIONS = {
    "time": "time limit of each start, such as 12:00:00",
    "gres": "GPUs of each task, such as gpu:a100:1",
    "cpus-per-task": "cores of each task",
    "mem": "main memory of each task, such as 64G",
    "partition": "partition to submit to",
    "account": "account to charge",
    "qos": "quality of service",
}
# What the manifest keeps under names of their own.
_KEPT_BY_NAME = ("config", "checkpoint", "weights")


@dataclass(frozen=True)
class EraseOptions:
    """The options of ``pconv-hpc erase`` by what they are for; some are for both stages.

    Attributes:
        segment: handed on to ``pconv-hpc segment``.
        inpaint: handed on to ``pconv-hpc inpaint``.
        photo: only for one photo.
        folder: only for a folder.
    """

    segment: Options
    inpaint: Options
    photo: Options
    folder: Options

    @property
    def recorded(self) -> Options:
        """What a manifest records."""
        empty = [option for option in self.folder if option.dest == "empty"]
        return [*self.segment, *self.inpaint, *empty]

    def segment_words(self, arguments: argparse.Namespace) -> list[str]:
        """Return what ``pconv-hpc segment`` is handed on."""
        return option_words(self.segment, arguments, prefix="segment-")

    def inpaint_words(self, arguments: argparse.Namespace) -> list[str]:
        """Return what ``pconv-hpc inpaint`` is handed on."""
        return option_words(self.inpaint, arguments, prefix="inpaint-")


def add_erase_options(parser: argparse.ArgumentParser) -> EraseOptions:
    """Add all options."""
    segment = add_network_options(parser, prefix="segment-")
    segment += add_selection_options(parser) + add_mask_options(parser)
    filling = parser.add_argument_group("network that fills holes")
    inpaint = [add_weights_option(filling), *add_filling_options(filling, prefix="inpaint-")]
    work = parser.add_argument_group("work")
    both = [
        add_threads_option(work, "threads that read and write files"),
        add_max_pixels_option(work),
    ]
    return EraseOptions(
        segment=segment + both,
        inpaint=inpaint + both,
        photo=_add_photo_options(parser),
        folder=_add_folder_options(parser),
    )


def _add_photo_options(parser: argparse.ArgumentParser) -> Options:
    photo = parser.add_argument_group("one photo")
    return [
        photo.add_argument(
            "--work", type=Path, metavar="DIR", help="keep objects, masks, pictures and logs here"
        ),
        photo.add_argument("--show", action="store_true", help="open the picture to choose from"),
        photo.add_argument(
            "--overwrite", action="store_true", help="replace a result that is there"
        ),
    ]


def _add_folder_options(parser: argparse.ArgumentParser) -> Options:
    folder = parser.add_argument_group("a folder")
    return [
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
            "--empty",
            choices=("copy", "skip"),
            help="photos with nothing to erase: copy them to the results, or leave them out "
            "(default: copy)",
        ),
        folder.add_argument(
            "--local", action="store_true", help="do the work here, not as Slurm jobs"
        ),
        folder.add_argument(
            "--dry-run", action="store_true", help="only say what would be done, write nothing"
        ),
        *add_sbatch_options(folder, SBATCH_OPTIONS),
    ]


def refuse_given(options: Options, arguments: argparse.Namespace, purpose: str) -> None:
    """Raise ``UsageError`` where one of ``options``, which are for ``purpose``, was given."""
    for option in options:
        if getattr(arguments, option.dest, option.default) != option.default:
            raise UsageError(f"{option.option_strings[0]} is for {purpose}")


def erase_settings(
    options: EraseOptions,
    arguments: argparse.Namespace,
    given: Collection[str],
    recorded: EraseSettings | None,
) -> EraseSettings:
    """Return what is to be done to each photo of a folder, after checks that need no network.

    Args:
        options: what ``add_erase_options`` returned.
        arguments: what was parsed.
        given: which options were given, as ``parse_noting_given`` says it.
        recorded: what a manifest that is there says. Without a selection every option that was not
            given is taken from it, and with one only the weights, what becomes of photos with
            nothing to erase, and what a GPU and a node can hold.

    Raises:
        UsageError: something is missing, or nothing is selected.
    """
    fill_settings_of(arguments)  # to fail now if they cannot be
    segment, inpaint = (
        (recorded.segment_options, recorded.inpaint_options) if recorded else ((), ())
    )
    if recorded is None or _has_selection(arguments):
        _require_selection(arguments)
        segment, inpaint = capacity_of(segment), capacity_of(inpaint)
        checkpoint: Path | None = _checkpoint(arguments)
        config = _config(arguments.config)
    else:
        checkpoint = arguments.checkpoint or recorded.checkpoint
        config = _config(arguments.config) or recorded.config
    weights = arguments.weights or (recorded.weights if recorded else SHIPPED_WEIGHTS)
    settings = EraseSettings(
        weights=weights.absolute(),
        checkpoint=checkpoint and checkpoint.absolute(),
        config=config,
        segment_options=_words(options.segment, arguments, given, segment, "segment-"),
        inpaint_options=_words(options.inpaint, arguments, given, inpaint, "inpaint-"),
        empty=arguments.empty or (recorded.empty if recorded else "copy"),
    )
    check_weights(settings.weights)
    if settings.checkpoint is not None and not settings.checkpoint.is_file():
        raise UsageError(f"{settings.checkpoint}: no such checkpoint")
    return settings


def _words(
    options: Options,
    arguments: argparse.Namespace,
    given: Collection[str],
    recorded: Sequence[str],
    prefix: str,
) -> tuple[str, ...]:
    """Return a stage's options as they were given, and those that were not as they are recorded."""
    words: list[str] = []
    for option in options:
        if option.dest in _KEPT_BY_NAME:
            continue
        if option.dest in given:
            words += option_words([option], arguments, prefix=prefix)
        else:
            words += words_of(option, recorded, prefix=prefix)
    return tuple(words)


def _has_selection(arguments: argparse.Namespace) -> bool:
    return arguments.choices is not None or not selection_of(arguments).is_empty


def _require_selection(arguments: argparse.Namespace) -> None:
    selection = selection_of(arguments)
    if arguments.choices is not None:
        read_choices(arguments.choices, selection)
    elif selection.is_empty:
        raise UsageError(
            "nothing is selected: for a folder say what to erase, such as --classes person, --all "
            "or --choices table.csv"
        )


def _checkpoint(arguments: argparse.Namespace) -> Path:
    return Path(arguments.checkpoint or default_checkpoint(arguments.config))


def _config(config: str | None) -> str | None:
    """Return a configuration's absolute path, or its name, which needs MMDetection to check."""
    if config is None or Path(config).is_file():
        return None if config is None else str(Path(config).absolute())
    if find_spec("mmdet") is not None:  # else it may be in the environment of the jobs
        find_config(config)
    return config
