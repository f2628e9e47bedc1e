"""Names made of other names, which are as long as file systems allow at most."""

import hashlib
import os
from pathlib import Path

MAX_NAME_BYTES = (
    255  # of every file system that Linux clusters have; multi-byte letters count fully
)


def short_name(name: str, max_bytes: int = MAX_NAME_BYTES) -> str:
    """Return a name of at most ``max_bytes`` bytes (20 or more): the same for the same name.

    One that is too long keeps its beginning, and ends with a hash that no other name has.
    """
    raw = os.fsencode(name)
    if len(raw) <= max_bytes:
        return name
    end = f"~{hashlib.sha256(raw).hexdigest()[:16]}"
    # "ignore": a letter that is cut in its middle goes
    return raw[: max_bytes - len(end)].decode("utf-8", "ignore") + end


def with_ending(path: Path, ending: str) -> Path:
    """Return ``path`` with a few letters, such as ``.png``, at the end of its name, cut to fit."""
    return path.with_name(short_name(path.name, MAX_NAME_BYTES - len(os.fsencode(ending))) + ending)
