"""Photos copied to where results go."""

import contextlib
import shutil
from pathlib import Path

from pconv_hpc.foundation.atomic import atomic_path
from pconv_hpc.foundation.disk_space import writing_results

_BLOCK_BYTES = 1 << 20


def copy_result(source: Path, target: Path) -> None:
    """Copy a photo; the copy appears whole or not at all.

    Raises:
        OutputError: nothing can be written there any more.
        OSError: the source cannot be read, or this one result not be written.
    """
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(open(source, "rb"))  # its failure says nothing of the target
        stack.enter_context(writing_results(target))
        temporary = stack.enter_context(atomic_path(target))
        with open(temporary, "wb") as copy:
            shutil.copyfileobj(stream, copy, _BLOCK_BYTES)
