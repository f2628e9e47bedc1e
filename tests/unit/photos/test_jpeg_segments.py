"""JPEGs whose metadata is damaged or hostile: their pixels are read, and what these need stays."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from pconv_hpc.photos.decode import ImageError, decode_rgb, decode_square
from pconv_hpc.photos.jpeg_segments import bare_jpeg, read_segments
from tests.support.jpeg_files import jpeg_segment, with_jpeg_segments


def jpeg(mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    gradient = Image.fromarray(np.arange(30 * 40, dtype=np.uint8).reshape(30, 40))
    gradient.convert("RGB").convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "segment",
    [
        jpeg_segment(0xE0, b"JFIF\0"),
        jpeg_segment(0xE0, b""),
        jpeg_segment(0xE1, b"Exif\0"),
        jpeg_segment(0xE1, b"Exif\0\0MM\0*\xff\xff"),
        jpeg_segment(0xE2, b"ICC_PROFILE\0"),
        jpeg_segment(0xE2, b"ICC_PROFILE\0\1"),
        jpeg_segment(0xE2, b"MPF\0"),
        jpeg_segment(0xE2, b"MPF\0II*\0" + struct.pack("<IHHHI4sI", 8, 1, 0xB001, 4, 1, b"2", 0)),
        jpeg_segment(0xED, b"Photoshop 3.0\0008BIM\4"),
        jpeg_segment(0xEE, b"Adobe"),
        jpeg_segment(0xFE, b""),
        b"\xff\xff\xff",
        b"\xff\xd0\xff\x01",
        b"junk",
    ],
)  # fmt: skip
def test_what_pixels_do_not_need_cannot_make_them_unreadable(segment: bytes) -> None:
    plain = jpeg()
    data = with_jpeg_segments(plain, segment)
    np.testing.assert_array_equal(decode_rgb(data), decode_rgb(plain))
    assert decode_square(data, 4).shape == (4, 4, 3)
    if segment != b"junk":  # right behind the first marker nobody expects it
        at_the_start = plain[:2] + segment + plain[2:]
        np.testing.assert_array_equal(decode_rgb(at_the_start), decode_rgb(plain))


def test_the_bare_file_holds_nothing_else() -> None:
    plain = jpeg()
    more = [jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), jpeg_segment(0xE4, b"x")]
    data = with_jpeg_segments(plain, *more, jpeg_segment(0xFE, b"a comment"))
    assert bare_jpeg(io.BytesIO(data)).read() == plain
    assert [segment.marker for segment in read_segments(io.BytesIO(data))][:4] == [
        0xE0, 0xE1, 0xE4, 0xFE,
    ]  # fmt: skip


def test_orientation_profile_and_colour_model_stay() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = jpeg(exif=exif.tobytes(), icc_profile=profile)
    assert decode_rgb(data).shape == (40, 30, 3)
    with Image.open(bare_jpeg(io.BytesIO(data))) as image:
        assert image.info["icc_profile"] == profile
    for options in ({"mode": "CMYK"}, {"keep_rgb": True}):
        data = jpeg(**options)
        assert bare_jpeg(io.BytesIO(data)).read() == data


def test_a_second_block_of_exif_is_not_the_first_ones_end() -> None:
    blocks = []
    for orientation in (6, 3):
        exif = Image.Exif()
        exif[0x0112] = orientation
        blocks.append(jpeg_segment(0xE1, exif.tobytes()))
    data = with_jpeg_segments(jpeg(), *blocks)
    assert bare_jpeg(io.BytesIO(data)).read() == with_jpeg_segments(jpeg(), blocks[0])


@pytest.mark.parametrize("size", [2, 20, 200])
def test_files_that_end_early_are_refused(size: int) -> None:
    with pytest.raises(ImageError):
        decode_rgb(b"\xff\xd8\xff" + jpeg()[3:size])


def test_a_file_cut_into_hundreds_of_thousands_of_segments_is_refused() -> None:
    with pytest.raises(ImageError, match="more than 100,000 segments"):
        decode_rgb(with_jpeg_segments(jpeg(), jpeg_segment(0xFE, b"") * 100_000))
