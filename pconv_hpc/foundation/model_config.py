"""The shape of the network: what weights files carry and one section of a run's configuration."""

from dataclasses import dataclass
from typing import Literal

from pconv_hpc.foundation.errors import require

IMAGE_CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The shape of PConvUNet (Liu et al. 2018, table 2, generalised in width and depth)."""

    levels: int = 7  # encoder layers, each halves the image
    base_channels: int = 64  # of the first layer; doubled each level
    max_channels: int = 512
    encoder_kernels: tuple[int, ...] = (7, 5, 5, 3)  # the last one repeats for deeper levels
    decoder_kernel: int = 3
    leaky_slope: float = 0.2
    batch_norm_momentum: float = 0.9
    batch_norm_epsilon: float = 1e-5
    # of the encoder's layers; symmetric: k // 2 on all sides, as PyTorch pads. Keras' "same" pads
    # an even image by one less at the top and the left, which shifts what the windows see.
    padding: Literal["same", "symmetric"] = "same"
    # what the layers are given of RGB in [0, 1]: the same; [-1, 1]; or less ImageNet's mean colour,
    # divided by its deviation. Holes are 0 in any case, and the output is RGB in [0, 1] again.
    pixels: Literal["unit", "signed", "imagenet"] = "unit"

    def __post_init__(self) -> None:
        require(1 <= self.levels <= 12, "model.levels must be between 1 and 12")
        require(
            1 <= self.base_channels <= self.max_channels <= 8192,
            "model needs 1 <= base_channels <= max_channels <= 8192",
        )
        kernels = (*self.encoder_kernels, self.decoder_kernel)
        require(
            len(self.encoder_kernels) >= 1 and all(k % 2 == 1 and 1 <= k <= 31 for k in kernels),
            "model.encoder_kernels and model.decoder_kernel must be odd numbers from 1 to 31",
        )
        require(0 <= self.leaky_slope < 1, "model.leaky_slope must be at least 0 and below 1")
        require(0 < self.batch_norm_momentum < 1, "model.batch_norm_momentum must be in (0, 1)")
        require(0 < self.batch_norm_epsilon < 1, "model.batch_norm_epsilon must be in (0, 1)")


def encoder_channels(config: ModelConfig) -> list[int]:
    """Return how many channels each encoder layer puts out, from the first to the deepest."""
    return [
        min(config.base_channels * 2**level, config.max_channels) for level in range(config.levels)
    ]


def encoder_kernel(config: ModelConfig, level: int) -> int:
    """Return the window's side in encoder layer ``level``, counted from 0."""
    return config.encoder_kernels[min(level, len(config.encoder_kernels) - 1)]
