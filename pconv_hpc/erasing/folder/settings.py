"""What is done to each photo of a folder, as the manifest records it and stages are told it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from pconv_hpc.erasing.folder.resource_options import without_capacity

Empty = Literal["copy", "skip"]
_CHOICES = "--choices="


@dataclass(frozen=True, kw_only=True)
class EraseSettings:
    """What is done to each photo; the paths are absolute.

    Attributes:
        weights: of the inpainting network: a file, or the folder of a training run.
        checkpoint: of the segmentation network; ``None``: the default one.
        config: of the segmentation network: a file, or a name that MMDetection knows.
        segment_options: of ``pconv-hpc segment``.
        inpaint_options: of ``pconv-hpc inpaint``.
        empty: whether a photo in which nothing was selected is copied to the results, or skipped.
    """

    weights: Path
    checkpoint: Path | None = None
    config: str | None = None
    segment_options: tuple[str, ...] = ()
    inpaint_options: tuple[str, ...] = ()
    empty: Empty = "copy"

    @property
    def without_capacity(self) -> Self:
        """The settings without threads, batch sizes and device."""
        return replace(
            self,
            segment_options=without_capacity(self.segment_options),
            inpaint_options=without_capacity(self.inpaint_options),
        )

    @property
    def choices(self) -> Path | None:
        """The table of what to select in which photo; ``None``: there is none."""
        words = [word for word in self.segment_options if word.startswith(_CHOICES)]
        return Path(words[-1].removeprefix(_CHOICES)) if words else None

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON's types."""
        return {
            "weights": str(self.weights),
            "checkpoint": None if self.checkpoint is None else str(self.checkpoint),
            "config": self.config,
            "segment_options": list(self.segment_options),
            "inpaint_options": list(self.inpaint_options),
            "empty": self.empty,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the settings that ``to_json`` described."""
        if value["empty"] not in ("copy", "skip"):
            raise ValueError(f"empty is {value['empty']!r}")
        return cls(
            weights=Path(text(value["weights"])),
            checkpoint=None if value["checkpoint"] is None else Path(text(value["checkpoint"])),
            config=None if value["config"] is None else text(value["config"]),
            segment_options=tuple(map(text, value["segment_options"])),
            inpaint_options=tuple(map(text, value["inpaint_options"])),
            empty=value["empty"],
        )


def text(value: object) -> str:
    """Return a text that may stand on a command line and name a file."""
    if not isinstance(value, str) or b"\0" in os.fsencode(value):
        raise TypeError(f"expected a text, found {value!r}")
    return value
