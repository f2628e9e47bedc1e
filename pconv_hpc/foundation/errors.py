"""The errors a person can act on, and the exit codes scripts can use."""

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 75  # EX_TEMPFAIL in sysexits.h: what job scripts requeue on


class PconvError(Exception):
    """Something went wrong that a message explains: what was found, expected, and what to do.

    ``exit_code`` is what the process ends with; nothing else about it is shown to the user.
    ``reported`` says that the user was told already, by this process or by another rank of it.
    """

    exit_code = EXIT_FAILED
    reported = False


class UsageError(PconvError):
    """An argument, a configuration or an input cannot be used as it is (exit code 2)."""

    exit_code = EXIT_USAGE


class Interrupted(PconvError):
    """The work stopped early, saved what it had and can be continued (exit code 75)."""

    exit_code = EXIT_INTERRUPTED


def require(condition: bool, message: str) -> None:
    """Raise ``UsageError`` with this message unless the condition holds."""
    if not condition:
        raise UsageError(message)
