"""HEIC and HEIF photos for Pillow, where the package pillow-heif is installed."""

try:
    import pillow_heif
except ImportError:  # a site may leave it out for its licence: its wheels hold x265, which is GPL
    FORMATS: tuple[str, ...] = ()
else:
    # Thumbnails would be taken for the photo where a small size is asked for.
    pillow_heif.register_heif_opener(thumbnails=False)
    FORMATS = ("HEIF",)

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")


def why_no_photo(start: bytes) -> str | None:
    """Return why a file that begins so cannot be read though it is a HEIC; else ``None``."""
    if start[4:8] != b"ftyp" or start[8:12] not in _BRANDS:
        return None
    if FORMATS:
        return "a HEIC of an unsupported kind, or damaged"
    return "a HEIC photo, which needs the package pillow-heif (pip install pillow-heif)"
