"""Show the progress of an erase folder, which photos failed, and which slices to rerun.

Slices that are running or queued are never submitted again. A photo that failed three times is set
aside; --retry-failed gives such photos another chance.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from pconv_hpc.erasing.folder.manifest import read_manifest
from pconv_hpc.erasing.folder.slice_runner import forgive_failures
from pconv_hpc.erasing.folder.slice_summary import summarise
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.launchers import program_command, shell_line
from pconv_hpc.jobs.erase_array.status import EraseStatus, read_erase_status
from pconv_hpc.jobs.erase_array.status_text import describe_status
from pconv_hpc.jobs.erase_array.submission import Submission, like_the_last
from pconv_hpc.jobs.requeue.resubmit import should_submit, site_file
from pconv_hpc.options import cli
from pconv_hpc.options.erase import SBATCH_OPTIONS
from pconv_hpc.options.sbatch import add_sbatch_options, sbatch_options_of

_EXAMPLES = """\
  pconv-hpc erase-status erased
  pconv-hpc erase-status erased --watch             # again every 10 seconds, until Ctrl-C
  pconv-hpc erase-status erased --resubmit --dry-run
  pconv-hpc erase-status erased --resubmit --time 02:00:00
  pconv-hpc erase-status erased --retry-failed --resubmit
  pconv-hpc erase-status erased --report            # erased/report.html
  pconv-hpc erase-status erased --json | jq .rerun
"""


def main() -> None:
    """Parse, read, show, and submit the slices to rerun."""
    arguments = _parse()
    given = sbatch_options_of(arguments, SBATCH_OPTIONS)
    if (given or arguments.max_running) and not arguments.resubmit:
        raise UsageError("sbatch options and --max-running need --resubmit")
    if arguments.watch and arguments.report:
        raise UsageError("--report and --watch cannot be combined")
    if arguments.retry_failed:
        _forgive(arguments.out, dry_run=arguments.dry_run)
    _show(arguments, given, clear=False)
    try:
        while arguments.watch:
            time.sleep(arguments.watch)
            _show(arguments, given, clear=sys.stdout.isatty())
    except KeyboardInterrupt:  # the way to end it
        return
    if arguments.report:
        _report(arguments)


def _parse() -> argparse.Namespace:
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("out", type=Path, help="folder of the results (OUT of pconv-hpc erase)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--resubmit", action="store_true", help="submit the slices to rerun")
    what.add_argument(
        "--watch",
        type=cli.positive_int,
        nargs="?",
        const=10,
        metavar="SECONDS",
        help="repeat every SECONDS (10), until Ctrl-C",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="try photos that were set aside again"
    )
    parser.add_argument("--json", action="store_true", help="print JSON: one object")
    parser.add_argument(
        "--report", action="store_true", help="write OUT/report.html, a gallery; not with --watch"
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    submitting = parser.add_argument_group("with --resubmit (default: as in the last submission)")
    submitting.add_argument(
        "--max-running", type=cli.positive_int, metavar="N", help="tasks that may run at once"
    )
    add_sbatch_options(submitting, SBATCH_OPTIONS)
    return parser.parse_args()


def _forgive(out: Path, *, dry_run: bool) -> None:
    manifest = read_manifest(out)
    count = 0
    for number in range(manifest.num_slices):
        try:
            aside = summarise(manifest, number).set_aside
            count += aside if dry_run or not aside else forgive_failures(manifest, number)
        except UsageError as error:
            print(f"skipped: {error}", file=sys.stderr)
    will = "would" if dry_run else "will"
    print(f"{count} photos that were set aside {will} be tried again", file=sys.stderr)


def _report(arguments: argparse.Namespace) -> None:
    from pconv_hpc.evaluation.reports.erase_report import (  # slow to import
        REPORT_NAME,
        write_erase_report,
    )

    if arguments.dry_run:
        said = f"{arguments.out.absolute() / REPORT_NAME} would be written"
    else:
        said = str(write_erase_report(arguments.out))
    print(f"report      {said}", file=sys.stderr if arguments.json else sys.stdout)


def _show(arguments: argparse.Namespace, given: dict[str, str], *, clear: bool) -> None:
    status = read_erase_status(arguments.out)
    submission = None
    if status.rerun and should_submit(os.environ):
        submission = like_the_last(
            arguments.out.absolute(),
            status.rerun,
            max_running=arguments.max_running,
            options=given,
            site=site_file(os.environ),
        )
    if arguments.resubmit and status.rerun and submission is None:
        raise UsageError(
            "--resubmit needs Slurm, which does not answer; to continue here: "
            f"{_local_command(status)}"
        )
    if arguments.json:
        command = _command(status, submission)
        text = json.dumps({**status.to_json(), "command": command}, indent=2)
    else:
        text = describe_status(status, _command(status, submission))
    print(("\033[H\033[2J" if clear else "") + text, flush=True)
    if arguments.resubmit and not arguments.dry_run:
        said = "nothing to rerun" if submission is None else f"job {submission.submit()}"
        print(f"submitted   {said}", file=sys.stderr if arguments.json else sys.stdout)


def _command(status: EraseStatus, submission: Submission | None) -> str | None:
    if submission is not None:
        return submission.line
    return _local_command(status) if status.rerun else None


def _local_command(status: EraseStatus) -> str:
    folders = [status.images, str(Path(status.out).absolute())]
    return shell_line([*program_command("erase"), *folders])


if __name__ == "__main__":
    cli.run(main)
