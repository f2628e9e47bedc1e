"""What ``jobs/erase_array.sbatch`` runs: find and erase objects in one slice of a folder.

    python -m pconv_hpc.slurm.erase_slice [IMAGES OUT] [--weights …] [--num-slices N] [options]

Paths are relative to where the job was submitted; options that are not known here are those of
``tools/segment.py``. Exit codes: 0 done, 1 a photo failed and the others are done, 2 bad input,
75 ended before the slice was done.
"""

import argparse
import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pconv_hpc import cli
from pconv_hpc.atomic import write_text
from pconv_hpc.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, UsageError
from pconv_hpc.slurm.commands import requeue_command
from pconv_hpc.slurm.job_environment import require_packages
from pconv_hpc.slurm.programs import Programs
from pconv_hpc.slurm.queries import job_record, run_slurm

TOOLS = Path(__file__).parents[2] / "tools"
PACKAGES = ("numpy", "PIL", "h5py", "tqdm", "keras", "tensorflow", "torch", "mmdet")
# Options of tools/segment.py that would leave the erased photos behind the masks, or the slice.
_REFUSED = ("--files-from", "--overwrite", "--dry-run")


@dataclass(frozen=True, kw_only=True)
class EraseSlice:
    """One slice of the work; all paths but ``config`` are absolute.

    Attributes:
        number: which slice, from 0.
        num_slices: how many there are.
        config: of the segmentation network: a file, or a name that MMDetection knows.
        segment_options: of ``tools/segment.py``.
    """

    images: Path
    out: Path
    weights: Path
    number: int
    num_slices: int
    checkpoint: Path | None = None
    config: str | None = None
    segment_options: tuple[str, ...] = ()

    @property
    def list_path(self) -> Path:
        """The file that names the slice's photos."""
        return self.out / "slices" / f"{self.number}-of-{self.num_slices}.txt"

    @property
    def masks(self) -> Path:
        """The folder in which ``tools/segment.py`` leaves the masks."""
        return self.out / "found" / "masks"

    @property
    def erased(self) -> Path:
        """The folder of the erased photos."""
        return self.out / "erased"

    def photos(self, images: Sequence[str]) -> list[str]:
        """Return this slice of all ``images``: every ``num_slices``-th one."""
        return list(images[self.number :: self.num_slices])

    def segment_command(self) -> list[str]:
        """Return the command that finds the slice's objects and writes their masks."""
        # --name=value, so that no value passes for an option
        network = [f"--checkpoint={self.checkpoint}"] if self.checkpoint else []
        network += [f"--config={self.config}"] if self.config else []
        program = [sys.executable, str(TOOLS / "segment.py")]
        folders = [str(self.images), str(self.out / "found")]
        options = [f"--files-from={self.list_path}", *network, *self.segment_options]
        return [*program, *folders, *options]

    def inpaint_command(self) -> list[str]:
        """Return the command that erases what the masks of the slice's photos mark."""
        program = [sys.executable, str(TOOLS / "inpaint.py")]
        folders = [str(self.images), str(self.masks), str(self.erased)]
        return [*program, *folders, f"--files-from={self.list_path}", f"--weights={self.weights}"]

    def num_files(self, photos: Sequence[str]) -> int:
        """Return how many of the slice's results there are."""
        found = self.out / "found" / "instances"
        return sum(
            (found / f"{photo}.json").exists() + (self.erased / photo).exists() for photo in photos
        )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"jobs/erase_array.sbatch: {message}")


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> EraseSlice:
    """Return the work that the batch script's arguments and Slurm's variables describe.

    Raises:
        UsageError: something is missing, or the array's indices do not cover all slices.
    """
    names = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--weights", default=environment.get("WEIGHTS"))
    parser.add_argument("--checkpoint", default=environment.get("CHECKPOINT"))
    parser.add_argument("--config", default=environment.get("CONFIG"))
    parser.add_argument("--num-slices", type=cli.positive_int)
    options, segment_options = parser.parse_known_args(arguments[len(names) :])
    for word in segment_options:
        name = word.partition("=")[0]
        if len(name) > 2 and any(refused.startswith(name) for refused in _REFUSED):
            raise UsageError(f"{name}: not possible in an array task")
    if not names:
        names = [environment[name] for name in ("IMAGES", "OUT") if environment.get(name)]
    if len(names) != 2:
        raise UsageError(
            f"expected IMAGES OUT, found {' '.join(names) or 'nothing'}: sbatch --array=0-63 "
            "jobs/erase_array.sbatch IMAGES OUT --weights WEIGHTS …"
        )
    if not options.weights:
        raise UsageError("no weights: add --weights with a weight file or a run's folder")
    images, out = (Path(name).absolute() for name in names)
    if not images.is_dir():
        raise UsageError(f"{images}: no such folder; expected a folder of photos")
    if out.exists() and (not out.is_dir() or out.samefile(images)):
        raise UsageError(f"{out}: expected a folder of its own for the results")
    number, num_slices = _slice(environment, options.num_slices)
    return EraseSlice(
        images=images,
        out=out,
        weights=Path(options.weights).absolute(),
        number=number,
        num_slices=num_slices,
        checkpoint=Path(options.checkpoint).absolute() if options.checkpoint else None,
        config=options.config or None,
        segment_options=tuple(segment_options),
    )


