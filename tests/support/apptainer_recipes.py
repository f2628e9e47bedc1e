"""Reads Apptainer's definition files and README.md, so that what is tested is what ships."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import REPOSITORY

RECIPES_DIR = REPOSITORY / "deploy" / "apptainer"
CPU_RECIPE = RECIPES_DIR / "pconv_hpc-cpu.def"
_PACKAGES = re.compile(r"^apt-get install (.+?)(?: *#.*)?$", re.MULTILINE)
_VARIABLE = re.compile(r"\{\{ *(\w+) *\}\}")


def readme_packages() -> list[str]:
    """Return the Debian packages that README.md says ``make demo`` needs."""
    (packages,) = _PACKAGES.findall((REPOSITORY / "README.md").read_text())
    return packages.split()


@dataclass(frozen=True)
class Recipe:
    """A definition file: its header, and the text of each section by name, ``post`` for %post."""

    header: dict[str, str]
    sections: dict[str, str]

    @classmethod
    def read(cls, path: Path, build_arguments: Mapping[str, str] | None = None) -> "Recipe":
        """Read a file and fill in its ``{{ variables }}``, as ``apptainer build`` does.

        ``build_arguments`` win over the defaults of ``%arguments``, as ``--build-arg`` does.

        Raises:
            ValueError: a variable without a value, a value without a variable, a section twice.
        """
        head, *parts = re.split(r"^%(\w+)[ \t]*\n", path.read_text(), flags=re.MULTILINE)
        names, texts = parts[::2], parts[1::2]
        if len(set(names)) != len(names):
            raise ValueError(f"{path}: a section is there twice: {', '.join(names)}")
        sections = dict(zip(names, texts, strict=True))
        values = _pairs(sections.pop("arguments", ""), "=")
        if unknown := set(build_arguments or {}) - set(values):
            raise ValueError(f"{path}: {', '.join(unknown)} is not among its %arguments")
        values.update(build_arguments or {})
        if unset := set(_VARIABLE.findall("".join(sections.values()))) - set(values):
            raise ValueError(f"{path}: {', '.join(unset)} is not among its %arguments")
        filled = {
            name: _VARIABLE.sub(lambda match: values[match[1]], text)
            for name, text in sections.items()
        }
        return cls(_pairs(head, ":"), filled)

    @property
    def files(self) -> list[tuple[str, str]]:
        """Return what %files copies: a path in the checkout and one in the image."""
        lines = [line.split() for line in self.sections["files"].splitlines() if line.strip()]
        return [(source, target) for source, target in lines]


def _pairs(text: str, separator: str) -> dict[str, str]:
    lines = [line.partition(separator) for line in text.splitlines() if line.strip()]
    return {key.strip(): value.strip() for key, _, value in lines}
