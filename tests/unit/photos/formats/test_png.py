"""Metadata of PNGs: what is sound is written back, what is damaged is left out with a note."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageCms

from pconv_hpc.photos.formats.photo_files import read_photo, write_photo
from tests.support.png_files import png_chunk, png_with

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"XML:com.adobe.xmp\0\1\0\0\0"


def written_back(folder: Path, *chunks: bytes) -> tuple[bytes, tuple[str, ...]]:
    path = folder / "photo.png"
    path.write_bytes(png_with(PIXELS, *chunks))
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.pixels, PIXELS)
    write_photo(photo, path)
    np.testing.assert_array_equal(read_photo(path).pixels, PIXELS)
    return path.read_bytes(), photo.notes


def test_megabytes_of_text_and_a_profile_stay(tmp_path: Path) -> None:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2 << 20)))
    profile = png_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(ICC))
    data, notes = written_back(tmp_path, text, profile)
    assert text in data
    assert profile in data
    assert notes == ()


@pytest.mark.parametrize(
    ("name", "chunk"),
    [
        ("pHYs", png_chunk(b"pHYs", bytes(9), check=1)),
        ("tEXt", png_chunk(b"tEXt", b"Title\0A title", check=1)),
        ("tRNS", png_chunk(b"tRNS", bytes(6), check=1)),
        ("iCCP", png_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(ICC)[:200])),
        ("iCCP", png_chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(65 << 20), 9))),
        ("iTXt", png_chunk(b"iTXt", XMP + zlib.compress(bytes(65 << 20), 9))),
        ("iTXt", png_chunk(b"iTXt", XMP + b"no zlib")),
    ],
)
def test_a_damaged_chunk_is_left_out_with_a_note(tmp_path: Path, name: str, chunk: bytes) -> None:
    sound = png_chunk(b"tEXt", b"Author\0Somebody")
    data, notes = written_back(tmp_path, chunk, sound, chunk)
    assert sound in data
    assert chunk not in data
    assert notes == (f"damaged and left out: {name}",)
