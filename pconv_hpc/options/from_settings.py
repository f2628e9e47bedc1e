"""Options made of dataclasses of settings, and the settings that were given."""

import argparse
import dataclasses
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pconv_hpc.foundation.setting import Setting, settings_in, shown
from pconv_hpc.foundation.typed_values import convert

T = TypeVar("T")
_METAVARS: dict[Any, str] = {int: "N", Path: "FILE"}
Options = list[argparse.Action]
# What argparse gives a group and a parser in common.
Container = argparse.ArgumentParser | argparse._ArgumentGroup


def add_setting_options(parser: Container, cls: type, *, stage: str = "") -> Options:
    """Add an option for each field that was made with ``setting``; those in groups get their title.

    What is not given is not in the namespace: ``settings_of`` tells it from a default that is.

    Args:
        parser: the program's, or a group of its options where the fields have no groups.
        cls: the dataclass.
        stage: of erasing; only the options for it are added, their names without the stage's.
            Empty: those for both.
    """
    annotations = typing.get_type_hints(cls)
    groups: dict[str, Container] = {"": parser}
    options = []
    for field, how, name in settings_in(cls):
        if stage and how.stage not in ("", stage):
            continue
        if how.group not in groups:
            groups[how.group] = parser.add_argument_group(how.group)
        option = f"--{name.removeprefix(f'{stage}-')}"
        keywords = _keywords(annotations[field.name], how, option)
        options.append(
            groups[how.group].add_argument(
                option,
                dest=field.name,
                default=argparse.SUPPRESS,
                help=_help(field.default, how),
                **keywords,
            )
        )
    return options


def _keywords(annotation: Any, how: Setting, option: str) -> dict[str, Any]:
    """Return what ``add_argument`` is told of a field's type."""
    if typing.get_origin(annotation) is types.UnionType:
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    if annotation is bool:
        return {"action": "store_true"}
    if typing.get_origin(annotation) is Literal:
        return {"choices": typing.get_args(annotation)}
    keywords: dict[str, Any] = {"metavar": how.metavar or _METAVARS.get(annotation)}
    if how.repeated:
        keywords |= {"action": "append"}
    if how.bare is not None:
        keywords |= {"nargs": "?", "const": how.bare}
    return keywords | {"type": how.parse or _parser_of(annotation, how, option)}


def _parser_of(kind: Any, how: Setting, option: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        if kind is Path:
            return Path(text).absolute()  # other programs are told it, which run elsewhere
        number = int(text) if kind is int and text.removeprefix("-").isdecimal() else text
        value = convert(number, kind, option)
        how.check(value, option)
        return value

    return parse


def _help(default: Any, how: Setting) -> str:
    says_nothing = default is None or default is False or default == ()
    says_nothing = says_nothing or isinstance(default, Path)
    return (how.help + ("" if says_nothing else f" (default: {shown(default)})")).replace("%", "%%")


def settings_of(arguments: argparse.Namespace, otherwise: T) -> T:
    """Return settings with what was given on the command line in place of what was not.

    Args:
        arguments: what a parser with the options of these settings, or of some, returned.
        otherwise: the settings for what was not given.

    Raises:
        UsageError: a value is out of range.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(otherwise):  # type: ignore[arg-type]
        value = getattr(otherwise, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = settings_of(arguments, value)
        elif field.name in arguments:
            value = getattr(arguments, field.name)
            changes[field.name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(otherwise, **changes)  # type: ignore[type-var]
