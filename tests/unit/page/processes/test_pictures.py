"""What the process that reads photos answers: tiles, objects, clicks, masks, saving."""

import io
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.page.processes.pictures import Pictures
from pconv_hpc.page.processes.pyramids import Cache, Pyramid, mask_tile, num_levels
from pconv_hpc.photos.mask_values import ERASED, KEPT
from pconv_hpc.segmentation.instances import PhotoInstances, write_instances
from tests.support.drawn_instances import instance, rectangle
from tests.support.paths import REPOSITORY


def image_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def instances(tmp_path: Path) -> str:
    found = (
        instance(rectangle((5, 30), (5, 25)), "person", 0.9),
        instance(rectangle((8, 16), (8, 16)), "dog", 0.4),
    )
    path = tmp_path / "found.json"
    write_instances(
        path,
        PhotoInstances(
            image="a.png",
            width=80,
            height=60,
            num_bytes=1,
            model="m",
            min_score=0.3,
            instances=found,
        ),
    )
    return str(path)


PICTURES = Pictures(max_pixels=None)


@pytest.mark.parametrize(
    ("height", "width", "levels"), [(1, 1, 1), (512, 512, 1), (513, 1, 2), (9000, 12000, 6)]
)
def test_the_last_level_is_one_tile(height: int, width: int, levels: int) -> None:
    assert num_levels(height, width) == levels


def test_tiles_make_up_the_photo() -> None:
    rgb = np.random.default_rng(0).integers(90, 110, (700, 1100, 3), dtype=np.uint8)
    pyramid = Pyramid(rgb)
    rows = [
        np.hstack([image_of(pyramid.tile(0, column, row)) for column in range(3)])
        for row in range(2)
    ]
    joined = np.vstack(rows)
    assert joined.shape == rgb.shape
    assert np.abs(joined.astype(int) - rgb).max() < 30
    assert image_of(pyramid.tile(1, 1, 0)).shape == (350, 38, 3)
    assert image_of(pyramid.tile(2, 0, 0)).shape == (175, 275, 3)
    for level, column, row in ((3, 0, 0), (0, 3, 0), (0, 0, 2), (-1, 0, 0)):
        with pytest.raises(UsageError):
            pyramid.tile(level, column, row)


def test_tiles_of_a_mask_lie_over_those_of_the_photo() -> None:
    pixels = np.zeros((700, 1101), dtype=np.uint8)
    pixels[:, 300:600] = KEPT
    pixels[:, 600:] = ERASED
    for level, shape in ((0, (512, 512)), (1, (350, 512)), (2, (175, 276))):
        tile = image_of(mask_tile(pixels, level, 0, 0))
        assert tile.shape == (*shape, 4)
    assert not tile[:, :140, 3].any()
    assert (tile[:, 160:, 3] == 255).all()
    with pytest.raises(UsageError):
        mask_tile(pixels, 0, 3, 0)


def test_a_cache_keeps_what_was_used_last() -> None:
    cache: Cache[str] = Cache(len, max_bytes=5)
    made: list[str] = []

    def get(key: str, value: str) -> str:
        return cache.get(key, lambda: made.append(key) or value)

    assert [get("a", "12"), get("b", "34"), get("a", "x")] == ["12", "34", "12"]
    get("c", "56")
    get("a", "12")
    get("b", "34")
    assert made == ["a", "b", "c", "b"]


def test_a_folder_is_listed_part_by_part(tmp_path: Path) -> None:
    out = tmp_path / "b"
    for name in ("b/old.png", "c/2.jpg", "a.png", "c/1.JPG", "notes.txt", ".hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    first = PICTURES.list_photos(str(tmp_path), str(out), 0, 2)
    assert first["names"] == ["a.png", "c/1.JPG"]
    last = PICTURES.list_photos(str(tmp_path), str(out), 2, 100)
    assert last == {"names": ["c/2.jpg"], "total": 3, "is_whole": True}
    with pytest.raises(UsageError, match="cannot be listed"):
        PICTURES.list_photos(str(tmp_path / "gone"), "", 0, 1)


def test_a_photo_is_described(photo: Path) -> None:
    described = PICTURES.describe(str(photo))
    assert (described["width"], described["height"], described["format"]) == (80, 60, "PNG")
    assert described["levels"] == 1


@pytest.mark.parametrize("side", [16, 60, 256])
def test_small_pictures_keep_the_shape(photo: Path, side: int) -> None:
    small = image_of(PICTURES.thumbnail(str(photo), side))
    assert small.shape[1] == min(side, 80)
    assert abs(small.shape[0] / small.shape[1] - 60 / 80) < 0.07


def test_a_turned_photo_is_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 60)).save(path, exif=exif)
    described = PICTURES.describe(str(path))
    assert (described["width"], described["height"]) == (60, 80)


