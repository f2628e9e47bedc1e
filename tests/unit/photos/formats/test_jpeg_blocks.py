"""Erased JPEGs: blocks that no hole touches keep their coefficients, the others stay near."""

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from pconv_hpc.photos.decode import ImageError, decode_rgb
from pconv_hpc.photos.formats.photo_files import read_photo, write_photo
from pconv_hpc.photos.photo import Box, Photo
from tests.support.jpeg_files import jpeg_segment, read_blocks

HEIGHT, WIDTH = 75, 101
HOLE = np.zeros((HEIGHT, WIDTH), dtype=bool)
HOLE[37:61, 40:85] = True
HOLE[70:, 90:] = True  # where the edge cuts blocks
MIDDLE = np.s_[45:53, 56:72]  # far from what the hole's edge is mixed with


def grain(channels: int = 3) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)
    return values[..., 0] if channels == 1 else values


def smooth() -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 2, y * 3, 255 - x * 2], axis=2).astype(np.uint8)


def erase(path: Path, hole: np.ndarray = HOLE, value: float = 0.5) -> tuple[Photo, Photo]:
    """Fill the hole of a photo, and return the photo before and after."""
    photo, before = read_photo(path), read_photo(path)
    box = Box(0, 0, photo.height, photo.width)
    photo.write_rgb(box, np.full((*hole.shape, 3), value, np.float32), hole)
    write_photo(photo, path.with_name("erased.jpg"))
    return before, read_photo(path.with_name("erased.jpg"))


def assert_untouched_blocks_are_the_same(path: Path, hole: np.ndarray = HOLE) -> None:
    old, new = read_blocks(path), read_blocks(path.with_name("erased.jpg"))
    for (blocks, (down, across)), (other, steps) in zip(old, new, strict=True):
        assert (blocks.shape, (down, across)) == (other.shape, steps)
        rows, columns = np.nonzero(hole)
        touched = np.zeros(blocks.shape[:2], dtype=bool)
        touched[rows // down, columns // across] = True
        assert (blocks[~touched] == other[~touched]).all()
        assert (blocks[touched] != other[touched]).any(axis=(1, 2)).mean() > 0.3


def assert_the_middle_is_gray(photo: Photo, tolerance: float = 3) -> None:
    assert np.abs(photo.pixels[MIDDLE].astype(int) - 128).mean() < tolerance


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [30, 100])
@pytest.mark.parametrize("pixels", [grain(), smooth()])
def test_untouched_blocks_keep_their_coefficients(
    tmp_path: Path, pixels: np.ndarray, quality: int, subsampling: str, progressive: bool
) -> None:
    path = tmp_path / "photo.jpg"
    options: dict[str, Any] = {"quality": quality, "subsampling": subsampling}
    if progressive:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", **options)
        path.write_bytes(buffer.getvalue())
        with Image.open(path) as image:  # its own encoder fails at grain in a buffer
            image.save(path.with_suffix(".tmp"), "JPEG", quality="keep", progressive=True)
        path.with_suffix(".tmp").replace(path)
    else:
        Image.fromarray(pixels).save(path, **options)
    before, after = erase(path)
    assert_untouched_blocks_are_the_same(path)
    with Image.open(path) as old, Image.open(tmp_path / "erased.jpg") as new:
        assert new.quantization == old.quantization  # type: ignore[attr-defined]
        assert JpegImagePlugin.get_sampling(new) == JpegImagePlugin.get_sampling(old)
        assert new.info.get("progressive") == old.info.get("progressive")
    far = np.s_[:30]  # decoders blend colour over the border of two blocks
    np.testing.assert_array_equal(after.pixels[far], before.pixels[far])
    assert_the_middle_is_gray(after)


def test_nothing_erased_is_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(grain()).save(path, quality=100)
    before, after = erase(path, np.zeros_like(HOLE))
    np.testing.assert_array_equal(after.pixels, before.pixels)


