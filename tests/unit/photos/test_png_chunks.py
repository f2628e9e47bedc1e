"""PNGs whose metadata is damaged, enormous or hostile: their pixels are read."""

import io
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.photos.decode import ImageError, decode_rgb, decode_square
from pconv_hpc.photos.png_chunks import bare_png, inflate, read_chunks
from tests.support.png_files import png_chunk, png_with

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
TURNED = Image.Exif()
TURNED[0x0112] = 6
EXIF = TURNED.tobytes()


def exif_text(size: int = 0) -> bytes:
    return f"\nexif\n{len(EXIF):8}\n{EXIF.hex()}\n".encode() + bytes(size)


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2 << 20))),
        png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(2 << 20))),
        png_chunk(b"tEXt", b"Comment\0" + bytes(2 << 20)),
        b"".join(png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20))) for _ in range(70)),
        png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(exif_text(2 << 20))),
        png_chunk(b"zTXt", b"Raw profile type exif\0\0no zlib"),
        png_chunk(b"pHYs", bytes(9), check=1),
        png_chunk(b"pHYs", bytes(2)),
        png_chunk(b"tRNS", bytes(6), check=1),
        png_chunk(b"tRNS", bytes(1)),
        png_chunk(b"eXIf", EXIF, check=1),
        png_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(500))[:9]),
        png_chunk(b"iCCP", b""),
        png_chunk(b"gAMA", b"") + png_chunk(b"cHRM", b"\0") + png_chunk(b"tIME", b"\0"),
    ],
)
def test_what_pixels_do_not_need_cannot_make_them_unreadable(chunk: bytes) -> None:
    data = png_with(PIXELS, chunk)
    np.testing.assert_array_equal(decode_rgb(data), PIXELS)
    assert decode_square(data, 4).shape == (4, 4, 3)


def test_what_pixels_need_is_checked() -> None:
    broken_header = bytearray(png_with(PIXELS))
    broken_header[29] ^= 1
    with pytest.raises(ImageError):
        decode_rgb(bytes(broken_header))


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"eXIf", EXIF.removeprefix(b"Exif\0\0")),
        png_chunk(b"tEXt", b"Raw profile type exif\0" + exif_text()),
        png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(exif_text())),
    ],
)
def test_photos_are_still_turned(chunk: bytes) -> None:
    np.testing.assert_array_equal(decode_rgb(png_with(PIXELS, chunk)), np.rot90(PIXELS, -1))


def test_transparency_stays() -> None:
    chunk = png_chunk(b"tRNS", b"".join(b"\0" + bytes([value]) for value in PIXELS[0, 0]))
    assert (decode_rgb(png_with(PIXELS, chunk))[0, 0] == 255).all()


def test_the_bare_file_holds_nothing_else() -> None:
    text = png_chunk(b"tEXt", b"a\0b")
    data = png_with(PIXELS, text, png_chunk(b"pHYs", bytes(9))) + b"what follows the end"
    assert bare_png(io.BytesIO(data)).read() == png_with(PIXELS)
    names = [chunk.name for chunk in read_chunks(io.BytesIO(data))]
    assert names == [b"IHDR", b"tEXt", b"pHYs", b"IDAT", b"IEND"]


def test_text_that_unpacks_to_gigabytes_costs_little_memory() -> None:
    packed = zlib.compress(bytes(64 << 20), 9)
    data = png_with(PIXELS, png_chunk(b"zTXt", b"Raw profile type exif\0\0" + packed))
    tracemalloc.start()
    decode_rgb(data)
    assert inflate(packed, 1000) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_file_cut_into_millions_of_chunks_is_refused() -> None:
    with pytest.raises(ImageError, match="more than 1,000,000 chunks"):
        decode_rgb(png_with(PIXELS, png_chunk(b"tEXt", b"") * 1_000_000))
