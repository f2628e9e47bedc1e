"""A trained network as one of the ways to fill holes that an evaluation compares."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from pconv_hpc.erasing.fill import FillSettings, side_by_side
from pconv_hpc.erasing.inpaint import load_inpainter
from pconv_hpc.erasing.outside_in import Tile
from pconv_hpc.erasing.photo import Photo

FillMode = Literal["erase", "one-pass"]


class NetworkFill:
    """A network as a ``baselines.Fill``.

    Args:
        weights: see ``find_weights``.
        batch_size: how many pictures it is given at once.
        mode: ``erase`` as ``tools/inpaint.py`` does, which goes into deep holes from the outside in
            and matches colours at the rim; ``one-pass`` as in training and in papers, where the
            network is given whole photos.

    Attributes:
        trained_size: side of the photos that the network was trained on, pixels.

    Raises:
        UsageError: the weights cannot be used.
    """

    def __init__(self, weights: Path, *, batch_size: int, mode: FillMode) -> None:
        self._inpainter = load_inpainter(weights, settings=FillSettings(), batch_size=batch_size)
        self.trained_size = self._inpainter.settings.working_size
        self._fill = self._erase if mode == "erase" else self._fill_in_one_pass

    def work_at(self, size: int) -> None:
        """Let ``erase`` give the network ``size`` pixels a side, in place of ``trained_size``."""
        self._inpainter.settings = replace(self._inpainter.settings, working_size=size)

    def __call__(self, photos: np.ndarray, holes: np.ndarray) -> list[np.ndarray | None]:
        return [*self._fill(photos, holes)]

    def _erase(self, photos: np.ndarray, holes: np.ndarray) -> Sequence[np.ndarray]:
        results = [Photo(format="PNG", pixels=photo.copy(), color="rgb") for photo in photos]
        work = side_by_side(
            [self._inpainter.start(*pair) for pair in zip(results, holes, strict=True)]
        )
        tiles = next(work, None)
        while tiles is not None:
            try:
                tiles = work.send(self._inpainter.predict(tiles))
            except StopIteration:
                tiles = None
        return [result.pixels for result in results]

    def _fill_in_one_pass(self, photos: np.ndarray, holes: np.ndarray) -> Sequence[np.ndarray]:
        tiles = [
            Tile(np.where(hole[..., np.newaxis], 0, photo / np.float32(255)), ~hole)
            for photo, hole in zip(photos, holes, strict=True)
        ]
        outputs = self._inpainter.predict(tiles)
        return [
            np.where(hole[..., np.newaxis], np.round(255 * output), photo).astype(np.uint8)
            for photo, hole, output in zip(photos, holes, outputs, strict=True)
        ]
