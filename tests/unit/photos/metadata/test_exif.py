"""EXIF without its thumbnail: everything else stays where it is."""

import io
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pconv_hpc.photos.metadata.exif import without_thumbnail
from tests.support.exif_blocks import exif_with_strips, exif_with_thumbnail

THUMBNAIL = bytes(range(1, 200))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"Exif\0\0", b""])
def test_the_thumbnail_and_the_link_to_it_become_zeros(order: str, prefix: bytes) -> None:
    exif = prefix + exif_with_thumbnail(THUMBNAIL, order)[6:]
    bare = without_thumbnail(exif)
    changed = [i for i, (a, b) in enumerate(zip(exif, bare, strict=True)) if a != b]
    start = exif.index(THUMBNAIL)
    link = len(prefix) + 8 + 2 + 12
    assert set(changed) <= {*range(link, link + 4), *range(start, start + len(THUMBNAIL))}
    assert bare[link : link + 4] == bytes(4)
    assert not any(bare[start : start + len(THUMBNAIL)])
    assert without_thumbnail(bare) == bare


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_thumbnail_of_plain_pixels_becomes_zeros(count: int, order: str) -> None:
    exif = exif_with_strips([THUMBNAIL[: 40 + index] for index in range(count)], order)
    bare = without_thumbnail(exif)
    start = exif.index(THUMBNAIL[:40])
    assert bare[:start] == exif[:16] + bytes(4) + exif[20:start]  # no entries, then the link
    assert not any(bare[start:])
    assert len(bare) == len(exif)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_larger_preview_behind_the_thumbnail_becomes_zeros(order: str) -> None:
    block = bytearray(exif_with_thumbnail(THUMBNAIL, order)[6:])
    preview, start = b"a larger preview", len(block)
    link = block.index(THUMBNAIL) - 4
    struct.pack_into(f"{order}I", block, link, start)
    entries = ((0x0201, start + 2 + 24 + 4), (0x0202, len(preview)))
    block += struct.pack(f"{order}H", 2)
    for tag, value in entries:
        block += struct.pack(f"{order}HHII", tag, 4, 1, value)
    block += struct.pack(f"{order}I", link - 26) + preview  # and round again, for ever
    bare = without_thumbnail(bytes(block))
    assert len(bare) == len(block)
    assert THUMBNAIL not in bare
    assert preview not in bare
    assert b"A camera" in bare


def test_jpegs_in_maker_notes_become_zeros() -> None:
    stream = io.BytesIO()
    Image.effect_noise((32, 24), 50).save(stream, "JPEG", exif=exif_with_thumbnail(THUMBNAIL))
    preview = stream.getvalue()
    exif = exif_with_thumbnail(b"none")
    note = b"a maker note \xff\xd8\xff\xe0 of no picture " + preview + b" and its end"
    bare = without_thumbnail(exif + note + preview[:-40])
    zeros = bytes(len(preview))
    assert bare[len(exif) :] == note.replace(preview, zeros) + zeros[:-40]


def test_thousands_of_beginnings_take_no_long_time() -> None:
    beginning = b"\xff\xd8" + b"\xff\xe0\0\2" * 3
    exif = exif_with_thumbnail(THUMBNAIL) + beginning * 100_000
    assert len(without_thumbnail(exif)) == len(exif)


@given(st.binary(max_size=80))
def test_any_garbage_is_taken(data: bytes) -> None:
    for header in (b"", b"II*\0", b"Exif\0\0MM\0*"):
        assert len(without_thumbnail(header + data)) == len(header + data)


@given(st.data())
def test_any_damage_is_taken(data: st.DataObject) -> None:
    blocks = (exif_with_thumbnail(THUMBNAIL), exif_with_strips([THUMBNAIL, THUMBNAIL]))
    exif = bytearray(data.draw(st.sampled_from(blocks)))
    for _ in range(4):
        exif[data.draw(st.integers(0, len(exif) - 1))] = data.draw(st.integers(0, 255))
    assert len(without_thumbnail(bytes(exif))) == len(exif)


def test_a_hostile_number_of_strips_costs_little_memory() -> None:
    megabytes = 32
    strips = [THUMBNAIL[:40], THUMBNAIL[:40]]
    exif = exif_with_strips(strips, "<")
    claimed = exif.replace(struct.pack("<HHI", 0x111, 4, 2), struct.pack("<HHI", 0x111, 4, 1 << 30))
    claimed = claimed.replace(
        struct.pack("<HHI", 0x117, 4, 2), struct.pack("<HHI", 0x117, 4, 1 << 30)
    )
    assert claimed != exif
    tracemalloc.start()
    without_thumbnail(claimed + bytes(megabytes << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * (megabytes << 20)
