"""Erase objects from one photo, several, or every photo of a folder, on many GPUs or CPUs.

One photo: the selected objects are erased. Without a selection, a picture shows the objects with
numbers, and you are asked which of them to erase. Several photos need a selection, and a folder
for their results.

A folder: its photos are split into slices, each a task of a Slurm job array; without Slurm the
slices are processed on this machine. Finished photos are never processed again, so repeating the
command continues the work; pconv-hpc erase-status shows its progress.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pconv_hpc.erasing.folder.manifest import MANIFEST_NAME, Manifest, read_manifest
from pconv_hpc.erasing.one_photo import OnePhoto, erase_answered, erase_selected, output_path
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.erasing.several_photos import SeveralPhotos
from pconv_hpc.foundation.errors import EXIT_DONE, UsageError
from pconv_hpc.foundation.text import printable
from pconv_hpc.jobs.erase_array.folder_plan import FolderPlan, plan_new, plan_rest
from pconv_hpc.jobs.erase_array.status import read_erase_status
from pconv_hpc.jobs.erase_array.status_text import describe_status
from pconv_hpc.jobs.erase_array.submission import like_the_last
from pconv_hpc.jobs.requeue.resubmit import should_submit, site_file
from pconv_hpc.options import cli
from pconv_hpc.options.erase import (
    SBATCH_OPTIONS,
    add_erase_options,
    check_settings,
    erase_settings,
    refuse_given,
)
from pconv_hpc.options.from_settings import settings_of
from pconv_hpc.options.inputs import inputs_of
from pconv_hpc.options.sbatch import sbatch_options_of
from pconv_hpc.photos.batch_driver import failure_reason
from pconv_hpc.photos.formats.photo_files import read_photo
from pconv_hpc.photos.image_error import ImageError
from pconv_hpc.segmentation.choices import read_choices
from pconv_hpc.segmentation.selection import Selection

_EXAMPLES = """\
  # show what is in a photo, and ask which of it to erase
  pconv-hpc erase beach.jpg --show

  # without asking: the object at that pixel; the largest person
  pconv-hpc erase beach.jpg --click 812,340
  pconv-hpc erase beach.jpg clean.jpg --classes person --largest

  # the people of several photos
  pconv-hpc erase *.jpg erased/ --classes person

  # every person in a folder: 64 tasks, at most 16 at once; first a dry run
  pconv-hpc erase photos out --classes person \\
      --tasks 64 --max-running 16 --time 02:00:00 --dry-run
  pconv-hpc erase-status out --watch

  # the same on CPU nodes
  pconv-hpc erase photos out --classes person --gres none --partition cpu

  # with a network of your own
  pconv-hpc erase beach.jpg --classes person --weights runs/imagenet_256

  # a folder on this machine; after Ctrl-C the same command continues
  pconv-hpc erase photos out --classes person --local
"""


def main() -> int:
    """Parse, and erase from one photo or from many."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="photo [OUT]; several photos and OUT; or folder of photos or of tar files and OUT. "
        "OUT is the result (default: NAME_erased beside the photo); of several photos a folder, "
        "there or ending in /; of a folder a new folder",
    )
    for_photo, for_folder = add_erase_options(parser)
    arguments = parser.parse_intermixed_args()
    *words, out = arguments.paths if len(arguments.paths) > 1 else [*arguments.paths, None]
    inputs = inputs_of(words, out, "pconv-hpc erase {} erased/")
    arguments.images, arguments.out = inputs.images, None if out is None else Path(out)
    if inputs.names:
        options = (option for option in for_folder if option.dest != "empty")
        refuse_given(options, arguments, "a folder, and these are several photos")
        if arguments.show:
            raise UsageError("--show is for one photo, and these are several")
        return _erase_several(arguments, inputs.names)
    is_tar = arguments.images.suffix.lower() == ".tar"
    if arguments.images.is_file() and not is_tar:
        refuse_given(for_folder, arguments, "a folder, and this is one photo")
        return _erase_photo(arguments)
    if not arguments.images.exists():
        raise UsageError(f"{arguments.images}: no such file or folder")
    refuse_given(for_photo, arguments, "one photo, and this is a folder")
    if arguments.out is None:
        raise UsageError("expected FOLDER OUT: name a folder for the results")
    return _erase_folder(arguments)


