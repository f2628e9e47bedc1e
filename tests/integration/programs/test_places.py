"""A checkout wherever it lies: moved, beside another, read-only; without a home or a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pconv_hpc.foundation.launchers import mpirun_command
from pconv_hpc.shards.shard_file import ShardReader
from tests.support.assets.shape_photos import CLASSES, ShapePhotos
from tests.support.inpainting_files import save_tiny_weights
from tests.support.paths import ASSETS, REPOSITORY
from tests.support.photo_folders import write_photos
from tests.support.training_runs import config_path

__all__ = ["config_path"]  # pytest looks for fixtures here

# A node at run time: this folder cannot be written to, and no network is there but the loopback.
_CONFINED = """\
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
"$1" -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh22x", b"lo", 1))' # SIOCSIFFLAGS, IFF_UP
shift
exec "$@"
"""
# Every process tells where the package it imports lies.
_TELL = """
import os as _os
with open(_os.environ["SEEN"], "a") as _stream:
    _stream.write(f"{__path__[0]}\\n")
"""


class Checkout:
    """A copy of what a checkout holds, run by this environment's Python."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = path.parent / f"{path.name} was seen"
        path.mkdir()
        ignored = shutil.ignore_patterns("__pycache__", "site.sh")
        for name in ("configs", "jobs", "pconv_hpc", "tools"):
            shutil.copytree(REPOSITORY / name, path / name, symlinks=True, ignore=ignored)
        with open(path / "pconv_hpc" / "__init__.py", "a") as stream:
            stream.write(_TELL)

    def run(
        self,
        tool: str,
        *arguments: object,
        ranks: int = 1,
        processes: int = 1,
        confined: bool = False,
        **variables: str,
    ) -> None:
        """Run a tool, which must succeed; its processes import the package of this place alone."""
        self._seen.unlink(missing_ok=True)
        command = [sys.executable, str(self.path / "tools" / tool), *map(str, arguments)]
        if ranks > 1:
            command = mpirun_command(ranks, command)
        if confined:
            shell = ["sh", "-e", "-c", _CONFINED, str(self.path), sys.executable]
            user = [] if os.geteuid() == 0 else ["--map-root-user"]
            command = ["unshare", *user, "--mount", "--net", *shell, *command]
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            command,
            env=environment | {"SEEN": str(self._seen), "SLURM_CPUS_PER_TASK": "1", **variables},
            cwd=self.path.parent,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        seen = self._seen.read_text().splitlines()
        assert len(seen) >= processes
        assert set(seen) == {str(self.path / "pconv_hpc")}

    def erase(self, folder: Path, **how: object) -> None:
        """Erase a star, by both stages in processes of their own."""
        photo = folder / "photo.png"
        Image.fromarray(ShapePhotos(seed=501, held_out=True)[1].image).save(photo)
        weights = save_tiny_weights(folder / "w.h5", image_size=64)
        network = [
            *("--config", ASSETS / "small_mask_rcnn.py"),
            *("--checkpoint", ASSETS / "small_mask_rcnn.pth"),
        ]
        chosen = ("--classes", ",".join(CLASSES), "--weights", weights)
        self.run("erase.py", photo, *network, *chosen, processes=3, **how)
        assert (folder / "photo_erased.png").is_file()


@pytest.mark.mpi
def test_two_checkouts_share_an_environment(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 6)
    for name in ("one", "another one"):
        checkout = Checkout(tmp_path / name)
        out = tmp_path / f"packed by {name}"
        arguments = (tmp_path / "photos", out, "--split", "train", "--size", 24)
        checkout.run("pack.py", *arguments, ranks=2, processes=2)
        with ShardReader(out) as reader:
            assert reader.num_images == 6


def test_a_checkout_that_was_moved(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "before")
    checkout.path = checkout.path.rename(tmp_path / "it's here now")
    checkout.erase(tmp_path)


@pytest.mark.mpi
def test_neither_home_nor_network_nor_a_checkout_that_can_be_written(
    tmp_path: Path, config_path: Path
) -> None:
    checkout = Checkout(tmp_path / "checkout")
    run_dir = tmp_path / "run"
    homeless = {"HOME": "/nonexistent", "XDG_CACHE_HOME": "", "MPLCONFIGDIR": ""}
    checkout.erase(tmp_path, confined=True, **homeless)
    checkout.run(
        "train.py", config_path, "--run-dir", run_dir, ranks=2, confined=True, **homeless
    )  # fmt: skip
    assert (run_dir / "weights.h5").is_file()
    assert not list(checkout.path.rglob("*.pyc"))
