"""JSON files that the programs leave for each other, read as strictly as configurations.

One dataclass describes each kind of file: ``atomic.write_json(path, dataclasses.asdict(value))``
writes it, ``read_json`` reads it back. What the keys and values may be is in ``typed_values``.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

from pconv_hpc.foundation.atomic import read_small
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.typed_values import build, convert

T = TypeVar("T")

_MAX_BYTES = 64 << 20


def read_json(path: Path, cls: type[T], *, kind: str, advice: str = "") -> T:
    """Read a JSON file as a dataclass, or as a dictionary where its keys are not known here.

    Args:
        path: the file.
        cls: a dataclass whose fields are the valid keys, or ``dict[str, X]`` (``dict[str, Any]``:
            any JSON object); ``typed_values.convert`` names the types they may have.
        kind: what is expected, for errors, such as "an index of shards".
        advice: what to do where the file is damaged, for errors: "run pconv-hpc pack again".

    Raises:
        UsageError: the file is missing, is larger than 64 MiB, is not a JSON object, or has an
            unknown or a missing key, a wrong type or a value out of range. ``__cause__`` is
            the ``OSError`` where it cannot be opened or read.
    """
    content = read_small(path, _MAX_BYTES, kind)
    try:
        return parse_json(content, cls)
    except UsageError as error:
        end = f"; {advice}" if advice else ""
        raise UsageError(f"{path}: not {kind}: {error}{end}") from error


def parse_json(text: str | bytes, cls: type[T], where: str = "it") -> T:
    """Return a JSON object as a dataclass or a dictionary; see ``read_json``.

    Args:
        text: the JSON, such as a line of a file.
        cls: as for ``read_json``.
        where: what the text is, for errors.

    Raises:
        UsageError: it is no JSON object, or not one that ``cls`` describes.
    """
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise UsageError(f"{where} is not a JSON object")
    if dataclasses.is_dataclass(cls):
        return build(cls, value, where, prefix="")
    converted: T = convert(value, cls, where)
    return converted
