"""What is done to each photo, and with what: recorded in manifests, and what stages are told."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from pconv_hpc.foundation.json_files import parse_json
from pconv_hpc.foundation.setting import (
    check_ranges,
    describe_changed,
    setting,
    shown,
    values_by_option,
)
from pconv_hpc.foundation.typed_values import to_mapping
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.photos.decode import DEFAULT_MAX_PIXELS
from pconv_hpc.segmentation.settings import SegmentSettings

_RESOURCES = "resource options"


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a machine can hold. Other values give the same results, but for rounding."""

    device: str | None = setting(
        None,
        "cpu, cuda or cuda:1, for finding objects (default: the GPU if there is one)",
        _RESOURCES,
        metavar="DEVICE",
        stage="segment",
    )
    segment_batch_size: int | None = setting(
        None,
        "photos the network is given at once (default: 8 on a GPU, 1 without)",
        _RESOURCES,
        low=1,
        stage="segment",
    )
    inpaint_batch_size: int = setting(
        8, "crops the network is given at once", _RESOURCES, low=1, stage="inpaint"
    )
    threads: int = setting(
        4,
        "threads that read and write photos, and photos in memory while holes are filled",
        _RESOURCES,
        low=1,
    )
    max_pixels: int = setting(
        DEFAULT_MAX_PIXELS, "larger photos are refused before they are decoded", _RESOURCES, low=1
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def one_by_one(self) -> Self:
        """The same with one photo at a time, so that one that kills its stage is known by it."""
        return replace(self, threads=1, segment_batch_size=1)


@dataclass(frozen=True, kw_only=True)
class EraseSettings:
    """All settings of erasing.

    Attributes:
        segment: of the first stage.
        inpaint: of the second.
        resources: of both.
        empty: whether a photo in which nothing was selected is copied to the results, or skipped.
    """

    segment: SegmentSettings = field(default_factory=SegmentSettings)
    inpaint: InpaintSettings = field(default_factory=InpaintSettings)
    resources: Resources = field(default_factory=Resources)
    empty: Literal["copy", "skip"] = setting(
        "copy", "photos with nothing to erase: copy them to the results, or leave them out"
    )

    @property
    def word(self) -> str:
        """The option by which a stage is told these settings."""
        return f"--settings={json.dumps(to_mapping(self))}"

    @classmethod
    def from_word(cls, text: str) -> Self:
        """Return the settings that the value of ``--settings`` holds.

        Raises:
            UsageError: it cannot be used.
        """
        return parse_json(text, cls, "--settings")

    @property
    def summary(self) -> dict[str, str]:
        """What is done and with what, as people read it."""
        segment, inpaint = self.segment, self.inpaint
        return {
            "found by": str(segment.checkpoint or "Mask R-CNN, the default weights"),
            "selection": describe_changed(segment, but=("config", "checkpoint")),
            "filled by": str(inpaint.weights),
            "filling": describe_changed(inpaint, but=("weights",)),
            "resources": describe_changed(self.resources),
        }

    def differences(self, now: Self) -> Iterator[tuple[str, str, str]]:
        """Yield the name and both values of each setting that differs, but for resources."""
        before, after = self._fixed(), now._fixed()
        for name, value in before.items():
            if value != after[name]:
                yield name, shown(value), shown(after[name])

    def _fixed(self) -> dict[str, Any]:
        parts = (self.segment, self.inpaint, self)
        return {name: value for part in parts for name, value in values_by_option(part).items()}
