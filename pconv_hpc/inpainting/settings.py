"""What the second stage of erasing does with each photo; TensorFlow is not imported for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pconv_hpc.foundation.setting import check_ranges, setting
from pconv_hpc.inpainting.detail import Detail
from pconv_hpc.model.find_weights import SHIPPED_WEIGHTS

Strategy = Literal["crop", "full", "resize"]
Precision = Literal["float32", "bfloat16", "float16"]
DEFAULT_WORKING_SIZE = 256
_NETWORK = "network that fills holes"
_FILLING = "how holes are filled"


@dataclass(frozen=True, kw_only=True)
class FillSettings:
    """How holes are brought to the network.

    Attributes:
        strategy: ``crop``: each hole with its surroundings; ``full``: the whole photo in one pass;
            ``resize``: the whole photo at the working size.
        detail: ``patches``: what the network made is given texture of the photo itself;
            ``blended``: more of the network, nearer to the truth on average and softer;
            ``none``: the network alone.
        working_size: side of the square that the network is given, pixels; ``None``: what it was
            trained at, if that is known, or else ``DEFAULT_WORKING_SIZE``.
        context: side of a crop as a multiple of its hole's longer side.
        max_reduction: how much a crop may be scaled down so that the network fills a deep hole;
            a deeper one is filled ring by ring.
        rim: over how many pixels, at the network's resolution, the continued surroundings fade into
            what the network made; see ``rim``.
        max_full_pixels: a larger photo is scaled down to that for ``full``, or memory runs out.
    """

    strategy: Strategy = setting(
        "crop",
        "crop: each hole with its surroundings; full: the whole photo in one pass; resize: the "
        "whole photo at the working size",
        _FILLING,
    )
    detail: Detail = setting(
        "patches",
        "patches: the photo's own texture on the network's output; blended: softer, and closer to "
        "the truth on average; none: the network alone",
        _FILLING,
    )
    working_size: int | None = setting(
        None,
        "side of the square the network is given (default: the size it was trained at)",
        _FILLING,
        metavar="PX",
        low=8,
        high=4096,
    )
    context: float = setting(
        2.0,
        "side of a crop as a multiple of its hole's",
        _FILLING,
        metavar="FACTOR",
        low=1,
        high=100,
    )
    max_reduction: float = setting(
        4.0,
        "how much a crop may be scaled down for the network; only holes that it cannot fill well "
        "at their own scale are",
        _FILLING,
        metavar="FACTOR",
        low=1,
        high=1000,
    )
    rim: float = setting(
        6.0,
        "over how many pixels, at the network's resolution, continued surroundings fade into the "
        "network's output",
        _FILLING,
        metavar="PX",
        low=0,
        high=1000,
    )
    max_full_pixels: int = setting(
        1 << 20,
        "--strategy full scales larger photos down to this; a pixel needs about 2 KB of memory",
        _FILLING,
        low=64,
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def side(self) -> int:
        """The working size where neither it nor the network's own is given."""
        return self.working_size or DEFAULT_WORKING_SIZE


@dataclass(frozen=True, kw_only=True)
class InpaintSettings(FillSettings):
    """Which network fills holes, and how; ``weights`` is what ``find_weights`` takes."""

    weights: Path = setting(
        SHIPPED_WEIGHTS,
        "weights file, folder of a training run, or places2 or celeba once pconv-hpc fetch-weights "
        "has fetched them (default: the network that comes with pconv_hpc, "
        "docs/reference/model_card.md)",
        _NETWORK,
        metavar="FILE|RUN_DIR",
    )
    precision: Precision = setting(
        "float32",
        "of the network; float32 multiplies in TF32 on GPUs that have it (A100)",
        _NETWORK,
    )
