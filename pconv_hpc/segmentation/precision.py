"""The precision in which a network that finds objects computes, and which of its parts do so."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmdet.models.roi_heads.base_roi_head import BaseRoIHead

from pconv_hpc.segmentation.settings import Precision

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class LayerPrecision:
    """Lets a network's layers compute in fewer bits; what follows them, as NMS, stays in float32.

    Backbone, neck and heads take tensors of any precision and give float32. So boxes are decoded
    and compared, and features pooled, as without it. MMCV's own operations, as deformable
    convolutions, compute in float32 too: on a CPU they have no other, and read the memory of
    tensors with the channels last in the wrong order.

    Args:
        model: MMDetection's, on its device; its layers' weights stay float32. On a CPU they are
            laid out with the channels last, which is faster there.
        asked: ``auto``: what is fast on the device, see ``fast_precision``.

    Attributes:
        name: the precision.
        is_chosen: whether it is a consequence of ``auto``.
    """

    def __init__(self, model: torch.nn.Module, asked: Precision) -> None:
        self._device = next(model.parameters()).device.type
        self.is_chosen = asked == "auto"
        self.name: str = fast_precision(self._device) if asked == "auto" else asked
        if self._device == "cpu":
            model.to(memory_format=torch.channels_last)
        for module in list(model.modules()):
            if type(module).__module__.startswith("mmcv.ops."):
                module.to(memory_format=torch.contiguous_format)
                module.forward = self._in_float32(module.forward)
        for part in _parts(model):
            part.forward = self._in_precision(part.forward)

    def fall_back(self, used: str, error: RuntimeError) -> bool:
        """Compute in float32 from now on if that may avoid an error; return whether it may.

        Some operations do not exist in fewer bits. Several threads may find that out at once.

        Args:
            used: the precision that the error came in.
            error: what PyTorch said.
        """
        may_avoid = self.is_chosen and used != "float32" and "not implemented for" in str(error)
        if may_avoid:
            self.name = "float32"
        return may_avoid

    def _in_precision(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def in_precision(*arguments: Any, **keywords: Any) -> Any:
            dtype = _DTYPES[self.name]
            with torch.autocast(self._device, dtype=dtype, enabled=dtype != torch.float32):
                return _floats(forward(*arguments, **keywords))

        return in_precision

    def _in_float32(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def in_float32(*arguments: Any, **keywords: Any) -> Any:
            with torch.autocast(self._device, enabled=False):
                arguments, keywords = _floats((arguments, keywords), contiguous=True)
                return forward(*arguments, **keywords)

        return in_float32


def fast_precision(device_type: str) -> str:
    """Return the precision that is fast on a kind of device, whose results are still good."""
    if device_type == "cuda":
        return "float16"
    return "bfloat16" if device_type == "cpu" and has_fast_bfloat16() else "float32"


def has_fast_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 itself, by AMX or AVX512-BF16."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def _parts(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """Yield the modules between which a network does more than to hand on tensors."""
    for name, child in model.named_children():
        if isinstance(child, BaseRoIHead | torch.nn.ModuleList):
            yield from _parts(child)
        elif name != "data_preprocessor":
            yield child


def _floats(value: Any, *, contiguous: bool = False) -> Any:
    """Return a value with its tensors, at any depth, in float32 if they are of fewer bits."""
    if isinstance(value, torch.Tensor):
        full = value.float() if value.is_floating_point() else value
        return full.contiguous() if contiguous else full
    if isinstance(value, tuple):
        return tuple(_floats(item, contiguous=contiguous) for item in value)
    if isinstance(value, list):
        return [_floats(item, contiguous=contiguous) for item in value]
    if isinstance(value, dict):
        return {key: _floats(item, contiguous=contiguous) for key, item in value.items()}
    return value
