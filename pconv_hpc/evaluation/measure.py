"""Measuring one photo after the other: its holes, and an object pasted on it and erased again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from pconv_hpc.data.decode import ImageError
from pconv_hpc.data.silhouettes import Silhouettes
from pconv_hpc.erasing.mask_shaping import MASK_SHAPES, default_dilation, shape_mask
from pconv_hpc.evaluation.baselines import Fill
from pconv_hpc.evaluation.composites import Composite, paste_object
from pconv_hpc.evaluation.ghost_error import GhostError
from pconv_hpc.evaluation.ghosting import Outline
from pconv_hpc.evaluation.hole_error import (
    HoleError,
    MeasuredHole,
    hole_l1,
    psnr_db,
    ssim,
    touches_border,
)
from pconv_hpc.evaluation.mask_kinds import MaskKind
from pconv_hpc.evaluation.photos import Photos

if TYPE_CHECKING:  # it needs Keras, which the baselines do without
    from pconv_hpc.evaluation.lpips import LPIPS


@dataclass(frozen=True)
class PhotoErrors:
    """All that was measured on one photo; ``damage`` says why it could not be.

    ``holes`` and ``ghosts`` are of what was filled. ``measured`` are all holes, and ``has_object``
    tells whether there was an object to erase.
    """

    photo: int
    key: str
    measured: tuple[MeasuredHole, ...] = ()
    has_object: bool = False
    holes: tuple[HoleError, ...] = ()
    ghosts: tuple[GhostError, ...] = ()
    damage: str | None = None


@dataclass(frozen=True)
class Hole:
    """One hole of a photo: the kind of its mask, and bool (S, S), true = hole."""

    masks: str
    hole: np.ndarray


class Measurement:
    """What is measured on every photo.

    Photo ``i`` gets the same masks and the same object whoever measures it, and all that is done
    with a photo is done together: no figure depends on how photos are shared by ranks.

    Args:
        photos: to measure on.
        methods: what fills the holes, by name.
        kinds: of masks.
        masks_per_photo: how many of each kind a photo gets.
        silhouettes: of the objects that are pasted and erased.
        num_ghost_photos: how many photos get one.
        lpips: to measure it; None leaves it out.
        seed: of all choices.
        batch_size: pictures that networks are given at once.
    """

    def __init__(
        self,
        photos: Photos,
        methods: Mapping[str, Fill],
        kinds: Sequence[MaskKind],
        *,
        masks_per_photo: int,
        silhouettes: Silhouettes,
        num_ghost_photos: int,
        lpips: "LPIPS | None",
        seed: int,
        batch_size: int,
    ) -> None:
        self.photos = photos
        self.methods = methods
        self._kinds = kinds
        self._masks_per_photo = masks_per_photo
        self._silhouettes = silhouettes
        self._num_ghost_photos = num_ghost_photos
        self._lpips = lpips
        self._seed = seed
        self._batch_size = batch_size

    def measure(self, index: int) -> PhotoErrors:
        """Return the errors of photo ``index``."""
        key = self.photos.key(index)
        try:
            truth = self.photos.photo(index)
        except ImageError as error:
            return PhotoErrors(index, key, damage=str(error))
        holes = self.holes(index)
        measured = tuple(
            MeasuredHole(
                photo=index,
                masks=hole.masks,
                number=number,
                hole_ratio=float(hole.hole.mean()),
                touches_border=touches_border(hole.hole),
            )
            for number, hole in enumerate(holes)
        )
        composite = self.composite(index, truth)
        ghosts = () if composite is None else self._ghost_errors(index, key, composite)
        return PhotoErrors(
            index,
            key,
            measured,
            composite is not None,
            tuple(self._hole_errors(key, truth, holes, measured)),
            tuple(ghosts),
        )

    def holes(self, index: int) -> list[Hole]:
        """Return the holes of photo ``index``; their places in the list are their numbers."""
        numbers = range(index * self._masks_per_photo, (index + 1) * self._masks_per_photo)
        return [
            Hole(kind.name, kind.hole(number, size=self.photos.size, seed=self._seed))
            for kind in self._kinds
            for number in numbers
        ]

    def composite(self, index: int, background: np.ndarray) -> Composite | None:
        """Return photo ``index`` with an object on it, or None if it is to have none."""
        if not self._has_object(index):
            return None
        rng = np.random.default_rng([self._seed, index])
        texture = self._another_photo(index, rng)[::-1]  # upside down: never its own surroundings
        return paste_object(background, texture, self._silhouettes, rng)

    def _has_object(self, index: int) -> bool:
        """Return whether an object is pasted on photo ``index``: on as many, spread evenly.

        Objects on the first photos would all be work of the first ranks.
        """
        wanted, num_photos = self._num_ghost_photos, self.photos.num_photos
        return (index + 1) * wanted // num_photos > index * wanted // num_photos

    def _another_photo(self, index: int, rng: np.random.Generator) -> np.ndarray:
        num_photos = self.photos.num_photos
        start = int(rng.integers(1, max(2, num_photos)))
        for step in range(start, start + num_photos):
            try:
                return self.photos.photo((index + step) % num_photos)
            except ImageError:
                continue
        raise AssertionError("photo `index` itself was readable a moment ago")

    def _hole_errors(
        self,
        key: str,
        truth: np.ndarray,
        holes: Sequence[Hole],
        measured: Sequence[MeasuredHole],
    ) -> Iterator[HoleError]:
        exact = _as_floats(truth)
        features = self._features(exact)
        photos = np.repeat(truth[np.newaxis], len(holes), axis=0)
        masks = np.stack([hole.hole for hole in holes])
        for method, fill in self.methods.items():
            filled = fill(photos, masks)
            distances = self._lpips_of(features, filled)
            for hole, described, result, distance in zip(
                masks, measured, filled, distances, strict=True
            ):
                if result is None:
                    continue
                found = _as_floats(result)
                yield HoleError(
                    **asdict(described),
                    key=key,
                    method=method,
                    l1=hole_l1(exact, found, hole),
                    psnr=psnr_db(exact, found),
                    ssim=ssim(exact, found),
                    lpips=distance,
                )

    def _ghost_errors(self, index: int, key: str, composite: Composite) -> Iterator[GhostError]:
        masks = erase_masks(composite)
        exact = _as_floats(composite.background)
        features = self._features(exact)
        outline = Outline(composite.silhouette, exact)
        rims = {shape: Outline(hole, exact) for shape, hole in masks.items()}
        pictures = np.repeat(composite.picture[np.newaxis], len(masks), axis=0)
        for method, fill in self.methods.items():
            filled = fill(pictures, np.stack([*masks.values()]))
            distances = self._lpips_of(features, filled)
            for (shape, hole), result, distance in zip(
                masks.items(), filled, distances, strict=True
            ):
                if result is None:
                    continue
                found = _as_floats(result)
                ghost, patch = outline.trace(found), rims[shape].trace(found)
                yield GhostError(
                    photo=index,
                    key=key,
                    method=method,
                    shape=shape,
                    hole_ratio=float(hole.mean()),
                    l1=hole_l1(exact, found, hole),
                    psnr=psnr_db(exact, found),
                    lpips=distance,
                    outline_residue=ghost.residue,
                    outline_visible=ghost.visible,
                    rim_residue=patch.residue,
                    rim_visible=patch.visible,
                )

    def _features(self, truth: np.ndarray) -> list[np.ndarray] | None:
        return None if self._lpips is None else self._lpips.features(truth[np.newaxis])

    def _lpips_of(
        self, truth_features: list[np.ndarray] | None, results: Sequence[np.ndarray | None]
    ) -> list[float | None]:
        distances: list[float | None] = [None] * len(results)
        if self._lpips is None or truth_features is None:
            return distances
        there = [(number, result) for number, result in enumerate(results) if result is not None]
        for first in range(0, len(there), self._batch_size):
            batch = there[first : first + self._batch_size]
            pictures = np.stack([_as_floats(result) for _, result in batch])
            found = self._lpips.distance(truth_features, self._lpips.features(pictures))
            for (number, _), distance in zip(batch, found, strict=True):
                distances[number] = float(distance)
        return distances


def erase_masks(composite: Composite) -> dict[str, np.ndarray]:
    """Return the hole of each mask shape for a composite's object, bool (S, S), true = hole."""
    silhouette = composite.silhouette
    dilation = default_dilation(int(np.count_nonzero(silhouette)))
    return {shape: shape_mask(silhouette, shape, dilation) for shape in MASK_SHAPES}


def _as_floats(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / np.float32(255)
