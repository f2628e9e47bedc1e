"""IPTC blocks kept byte for byte, but for the preview, which still shows what was erased."""

import struct

_MARKER = b"\x1c"
_HEADER_BYTES = 5
_LONG = 0x8000  # the length's own length follows instead of a length
_RECORD, _PREVIEW = 2, range(200, 203)  # its format, version and data


def without_preview(iptc: bytes) -> bytes:
    """Return an IPTC block without its preview; what is too broken to follow stays."""
    parts, position = [], 0
    while position + _HEADER_BYTES <= len(iptc) and iptc[position : position + 1] == _MARKER:
        record, number, length = struct.unpack_from(">BBH", iptc, position + 1)
        end = position + _HEADER_BYTES
        if length & _LONG:
            width = length - _LONG
            length = int.from_bytes(iptc[end : end + width])
            end += width
        end += length
        if record != _RECORD or number not in _PREVIEW:
            parts.append(iptc[position:end])
        position = end
    return b"".join([*parts, iptc[position:]])
