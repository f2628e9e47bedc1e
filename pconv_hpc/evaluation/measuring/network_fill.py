"""Trained networks as ways to fill holes that an evaluation compares."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from pconv_hpc.evaluation.measuring.baselines import Fill
from pconv_hpc.foundation.atomic import sha256_of
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.inpainting.detail import Detail
from pconv_hpc.inpainting.inpainter import Inpainter, load_inpainter
from pconv_hpc.inpainting.outside_in import Tile
from pconv_hpc.inpainting.settings import FillSettings
from pconv_hpc.model.find_weights import find_weights
from pconv_hpc.photos.photo import Photo

FillMode = Literal["erase", "one-pass"]

ONE_NETWORK = "pconv"
_ALONE = "network alone"  # what the one network is called without detail


@dataclass(frozen=True)
class Network:
    """A network ready to fill holes.

    Attributes:
        name: what it is called beside others.
        path: its weights' file.
        inpainter: fills as ``pconv-hpc inpaint`` does.
    """

    name: str
    path: Path
    inpainter: Inpainter

    @property
    def working_size(self) -> int:
        """Side of what it is given, pixels; of what it was trained at unless told otherwise."""
        return self.inpainter.settings.side

    def describe(self) -> dict[str, object]:
        """Return which it was: files of that name may be replaced."""
        return {
            "weights": str(self.path),
            "sha256": sha256_of(self.path),
            "working_size": self.working_size,
        }

    def methods(self, mode: FillMode, details: Sequence[Detail]) -> dict[str, Fill]:
        """Return its ways to fill holes by what they are called."""
        if mode == "one-pass":
            return {f"{self.name}, one pass": OnePassFill(self.inpainter)}
        return {self._method_name(detail): EraseFill(self.inpainter, detail) for detail in details}

    def _method_name(self, detail: Detail) -> str:
        if detail != "none":
            return f"{self.name}, {detail}"
        return _ALONE if self.name == ONE_NETWORK else f"{self.name} alone"


def load_networks(
    weights: Sequence[Path], *, working_size: int | None, batch_size: int
) -> list[Network]:
    """Load networks, called ``pconv`` if there is one, else by what tells their files apart.

    Args:
        weights: see ``find_weights``.
        working_size: side of what they are given; None takes what each was trained at.
        batch_size: how many tiles of a photo they are given at once.

    Raises:
        UsageError: weights cannot be used, or are named twice.
    """
    names = [path.parent.name if path.is_file() else path.name for path in weights]
    if len(set(names)) < len(names):
        names = [str(path) for path in weights]
    if len(set(names)) < len(names):
        raise UsageError(f"--weights {' '.join(names)}: names the same network twice")
    if len(names) == 1:
        names = [ONE_NETWORK]
    networks = []
    for name, path in zip(names, weights, strict=True):
        inpainter = load_inpainter(
            path, settings=FillSettings(working_size=working_size), batch_size=batch_size
        )
        networks.append(Network(name, find_weights(path).path, inpainter))
    return networks


class EraseFill:
    """Fills as ``pconv-hpc inpaint`` does; a ``baselines.Fill``."""

    def __init__(self, inpainter: Inpainter, detail: Detail) -> None:
        self._inpainter = copy.copy(inpainter)  # the model is shared
        self._inpainter.settings = replace(inpainter.settings, detail=detail)
        _warm_up(self._inpainter)

    def __call__(self, photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
        result = Photo(format="PNG", pixels=photo.copy(), color="rgb")
        self._inpainter.erase(result, hole)
        return result.pixels


class OnePassFill:
    """Fills in one pass of whole photos, as in training and in papers; a ``baselines.Fill``."""

    def __init__(self, inpainter: Inpainter) -> None:
        self._inpainter = inpainter

    def __call__(self, photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
        visible = np.where(hole[..., np.newaxis], 0, photo / np.float32(255))
        [output] = self._inpainter.predict([Tile(visible, ~hole)])
        filled = np.where(hole[..., np.newaxis], np.round(255 * output), photo)
        return np.asarray(filled.astype(np.uint8))


def _warm_up(inpainter: Inpainter) -> None:
    """Let TensorFlow trace the network, which is no part of a photo's seconds."""
    size = inpainter.settings.side
    tile = Tile(np.zeros((size, size, 3), np.float32), np.ones((size, size), bool))
    for count in (1, 2):  # one of each number of tiles, then one of any
        inpainter.predict([tile] * count)
