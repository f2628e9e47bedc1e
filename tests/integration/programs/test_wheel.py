"""The wheel, installed in a clean environment: one command, from any folder, without a checkout."""

from pathlib import Path

import pytest
from PIL import Image

from pconv_hpc.__main__ import PROGRAMS
from tests.support.assets.shape_photos import CLASSES, ShapePhotos
from tests.support.installed_wheel import InstalledWheel
from tests.support.paths import ASSETS, REPOSITORY

NETWORK = (
    *("--config", ASSETS / "small_mask_rcnn.py"),
    *("--checkpoint", ASSETS / "small_mask_rcnn.pth"),
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> InstalledWheel:
    return InstalledWheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_what_jobs_need(installed: InstalledWheel) -> None:
    show = (
        "from pconv_hpc.foundation.shipped import CONFIGS_DIR, JOBS_DIR\n"
        "from pconv_hpc.model.find_weights import SHIPPED_WEIGHTS\n"
        "print(JOBS_DIR, CONFIGS_DIR, SHIPPED_WEIGHTS, sep='\\n')"
    )
    done = installed.run("python", "-c", show)
    assert done.returncode == 0, done.stderr
    jobs, configs, weights = map(Path, done.stdout.splitlines())
    for path in (jobs, configs, weights):
        assert path.is_relative_to(installed.package)
    assert weights.is_file()
    for folder, own in ((jobs, REPOSITORY / "jobs"), (configs, REPOSITORY / "configs")):
        files = {path.relative_to(own) for path in own.rglob("*.*") if path.name != "site.sh"}
        assert files == {path.relative_to(folder) for path in folder.rglob("*.*")}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_explains_itself(installed: InstalledWheel, program: str) -> None:
    done = installed.run("pconv-hpc", program, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: pconv-hpc {program} ")
    assert f"pconv-hpc {program}" in done.stdout.split("examples:")[1]


def test_the_command_lists_its_programs(installed: InstalledWheel) -> None:
    done = installed.run("pconv-hpc", "--help")
    assert done.returncode == 0
    assert all(f"  {program} " in done.stdout for program in PROGRAMS)
    assert installed.run("pconv-hpc", "--version").stdout.startswith("pconv-hpc ")
    unknown = installed.run("pconv-hpc", "paint")
    assert unknown.returncode == 2
    assert "paint: expected one of pack, " in unknown.stderr


def test_a_photo_is_inpainted(installed: InstalledWheel, tmp_path: Path) -> None:
    photo, mask, out = tmp_path / "photo.png", tmp_path / "mask.png", tmp_path / "out.png"
    Image.new("RGB", (96, 64), (90, 140, 200)).save(photo)
    hole = Image.new("L", (96, 64))
    hole.paste(255, (30, 20, 50, 40))
    hole.save(mask)
    done = installed.run("pconv-hpc", "inpaint", photo, mask, out)
    assert done.returncode == 0, done.stderr
    assert Image.open(out).size == (96, 64)


def test_a_photo_is_erased_by_stages_of_the_wheel(
    installed: InstalledWheel, tmp_path: Path
) -> None:
    """A package in the working folder is not taken for the one that is installed."""
    (installed.elsewhere / "pconv_hpc").mkdir(exist_ok=True)
    (installed.elsewhere / "pconv_hpc" / "__init__.py").write_text("raise SystemExit('wrong')\n")
    photo = tmp_path / "photo.png"
    Image.fromarray(ShapePhotos(seed=501, held_out=True)[1].image).save(photo)
    done = installed.run("pconv-hpc", "erase", photo, *NETWORK, "--classes", ",".join(CLASSES))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "photo_erased.png").is_file()
