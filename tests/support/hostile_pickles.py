"""Pickles that run code when they are read."""

from pathlib import Path
from typing import Any


class RunsCode:
    """What a hostile file holds: making it creates a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self._path), "w"))
