"""What a field of settings says of itself: the single source of its option, help and checks.

Settings are frozen dataclasses with fields made by ``setting``, and they call ``check_ranges`` when
they are made. ``options/from_settings.py`` makes options of them, ``typed_values`` reads and writes
them as JSON.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from pconv_hpc.foundation.errors import UsageError

_KEY = "setting"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What ``setting`` was told of a field.

    Attributes:
        help: what the value is, and its default where the value of that does not say it.
        group: the title its option stands under in ``--help``; empty: none of its own.
        option: the option's name where it is not the field's.
        metavar: what ``--help`` calls the value; by default N for a number and FILE for a path.
        low: the smallest value.
        high: the largest value.
        parse: makes the value of an option's text; by default the field's type does.
        repeated: whether the option may be given many times; ``parse`` makes an item of a tuple.
        bare: the value where the option is given without one; ``None``: it needs one.
        stage: the only stage of erasing that it is for; empty: both.
    """

    help: str
    group: str = ""
    option: str = ""
    metavar: str | None = None
    low: float = -math.inf
    high: float = math.inf
    parse: Callable[[str], Any] | None = None
    repeated: bool = False
    bare: Any = None
    stage: str = ""

    def check(self, value: Any, name: str) -> None:
        """Raise ``UsageError``, which calls it ``name``, where a value is out of range."""
        if isinstance(value, int | float) and not self.low <= value <= self.high:
            ends = f"between {self.low} and {self.high}"
            expected = ends if math.isfinite(self.high) else f"at least {self.low}"
            raise UsageError(f"{name} must be {expected}, found {shown(value)}")


def setting(default: Any, text: str, group: str = "", **described: Any) -> Any:
    """Return a dataclass's field with a default; ``text`` is its help. See ``Setting``."""
    how = Setting(help=text, group=group, **described)
    return dataclasses.field(default=default, metadata={_KEY: how})


def settings_in(settings: Any) -> Iterator[tuple["dataclasses.Field[Any]", Setting, str]]:
    """Yield the fields of a dataclass that were made with ``setting``, and their options' names."""
    for field in dataclasses.fields(settings):
        if how := field.metadata.get(_KEY):
            yield field, how, how.option or field.name.replace("_", "-")


def check_ranges(settings: Any) -> None:
    """Raise ``UsageError`` that names a field of a dataclass whose value is out of range."""
    for field, how, _ in settings_in(settings):
        values = getattr(settings, field.name)
        for value in values if isinstance(values, tuple) else (values,):
            how.check(value, field.name)


def values_by_option(settings: Any) -> dict[str, Any]:
    """Return the values of a dataclass of settings by the names of their options."""
    return {name: getattr(settings, field.name) for field, _, name in settings_in(settings)}


def describe_changed(settings: Any, *, but: Collection[str] = ()) -> str:
    """Return what is not at its default, as people read it: ``classes person, mask hull``.

    Args:
        settings: a dataclass of settings.
        but: the options that are left out.
    """
    defaults = values_by_option(type(settings)())
    changed = [
        f"{name} {shown(value)}"
        for name, value in values_by_option(settings).items()
        if name not in but and value != defaults[name]
    ]
    return ", ".join(changed) or shown(None)


def shown(value: Any) -> str:
    """Return a setting's value as people read it."""
    if isinstance(value, tuple):
        inner = "," if all(isinstance(item, int | float) for item in value) else " "
        return inner.join(map(shown, value)) or "none"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    names: dict[Any, str] = {None: "by default", True: "yes", False: "no"}
    return names[value] if value is None or isinstance(value, bool) else str(value)
