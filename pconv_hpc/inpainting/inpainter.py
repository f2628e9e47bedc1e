"""The trained network, ready to fill the holes of photos of any size."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pconv_hpc.foundation.config import ModelConfig
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.inpainting.fill import PhotoFilling, fill_photo
from pconv_hpc.inpainting.network_reach import network_reach
from pconv_hpc.inpainting.outside_in import Tile
from pconv_hpc.inpainting.settings import FillSettings
from pconv_hpc.model.find_weights import find_weights
from pconv_hpc.model.weights import load_model
from pconv_hpc.photos.photo import Photo

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


class Inpainter:
    """Fills holes with a PConvUNet.

    Args:
        model: called as ``model([images, masks])``; see ``PConvUNet``.
        config: its shape, from which follows how deep it fills holes.
        settings: how holes are brought to it.
        batch_size: how many tiles of equal size it is given at once.
    """

    def __init__(
        self, model: Any, config: ModelConfig, *, settings: FillSettings, batch_size: int = 8
    ) -> None:
        self.settings = settings
        self.batch_size = batch_size
        self._reach = network_reach(config)
        self._model = model
        # XLA would compile anew for every shape and batch, which takes longer than most batches.
        self._model.compile(jit_compile=False)

    def erase(self, photo: Photo, hole: np.ndarray, kept: np.ndarray | None = None) -> None:
        """Fill the holes of one photo, in place; pixels outside ``hole`` keep their values.

        Args:
            photo: from ``photo_files.read_photo``.
            hole: bool (H, W) of the upright photo, true = erase, as from
                ``photo_files.read_mask``.
            kept: bool (H, W), other objects, which no texture is taken from.

        Raises:
            ImageError: the mask has another size, or covers the whole photo.
        """
        filling = self.start(photo, hole, kept)
        tiles = next(filling, None)
        while tiles is not None:
            try:
                tiles = filling.send(self.predict(tiles))
            except StopIteration:
                tiles = None

    def start(self, photo: Photo, hole: np.ndarray, kept: np.ndarray | None = None) -> PhotoFilling:
        """Return the work on one photo as a generator of tiles to predict; see ``fill_photo``."""
        return fill_photo(photo, hole, self.settings, reach=self._reach, kept=kept)

    def predict(self, tiles: Sequence[Tile]) -> list[np.ndarray]:
        """Return the network's output for each tile, float32 (h, w, 3) clipped to [0, 1].

        Raises:
            PconvError: the output is not finite.
        """
        outputs: list[np.ndarray] = [np.empty(0)] * len(tiles)
        by_shape = defaultdict(list)
        for index, tile in enumerate(tiles):
            by_shape[tile.valid.shape].append(index)
        for indices in by_shape.values():
            at_once = self._num_at_once(tiles[indices[0]].valid.size)
            for first in range(0, len(indices), at_once):
                batch = indices[first : first + at_once]
                images = np.stack([tiles[index].rgb for index in batch])
                masks = np.stack([tiles[index].valid for index in batch])[..., None]
                results = self._model.predict_on_batch([images, masks.astype(np.float32)])
                if not np.isfinite(results).all():
                    raise PconvError(
                        "the network's output is not finite; are these weights from a training "
                        "that diverged, or too large for this precision?"
                    )
                for index, result in zip(batch, np.clip(results, 0, 1), strict=True):
                    outputs[index] = result
        return outputs

    def _num_at_once(self, num_pixels: int) -> int:
        """Return how many tiles take no more memory than a batch of the working size."""
        return max(1, self.batch_size * self.settings.side**2 // num_pixels)


def load_inpainter(
    weights: Path, *, settings: FillSettings, batch_size: int = 8, precision: str = "float32"
) -> Inpainter:
    """Build an ``Inpainter`` from a weights file or a training run's folder.

    Args:
        weights: see ``find_weights``.
        settings: how holes are brought to the network.
        batch_size: how many tiles of the working size it is given at once.
        precision: one of ``PRECISIONS``.

    Raises:
        UsageError: there are no such weights, or they cannot be used.
    """
    found = find_weights(weights)
    model, config, metadata = load_model(found.path, dtype=PRECISIONS[precision])
    trained_at = metadata.get("image_size", found.image_size)
    if settings.working_size is None and isinstance(trained_at, int):
        settings = replace(settings, working_size=trained_at)
    return Inpainter(model, config, settings=settings, batch_size=batch_size)
