"""TIFF kinds: what is a photo is read in every way, what is none is named for what it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from pconv_hpc.photos.decode import ImageError, decode_rgb
from pconv_hpc.photos.formats.photo_files import read_photo, write_photo
from pconv_hpc.photos.photo import Box

HEIGHT, WIDTH = 37, 53
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH]
SMOOTH = np.stack([_X * 4, _Y * 5, 255 - _X * 3], axis=2).astype(np.uint8)


def save(path: Path, values: np.ndarray, **options: Any) -> None:
    tifffile.imwrite(path, values, metadata=None, **options)


def save_pages(path: Path, *pages: tuple[np.ndarray, int], **options: Any) -> None:
    with tifffile.TiffWriter(path) as writer:
        for values, kind in pages:
            writer.write(values, photometric="rgb", subfiletype=kind, metadata=None, **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("alpha", [None, "assocalpha", "unassalpha", "unspecified"])
@pytest.mark.parametrize("kind", ["minisblack", "miniswhite", "rgb", "separated"])
@pytest.mark.parametrize(
    "options",
    [
        {"byteorder": "<"},
        {"byteorder": ">", "bigtiff": True, "compression": "lzw", "predictor": True},
        {"planarconfig": "separate", "tile": (16, 16), "compression": "zstd"},
    ],
)
def test_every_promised_kind_is_read_the_same_by_all(
    tmp_path: Path, options: dict[str, Any], kind: str, alpha: str | None, dtype: type
) -> None:
    path = tmp_path / "photo.tif"
    channels = {"rgb": 3, "separated": 4}.get(kind, 1) + (alpha is not None)
    largest = np.iinfo(dtype).max
    values = np.random.default_rng(1).integers(0, largest + 1, (HEIGHT, WIDTH, channels), dtype)
    stored, options = values, dict(options)
    if channels == 1:
        options.pop("planarconfig", None)
        stored = values[..., 0]
    elif options.get("planarconfig") == "separate":
        stored = np.moveaxis(values, 2, 0)
    save(path, stored, photometric=kind, extrasamples=[alpha] if alpha else None, **options)
    photo = read_photo(path)
    expected = largest - values if kind == "miniswhite" else values
    np.testing.assert_array_equal(photo.pixels, expected)
    shown = photo.read_rgb(Box(0, 0, HEIGHT, WIDTH)) * 255
    np.testing.assert_allclose(decode_rgb(path), shown, atol=1.5)
    write_photo(photo, tmp_path / "again.tif")
    np.testing.assert_array_equal(read_photo(tmp_path / "again.tif").pixels, photo.pixels)
    with tifffile.TiffFile(tmp_path / "again.tif") as file:
        assert file.is_bigtiff == options.get("bigtiff", False)


def test_bigtiff_keeps_its_tags(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "Somebody"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    Image.fromarray(SMOOTH).save(path, exif=exif.tobytes(), dpi=(300, 300), big_tiff=True)
    photo = read_photo(path)
    assert (photo.orientation, photo.width) == (6, HEIGHT)
    write_photo(photo, tmp_path / "again.tif")
    with Image.open(tmp_path / "again.tif") as image:
        again = image.getexif()
        assert again[0x013B] == "Somebody"
        assert image.info["dpi"] == (300, 300)
        assert again.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_jpeg_compression_becomes_lossless(tmp_path: Path, mode: str, orientation: int) -> None:
    path = tmp_path / "photo.tif"
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(SMOOTH).convert(mode)
    image.save(path, compression="jpeg", exif=exif)
    photo = read_photo(path)
    assert "lossless" in photo.notes[0]
    assert photo.orientation == orientation
    box = Box(0, 0, photo.height, photo.width)
    np.testing.assert_allclose(photo.read_rgb(box) * 255, decode_rgb(path), atol=1.01)
    plain = np.asarray(image.convert("RGB"))
    upright = plain if orientation == 1 else np.rot90(plain, -1)
    assert np.abs(decode_rgb(path).astype(int) - upright).mean() < 2
    write_photo(photo, tmp_path / "again.tif")
    np.testing.assert_array_equal(read_photo(tmp_path / "again.tif").pixels, photo.pixels)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("options", [{}, {"compression": "jpeg"}])
def test_a_thumbnail_is_no_second_picture(
    tmp_path: Path, first: int, options: dict[str, Any]
) -> None:
    path = tmp_path / "photo.tif"
    pages = [(SMOOTH, 0), (np.ascontiguousarray(255 - SMOOTH[::4, ::4]), 1)]
    save_pages(path, *(reversed(pages) if first else pages), **options)
    photo = read_photo(path)
    assert any("thumbnail" in note for note in photo.notes)
    assert np.abs(photo.pixels.astype(int) - SMOOTH).mean() < 4
    assert np.abs(decode_rgb(path).astype(int) - SMOOTH).mean() < 4
    write_photo(photo, tmp_path / "again.tif")
    with tifffile.TiffFile(tmp_path / "again.tif") as file:
        assert len(file.pages) == 1


@pytest.mark.parametrize(
    ("values", "options", "reason"),
    [
        (np.zeros((9, 9), np.float32), {}, "32 bits \\(float32\\)"),
        (np.zeros((9, 9, 3), np.float32), {"photometric": "rgb"}, "32 bits \\(float32\\)"),
        (np.zeros((9, 9), np.int16), {}, "16 bits \\(int16\\)"),
        (np.zeros((9, 9), bool), {}, "1 bits"),
        (SMOOTH, {"photometric": "rgb", "compression": "jpeg2000"}, "JPEG2000 compression"),
    ],
)
def test_other_kinds_are_named(
    tmp_path: Path, values: np.ndarray, options: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "photo.tif"
    save(path, values, **options)
    with pytest.raises(ImageError, match=f"photo.tif: .*{reason}"):
        read_photo(path)


def test_fax_pages_and_stacks_are_named(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    Image.fromarray(SMOOTH).convert("1").save(path, compression="group4")
    with pytest.raises(ImageError, match="CCITTFAX4 compression"):
        read_photo(path)
    save_pages(path, (SMOOTH, 0), (SMOOTH, 0), (SMOOTH, 1))
    with pytest.raises(ImageError, match="3 pages"):
        read_photo(path)
    save_pages(path, (SMOOTH, 1))  # of nothing else: it is the photo
    np.testing.assert_array_equal(read_photo(path).pixels, SMOOTH)
    save(path, np.zeros((9, 9, 3), np.float32), photometric="rgb")
    with pytest.raises(ImageError, match="float32"):
        decode_rgb(path)


def test_raw_photos_in_tiffs_are_never_their_thumbnails(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    save(path, SMOOTH, photometric="rgb", extratags=[(50706, 1, 4, b"\1\4\0\0", True)])  # a DNG
    with_directory_below = tmp_path / "other.tif"
    with tifffile.TiffWriter(with_directory_below) as writer:
        writer.write(SMOOTH[::4, ::4], photometric="rgb", subfiletype=1, subifds=1)
        writer.write(SMOOTH, photometric="rgb")
    for read in (read_photo, decode_rgb):
        for file in (path, with_directory_below):
            with pytest.raises(ImageError, match=r"\.tif: a raw photo; develop it"):
                read(file)