def test_objects_have_outlines_and_clicks_mean_them(instances: str) -> None:
    person, dog = PICTURES.objects(instances)["objects"]
    assert (person["class"], person["area"], person["box"]) == ("person", 500, [5, 5, 25, 30])
    xs, ys = person["outlines"][0][::2], person["outlines"][0][1::2]
    assert (min(xs), max(xs), min(ys), max(ys)) == (5.5, 24.5, 5.5, 29.5)
    assert dog["class"] == "dog"
    assert PICTURES.pick(instances, 10, 10, 0.5) == 0
    assert PICTURES.pick(instances, 10, 10, 0.3) == 1
    with pytest.raises(UsageError, match="nothing was found within"):
        PICTURES.pick(instances, 70, 50, 0.5)


def test_masks_are_composed_and_written(photo: Path, instances: str, tmp_path: Path) -> None:
    edit = {"selected": [0], "shape": "exact"}
    assert PICTURES.compose(str(photo), edit, instances, "") == {"area": 500}
    target = tmp_path / "mask.png"
    PICTURES.write_mask(str(photo), edit, instances, "", str(target))
    assert (np.asarray(Image.open(target)) == 255).sum() == 500
    tile = image_of(PICTURES.mask_tile(str(photo), edit, instances, "", level=0, column=0, row=0))
    assert (tile[..., 3] > 0).sum() == 500
    uploaded = PICTURES.check_upload(str(target))
    assert uploaded == {"width": 80, "height": 60, "area": 500}
    again = PICTURES.compose(str(photo), {"upload": "x"}, "", str(target))
    assert again == {"area": 500}


def test_saving_replaces_only_when_told_to_and_never_the_photo(photo: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.png"
    result.write_bytes(b"new")
    target = tmp_path / "out" / "deep" / "a.png"
    assert PICTURES.save(str(result), str(photo), str(target), overwrite=False)
    assert target.read_bytes() == b"new"
    result.write_bytes(b"newer")
    assert not PICTURES.save(str(result), str(photo), str(target), overwrite=False)
    assert target.read_bytes() == b"new"
    left = target.with_name(".a.png.host.1.tmp")
    left.write_bytes(b"half")
    assert PICTURES.save(str(result), str(photo), str(target), overwrite=True)
    assert target.read_bytes() == b"newer"
    assert not left.exists()
    with pytest.raises(UsageError, match="is the photo itself"):
        PICTURES.save(str(result), str(photo), str(photo), overwrite=True)


def test_files_that_are_no_photos_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"not a photo")
    with pytest.raises(UsageError, match=r"a\.png"):
        PICTURES.describe(str(path))
    with pytest.raises(UsageError, match="cannot be read"):
        PICTURES.describe(str(tmp_path / "gone.png"))


@pytest.mark.parametrize("orientation", [1, 6])
def test_coarse_tiles_of_a_large_jpeg_are_like_those_of_all_of_it(
    tmp_path: Path, orientation: int
) -> None:
    y, x = np.mgrid[:2001, :3003]
    rgb = np.stack([x * 255 // 3003, y * 255 // 2001, x * 0 + 90], axis=-1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "large.jpg"
    Image.fromarray(rgb).save(path, quality=95, exif=exif)
    described = PICTURES.describe(str(path))
    upright = rgb if orientation == 1 else np.rot90(rgb, -1)
    assert (described["height"], described["width"]) == upright.shape[:2]
    whole = Pyramid(upright)
    coarse = image_of(PICTURES.tile(str(path), 3, 0, 0)).astype(int)
    assert np.abs(coarse - image_of(whole.tile(3, 0, 0))).max() < 12
    fine = image_of(PICTURES.tile(str(path), 1, 1, 1)).astype(int)
    assert np.abs(fine - image_of(whole.tile(1, 1, 1))).max() < 12


_KILLED = """
import os, sys
sys.path.insert(0, {repository!r})
from pconv_hpc.foundation import atomic
from pconv_hpc.page.processes.pictures import Pictures
atomic.{step} = lambda *arguments: os.kill(os.getpid(), 9)
Pictures(max_pixels=None).save({result!r}, {photo!r}, {target!r}, overwrite=True)
"""


@pytest.mark.parametrize("step", ["fsync_path", "os.replace"])
def test_a_save_that_is_killed_leaves_the_old_file(photo: Path, tmp_path: Path, step: str) -> None:
    result, target = tmp_path / "result.png", tmp_path / "out" / "a.png"
    target.parent.mkdir()
    target.write_bytes(b"old")
    result.write_bytes(b"new" * 1000)
    program = _KILLED.format(
        repository=str(REPOSITORY),
        step=step,
        result=str(result),
        photo=str(photo),
        target=str(target),
    )
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert target.read_bytes() == b"old"
    assert PICTURES.save(str(result), str(photo), str(target), overwrite=True)
    assert [path.name for path in target.parent.iterdir()] == ["a.png"]
    assert target.read_bytes() == b"new" * 1000
