"""XMP kept byte for byte, but for pictures in it and what describes pictures that are left out.

Thumbnails, depth maps, embedded originals and gain maps still show what was erased.
"""

import re

XMP = b"http://ns.adobe.com/xap/1.0/\0"  # how its segments begin in JPEGs

# Adobe's thumbnails in base64, as elements or as attributes; xap is how xmp was called once.
_ELEMENT = re.compile(rb"(<x[am]pGImg:image\b[^<>]*>)[^<]*")
_ATTRIBUTE = re.compile(rb"""(\bx[am]pGImg:image\s*=\s*)("[^"]*"|'[^']*')""")

# Namespaces of which nothing stays, by what their properties are or describe; "" where that
# depends on what follows the photo in its file.
_PICTURES = {
    b"http://ns.adobe.com/hdr-gain-map/": "gain map",
    b"http://ns.apple.com/HDRGainMap/": "gain map",
    b"http://ns.apple.com/HDRToneMap/": "gain map",
    b"http://ns.apple.com/pixeldatainfo/": "gain map or depth map",
    b"http://ns.google.com/photos/1.0/container/": "",
    b"http://ns.google.com/photos/1.0/depthmap/": "depth map",
    b"http://ns.google.com/photos/1.0/focus/": "depth map",
    b"http://ns.google.com/photos/1.0/image/": "original",
    b"http://ns.google.com/photos/1.0/camera/": "",
    b"http://ns.google.com/photos/dd/": "depth map",
    b"http://ns.apple.com/depth-data/": "depth map",
}
_PREFIX = re.compile(rb"""\bxmlns:([\w.-]+)\s*=\s*["']([^"'<]*)["']""")
_TAG = re.compile(rb"""<(/?)([\w.-]+):([\w.-]+)((?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)>""")


def without_pictures(xmp: bytes) -> bytes:
    """Return an XMP packet in UTF-8 without pictures and without what describes further ones.

    Thumbnails become empty. An element that is never closed takes the whole packet with it.
    """
    xmp = without_thumbnails(xmp)
    prefixes = {prefix for prefix, _ in _picture_prefixes(xmp)}
    if not prefixes:
        return xmp
    either = b"|".join(map(re.escape, sorted(prefixes)))
    attribute = re.compile(rb"""\s(?:%s):[\w.-]+\s*=\s*("[^"<]*"|'[^'<]*')""" % either)
    return attribute.sub(b"", _without_elements(xmp, prefixes))


def without_thumbnails(xmp: bytes) -> bytes:
    """Return an XMP packet in UTF-8 whose thumbnails are empty."""
    return _ATTRIBUTE.sub(rb'\1""', _ELEMENT.sub(rb"\1", xmp))


def picture_kinds(xmp: bytes) -> list[str]:
    """Return what the properties that ``without_pictures`` takes out describe, sorted."""
    found = {kind for prefix, kind in _picture_prefixes(xmp) if kind and b"%s:" % prefix in xmp}
    return sorted(found)


def _picture_prefixes(xmp: bytes) -> list[tuple[bytes, str]]:
    return [
        (prefix, kind)
        for prefix, namespace in _PREFIX.findall(xmp)
        for start, kind in _PICTURES.items()
        if namespace.startswith(start)
    ]


def _without_elements(xmp: bytes, prefixes: set[bytes]) -> bytes:
    """Cut out elements of the given prefixes with all that is in them."""
    kept, position, open_name, depth = [], 0, (b"", b""), 0
    for tag in _TAG.finditer(xmp):
        closing, prefix, name, rest = tag.groups()
        if rest.endswith(b"/") or (depth == 0 and (closing or prefix not in prefixes)):
            if depth == 0 and rest.endswith(b"/") and prefix in prefixes:
                kept.append(xmp[position : tag.start()])
                position = tag.end()
        elif depth == 0:
            kept.append(xmp[position : tag.start()])
            open_name, depth = (prefix, name), 1
        elif (prefix, name) == open_name:
            depth += -1 if closing else 1
            if depth == 0:
                position = tag.end()
    return b"" if depth else b"".join([*kept, xmp[position:]])
