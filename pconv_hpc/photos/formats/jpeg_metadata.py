"""What a JPEG says about its photo, as segments for the erased one.

Everything that is kept stays byte for byte, in as many segments as it needs. Pictures beside the
photo go, with what announces them: they still show what was erased.
"""

import hashlib
import io
import re
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pconv_hpc.photos.formats.gain_map import ISO_GAIN_MAP
from pconv_hpc.photos.jpeg_segments import (
    APP0,
    APP1,
    APP2,
    APP11,
    APP13,
    APP14,
    COMMENT,
    END,
    EXIF,
    ICC,
    JFIF,
    JFIF_BYTES,
    MAX_BODY_BYTES,
    SIGNATURE,
    Metadata,
    continues_exif,
    metadata_of,
    read_segments,
)
from pconv_hpc.photos.metadata.exif import without_thumbnail
from pconv_hpc.photos.metadata.iptc import without_preview
from pconv_hpc.photos.metadata.xmp import XMP, picture_kinds, without_pictures

_LONG_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_LONG_XMP_HEADER = struct.Struct(">32sII")  # MD5 of the whole in digits, its length, the offset
_LONG_XMP_NAME = re.compile(rb"""\sxmpNote:HasExtendedXMP\s*=\s*["'](\w*)["']""")
_PHOTOSHOP, _RESOURCE = b"Photoshop 3.0\0", b"8BIM"
# Of Photoshop's resources this one alone: others are thumbnails, or describe what is edited here.
_IPTC_RESOURCE = 0x0404
_CREDENTIALS = b"JP"
_VIDEO = b"ftyp"
_PADDING = b"\0\xff\r\n "
_MAX_UNKNOWN_BYTES = 256  # behind a photo: too little to show anything


class PhotoMetadata(NamedTuple):
    """Segments for the erased photo, its colour profile, and notes of what could not stay."""

    segments: list[Metadata]
    icc_profile: bytes | None
    notes: tuple[str, ...]


def read_metadata(data: bytes, *, keeps_gain_map: bool = False) -> PhotoMetadata:
    """Return the metadata of a JPEG file for its erased photo.

    EXIF, XMP, colour profiles, IPTC, comments and resolution are kept without their thumbnails.

    Args:
        data: the file, without its gain map if that is kept.
        keeps_gain_map: whether it is.
    """
    segments = metadata_of(data)
    profile = _joined_profile(_bodies(segments, APP2, ICC))
    xmp, long_xmp, is_whole = _joined_xmp(segments)
    jfif = [body for body in _bodies(segments, APP0, JFIF) if len(body) >= JFIF_BYTES]
    kept = [
        *((APP0, body[:JFIF_BYTES] + bytes(2)) for body in jfif[:1]),
        *_split(APP1, EXIF, without_thumbnail(_joined_exif(_bodies(segments, APP1, EXIF)))),
        *_xmp_segments(xmp, long_xmp),
        *_profile_segments(profile or b""),
        *_split(APP13, _PHOTOSHOP, _joined_iptc(_bodies(segments, APP13, _PHOTOSHOP))),
        *(segment for segment in segments if segment[0] in (APP14, COMMENT)),
    ]
    damaged = [] if is_whole else ["a part of XMP"]
    if profile is None and _bodies(segments, APP2, ICC):
        damaged.append("colour profile")
    notes = [f"damaged and left out: {', '.join(damaged)}"] if damaged else []
    pictures = set(picture_kinds(xmp + long_xmp)) | _what_follows(data)
    announced = _bodies(segments, APP2, ISO_GAIN_MAP)
    if keeps_gain_map:
        kept += [(APP2, body) for body in announced]
        pictures.discard("gain map")
    elif announced:
        pictures.add("gain map")
    if pictures:
        notes.append(f"left out, as it shows what was erased: {', '.join(sorted(pictures))}")
    if _bodies(segments, APP11, _CREDENTIALS):
        notes.append("left out: content credentials, which are signed for the photo as it was")
    return PhotoMetadata(kept, profile, tuple(notes))


def _bodies(segments: Sequence[Metadata], marker: int, head: bytes) -> list[bytes]:
    return [body for other, body in segments if other == marker and body.startswith(head)]


def _split(marker: int, head: bytes, body: bytes) -> Iterator[Metadata]:
    room = MAX_BODY_BYTES - len(head)
    for start in range(0, len(body), room):
        yield marker, head + body[start : start + room]


