"""Job scripts and configurations that come with the package.

In a checkout ``pconv_hpc/shipped`` holds links to its ``jobs`` and ``configs``; a wheel holds the
files themselves there.
"""

import os
from pathlib import Path

_SHIPPED = Path(__file__).parents[1] / "shipped"


def _shipped(name: str) -> Path:
    """Return a folder by the path it has in a checkout, where links above it are left as they are.

    A home that is a link can have another target on each node.
    """
    path = _SHIPPED / name
    return Path(os.path.normpath(_SHIPPED / path.readlink())) if path.is_symlink() else path


JOBS_DIR = _shipped("jobs")
CONFIGS_DIR = _shipped("configs")
