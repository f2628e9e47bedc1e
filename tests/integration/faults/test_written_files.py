"""Files that programs write: readable by whom the user's umask says, silent about the environment.

Those of erasing are in ``test_erasing.py``, of downloads in
``tests/integration/programs/test_fetch_weights.py``, what Slurm's jobs write in
``tests/integration/cluster/test_hostile_names.py``.
"""

import re
import subprocess
import sys
from pathlib import Path

from pconv_hpc.training.run_folder import RunFolder
from tests.integration.faults.written_files import check_written, umask_and_secret
from tests.support.paths import REPOSITORY
from tests.support.photo_folders import write_photos

# What makes files that only their maker may read, whatever the umask.
_PRIVATE = re.compile(r"\b(mkstemp|NamedTemporaryFile|mkdtemp|umask|0o[46]00)\b")
_MAY_BE_PRIVATE = {
    "pconv_hpc/options/cache_folders.py",  # what nobody else needs, and it goes with its program
    "pconv_hpc/page/serving.py",  # what is shown and not kept, which goes with its program
    "pconv_hpc/page/listening.py",  # the socket, which other users of a node must not reach
    "pconv_hpc/local_slurm/cluster_folder.py",  # the key of a Slurm for tests
}


def test_files_of_packing_and_drawing(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 5)
    out = tmp_path / "out"
    bank, picture = out / "masks/bank.h5", out / "masks/bank.png"
    for command in (
        ("pack.py", tmp_path / "photos", out / "packed", "--split", "train", "--size", "32"),
        ("make_masks.py", bank, "--num-masks=6", "--size=32", "--contact-sheet", picture),
    ):
        with umask_and_secret():
            done = subprocess.run(
                [sys.executable, str(REPOSITORY / "tools" / command[0]), *map(str, command[1:])],
                capture_output=True,
                text=True,
                timeout=500,
            )
        assert done.returncode == 0, done.stderr
    written = list(out.rglob("*"))
    assert {"index.json", "bank.h5", "bank.png"} < {path.name for path in written}
    check_written(written)


def test_files_of_training(references: dict[int, RunFolder]) -> None:
    for folder in references.values():
        written = list(folder.path.rglob("*"))
        assert {"config.yaml", "weights.h5", "latest.json"} < {path.name for path in written}
        check_written(written)


def test_no_program_makes_files_for_its_user_alone() -> None:
    found = {
        path.relative_to(REPOSITORY).as_posix()
        for folder in ("pconv_hpc", "tools")
        for path in (REPOSITORY / folder).rglob("*.py")
        if _PRIVATE.search(path.read_text())
    }
    assert found == _MAY_BE_PRIVATE
