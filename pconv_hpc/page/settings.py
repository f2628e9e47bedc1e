"""What the page was told when it was started."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """What is done with photos.

    Attributes:
        out: where results are saved; ``None``: nowhere, they can only be downloaded.
        weights: of the inpainting networks to choose from, absolute.
        config: of the segmentation network; ``None``: the default one.
        checkpoint: its weights; ``None``: the default ones.
        device: where it runs.
        max_pixels: larger photos are refused before they are decoded; ``None``: the commands'
            own limit.
        read_only: whether nothing may be written but what is shown.
    """

    out: Path | None
    weights: tuple[Path, ...]
    config: str | None = None
    checkpoint: Path | None = None
    device: str | None = None
    max_pixels: int | None = None
    read_only: bool = False
