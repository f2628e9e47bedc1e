"""What every test and every process a test starts runs under."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["MPLBACKEND"] = "Agg"  # no display is there to open a window on
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's greetings hide a failure's output

# A shell that starts the tests in the background makes them, and all they start, deaf to Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is the machine's business.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

# What fails in there is shown with its values, as in the tests themselves.
pytest.register_assert_rewrite("tests.support")

_TESTS = Path(__file__).parent
# Their tests share something that is slow to make: a cluster, a finished training run.
_TOGETHER = ("integration/cluster", "integration/faults", "integration/training")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests one worker of ``pytest -n`` does: a file's, in some folders the folder's."""
    for item in items:
        path = item.path.relative_to(_TESTS)
        folder = path.parent.as_posix()
        group = folder if folder in _TOGETHER else str(path)
        item.add_marker(pytest.mark.xdist_group(group))
