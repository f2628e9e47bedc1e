"""Programs where neither the installation nor HOME can be written to, as on many compute nodes."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tests.support.assets.shape_photos import ShapePhotos
from tests.support.inpainting_files import save_tiny_weights
from tests.support.paths import ASSETS, REPOSITORY
from tests.support.training_runs import config_path

__all__ = ["config_path"]

NETWORK = (
    *("--config", ASSETS / "small_mask_rcnn.py"),
    *("--checkpoint", ASSETS / "small_mask_rcnn.pth"),
)


def run(tool: str, *arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / "tools" / tool), *map(str, arguments)]
    return subprocess.run(
        read_only(command, [Path(sys.prefix).resolve(), REPOSITORY, home]),
        env=os.environ | {"HOME": str(home), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=500,
    )


def read_only(command: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """Return the command with these folders mounted read-only; as it is if nothing can be mounted.

    Root may write where permissions forbid it, so that only a file system can refuse.
    """
    unshare = ["unshare", "--mount", "--map-root-user"][: 2 if os.geteuid() == 0 else 3]
    quoted = [shlex.quote(str(folder)) for folder in folders if folder.is_dir()]
    mounts = [f"mount --bind {name} {name} && mount -o remount,bind,ro {name}" for name in quoted]
    prefix = [*unshare, "sh", "-c", " && ".join([*mounts, 'exec "$@"']), "sh"]
    can_mount = subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    return [*prefix, *command] if can_mount else list(command)


def test_a_photo_is_erased_and_nothing_but_that_is_said(tmp_path: Path) -> None:
    home, photo = tmp_path / "home", tmp_path / "photo.png"
    home.mkdir()
    Image.fromarray(ShapePhotos(seed=501, held_out=True)[1].image).save(photo)
    weights = save_tiny_weights(tmp_path / "w.h5", image_size=64)
    done = run("erase.py", photo, "--weights", weights, *NETWORK, "--classes=star", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "photo_erased.png").is_file()


def test_a_run_is_trained_without_a_home(tmp_path: Path, config_path: Path) -> None:
    run_dir = tmp_path / "run"
    done = run("train.py", config_path, "--run-dir", run_dir, home=Path("/proc/nonexistent"))
    assert done.returncode == 0, done.stderr
    assert (run_dir / "curves.png").is_file()
    assert "cache" not in done.stderr.lower(), done.stderr
