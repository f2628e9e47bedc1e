"""What JPEGs say of their photos: kept in as many segments as it takes, or left out with a note."""

import hashlib
import io
import struct

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.photos.formats.jpeg_metadata import read_metadata
from pconv_hpc.photos.jpeg_segments import bare_jpeg, with_metadata
from tests.support.exif_blocks import exif_with_thumbnail
from tests.support.jpeg_files import jpeg_bodies, jpeg_segment, with_jpeg_segments

XMP = b"http://ns.adobe.com/xap/1.0/\0"
LONG_XMP = b"http://ns.adobe.com/xmp/extension/\0"
PHOTOSHOP = b"Photoshop 3.0\0"
SHOWS = "left out, as it shows what was erased: "


def plain_jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), 60, np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def rewritten(*segments: bytes, trailer: bytes = b"") -> tuple[bytes, tuple[str, ...]]:
    """Return a JPEG with its metadata written again, and the notes."""
    data = with_jpeg_segments(plain_jpeg(), *segments) + trailer
    metadata = read_metadata(data)
    bare = bare_jpeg(io.BytesIO(plain_jpeg())).read()
    return with_metadata(bare[:2] + bare[20:], metadata.segments), metadata.notes


def split(marker: int, head: bytes, body: bytes, size: int = 65_000) -> list[bytes]:
    return [
        jpeg_segment(marker, head + body[start : start + size])
        for start in range(0, len(body), size)
    ]


def test_exif_of_two_segments() -> None:
    thumbnail = bytes(range(1, 200))
    exif = exif_with_thumbnail(thumbnail)[6:] + b"maker notes" * 9000
    data, notes = rewritten(*split(0xE1, b"Exif\0\0", exif))
    again = b"".join(jpeg_bodies(data, 0xE1, b"Exif\0\0"))
    assert len(again) == len(exif)
    assert again.endswith(b"maker notes" * 9000)
    assert thumbnail not in again
    assert notes == ()
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[0x010F] == "A camera"


def test_a_second_block_of_exif_goes() -> None:
    blocks = [exif_with_thumbnail(bytes(9)), exif_with_thumbnail(b"secret")]
    data, _ = rewritten(*(jpeg_segment(0xE1, block) for block in blocks))
    assert len(jpeg_bodies(data, 0xE1)) == 1
    assert b"secret" not in data


def test_a_profile_of_many_segments_in_any_order() -> None:
    profile = bytes(range(256)) * 800
    segments = [
        jpeg_segment(0xE2, b"ICC_PROFILE\0" + bytes([n + 1, 4]) + profile[n * 60_000 :][:60_000])
        for n in range(4)
    ]
    data, notes = rewritten(*segments[::-1])
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == profile
    assert notes == ()
    data, notes = rewritten(*segments[:3])
    assert jpeg_bodies(data, 0xE2) == []
    assert notes == ("damaged and left out: colour profile",)
    xmp = jpeg_segment(0xE1, XMP + b"<x xmpNote:HasExtendedXMP='0'/>")
    assert rewritten(xmp, segments[1])[1] == (
        "damaged and left out: a part of XMP, colour profile",
    )


def long_xmp(packet: bytes, guid: bytes) -> list[bytes]:
    return [
        jpeg_segment(0xE1, LONG_XMP + struct.pack(">32sII", guid, len(packet), start)
                     + packet[start : start + 60_000])
        for start in range(0, len(packet), 60_000)
    ]  # fmt: skip


def joined_long_xmp(data: bytes) -> tuple[set[bytes], bytes]:
    bodies = jpeg_bodies(data, 0xE1, LONG_XMP)
    assert [struct.unpack_from(">I", body, 36)[0] for body in bodies] == [
        sum(len(body) - 40 for body in bodies[:index]) for index in range(len(bodies))
    ]
    return {body[:32] for body in bodies}, b"".join(body[40:] for body in bodies)


@pytest.mark.parametrize("is_complete", [True, False])
def test_xmp_that_goes_on_in_other_segments(is_complete: bool) -> None:
    packet = b"<x>" + b"history " * 20_000 + b"</x>"
    guid = hashlib.md5(packet).hexdigest().upper().encode()
    main = XMP + b"<x a='b' xmpNote:HasExtendedXMP='%s'/>" % guid
    segments = [jpeg_segment(0xE1, main), *long_xmp(packet, guid), *long_xmp(b"old", b"0" * 32)]
    if is_complete:
        data, notes = rewritten(*segments)
        assert jpeg_bodies(data, 0xE1, XMP) == [main.removeprefix(XMP)]
        assert joined_long_xmp(data) == ({guid}, packet)
        assert notes == ()
    else:
        data, notes = rewritten(*segments[:2])
        assert jpeg_bodies(data, 0xE1) == [XMP + b"<x a='b'/>"]
        assert notes == ("damaged and left out: a part of XMP",)


