"""MMDetection's networks from configurations and checkpoints, without running pickled code."""

import contextlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pconv_hpc.foundation.atomic import sha256_of
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.model.importing.torch_file import load_as_data
from pconv_hpc.segmentation.network_files import DEFAULT_CONFIG, default_checkpoint, find_config

with (
    open(os.devnull, "w") as _silence,
    contextlib.redirect_stdout(_silence),  # it tells of optional packages that nobody asked for
    warnings.catch_warnings(),
):
    warnings.simplefilter("ignore")
    from mmcv.transforms import Compose
    from mmdet.evaluation import get_classes
    from mmdet.registry import MODELS
    from mmdet.utils import get_test_pipeline_cfg, register_all_modules
    from mmengine.config import Config
    from mmengine.model import revert_sync_batchnorm


_LOADERS_OF_TRUTH = ("LoadAnnotations", "LoadPanopticAnnotations", "LoadTrackAnnotations")
_SHOWN = 5  # names of a long list


@dataclass(frozen=True)
class Detector:
    """A network for instance segmentation, ready to be used.

    Attributes:
        model: MMDetection's module, on its device, in evaluation mode.
        pipeline: brings ``{"img": uint8 BGR (H, W, 3), "img_id": 0}`` to what the model takes.
        classes: the names of its classes.
        description: which network with which weights; the same only for the same.
    """

    model: torch.nn.Module
    pipeline: Compose
    classes: tuple[str, ...]
    description: str


def load_detector(
    config: str | Path | None = None,
    checkpoint: Path | None = None,
    *,
    device: str | None = None,
) -> Detector:
    """Build the network of an MMDetection configuration and give it the weights of a checkpoint.

    A configuration is Python code that runs; checkpoints are only ever read as data.

    Args:
        config: a file, or the name of one that MMDetection ships; default: Mask R-CNN on COCO.
        checkpoint: its weights; may be left out with the default configuration.
        device: as PyTorch names it; default: ``cuda`` where there is a GPU, else ``cpu``.

    Raises:
        UsageError: a file is missing or does not fit, or the device cannot be used; the message
            says what to do.
    """
    if checkpoint is None:
        checkpoint = default_checkpoint(config)
    config_path = find_config(config or DEFAULT_CONFIG)
    weights = read_checkpoint(checkpoint)
    register_all_modules(init_default_scope=True)
    settings = _read_config(config_path)
    model = revert_sync_batchnorm(_build(settings, config_path))
    _load_weights(model, weights, checkpoint, config_path)
    model.to(_device(device)).eval()
    return Detector(
        model=model,
        pipeline=_test_pipeline(settings, config_path),
        classes=_class_names(settings, weights, model, config_path),
        description=f"{config_path.stem} {checkpoint.name} {sha256_of(checkpoint)[:16]}",
    )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as data: tensors, plain Python values and NumPy numbers.

    Returns:
        ``state_dict`` (str → tensor) and ``meta``.

    Raises:
        UsageError: it is missing, damaged, or holds objects whose making could run code.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint")
    content = load_as_data(path)
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UsageError(f"{path}: holds no weights under the key 'state_dict'")
    weights = {str(name).removeprefix("module."): value for name, value in state.items()}
    meta = content.get("meta")
    return {"state_dict": weights, "meta": meta if isinstance(meta, dict) else {}}


def _read_config(path: Path) -> Config:
    try:
        settings = Config.fromfile(path)
    except Exception as error:  # a configuration is code, and may fail in any way
        raise UsageError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error
    if "model" not in settings:
        raise UsageError(f"{path}: no 'model' in it; expected a configuration of MMDetection")
    return settings


def _build(settings: Config, path: Path) -> torch.nn.Module:
    _without_downloads(settings.model)
    try:
        return MODELS.build(settings.model)
    except Exception as error:  # layers raise nearly anything on settings that do not fit
        raise UsageError(f"{path}: no network can be built from it ({error})") from error