def _joined_exif(bodies: Sequence[bytes]) -> bytes:
    """Return the first EXIF block; one that is too long for a segment goes on in the next."""
    more = [body for body in bodies[1:] if continues_exif(body)]
    return b"".join(body.removeprefix(EXIF) for body in [*bodies[:1], *more])


def _joined_profile(bodies: Sequence[bytes]) -> bytes | None:
    """Return a colour profile from its numbered parts; ``None`` if there is none, or not all."""
    start = len(ICC) + 2
    parts = {body[start - 2]: body for body in bodies if len(body) >= start}
    numbers = sorted(parts)
    if not numbers or numbers != list(range(1, parts[numbers[0]][start - 1] + 1)):
        return None
    return b"".join(parts[number][start:] for number in numbers)


def _profile_segments(profile: bytes) -> Iterator[Metadata]:
    room = MAX_BODY_BYTES - len(ICC) - 2
    count = -(-len(profile) // room)
    for index in range(count):
        part = profile[index * room : (index + 1) * room]
        yield APP2, ICC + bytes([index + 1, count]) + part


def _joined_xmp(segments: Sequence[Metadata]) -> tuple[bytes, bytes, bool]:
    """Return the packet, the one that it says extends it, and whether that is all there."""
    packet = (_bodies(segments, APP1, XMP) or [b""])[0].removeprefix(XMP)
    name = _LONG_XMP_NAME.search(packet)
    if name is None:
        return packet, b"", True
    start = len(_LONG_XMP) + _LONG_XMP_HEADER.size
    parts: dict[int, bytes] = {}
    length = 0
    for body in _bodies(segments, APP1, _LONG_XMP):
        if len(body) >= start:
            digest, length_here, offset = _LONG_XMP_HEADER.unpack(body[len(_LONG_XMP) : start])
            if digest == name[1]:  # others are left over from earlier versions
                parts[offset], length = body[start:], length_here
    end = 0
    for offset in sorted(parts):
        end = end + len(parts[offset]) if offset == end else -1
    if end != length or not parts:
        return _LONG_XMP_NAME.sub(b"", packet), b"", False
    return packet, b"".join(parts[offset] for offset in sorted(parts)), True


def _xmp_segments(packet: bytes, long_packet: bytes) -> Iterator[Metadata]:
    packet, long_packet = without_pictures(packet), without_pictures(long_packet)
    if not packet:
        return
    digest = hashlib.md5(long_packet, usedforsecurity=False).hexdigest().upper().encode()
    if (name := _LONG_XMP_NAME.search(packet)) and len(name[1]) == len(digest):
        packet = packet.replace(name[1], digest)
    yield APP1, XMP + packet
    room = MAX_BODY_BYTES - len(_LONG_XMP) - _LONG_XMP_HEADER.size
    for offset in range(0, len(long_packet), room):
        header = _LONG_XMP_HEADER.pack(digest, len(long_packet), offset)
        yield APP1, _LONG_XMP + header + long_packet[offset : offset + room]


def _joined_iptc(bodies: Sequence[bytes]) -> bytes:
    """Return the IPTC resource alone; resources may go on from one segment to the next."""
    data = b"".join(body.removeprefix(_PHOTOSHOP) for body in bodies)
    position = 0
    while data.startswith(_RESOURCE, position) and position + 8 <= len(data):
        (number,) = struct.unpack_from(">H", data, position + 4)
        start = position + 6 + (data[position + 6] + 2 & ~1) + 4  # behind its name, of even length
        length = int.from_bytes(data[start - 4 : start])
        if number == _IPTC_RESOURCE:
            iptc = without_preview(data[start : start + length])
            header = struct.pack(">4sHHI", _RESOURCE, _IPTC_RESOURCE, 0, len(iptc))
            return header + iptc + bytes(len(iptc) % 2)
        position = start + length
        if not data.startswith(_RESOURCE, position):
            position += length % 2
    return b""


def _what_follows(data: bytes) -> set[str]:
    """Return what lies behind a file's first picture."""
    *_, scan = read_segments(io.BytesIO(data))
    end = data.find(END, scan.stop)
    rest = data[end + 2 :] if end >= 0 else b""
    kinds = {SIGNATURE: "further pictures", _VIDEO: "video"}
    found = {kind for mark, kind in kinds.items() if mark in rest}
    is_long = len(rest.strip(_PADDING)) > _MAX_UNKNOWN_BYTES
    return found or ({"data behind the photo"} if is_long else set())
