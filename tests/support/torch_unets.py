"""The U-Nets of other projects in PyTorch, in our own words from their layers' definitions, with
random weights and random statistics: what they give is what an import must give.

``MMagicInpaintor`` follows PConvEncoder, PConvDecoder and PartialConv2d of MMagic (MMEditing);
``NaotoUNet`` follows net.py of naoto0804/pytorch-inpainting-with-partial-conv, whose convolutions
were ``NaotoConv2018`` first and ``NaotoConv`` later. The names of their tensors come from the
modules' own, as in a released file.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FORMATS = ("mmagic", "naoto", "naoto 2018")
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
Pair = tuple[torch.Tensor, torch.Tensor]


class MMagicConv(nn.Conv2d):
    """Multiplies by sum(1) / sum(M) before the bias comes; a mask for every channel."""

    def __init__(self, channels: int, filters: int, side: int, stride: int, bias: bool) -> None:
        super().__init__(channels, filters, side, stride, side // 2, bias=bias)
        self.register_buffer("weight_mask_updater", torch.ones(filters, channels, side, side))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> Pair:
        sums = functional.conv2d(mask, self.weight_mask_updater, None, self.stride, self.padding)
        valid = sums.clamp(0, 1)
        window = self.weight_mask_updater[0].numel()
        output = functional.conv2d(x * mask, self.weight, None, self.stride, self.padding)
        output = output * (window / (sums + 1e-8) * valid)
        if self.bias is not None:
            output = (output + self.bias[:, None, None]) * valid
        return output, valid


class NaotoConv(nn.Module):
    """Divides by sum(M) alone."""

    names = ("input_conv", "mask_conv")
    mask_has_bias = False

    def __init__(self, channels: int, filters: int, side: int, stride: int, bias: bool) -> None:
        super().__init__()
        shape = (channels, filters, side, stride, side // 2)
        for name, has_bias in zip(self.names, (bias, self.mask_has_bias), strict=True):
            setattr(self, name, nn.Conv2d(*shape, bias=has_bias))
        ones = getattr(self, self.names[1])
        nn.init.ones_(ones.weight)
        if ones.bias is not None:
            nn.init.zeros_(ones.bias)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> Pair:
        convolution, ones = (getattr(self, name) for name in self.names)
        output, sums = convolution(x * mask), ones(mask)
        bias = 0 if convolution.bias is None else convolution.bias[:, None, None]
        hole = sums == 0
        output = (output - bias) / sums.masked_fill(hole, 1) + bias
        return output.masked_fill(hole, 0), (~hole).float()


class NaotoConv2018(NaotoConv):
    names = ("conv2d", "mask2d")
    mask_has_bias = True


class Layer(nn.Module):
    """Convolution, batch norm, activation; holes take what batch norm makes of 0, as theirs do."""

    def __init__(self, convolution: nn.Module, batch_norm: int | None, slope: float) -> None:
        super().__init__()
        self.conv = convolution
        if batch_norm is not None:
            self.bn = nn.BatchNorm2d(batch_norm)
        self.slope = slope

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> Pair:
        x, mask = self.conv(x, mask)
        if hasattr(self, "bn"):
            x = self.bn(x)
        return functional.leaky_relu(x, self.slope), mask


def _fill(
    owners: tuple[nn.Module, nn.Module],
    names: tuple[str, str],
    kind: str,
    widths: list[int],
    kernels: list[int],
) -> None:
    """Give the modules their layers, first to last; biases are where each project has them."""
    convolution = {"mmagic": MMagicConv, "naoto": NaotoConv, "naoto 2018": NaotoConv2018}[kind]
    widths = [3, *widths]
    up = widths[-1]
    for number in range(1, len(widths)):
        plain = number == 1
        bias = {"mmagic": plain, "naoto": False, "naoto 2018": True}[kind]
        conv = convolution(widths[number - 1], widths[number], kernels[number - 1], 2, bias)
        layer = Layer(conv, None if plain else widths[number], 0.0)
        owners[0].add_module(f"{names[0]}{number}", layer)
    for number in range(len(widths) - 1, 0, -1):
        plain, skip = number == 1, widths[number - 1]
        conv = convolution(up + skip, skip, 3, 1, plain or kind == "naoto 2018")
        layer = Layer(conv, None if plain else skip, 1.0 if plain else 0.2)
        owners[1].add_module(f"{names[1]}{number}", layer)
        up = skip


def _run(down: list[nn.Module], up: list[nn.Module], x: torch.Tensor, mask: torch.Tensor) -> Pair:
    passed = []
    for layer in down:
        passed.append((x, mask))
        x, mask = layer(x, mask)
    for layer in up:
        x, mask = (functional.interpolate(t, scale_factor=2, mode="nearest") for t in (x, mask))
        skip, skip_mask = passed.pop()
        x, mask = layer(torch.cat([x, skip], 1), torch.cat([mask, skip_mask], 1))
    return x, mask


class MMagicGenerator(nn.Module):
    def __init__(self, widths: list[int], kernels: list[int]) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Module(), nn.Module()
        _fill((self.encoder, self.decoder), ("enc", "dec"), "mmagic", widths, kernels)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> Pair:
        return _run([*self.encoder.children()], [*self.decoder.children()], x, mask)


class MMagicInpaintor(nn.Module):
    """What is saved: the generator, and the features of the perceptual loss."""

    def __init__(self, widths: list[int], kernels: list[int]) -> None:
        super().__init__()
        self.generator = MMagicGenerator(widths, kernels)
        self.loss_percep = nn.Module()
        self.loss_percep.vgg = nn.Module()
        self.loss_percep.vgg.vgg_layers = nn.Sequential(nn.Conv2d(3, 4, 3))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> Pair:
        return self.generator(x, mask)


class NaotoUNet(nn.Module):
    def __init__(self, kind: str, widths: list[int], kernels: list[int]) -> None:
        super().__init__()
        _fill((self, self), ("enc_", "dec_"), kind, widths, kernels)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> Pair:
        layers = [*self.children()]
        return _run(layers[: len(layers) // 2], layers[len(layers) // 2 :], x, mask)


def build(
    kind: str, *, widths: list[int], kernels: list[int] | None = None, seed: int = 0
) -> nn.Module:
    """Return a network of one of ``FORMATS``, its numbers random, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)

    def normal(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator)

    kernels = kernels or [7, 5, 5, *[3] * 20][: len(widths)]
    mmagic = kind == "mmagic"
    model = MMagicInpaintor(widths, kernels) if mmagic else NaotoUNet(kind, widths, kernels)
    for name, tensor in model.named_parameters():
        if "mask" in name:
            continue
        if tensor.ndim == 4:
            window = tensor[0].numel()
            tensor.data = normal(tensor) * (2 / window) ** 0.5 * (1 if mmagic else window)
        else:
            tensor.data = normal(tensor) * 0.2 + name.endswith("bn.weight")
    _make_statistics(model, normal)
    return model.eval()