def _erase_photo(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments, EraseSettings())
    check_settings(settings)  # before objects are found
    output = output_path(arguments.images, arguments.out, overwrite=arguments.overwrite)
    _require_readable(arguments.images, settings.resources.max_pixels)
    with tempfile.TemporaryDirectory(prefix="erase-") as temporary:
        work = OnePhoto(
            photo=arguments.images,
            output=output,
            folder=arguments.work or Path(temporary),
            settings=settings,
        )
        if settings.segment.selects:
            erase_selected(work, _say)
        else:
            erase_answered(
                work,
                ask=input,
                say=_say,
                show=_open_picture if arguments.show else lambda path: None,
                is_patient=sys.stdin.isatty(),
            )
    return EXIT_DONE


def _require_readable(photo: Path, max_pixels: int) -> None:
    """Raise ``UsageError`` for a photo that the stages would refuse after seconds of imports."""
    try:
        read_photo(photo, max_pixels=max_pixels)
    except ImageError as error:
        raise UsageError(failure_reason(photo, error)) from error


def _erase_several(arguments: argparse.Namespace, names: Sequence[str]) -> int:
    settings, folder = erase_settings(arguments, None), arguments.images
    if settings.segment.choices:
        read_choices(settings.segment.choices, Selection(), folder).require_on_disk(folder)
    with tempfile.TemporaryDirectory(prefix="erase-") as temporary:
        return SeveralPhotos(
            folder=folder,
            names=names,
            out=arguments.out,
            work=arguments.work or Path(temporary),
            settings=settings,
            overwrite=arguments.overwrite,
        ).erase(_say)


def _say(text: str) -> None:
    print(printable(text), flush=True)


def _open_picture(path: Path) -> None:
    program = "open" if sys.platform == "darwin" else "xdg-open"
    try:
        subprocess.Popen([program, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as error:
        print(f"--show: {program} cannot be run ({error.strerror})", file=sys.stderr)


def _erase_folder(arguments: argparse.Namespace) -> int:
    sbatch_options = sbatch_options_of(arguments, SBATCH_OPTIONS)
    if "array" in sbatch_options:
        raise UsageError("--sbatch array=…: use --tasks and --max-running")
    here = arguments.local or not should_submit(os.environ)
    if here:
        _refuse_options_of_jobs(sbatch_options, arguments)
    plan = _plan(arguments)
    submission = like_the_last(
        plan.out,
        plan.to_do,
        max_running=arguments.max_running,
        options=sbatch_options,
        site=site_file(os.environ),
    )
    command = "none: the slices are done here" if here else submission.line
    _say(plan.describe(command if plan.to_do else "none"))
    if not here:
        submission.require_room()
    if arguments.dry_run:
        return EXIT_DONE
    manifest = plan.build()
    if here:
        return _erase_here(manifest)
    if plan.to_do:
        _say(f"submitted   job {submission.submit()}")
    return EXIT_DONE


def _refuse_options_of_jobs(sbatch_options: dict[str, str], arguments: argparse.Namespace) -> None:
    given = [*sbatch_options, *(["max-running"] if arguments.max_running else [])]
    if given:
        raise UsageError(
            f"--{given[0]} is for Slurm jobs, and this runs here (--local, inside a job, or Slurm "
            "does not answer)"
        )


def _plan(arguments: argparse.Namespace) -> FolderPlan:
    """Return the plan for a new folder, or for what is left of one."""
    has_manifest = (arguments.out / MANIFEST_NAME).exists()
    manifest = read_manifest(arguments.out) if has_manifest else None
    settings = erase_settings(arguments, manifest.settings if manifest else None)
    if manifest is None:
        return plan_new(arguments.images, arguments.out, settings, arguments.tasks)
    rest = read_erase_status(arguments.out).rerun
    return plan_rest(manifest, arguments.images, settings, arguments.tasks, rest)


def _erase_here(manifest: Manifest) -> int:
    from pconv_hpc.erasing.folder.local_run import erase_here
    from pconv_hpc.evaluation.reports.erase_report import write_erase_report

    ending = erase_here(manifest)
    if ending.signal_name:
        print(
            f"stopped by {ending.signal_name}; run the same command again to continue",
            file=sys.stderr,
        )
    else:
        _say(describe_status(read_erase_status(manifest.out), None))
        _say(f"report      {write_erase_report(manifest.out)}")
    return ending.exit_code


if __name__ == "__main__":
    cli.run(main)
