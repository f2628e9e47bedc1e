"""What every program in ``tools/`` shares: its parser's looks, and how errors leave the process."""

import argparse
import io
import os
import sys
from collections.abc import Callable

from pconv_hpc.foundation.errors import EXIT_DONE, EXIT_INTERRUPTED, PconvError
from pconv_hpc.options import cache_folders, framework_start


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keep line breaks in descriptions, and show each default that says something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        says_nothing = default is None or default is False or default in ([], "")
        return action.help if says_nothing else super()._get_help_string(action)


def build_parser(description: str, *, examples: str = "") -> argparse.ArgumentParser:
    """Return a parser whose ``--help`` shows defaults and ends with ``examples`` to copy."""
    epilog = f"examples:\n{examples.rstrip()}" if examples else None
    return argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=_HelpFormatter
    )


def positive_int(text: str) -> int:
    """Parse a whole number of at least 1, for ``add_argument(type=...)``."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def add_override_argument(parser: argparse.ArgumentParser) -> None:
    """Add the repeatable ``--set section.key=value``, stored as ``overrides``."""
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override one value of the configuration; may be given many times",
    )


def run(main: Callable[[], int | None]) -> None:
    """Call ``main`` and end the process with its exit code.

    A ``PconvError`` becomes one message on standard error and its own exit code. Ctrl-C before
    anything was started that could save itself ends with 75: running the command again is safe.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="surrogateescape"
        )  # file names that are no UTF-8, as they are
    cache_folders.use_writable(os.environ)
    framework_start.install()
    try:
        code = main() or EXIT_DONE
    except PconvError as error:
        if not error.reported:
            print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader (head, less) went away: not an error
        sys.stderr.close()
        code = EXIT_DONE
    sys.exit(code)