def _make_statistics(model: nn.Module, normal: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Give batch norm statistics like those of training, none of them quite those of a batch."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    x, mask = torch.empty(4, 3, 128, 128), torch.ones(4, 3, 128, 128)
    mask[:, :, 40:90, 30:80] = 0
    with torch.no_grad():
        model.train()(normal(x) * mask, mask)
    for norm in norms:
        norm.running_mean += 0.3 * norm.running_var.sqrt() * normal(norm.running_mean)
        norm.running_var *= normal(norm.running_var).abs() + 0.5
        norm.running_var += norm.running_var.mean()  # no channel is blown up


def saved(kind: str, model: nn.Module) -> dict[str, Any]:
    """Return what their programs hand to ``torch.save``."""
    if kind == "mmagic":
        meta = {"epoch": 1, "iter": 500_000, "mmedit_version": "0.5.0", "seed": np.int64(3)}
        return {"meta": meta, "state_dict": model.state_dict()}
    return {"n_iter": 1_000_000, "model": model.state_dict(), "optimizer": {"state": {}}}


def fill(kind: str, model: nn.Module, photos: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return what their programs make of RGB (B, H, W, 3) in [0, 1]; 1 in a mask is valid.

    Their sides must be multiples of what the network halves them by; others are padded with holes.
    """
    mean, deviation = _IMAGENET
    if kind == "mmagic":
        photos = photos[..., ::-1]  # their programs load blue, green, red
        mean = deviation = (0.5, 0.5, 0.5)
    _, height, width, _ = photos.shape
    multiple = 2 ** (sum(isinstance(module, Layer) for module in model.modules()) // 2)
    pads = ((0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0))
    x = np.pad((photos - np.array(mean)) / np.array(deviation), pads)
    mask = np.pad(np.repeat(masks, 3, axis=-1), pads)
    with torch.no_grad():
        x, mask = (torch.from_numpy(a.astype(np.float32)).permute(0, 3, 1, 2) for a in (x, mask))
        output, _ = model(x * mask, mask)
    output = output.permute(0, 2, 3, 1).numpy()[:, :height, :width]
    output = output * np.array(deviation) + np.array(mean)
    return output[..., ::-1] if kind == "mmagic" else output
