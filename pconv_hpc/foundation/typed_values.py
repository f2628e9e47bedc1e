"""Frozen dataclasses from what YAML and JSON hold: strict, with errors that name the key.

The fields of a dataclass are its valid keys, with their types and defaults; one without a default
must be there. What a type cannot say, such as a range, is checked in ``__post_init__`` with
``errors.require``.
"""

import dataclasses
import math
import os
import re
import reprlib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pconv_hpc.foundation.errors import UsageError

T = TypeVar("T")

# YAML 1.1 (PyYAML) reads 2e-4 as text because it has no dot; people write it all the same.
_FLOAT = re.compile(r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_MAX_INTEGER = 2**63  # what arrays and files can hold
_MAX_SHOWN, _MAX_SHOWN_KEYS = 100, 5
_NAMES = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("true or false", "true or false"),
    Path: ("a path", "paths"),
}


# What ``X | None`` becomes: the second where X is a ``Literal``.
_UNIONS = (types.UnionType, typing.Union)


class _Short(reprlib.Repr):
    """A few characters of any value: a few bytes of YAML can mean gigabytes of lists or digits."""

    maxlevel, maxstring, maxother = 2, 80, 80

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if abs(x) < _MAX_INTEGER else "a huge number"


def _shown(value: Any) -> str:
    return _Short().repr(value)[:_MAX_SHOWN]


def _describe(annotation: Any) -> str:
    """Name a field's type the way a person writing YAML would."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(str(a) for a in arguments)
    if origin in _UNIONS:
        return " or ".join("null" if a is type(None) else _describe(a) for a in arguments)
    if origin is tuple:
        inner = "lists" if typing.get_origin(arguments[0]) is tuple else "keys and values"
        count = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        return f"a list of {count}{_NAMES.get(arguments[0], ('', inner))[1]}"
    if origin is dict:
        return "keys and values"
    return _NAMES[annotation][0]


def convert(value: Any, annotation: Any, where: str) -> Any:
    """Return ``value``, as YAML or JSON gives it, as a type asks.

    Args:
        value: null, a truth value, a number, text, a list or a mapping.
        annotation: ``bool``, ``int`` (below 2^63 either way), ``float`` (finite; whole numbers and
            text such as 2e-4 too), ``str``, ``Path``, a ``Literal``, a dataclass, ``Any``; or
            ``tuple[X, ...]``, ``tuple[X, X]``, ``dict[str, X]``, ``X | None`` of these.
        where: the key the value stands at, for errors.

    Raises:
        UsageError: it is of another type, or out of range.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return value
    if origin in _UNIONS:
        if value is None:
            return None
        inner = next(a for a in arguments if a is not type(None))
        try:
            return convert(value, inner, where)
        except UsageError as error:
            raise UsageError(f"{error} or null") from error
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return build(annotation, value, where)
    if origin is Literal and isinstance(value, str) and value in arguments:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(kinds) == len(value):
            items = zip(value, kinds, strict=True)
            return tuple(convert(v, kind, f"{where}[{i}]") for i, (v, kind) in enumerate(items))
    if origin is dict and isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        return {key: convert(v, arguments[1], f"{where}.{key}") for key, v in value.items()}
    if annotation is bool and isinstance(value, bool):
        return value
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if annotation is int and is_integer and abs(value) < _MAX_INTEGER:
        return value
    if annotation is str and isinstance(value, str):
        return value
    if annotation is Path and isinstance(value, str) and _is_path(value):
        return Path(value)
    if annotation is float and not isinstance(value, bool):
        if isinstance(value, str) and _FLOAT.fullmatch(value):
            value = float(value)
        if isinstance(value, float) and math.isfinite(value):
            return value
        if is_integer and abs(value) < _MAX_INTEGER:
            return float(value)
    words = (
        " (without quotes yes, no, on and off are truth values in YAML)"
        if annotation is str and isinstance(value, bool)
        else ""
    )
    raise UsageError(f"{where} is {_shown(value)}; expected {_describe(annotation)}{words}")


def _is_path(value: str) -> bool:
    try:
        return bool(value) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:  # surrogates that stand for no byte, as JSON can hold
        return False


def build(cls: type[T], mapping: Any, where: str, *, prefix: str | None = None) -> T:
    """Return a dataclass made of a mapping's values.

    Args:
        cls: the dataclass; its fields have the types that ``convert`` knows.
        mapping: keys and values; ``None`` is an empty one.
        where: what the mapping is, for errors: "the configuration", or the key it stands at.
        prefix: what stands before its keys in errors; by default ``where`` and a dot.

    Raises:
        UsageError: an unknown key, a missing one, a wrong type, or a value out of range.
    """
    if mapping is None:
        mapping = {}
    if not isinstance(mapping, Mapping):
        raise UsageError(f"{where} is {_shown(mapping)}; expected keys and values")
    annotations = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    unknown = [_shown(key) for key in mapping if key not in fields]
    if unknown:
        raise UsageError(
            f"{where} has no key {', '.join(unknown[:_MAX_SHOWN_KEYS])}; valid keys: "
            + ", ".join(fields)
        )
    missing = [name for name, field in fields.items() if name not in mapping and _is_needed(field)]
    if missing:
        raise UsageError(f"{where} lacks {', '.join(missing)}")
    prefix = f"{where}." if prefix is None else prefix
    return cls(
        **{key: convert(v, annotations[key], f"{prefix}{key}") for key, v in mapping.items()}
    )


def _is_needed(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def to_mapping(value: Any) -> dict[str, Any]:
    """Return a dataclass, with those in it, as the mapping that ``build`` makes it of again.

    Paths become text and tuples lists, so that JSON and YAML can hold them.
    """
    return {key: _plain(item) for key, item in dataclasses.asdict(value).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