def test_a_depth_map_and_the_original_in_xmp_go() -> None:
    namespaces = (
        b"<x xmlns:D='http://ns.google.com/photos/1.0/depthmap/'"
        b" xmlns:I='http://ns.google.com/photos/1.0/image/'"
    )
    packet = namespaces + b" D:Data='%s' I:Data='%s' y:z='kept'/>" % (
        b"QUJD" * 9000,
        b"/9j/" * 9000,
    )
    guid = hashlib.md5(packet).hexdigest().upper().encode()
    main = namespaces + b" D:Format='RangeLinear' xmpNote:HasExtendedXMP='%s'/>" % guid
    erased, notes = rewritten(jpeg_segment(0xE1, XMP + main), *long_xmp(packet, guid))
    guids, after = joined_long_xmp(erased)
    assert after == namespaces + b" y:z='kept'/>"
    assert guids == {hashlib.md5(after).hexdigest().upper().encode()}
    assert jpeg_bodies(erased, 0xE1, XMP) == [
        namespaces + b" xmpNote:HasExtendedXMP='%s'/>" % guids.pop()
    ]
    assert notes == (f"{SHOWS}depth map, original",)


def resource(number: int, body: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body + bytes(len(body) % 2)


def test_iptc_alone_stays_of_photoshops_resources() -> None:
    caption = b"\x1c\x02\x78\0\x05A day"  # of an odd length
    preview = b"\x1c\x02\xca\0\x07" + b"preview"
    resources = resource(0x0409, b"thumbnail") + resource(0x0404, caption + preview)
    data, _ = rewritten(jpeg_segment(0xED, PHOTOSHOP + resources + resource(0x040C, b"other")))
    assert jpeg_bodies(data, 0xED, PHOTOSHOP) == [resource(0x0404, caption)]
    unpadded = resource(0x0401, b"odd")[:-1] + resource(0x0404, caption)
    data, _ = rewritten(jpeg_segment(0xED, PHOTOSHOP + unpadded))
    assert jpeg_bodies(data, 0xED, PHOTOSHOP) == [resource(0x0404, caption)]


def test_iptc_of_several_segments() -> None:
    text = b"\x1c\x02\x78" + struct.pack(">H", 32_000) + b"x" * 32_000
    resources = resource(0x0404, text * 5)
    data, _ = rewritten(*split(0xED, PHOTOSHOP, resources))
    assert b"".join(jpeg_bodies(data, 0xED, PHOTOSHOP)) == resources


def test_comments_and_resolution_stay_and_thumbnails_of_jfif_go() -> None:
    jfif = b"JFIF\0\1\2\1\x01\x2c\x01\x2c"
    plain = plain_jpeg()
    with_thumbnail = plain[:2] + jpeg_segment(0xE0, jfif + b"\1\1" + b"RGB") + plain[20:]
    comments = [jpeg_segment(0xFE, b"one"), jpeg_segment(0xFE, b"two")]
    data = with_jpeg_segments(with_thumbnail, jpeg_segment(0xE0, b"JFXX\0\x10secret"), *comments)
    metadata = read_metadata(data)
    assert metadata.segments == [(0xE0, jfif + b"\0\0"), (0xFE, b"one"), (0xFE, b"two")]


GAIN_MAP_XMP = XMP + (
    b"<x xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Version='1.0'"
    b" xmlns:C='http://ns.google.com/photos/1.0/container/'>"
    b"<C:Directory><C:Item Item:Semantic='GainMap'/></C:Directory></x>"
)


@pytest.mark.parametrize(
    ("segments", "trailer", "kinds"),
    [
        ([jpeg_segment(0xE1, GAIN_MAP_XMP)], plain_jpeg(), "further pictures, gain map"),
        (
            [jpeg_segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")],
            plain_jpeg(),
            "further pictures, gain map",
        ),
        ([jpeg_segment(0xE2, b"MPF\0II*\0\x08\0\0\0")], plain_jpeg(), "further pictures"),
        ([], b"\0\0\0\x18ftypmp42" + bytes(99), "video"),
        ([], b"\0\0" + b"MotionPhoto_Data" + b"\0\0\0\x18ftypmp42" + plain_jpeg(),
         "further pictures, video"),
        ([], b"SEFH and other things" * 20, "data behind the photo"),
    ],
)  # fmt: skip
def test_pictures_beside_the_photo_go_with_what_announces_them(
    segments: list[bytes], trailer: bytes, kinds: str
) -> None:
    data, notes = rewritten(*segments, trailer=trailer)
    assert notes == (SHOWS + kinds,)
    assert jpeg_bodies(data, 0xE2) == []
    for announces in (b"hdrgm:Version", b"GainMap", b"MPF", b"21496", b"Directory"):
        assert announces not in data
    assert data.count(b"\xff\xd8") == 1


def test_padding_behind_the_photo_is_no_news() -> None:
    for padding in (bytes(9999), b"\xff" * 9999, b"\r\n", b"a camera's last words"):
        assert rewritten(trailer=padding)[1] == ()


def test_content_credentials_go_with_a_note() -> None:
    data, notes = rewritten(jpeg_segment(0xEB, b"JP\0\1\0\0\0\1jumb"))
    assert jpeg_bodies(data, 0xEB) == []
    assert notes == ("left out: content credentials, which are signed for the photo as it was",)