@pytest.mark.parametrize("restart", [0, 3])
@pytest.mark.parametrize("sampling", ["440", "411"])
def test_samplings_of_cameras_and_turned_photos(
    tmp_path: Path, sampling: str, restart: int
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(imagecodecs.jpeg8_encode(smooth(), level=90, subsampling=sampling))
    if restart:
        image = Image.fromarray(smooth())
        image.save(path, quality=90, restart_marker_blocks=restart)
    before, after = erase(path)
    assert_untouched_blocks_are_the_same(path)
    assert_the_middle_is_gray(after, 6)
    np.testing.assert_array_equal(after.pixels[:30], before.pixels[:30])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photos(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth()).save(path, exif=exif.tobytes())
    shown = decode_rgb(path)
    hole = np.zeros(shown.shape[:2], dtype=bool)
    hole[3:43, 20:60] = True
    erase(path, hole)
    erased = decode_rgb(tmp_path / "erased.jpg")
    assert np.abs(erased[19:27, 36:44].astype(int) - 128).mean() < 3
    np.testing.assert_array_equal(erased[62:], shown[62:])
    assert read_photo(tmp_path / "erased.jpg").orientation == orientation


def test_gray(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(grain(1)).save(path, quality=95)
    before, after = erase(path)
    assert (before.color, after.color) == ("gray", "gray")
    assert_untouched_blocks_are_the_same(path)
    assert_the_middle_is_gray(after)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_rgb_that_is_stored_as_such(tmp_path: Path, subsampling: str) -> None:
    path = tmp_path / "photo.jpg"
    flat = np.full((HEIGHT, WIDTH, 3), (200, 100, 50), np.uint8)
    Image.fromarray(flat).save(path, quality=90, subsampling=subsampling)
    data = path.read_bytes()
    header_bytes = int.from_bytes(data[4:6])  # of JFIF, which stands for YCbCr
    says_rgb = b"\xff\xee\x00\x0eAdobe\x00\x64" + bytes(5)
    path.write_bytes(data[:2] + says_rgb + data[4 + header_bytes :])
    _, after = erase(path)
    assert_untouched_blocks_are_the_same(path)
    assert_the_middle_is_gray(after)


@pytest.mark.parametrize("transform", [0, 2])
def test_cmyk_and_ycck(tmp_path: Path, transform: int) -> None:
    path = tmp_path / "photo.jpg"
    inks = np.full((HEIGHT, WIDTH, 4), (200, 90, 20, 30), np.uint8)
    Image.fromarray(inks, "CMYK").save(path, quality=95)
    data = path.read_bytes()
    adobe = data.index(b"Adobe") + 11
    path.write_bytes(data[:adobe] + bytes([transform]) + data[adobe + 1 :])
    before, after = erase(path)
    assert_untouched_blocks_are_the_same(path)
    assert np.abs(after.read_rgb(Box(45, 56, 53, 72)) - 0.5).max() < 0.03
    np.testing.assert_array_equal(after.pixels[:30], before.pixels[:30])


def test_known_pixels_in_touched_blocks_stay_near(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(smooth()).save(path, quality=95)
    before, after = erase(path)
    difference = np.abs(after.pixels[~HOLE].astype(int) - before.pixels[~HOLE])
    assert difference.mean() < 0.6
    assert difference.max() < 40


def test_what_was_erased_has_no_part_in_the_result(tmp_path: Path) -> None:
    """Nor at the edge, where decoders never show what a block holds beyond it."""
    results = []
    hole = np.zeros_like(HOLE)
    hole[32:56, 48:72] = hole[64:, 88:] = True  # whole blocks, so that no other holds it
    for value in (0, 255):
        pixels = smooth()
        pixels[hole] = value
        path = tmp_path / f"{value}.jpg"
        Image.fromarray(pixels).save(path, quality=95, subsampling="4:4:4")
        erase(path, hole)
        results.append([blocks for blocks, _ in read_blocks(tmp_path / "erased.jpg")])
    for blocks, other in zip(*results, strict=True):
        np.testing.assert_array_equal(blocks, other)


@pytest.mark.parametrize("progressive", [False, True])
def test_the_largest_coefficients_are_written(tmp_path: Path, progressive: bool) -> None:
    path = tmp_path / "photo.jpg"
    pixels = np.where(np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2, 255, 0).astype(np.uint8)
    pixels[:8] = 0
    ones = [[1] * 64]
    Image.fromarray(pixels).save(path, qtables=ones, progressive=progressive)
    before, after = erase(path, value=1.0)
    assert_untouched_blocks_are_the_same(path)
    assert after.pixels[HOLE].min() > 250
    np.testing.assert_array_equal(after.pixels[:30], before.pixels[:30])


def test_what_cannot_be_written_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    buffer = io.BytesIO()
    Image.fromarray(smooth()).save(buffer, "JPEG", qtables=[[1] + [2] * 63])
    table = buffer.getvalue().index(b"\xff\xdb") + 5
    data = bytearray(buffer.getvalue())
    data[table + 3] = 0
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"photo\.jpg: a quantisation table with zeros"):
        read_photo(path)
    scan = buffer.getvalue().index(b"\xff\xda")
    data[table + 3] = 2
    data[scan:scan] = jpeg_segment(0xDB, b"\0" + bytes([1]) * 64)  # in front of it: allowed
    path.write_bytes(data)
    read_photo(path)
    data[-2:-2] = jpeg_segment(0xDB, b"\0" + bytes([1]) * 64)
    path.write_bytes(data)
    with pytest.raises(ImageError, match="tables change from scan to scan"):
        read_photo(path)
    lossless = imagecodecs.ljpeg_encode(smooth()[..., 0])
    path.write_bytes(lossless)
    with pytest.raises(ImageError, match=r"photo\.jpg"):
        read_photo(path)
