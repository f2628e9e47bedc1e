"""Options of both stages of erasing beside their settings: photos, ledger, --dry-run."""

import argparse
from pathlib import Path

from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.options.from_settings import settings_of


def add_stage_options(parser: argparse.ArgumentParser, *, dry_run: str) -> None:
    """Add the options; ``dry_run`` says what ``--dry-run`` does."""
    work = parser.add_argument_group("work")
    work.add_argument(
        "--files-from",
        type=Path,
        metavar="FILE",
        help="only these photos: their paths by line, or .jsonl rows with a photo each",
    )
    work.add_argument(
        "--ledger", type=Path, metavar="FILE", help="append what becomes of each photo, as JSON"
    )
    work.add_argument(
        "--settings",
        type=EraseSettings.from_word,
        metavar="JSON",
        help="settings as OUT/manifest.json records them; options that are given take precedence",
    )
    work.add_argument("--overwrite", action="store_true", help="replace existing results")
    work.add_argument("--dry-run", action="store_true", help=dry_run)


def stage_settings(arguments: argparse.Namespace) -> EraseSettings:
    """Return the settings that a stage was given, by ``--settings``, its options or both."""
    return settings_of(arguments, arguments.settings or EraseSettings())
