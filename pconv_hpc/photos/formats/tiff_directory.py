"""Directories (IFDs) of classic TIFF files: tags taken out and put in byte for byte."""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_LONG = 4
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


class Entry(NamedTuple):
    """One tag with its value as the file's bytes, in the file's byte order."""

    tag: int
    kind: int
    num_values: int
    value: bytes

    def with_value(self, value: bytes) -> "Entry":
        """Return the entry with another value, filled up with zeros to whole numbers."""
        size = _TYPE_BYTES[self.kind]
        count = -(-len(value) // size)
        return self._replace(num_values=count, value=value.ljust(count * size, b"\0"))


def byte_order(data: bytes) -> str | None:
    """Return ``<`` or ``>``, or ``None`` if this is no classic TIFF (BigTIFF is another format)."""
    return _ORDERS.get(data[:4])


def read_directory(data: bytes, offset: int, order: str) -> list[Entry]:
    """Return the entries of the directory at ``offset``; those that lie outside are left out."""
    entries: list[Entry] = []
    if offset + 2 > len(data):
        return entries
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    for position in range(offset + 2, min(offset + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, items = struct.unpack_from(f"{order}HHI", data, position)
        size, start = _TYPE_BYTES.get(kind, 0) * items, position + 8
        if size > 4:
            (start,) = struct.unpack_from(f"{order}I", data, start)
        if 0 < size <= len(data) - start:
            entries.append(Entry(tag, kind, items, data[start : start + size]))
    return entries


def first_directory(data: bytes, order: str) -> list[Entry]:
    """Return the entries of a TIFF's first directory."""
    return read_directory(data, struct.unpack_from(f"{order}I", data, 4)[0], order)


def pointer(entries: Sequence[Entry], tag: int, order: str) -> int | None:
    """Return the offset that ``tag`` holds, ``None`` if it is not there."""
    for entry in entries:
        if entry.tag == tag and entry.kind == _LONG and entry.num_values == 1:
            return int(struct.unpack(f"{order}I", entry.value)[0])
    return None


def with_tags(
    data: bytes, entries: Sequence[Entry], directories: Mapping[int, Sequence[Entry]], order: str
) -> bytes:
    """Return a TIFF of one page with tags added to its directory, or put in place of its own.

    Args:
        data: a classic TIFF in byte order ``order``.
        entries: tags for the first directory.
        directories: whole directories (EXIF, GPS) by the tag that is to point at them.
        order: ``<`` or ``>``.
    """
    merged = {entry.tag: entry for entry in [*first_directory(data, order), *entries]}
    parts = bytearray(data)
    for tag, inner in directories.items():
        offset = _append_directory(parts, inner, order)
        merged[tag] = Entry(tag, _LONG, 1, struct.pack(f"{order}I", offset))
    first = _append_directory(parts, list(merged.values()), order)
    struct.pack_into(f"{order}I", parts, 4, first)
    return bytes(parts)


def _append_directory(data: bytearray, entries: Sequence[Entry], order: str) -> int:
    """Append a directory and its values; return where it begins."""
    data += bytes(len(data) % 2)  # directories and values begin at even offsets
    offset = len(data)
    values_start = offset + 2 + 12 * len(entries) + 4
    table, values = [struct.pack(f"{order}H", len(entries))], bytearray()
    for tag, kind, count, value in sorted(entries):
        table.append(struct.pack(f"{order}HHI", tag, kind, count))
        if len(value) <= 4:
            table.append(value.ljust(4, b"\0"))
        else:
            table.append(struct.pack(f"{order}I", values_start + len(values)))
            values += value + bytes(len(value) % 2)
    data += b"".join([*table, bytes(4), values])
    return offset
