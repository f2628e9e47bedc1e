"""From another project's tensors to the numbers of this one's network, which then give the same."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pconv_hpc.foundation.config import IMAGE_CHANNELS, ModelConfig
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.importing.layouts import CONSTANTS, LAYOUTS, Layout, TheirTensor, their_tensors

_OURS = {
    "bias": "partial_conv/bias",
    "gamma": "batch_norm/gamma",
    "beta": "batch_norm/beta",
    "moving_mean": "batch_norm/moving_mean",
    "moving_variance": "batch_norm/moving_variance",
}
_SHOWN = 3  # of a long list


@dataclass(frozen=True)
class Converted:
    """A network of this project.

    Attributes:
        config: its shape.
        arrays: float32 of every variable of ``build_pconv_unet(config)``, by its path.
        project: where it comes from, in words.
        left_out: names of tensors that only training used.
    """

    config: ModelConfig
    arrays: dict[str, np.ndarray]
    project: str
    left_out: tuple[str, ...]


def convert(tensors: Mapping[str, np.ndarray], *, source: Path) -> Converted:
    """Return the network that another project's tensors make.

    Every tensor is accounted for: it becomes part of the network, says what the network has anyway
    (kernels of ones that sum masks), or is named in ``left_out``.

    Args:
        tensors: of a state dict of a project in ``LAYOUTS``, by name; kernels are OIHW.
        source: the file they are from, for messages.

    Raises:
        UsageError: they are of no known project, a tensor is missing, unexpected or of another
            shape, or holds numbers that cannot be.
    """
    tensors = {name.removeprefix("module."): array for name, array in tensors.items()}
    layout, prefix = _find_layout(tensors, source)
    left_out = tuple(name for name in tensors if name.startswith(layout.not_network))
    network = {
        name: array for name, array in tensors.items() if not name.startswith(layout.not_network)
    }
    config = _infer_config(network, layout, prefix, source)
    expected = their_tensors(layout, prefix, config)
    _check(network, expected, source)
    arrays: dict[str, np.ndarray] = {}
    for number in range(1, config.levels + 1):
        for layer in (f"encoder_{number}", f"decoder_{number}"):
            theirs = {
                t.role: network[n] for n, t in expected.items() if t.layer == layer and n in network
            }
            ours = _convert_layer(theirs, layer, layout)
            arrays |= {f"pconv_unet/{layer}/{name}": array for name, array in ours.items()}
    return Converted(config, arrays, layout.project, left_out)


def _find_layout(tensors: Mapping[str, np.ndarray], source: Path) -> tuple[Layout, str]:
    wanted = []
    for layout in LAYOUTS:
        for prefix in layout.prefixes:
            name = f"{prefix}{layout.encoder}1.{layout.part('kernel')}"
            if name in tensors:
                return layout, prefix
            wanted.append(f"{name!r} ({layout.project})")
    found = ", ".join(repr(name[:80]) for name in list(tensors)[:_SHOWN])
    raise UsageError(
        f"{source}: holds the weights of another network ({len(tensors)} tensors: {found} …); "
        f"expected a U-Net of partial convolutions with one of {', '.join(wanted)}"
    )


def _infer_config(
    tensors: Mapping[str, np.ndarray], layout: Layout, prefix: str, source: Path
) -> ModelConfig:
    """Return the shape that the kernels tell; whether all else fits it is checked later."""
    pattern = re.compile(re.escape(prefix + layout.encoder) + r"(\d{1,2})\.")
    levels = max(int(match[1]) for name in tensors if (match := pattern.match(name)))
    part = layout.part("kernel")
    names = [f"{prefix}{layout.encoder}{number}.{part}" for number in range(1, levels + 1)]
    names.append(f"{prefix}{layout.decoder}1.{part}")
    shapes = [tensors[name].shape if name in tensors else None for name in names]
    for name, shape in zip(names, shapes, strict=True):
        if shape is None or len(shape) != 4:
            what = "is missing" if shape is None else f"has shape {shape}, expected four dimensions"
            raise UsageError(f"{_misfit(source)}: {name!r} {what}")
    *encoder, decoder = (shape for shape in shapes if shape is not None)
    kernels = [shape[2] for shape in encoder]
    while len(kernels) > 1 and kernels[-1] == kernels[-2]:
        kernels.pop()
    try:
        return ModelConfig(
            levels=levels,
            base_channels=encoder[0][0],
            max_channels=max(shape[0] for shape in encoder),
            encoder_kernels=tuple(kernels),
            decoder_kernel=decoder[2],
            padding="symmetric",
            pixels=layout.pixels,
        )
    except UsageError as error:
        raise UsageError(f"{_misfit(source)}: {error}") from error


def _check(
    tensors: Mapping[str, np.ndarray], expected: Mapping[str, TheirTensor], source: Path
) -> None:
    kept = {tensor.role for name, tensor in expected.items() if name in tensors}
    problems = [
        *(
            f"{name!r} is missing"
            for name, tensor in expected.items()
            if name not in tensors and (tensor.role in kept or tensor.role not in CONSTANTS)
        ),
        *(f"{name[:100]!r} is unexpected" for name in tensors if name not in expected),
        *(
            f"{name!r} has shape {tensors[name].shape}, expected {tensor.shape}"
            for name, tensor in expected.items()
            if name in tensors and tensors[name].shape != tensor.shape
        ),
    ]
    if not problems:
        problems = [
            f"{name!r} {problem}"
            for name, array in tensors.items()
            if (problem := _problem_of(array, expected[name]))
        ]
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UsageError(f"{_misfit(source)}: {'; '.join(problems[:_SHOWN])}{more}")


def _misfit(source: Path) -> str:
    return f"{source}: does not fit the U-Net of Liu et al. 2018 as its project defines it"


def _problem_of(array: np.ndarray, tensor: TheirTensor) -> str:
    if tensor.role == "count":
        return ""
    if array.dtype.kind != "f":
        return f"holds {array.dtype}; expected floating-point numbers"
    if not np.isfinite(array).all():
        return "holds values that are not finite"
    if tensor.role == "moving_variance" and (array < 0).any():
        return "holds negative variances"
    if tensor.role in ("ones", "zeros") and (array != (tensor.role == "ones")).any():
        return f"should sum masks and therefore hold only {tensor.role}"
    return ""


def _convert_layer(
    theirs: Mapping[Any, np.ndarray], layer: str, layout: Layout
) -> dict[str, np.ndarray]:
    """Return a layer's arrays, float32 by our name within the layer."""
    values = {role: array.astype(np.float64) for role, array in theirs.items()}
    kernel = values["kernel"].transpose(2, 3, 1, 0)
    if not layout.multiplies_by_window:
        kernel = kernel / np.prod(kernel.shape[:3])  # our layer multiplies by that number
    if "moving_mean" not in values:
        values.setdefault("bias", np.zeros(kernel.shape[-1]))
    elif "bias" in values:  # ours has none there: batch norm takes the mean away again
        values["moving_mean"] = values["moving_mean"] - values.pop("bias")
    if layout.is_bgr:
        kernel, values = _to_rgb(kernel, values, layer)
    ours = {name: values[role] for role, name in _OURS.items() if role in values}
    return {
        name: array.astype(np.float32)
        for name, array in {"partial_conv/kernel": kernel, **ours}.items()
    }


def _to_rgb(
    kernel: np.ndarray, values: dict[Any, np.ndarray], layer: str
) -> tuple[np.ndarray, dict[Any, np.ndarray]]:
    """Turn blue, green, red around where the image enters and where it leaves."""
    if layer in ("encoder_1", "decoder_1"):  # the image is what the last channels are of
        first = kernel.shape[2] - IMAGE_CHANNELS
        kernel = np.concatenate([kernel[:, :, :first], kernel[:, :, first:][:, :, ::-1]], axis=2)
    if layer == "decoder_1":
        kernel = kernel[..., ::-1]
        values = {**values, "bias": values["bias"][::-1]}
    return kernel, values
