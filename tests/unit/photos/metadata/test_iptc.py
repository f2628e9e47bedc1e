"""IPTC without its preview."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from pconv_hpc.photos.metadata.iptc import without_preview


def dataset(record: int, number: int, value: bytes, *, is_long: bool = False) -> bytes:
    if is_long:
        return struct.pack(">BBBHI", 0x1C, record, number, 0x8004, len(value)) + value
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


def test_the_preview_alone_is_taken_out() -> None:
    before = dataset(1, 90, b"\x1b%G") + dataset(2, 80, b"A. Photographer")
    after = dataset(2, 116, b"(c)", is_long=True) + dataset(3, 202, b"of another record")
    for is_long in (False, True):
        preview = dataset(2, 200, b"\0\1") + dataset(2, 202, b"\x1c\x02" * 99, is_long=is_long)
        assert without_preview(before + preview + after + b"\0") == before + after + b"\0"


@given(st.binary(max_size=80))
def test_any_garbage_is_taken(data: bytes) -> None:
    for header in (b"", b"\x1c\x02", b"\x1c\x02\xca\xff\xff"):
        assert len(without_preview(header + data)) <= len(header + data)