def _slice(environment: Mapping[str, str], num_slices: int | None) -> tuple[int, int]:
    """Return the number of this task's slice and how many slices there are."""
    try:
        number = int(environment["SLURM_ARRAY_TASK_ID"])
        count, last = (int(environment[f"SLURM_ARRAY_TASK_{name}"]) for name in ("COUNT", "MAX"))
    except KeyError as error:
        raise UsageError(
            "this is no task of a job array: sbatch --array=0-63 jobs/erase_array.sbatch …"
        ) from error
    if num_slices is None:
        # Some of an earlier array's indices alone would cut the photos differently and miss some.
        if count != last + 1:
            raise UsageError(
                f"the array has {count} tasks, the last of them {last}, which does not tell how "
                "many slices there are: use --array=0-N, or add --num-slices"
            )
        num_slices = last + 1
    if number >= num_slices:
        raise UsageError(f"task {number}: with {num_slices} slices expected 0 to {num_slices - 1}")
    return number, num_slices


def write_list(path: Path, photos: Sequence[str]) -> None:
    """Write the relative paths of photos, one on each line.

    Raises:
        UsageError: a name does not fit on a line of UTF-8.
    """
    for photo in photos:
        if photo.splitlines() != [photo] or not _is_utf8(photo):
            raise UsageError(f"{photo!r}: not one line of UTF-8; rename this photo")
    write_text(path, "".join(f"{photo}\n" for photo in photos), durable=False)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def run_slice(work: EraseSlice, programs: Programs) -> int:
    """Find, then erase; return the exit code."""
    failed = False
    work.masks.mkdir(parents=True, exist_ok=True)  # there may be nothing to select
    for command in (work.segment_command(), work.inpaint_command()):
        if programs.is_told_to_stop:
            return EXIT_INTERRUPTED
        code = programs.run(command)
        if code == EXIT_INTERRUPTED or (code > EXIT_USAGE and programs.is_told_to_stop):
            return EXIT_INTERRUPTED
        if code == EXIT_USAGE:
            return EXIT_USAGE
        if code not in (EXIT_DONE, EXIT_FAILED):
            print(f"error: {Path(command[1]).name} ended with exit code {code}", file=sys.stderr)
            return EXIT_FAILED
        failed = failed or code == EXIT_FAILED
    return EXIT_FAILED if failed else EXIT_DONE


def requeue(environment: Mapping[str, str], *, has_progress: bool) -> str:
    """Put this array task back into the queue; return what became of that.

    A cancelled task stays cancelled, and so does one whose starts bring nothing.
    """
    # SLURM_JOB_ID of an array's last task is the array's own: Slurm would requeue all its tasks.
    task = f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    if environment.get("PCONV_REQUEUE") == "no":
        return "not requeued, as PCONV_REQUEUE=no says"
    if (job_record(task) or {}).get("JobState") != "RUNNING":
        return "Slurm is ending this task"
    if not has_progress and int(environment.get("SLURM_RESTART_COUNT") or 0) > 0:
        return "not requeued: this start finished nothing; a longer --time may help"
    answer = run_slurm(requeue_command(task))
    if answer.returncode != 0:
        return f"requeue is not allowed here: {answer.stderr.strip()}"
    return "requeued: the next start continues"


def main() -> int:
    """Do this array task's share of the work."""
    programs = Programs()
    require_packages(PACKAGES)
    work = parse(sys.argv[1:], os.environ)

    from pconv_hpc.erasing.segment_files import find_photos  # imports those packages
    from pconv_hpc.model.find_weights import find_weights

    find_weights(work.weights)  # to fail now, not when all objects have been found
    photos = work.photos(find_photos(work.images, work.out)[1])
    print(f"slice {work.number} of {work.num_slices}: {len(photos)} photos", flush=True)
    if not photos:
        return EXIT_DONE
    write_list(work.list_path, photos)
    num_before = work.num_files(photos)
    code = run_slice(work, programs)
    if code == EXIT_INTERRUPTED:
        has_progress = work.num_files(photos) > num_before
        print(requeue(os.environ, has_progress=has_progress), flush=True)
    return code


if __name__ == "__main__":
    cli.run(main)
