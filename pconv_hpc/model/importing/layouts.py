"""How other projects name the tensors of the U-Net of Liu et al. 2018, and where their layers
differ from this project's.

Written from the layers' definitions: ``PConvEncoder``, ``PConvDecoder`` and ``PartialConv2d`` of
MMagic, before that MMEditing (open-mmlab/mmagic), and ``net.py`` of
naoto0804/pytorch-inpainting-with-partial-conv, which changed its names once. All have the same
encoder, decoder, activations and order of concatenation, batch norm in every layer but the first
and the last, pad by k // 2, and mask every channel by itself; as all channels of a tensor share one
mask, their sums are those of this project's one channel.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pconv_hpc.foundation.config import (
    IMAGE_CHANNELS,
    ModelConfig,
)

Role = Literal[
    "kernel",
    "bias",
    "ones",  # the kernel that sums a mask
    "zeros",  # its bias
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
    "count",  # of batches that batch norm has seen
]
# What a network has anyway. Programs and PyTorch have kept these with its numbers or not, but none
# has kept some of a kind: PyTorch 0.4.0 counted no batches.
CONSTANTS: frozenset[Role] = frozenset({"ones", "zeros", "count"})
_BATCH_NORM: dict[str, Role] = {
    "bn.weight": "gamma",
    "bn.bias": "beta",
    "bn.running_mean": "moving_mean",
    "bn.running_var": "moving_variance",
    "bn.num_batches_tracked": "count",
}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One project's names and conventions.

    Attributes:
        project: for people.
        prefixes: what may stand before every name.
        encoder: what stands before a layer's number, counted from 1.
        decoder: the same; layer 1 is the last.
        parts: the role of each tensor of a layer, by the name within the layer.
        biases: which layers' convolutions have one.
        multiplies_by_window: the convolution is multiplied by sum(1) / sum(M), not by 1 / sum(M).
        is_bgr: images come as blue, green, red.
        pixels: see ``ModelConfig``.
        not_network: beginnings of the names of tensors that only training used.
    """

    project: str
    prefixes: tuple[str, ...]
    encoder: str
    decoder: str
    parts: Mapping[str, Role]
    biases: Literal["all", "without batch norm", "last"]
    multiplies_by_window: bool
    is_bgr: bool
    pixels: Literal["unit", "signed", "imagenet"]
    not_network: tuple[str, ...] = ()

    def part(self, role: Role) -> str:
        """Return what the tensor of this role is called within a layer."""
        return next(name for name, found in self.parts.items() if found == role)


class TheirTensor(NamedTuple):
    """A tensor that a file should hold."""

    layer: str  # of this project: encoder_1, decoder_7 ...
    role: Role
    shape: tuple[int, ...]  # OIHW for kernels


MMAGIC = Layout(
    project="MMagic (MMEditing)",
    prefixes=("generator.", ""),
    encoder="encoder.enc",
    decoder="decoder.dec",
    parts={
        "conv.weight": "kernel",
        "conv.bias": "bias",
        "conv.weight_mask_updater": "ones",
        **_BATCH_NORM,
    },
    biases="without batch norm",
    multiplies_by_window=True,
    is_bgr=True,  # LoadImageFromFile gives BGR, and the configurations leave it so (to_rgb=False)
    pixels="signed",
    not_network=("loss_",),  # VGG16 of the perceptual loss
)
NAOTO = Layout(
    project="pytorch-inpainting-with-partial-conv",
    prefixes=("",),
    encoder="enc_",
    decoder="dec_",
    parts={
        "conv.input_conv.weight": "kernel",
        "conv.input_conv.bias": "bias",
        "conv.mask_conv.weight": "ones",
        **_BATCH_NORM,
    },
    biases="last",
    multiplies_by_window=False,
    is_bgr=False,
    pixels="imagenet",
)
NAOTO_2018 = Layout(
    project="pytorch-inpainting-with-partial-conv (names of 2018)",
    prefixes=("",),
    encoder="enc_",
    decoder="dec_",
    parts={
        "conv.conv2d.weight": "kernel",
        "conv.conv2d.bias": "bias",
        "conv.mask2d.weight": "ones",
        "conv.mask2d.bias": "zeros",
        **_BATCH_NORM,
    },
    biases="all",
    multiplies_by_window=False,
    is_bgr=False,
    pixels="imagenet",
)
LAYOUTS = (MMAGIC, NAOTO, NAOTO_2018)


def their_tensors(layout: Layout, prefix: str, config: ModelConfig) -> dict[str, TheirTensor]:
    """Return what a file of this layout holds for a network of this shape, by name."""
    return {
        f"{start}.{name}": TheirTensor(layer, role, _shape(role, kernel_shape))
        for start, layer, kernel_shape in _layers(layout, prefix, config)
        for name, role in layout.parts.items()
        if _has(layout, layer, role)
    }


def _layers(
    layout: Layout, prefix: str, config: ModelConfig
) -> Iterator[tuple[str, str, tuple[int, int, int, int]]]:
    """Yield the beginning of a layer's names, our name for it and its kernel's shape (OIHW)."""
    channels = [IMAGE_CHANNELS, *config.encoder_channels]
    for level in range(config.levels):
        side = config.encoder_kernel(level)
        shape = (channels[level + 1], channels[level], side, side)
        yield f"{prefix}{layout.encoder}{level + 1}", f"encoder_{level + 1}", shape
    up, side = channels[-1], config.decoder_kernel
    for level in reversed(range(config.levels)):
        skip = output = channels[level]
        shape = (output, up + skip, side, side)
        yield f"{prefix}{layout.decoder}{level + 1}", f"decoder_{level + 1}", shape
        up = output


def _has(layout: Layout, layer: str, role: Role) -> bool:
    has_batch_norm = layer not in ("encoder_1", "decoder_1")
    if role == "bias":
        return {
            "all": True,
            "without batch norm": not has_batch_norm,
            "last": layer == "decoder_1",
        }[layout.biases]
    return role in ("kernel", "ones", "zeros") or has_batch_norm


def _shape(role: Role, kernel_shape: tuple[int, ...]) -> tuple[int, ...]:
    if role in ("kernel", "ones"):
        return kernel_shape
    return () if role == "count" else kernel_shape[:1]