def _without_downloads(settings: Any) -> None:
    """Remove every ``init_cfg``: all weights come from the checkpoint."""
    if isinstance(settings, dict):
        settings.pop("init_cfg", None)
        for value in settings.values():
            _without_downloads(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            _without_downloads(value)


def _load_weights(
    model: torch.nn.Module, weights: dict[str, Any], checkpoint: Path, config: Path
) -> None:
    expected, found = model.state_dict(), weights["state_dict"]
    missing = [
        name
        for name, value in expected.items()
        if name not in found or found[name].shape != value.shape
    ]
    if missing:
        raise UsageError(
            f"{checkpoint}: not the weights of the network in {config}: of its {len(expected)} "
            f"tensors {len(missing)} are missing or of another shape ({_some(missing)}); name the "
            "configuration they were trained with by --config"
        )
    model.load_state_dict({name: found[name] for name in expected})


def _class_names(
    settings: Config, weights: dict[str, Any], model: torch.nn.Module, config: Path
) -> tuple[str, ...]:
    """Return what the checkpoint calls its classes, or the configuration, or COCO."""
    meta = weights["meta"]
    dataset = settings.get("test_dataloader", {}).get("dataset", {})
    named = [
        _classes_in(one)
        for one in (
            meta.get("dataset_meta"),
            meta,
            dataset.get("metainfo"),
            settings.get("metainfo"),
        )
    ]
    num_classes = _num_classes(model)
    for classes in (*named, tuple(get_classes("coco"))):
        if classes and num_classes in (None, len(classes)):
            return classes
    found = next((f"names {len(names)} ({_some(names)})" for names in named if names), "names none")
    raise UsageError(
        f"{config}: the network has {num_classes} classes, and the checkpoint or the configuration "
        f"{found}; write metainfo = dict(classes=('NAME', ...)) with one name for each class into "
        "the configuration"
    )


def _classes_in(meta: Any) -> tuple[str, ...]:
    if not isinstance(meta, dict):
        return ()
    classes = meta.get("classes", meta.get("CLASSES", ()))
    if isinstance(classes, str):
        return (classes,)  # ("balloon") without its comma: MMDetection trains with that, too
    if not isinstance(classes, Sequence):
        return ()
    return tuple(str(name) for name in classes)


def _num_classes(model: torch.nn.Module) -> int | None:
    for place in ("roi_head.bbox_head", "roi_head.bbox_head.0", "mask_head", "bbox_head"):
        with contextlib.suppress(AttributeError):
            return int(model.get_submodule(place).num_classes)
    return None


def _test_pipeline(settings: Config, path: Path) -> Compose:
    """Return the configuration's own steps, starting from an image in memory and without truth."""
    try:
        steps = get_test_pipeline_cfg(settings.copy())
    except (AttributeError, RuntimeError, KeyError) as error:
        raise UsageError(
            f"{path}: no pipeline in test_dataloader.dataset, which tells how the network wants "
            "its images"
        ) from error
    image_steps = [step for step in steps[1:] if step["type"] not in _LOADERS_OF_TRUTH]
    return Compose([{"type": "mmdet.LoadImageFromNDArray"}, *image_steps])


def _device(name: str | None) -> torch.device:
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: no device of PyTorch; expected cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {name}: PyTorch finds no GPU here; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"--device {name}: PyTorch finds {torch.cuda.device_count()} GPU(s) here, from cuda:0"
        )
    try:
        torch.zeros(1).to(device).cpu()
    except Exception as error:  # of each kind of device another one
        reason = str(error).partition("\n")[0]
        if device.type == "cuda":  # it is there, and may be well again at the next start
            raise PconvError(f"the GPU {name} cannot be used now ({reason})") from error
        raise UsageError(
            f"--device {name}: not a device this PyTorch can use here ({reason}); use --device cpu"
            + (" or cuda" if torch.cuda.is_available() else "")
        ) from error
    return device


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
