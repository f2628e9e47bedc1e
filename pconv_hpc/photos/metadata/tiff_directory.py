"""Directories (IFDs) of TIFF and BigTIFF files: tags taken out and put in byte for byte."""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TYPE_BYTES |= {13: 4, 16: 8, 17: 8, 18: 8}
_POINTERS = (4, 13, 16, 18)  # LONG, IFD, LONG8, IFD8


class Layout(NamedTuple):
    """How a file writes numbers: its byte order, and whether offsets have 8 bytes (BigTIFF)."""

    order: str
    is_big: bool

    @property
    def offset(self) -> str:
        """The format, for ``struct``, of an offset or of how many values a tag has."""
        return f"{self.order}{'Q' if self.is_big else 'I'}"

    @property
    def num_entries(self) -> str:
        """The format of how many tags a directory has."""
        return f"{self.order}{'Q' if self.is_big else 'H'}"

    @property
    def entry(self) -> str:
        """The format of a tag, its type, and how many values it has."""
        return f"{self.order}HH{'Q' if self.is_big else 'I'}"

    @property
    def offset_bytes(self) -> int:
        """The size of an offset; values of up to that many bytes stand in its place."""
        return 8 if self.is_big else 4

    @property
    def entry_bytes(self) -> int:
        """The size of a tag in a directory."""
        return struct.calcsize(self.entry) + self.offset_bytes


_LAYOUTS = {
    b"II*\0": Layout("<", False),
    b"MM\0*": Layout(">", False),
    b"II+\0": Layout("<", True),
    b"MM\0+": Layout(">", True),
}


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


def layout_of(data: bytes) -> Layout | None:
    """Return how a file writes numbers, or ``None`` if it is no TIFF."""
    return _LAYOUTS.get(data[:4])


def read_directory(data: bytes, offset: int, layout: Layout) -> list[Entry]:
    """Return the entries of the directory at ``offset``; those that lie outside are left out."""
    entries: list[Entry] = []
    first = offset + struct.calcsize(layout.num_entries)
    if first > len(data):
        return entries
    (count,) = struct.unpack_from(layout.num_entries, data, offset)
    width, inline = layout.entry_bytes, layout.offset_bytes
    for position in range(first, min(first + width * count, len(data) - width + 1), width):
        tag, kind, items = struct.unpack_from(layout.entry, data, position)
        size, start = _TYPE_BYTES.get(kind, 0) * items, position + width - inline
        if size > inline:
            (start,) = struct.unpack_from(layout.offset, data, start)
        if 0 < size <= len(data) - start:
            entries.append(Entry(tag, kind, items, data[start : start + size]))
    return entries


def first_directory(data: bytes, layout: Layout) -> list[Entry]:
    """Return the entries of a TIFF's first directory."""
    return read_directory(
        data, struct.unpack_from(layout.offset, data, layout.offset_bytes)[0], layout
    )


def pointer(entries: Sequence[Entry], tag: int, layout: Layout) -> int | None:
    """Return the offset that ``tag`` holds, ``None`` if it is not there."""
    for entry in entries:
        if entry.tag == tag and entry.kind in _POINTERS and entry.num_values == 1:
            number = "Q" if len(entry.value) == 8 else "I"
            return int(struct.unpack(f"{layout.order}{number}", entry.value)[0])
    return None


def with_tags(
    data: bytes,
    entries: Sequence[Entry],
    directories: Mapping[int, Sequence[Entry]],
    layout: Layout,
) -> bytes:
    """Return a TIFF of one page with tags added to its directory, or put in place of its own.

    Args:
        data: a TIFF that writes numbers as ``layout`` says.
        entries: tags for the first directory.
        directories: whole directories (EXIF, GPS) by the tag that is to point at them.
        layout: of ``data``, and of the values of all these tags.
    """
    merged = {entry.tag: entry for entry in [*first_directory(data, layout), *entries]}
    parts = bytearray(data)
    kind = 16 if layout.is_big else 4
    for tag, inner in directories.items():
        offset = _append_directory(parts, inner, layout)
        merged[tag] = Entry(tag, kind, 1, struct.pack(layout.offset, offset))
    first = _append_directory(parts, list(merged.values()), layout)
    struct.pack_into(layout.offset, parts, layout.offset_bytes, first)
    return bytes(parts)


def _append_directory(data: bytearray, entries: Sequence[Entry], layout: Layout) -> int:
    """Append a directory and its values; return where it begins."""
    data += bytes(-len(data) % layout.offset_bytes)  # directories and values begin at even offsets
    offset = len(data)
    inline = layout.offset_bytes
    table, values = [struct.pack(layout.num_entries, len(entries))], bytearray()
    values_start = offset + len(table[0]) + layout.entry_bytes * len(entries) + inline
    for tag, kind, count, value in sorted(entries):
        table.append(struct.pack(layout.entry, tag, kind, count))
        if len(value) <= inline:
            table.append(value.ljust(inline, b"\0"))
        else:
            table.append(struct.pack(layout.offset, values_start + len(values)))
            values += value + bytes(len(value) % 2)
    data += b"".join([*table, bytes(inline), values])
    return offset
