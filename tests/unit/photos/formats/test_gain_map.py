"""Gain maps behind photos: kept, erased where the photo is, and announced again."""

import io
import re
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from pconv_hpc.photos.formats.photo_files import read_photo, write_photo
from pconv_hpc.photos.photo import Box
from tests.support.jpeg_files import jpeg_bodies, jpeg_segment, with_jpeg_segments

HEIGHT, WIDTH = 96, 128
HOLE = np.zeros((HEIGHT, WIDTH), dtype=bool)
HOLE[28:68, 44:84] = True
FAR = np.ones_like(HOLE)
FAR[:, 24:104] = False  # what the blocks of the gain map around the hole cover
XMP = b"http://ns.adobe.com/xap/1.0/\0"
ISO = b"urn:iso:std:iso:ts:21496:-1\0"
PHOTO_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    b' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    b' xmlns:Container="http://ns.google.com/photos/1.0/container/"'
    b' hdrgm:Version="1.0" xmp:Rating="5"><Container:Directory>old</Container:Directory>'
    b"</rdf:Description></rdf:RDF>%s</x:xmpmeta>"
)
GAIN_MAP_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    b' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
    b' hdrgm:GainMapMin="0" hdrgm:GainMapMax="2" hdrgm:Gamma="1" hdrgm:OffsetSDR="0"'
    b' hdrgm:OffsetHDR="0" hdrgm:HDRCapacityMin="0" hdrgm:HDRCapacityMax="2"'
    b' hdrgm:BaseRenditionIsHDR="False"/></rdf:RDF></x:xmpmeta>'
)


def encoded(pixels: np.ndarray, *segments: bytes, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95, **options)
    return with_jpeg_segments(stream.getvalue(), *segments)


def gradient() -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x, y, x + y], axis=2).astype(np.uint8)


def gain(scale: int = 4) -> np.ndarray:
    """A gain map, quarter size, that is bright where the photo is to be erased."""
    return np.where(HOLE[::scale, ::scale], 250, 40).astype(np.uint8)


def ultra_hdr(*segments: bytes, more: bytes = b"", padding: bytes = b"", scale: int = 4) -> bytes:
    photo = encoded(gradient(), jpeg_segment(0xE1, XMP + PHOTO_XMP % padding), *segments)
    return photo + encoded(gain(scale), jpeg_segment(0xE1, XMP + GAIN_MAP_XMP)) + more


def erased(folder: Path, data: bytes, hole: np.ndarray = HOLE) -> tuple[bytes, tuple[str, ...]]:
    path = folder / "photo.jpg"
    path.write_bytes(data)
    photo = read_photo(path)
    box = Box(0, 0, photo.height, photo.width)
    photo.write_rgb(box, np.full((*hole.shape, 3), 0.3, np.float32), hole)
    write_photo(photo, path)
    return path.read_bytes(), photo.notes


def gain_map_of(data: bytes) -> np.ndarray:
    """Return the second picture as its list of pictures says."""
    base = data.index(b"MPF\0") + 4
    size, start = struct.unpack_from(">II", data, base + 50 + 16 + 4)
    assert base + start + size == len(data)
    return np.array(Image.open(io.BytesIO(data[base + start :])))


def test_what_libultrahdr_writes(tmp_path: Path) -> None:
    light = np.ones((HEIGHT, WIDTH, 4), np.float16)
    light[..., :3] = gradient() / np.float16(255)
    light[32:64, 48:80, :3] = 4
    data = imagecodecs.ultrahdr_encode(light)
    after, notes = erased(tmp_path, data)
    assert notes == ()
    before_light, after_light = map(imagecodecs.ultrahdr_decode, (data, after))
    np.testing.assert_array_equal(after_light[FAR], before_light[FAR])
    assert before_light[48, 64, :3].min() > 3
    assert after_light[48, 64, :3].max() < 0.5
    assert jpeg_bodies(after, 0xE2, ISO) == jpeg_bodies(data, 0xE2, ISO)


@pytest.mark.parametrize("scale", [1, 4])
def test_a_gain_map_that_xmp_announces(tmp_path: Path, scale: int) -> None:
    data = ultra_hdr(scale=scale)
    after, notes = erased(tmp_path, data)
    assert notes == ()
    (xmp,) = jpeg_bodies(after, 0xE1, XMP)
    length = int(
        re.findall(rb'Item:Semantic="GainMap" Item:Mime="image/jpeg" Item:Length="(\d+)"', xmp)[0]
    )
    np.testing.assert_array_equal(
        np.array(Image.open(io.BytesIO(after[-length:]))), gain_map_of(after)
    )
    assert xmp.count(b'hdrgm:Version="1.0"') == 1
    assert b'xmp:Rating="5"' in xmp
    assert b"old" not in xmp
    before_light, after_light = map(imagecodecs.ultrahdr_decode, (data, after))
    np.testing.assert_array_equal(after_light[FAR], before_light[FAR])
    assert np.abs(gain_map_of(after)[HOLE[::scale, ::scale]].astype(int) - 40).max() < 12


def test_the_whole_photo(tmp_path: Path) -> None:
    after, _ = erased(tmp_path, ultra_hdr(), np.ones_like(HOLE))
    assert np.ptp(gain_map_of(after)) == 0


def test_a_turned_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = ultra_hdr(jpeg_segment(0xE1, exif.tobytes()))
    after, _ = erased(tmp_path, data, np.rot90(HOLE, -1))
    assert np.abs(gain_map_of(after)[HOLE[::4, ::4]].astype(int) - 40).max() < 12


def test_a_video_behind_it_goes(tmp_path: Path) -> None:
    after, notes = erased(tmp_path, ultra_hdr(more=b"\0\0\0\x18ftypmp42" + bytes(99)))
    assert notes == ("left out, as it shows what was erased: video",)
    assert b"ftyp" not in after
    assert gain_map_of(after).shape == (24, 32)


def test_without_room_in_xmp_the_list_of_pictures_announces_it(tmp_path: Path) -> None:
    after, _ = erased(tmp_path, ultra_hdr(padding=b" " * 64_700))
    (xmp,) = jpeg_bodies(after, 0xE1, XMP)
    assert b"GainMap" not in xmp
    assert gain_map_of(after).shape == (24, 32)


@pytest.mark.parametrize(
    "gain_map",
    [
        encoded(gain(), jpeg_segment(0xE1, XMP + GAIN_MAP_XMP))[:-200],
        encoded(np.zeros((999, 999), np.uint8), jpeg_segment(0xE1, XMP + GAIN_MAP_XMP)),
        encoded(gain()),
        b"\xff\xd8\xff",
    ],
    ids=["cut short", "larger than the photo", "not said to be one", "three bytes"],
)
def test_a_gain_map_that_cannot_be_read_goes_with_what_announces_it(
    tmp_path: Path, gain_map: bytes
) -> None:
    photo = encoded(gradient(), jpeg_segment(0xE1, XMP + PHOTO_XMP % b""))
    after, notes = erased(tmp_path, photo + gain_map)
    assert notes == ("left out, as it shows what was erased: further pictures, gain map",)
    assert after.count(b"\xff\xd8\xff") == 1
    assert b"hdrgm:Version" not in after
    assert b"Directory" not in after
