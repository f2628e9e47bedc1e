"""YAML, read so that nothing in it is lost or means something else than it shows.

PyYAML keeps the last of two equal keys, and reads YAML 1.1, where ``010`` is 8, ``1:30`` is 90,
``1_000`` is 1000 and ``2026-01-02`` is no text. All of these are errors here.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from pconv_hpc.foundation.atomic import read_small
from pconv_hpc.foundation.errors import UsageError

_MAX_BYTES = 1 << 20
# Numbers that people and every version of YAML read alike.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+)")
_FLOAT = re.compile(
    r"[-+]?((0|[1-9][0-9]*)?\.[0-9]*([eE][-+]?[0-9]+)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN)"
)


class _StrictLoader(yaml.SafeLoader):
    """``yaml.SafeLoader`` that refuses what would surprise, with a ``UsageError``."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[tuple[str, str], int] = {}
        keys = [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
        for key in keys:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                raise UsageError(
                    f"the key {key.value!r} is given twice, in lines {lines[name]} and {line}; "
                    "keep one of them"
                )
            lines[name] = line
        return super().construct_mapping(node, deep)

    def number(self, node: yaml.ScalarNode) -> int | float:
        is_integer = node.tag.endswith(":int")
        if not (_INTEGER if is_integer else _FLOAT).fullmatch(node.value):
            value = (self.construct_yaml_int if is_integer else self.construct_yaml_float)(node)
            raise self._surprise(node, str(value), "write the number without leading zeros, _ or :")
        if is_integer:
            return self.construct_yaml_int(node)
        return self.construct_yaml_float(node)

    def time(self, node: yaml.ScalarNode) -> None:
        raise self._surprise(node, "a date", "nothing here is a date")

    @staticmethod
    def _surprise(node: yaml.ScalarNode, meaning: str, advice: str) -> UsageError:
        return UsageError(
            f"line {node.start_mark.line + 1}: YAML reads {node.value} as {meaning}; {advice}, or "
            f"put it in quotes ('{node.value}') if it is text"
        )


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.number)
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _StrictLoader.number)
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _StrictLoader.time)


def parse_yaml(text: str, where: str) -> Any:
    """Return what YAML text says: nothing, a value, a list or a mapping of plain types.

    Args:
        text: the YAML.
        where: what the text is, for errors.

    Raises:
        UsageError: it is no YAML, has a key twice, or a number or date that YAML 1.1 reads in
            another way than people do.
    """
    try:
        return yaml.load(text, _StrictLoader)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    except Exception as error:  # PyYAML raises nearly anything on values that are none: !!int ""
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"{where}: not valid YAML ({problem})") from error


def read_yaml(path: Path, kind: str) -> Any:
    """Return what a YAML file says; see ``parse_yaml``.

    Args:
        path: the file, in UTF-8.
        kind: what is expected, for errors, such as "a run configuration".

    Raises:
        UsageError: it cannot be read, is larger than 1 MiB, or see ``parse_yaml``.
    """
    try:
        text = read_small(path, _MAX_BYTES, kind).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text file in UTF-8; expected {kind} in YAML") from error
    return parse_yaml(text, str(path))
