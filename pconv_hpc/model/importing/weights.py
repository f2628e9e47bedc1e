"""A file of another project in, a weights file of this one out."""

from pathlib import Path

from pconv_hpc.foundation.atomic import sha256_of
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.importing.convert import Converted, convert
from pconv_hpc.model.importing.torch_file import read_tensors
from pconv_hpc.model.weight_writer import write_weight_file


def import_weights(path: Path, out: Path, *, image_size: int) -> Converted:
    """Convert ``path`` to the weights file ``out``, replaced if it is there; return what it is.

    Args:
        path: a .pth file of a project in ``layouts.LAYOUTS``.
        out: where to write.
        image_size: side of the squares it was trained on, pixels; kept in the weights file.

    Raises:
        UsageError: ``path`` is missing, damaged, holds code, or the weights of another network, or
            ``out`` cannot be written.
        PconvError: PyTorch, which reads it, is not installed.
    """
    converted = convert(read_tensors(path), source=path)
    metadata = {
        "image_size": image_size,
        "imported_from": path.name,
        "imported_sha256": sha256_of(path),
        "trained_by": converted.project,
    }
    try:
        write_weight_file(out, converted.arrays, converted.config, metadata=metadata)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror or error})") from error
    return converted


def describe(out: Path, converted: Converted) -> str:
    """Return in words what was imported, and how to go on training it."""
    config = converted.config
    lines = [
        f"{out}: PConvUNet of {config.levels} levels, {config.base_channels} to "
        f"{config.max_channels} channels, as {converted.project} trained it",
        f"to fine-tune it: --set train.initial_weights={out} "
        f"--set model.padding={config.padding} --set model.pixels={config.pixels}",
    ]
    if converted.left_out:
        lines.insert(
            1,
            f"left out: {len(converted.left_out)} tensors of the losses of its training, such as "
            f"{converted.left_out[0]}",
        )
    return "\n".join(lines)
