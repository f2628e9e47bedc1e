"""PyTorch's files (.pth), read as data: nothing in them is ever run."""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pconv_hpc.foundation.errors import PconvError, UsageError

_STATE_KEYS = ("state_dict", "model")  # where training programs put the weights among other things


class _Record:
    """Stands in for MMEngine's record of losses, ``HistoryBuffer``: holds data, does nothing."""


def _nothing(owner: object, name: str) -> None:
    """Stand in for ``getattr`` in files: MMEngine's loss records hold bound methods."""


# What files hold beside tensors: numbers that NumPy keeps, and MMEngine's record of losses. None of
# them does anything but hold data when it is made.
_HARMLESS: list[Any] = [
    np.dtype,
    np.ndarray,
    *dict.fromkeys(type(np.dtype(code)) for code in "?bBhHiIlLqQefd"),
    *(
        (getattr(np._core.multiarray, name), f"numpy.{core}.multiarray.{name}")  # type: ignore[attr-defined]
        for name in ("_reconstruct", "scalar")
        for core in ("core", "_core")  # the name of NumPy 1 and of NumPy 2
    ),
    (_Record, "mmengine.logging.history_buffer.HistoryBuffer"),
    (_nothing, "builtins.getattr"),
]


def load_as_data(path: Path) -> Any:
    """Return what ``torch.save`` wrote: tensors on the CPU, plain Python values, NumPy's numbers.

    Raises:
        UsageError: it is damaged, or holds objects whose making could run code.
        PconvError: PyTorch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise PconvError(
            f"{path}: reading it needs PyTorch, which is not installed here. Run this command "
            "where it is (make install PROFILE=erase); its result can be copied and needs none"
        ) from error
    _refuse_what_unpacks_to_more(path)
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(f"{path}: {_why_refused(error)}") from error
    except Exception as error:  # reading damaged data raises nearly anything
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UsageError(f"{path}: damaged, or no checkpoint of PyTorch ({reason[0]})") from error


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict, which may lie beside other things in the file.

    Numbers of 16 bits become float32; others keep their type.

    Raises:
        UsageError: there is no such file, it is damaged, holds code or no state dict, or a tensor
            that claims more than the file holds.
        PconvError: PyTorch is not installed.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file; expected one that torch.save wrote (.pth)")
    content = load_as_data(path)
    import torch

    state = content
    if isinstance(content, dict):
        state = next((v for k in _STATE_KEYS if isinstance(v := content.get(k), dict)), content)
    if not isinstance(state, dict) or not state:
        raise UsageError(f"{path}: holds no weights; expected a state dict of PyTorch")
    size = path.stat().st_size
    arrays = {}
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
            raise UsageError(
                f"{path}: {str(name)[:100]!r} is no plain tensor; expected a state dict of "
                f"PyTorch, alone or under {' or '.join(map(repr, _STATE_KEYS))}"
            )
        if tensor.numel() * tensor.element_size() > size:
            raise UsageError(
                f"{path}: {name!r} claims shape {tuple(tensor.shape)}, more than the file holds"
            )
        halved = tensor.dtype in (torch.float16, torch.bfloat16)
        arrays[str(name)] = (tensor.float() if halved else tensor).detach().numpy()
    return arrays


def _refuse_what_unpacks_to_more(path: Path) -> None:
    """Refuse archives with compressed parts: a small file could fill the memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return  # of the older format, or damaged: for torch to say
    if unpacked > path.stat().st_size:
        raise UsageError(
            f"{path}: unpacks to {unpacked:,} bytes, more than the file has; torch.save never "
            "compresses, so it is not as it was written"
        )


def _why_refused(error: pickle.UnpicklingError) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    if found is None:
        return "damaged, or no checkpoint of PyTorch"
    return (
        f"holds an object ({found.group(1)}) that only code could bring back, and code in "
        "checkpoints is never run here. If you trust where it comes from, docs/guide/segment.md "
        "shows "
        "how to write its weights to a file that holds nothing else"
    )
