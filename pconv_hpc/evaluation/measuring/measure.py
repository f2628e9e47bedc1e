"""Measuring one photo after the other: its holes, and an object pasted on it and erased again."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from pconv_hpc.evaluation.figures.ghost_error import GhostError
from pconv_hpc.evaluation.figures.ghosting import Outline
from pconv_hpc.evaluation.figures.hole_error import (
    HoleError,
    MeasuredHole,
    hole_l1,
    psnr_db,
    ssim,
    touches_border,
)
from pconv_hpc.evaluation.figures.texture import TextureRatio
from pconv_hpc.evaluation.measuring.baselines import Fill
from pconv_hpc.evaluation.measuring.composites import Composite, paste_object
from pconv_hpc.evaluation.measuring.contact_sheet import SheetRow, sheet_row
from pconv_hpc.evaluation.measuring.mask_kinds import MaskKind
from pconv_hpc.evaluation.measuring.photos import Photos
from pconv_hpc.foundation.errors import Interrupted
from pconv_hpc.masks.mask_drawing import NUM_BINS
from pconv_hpc.masks.mask_growing import MASK_SHAPES, default_dilation, shape_mask
from pconv_hpc.masks.silhouettes import Silhouettes
from pconv_hpc.photos.decode import ImageError

if TYPE_CHECKING:  # it needs Keras, which the baselines do without
    from pconv_hpc.evaluation.figures.lpips import LPIPS


@dataclass(frozen=True)
class PhotoErrors:
    """All that was measured on one photo; ``damage`` says why it could not be.

    ``holes`` and ``ghosts`` are of what was filled. ``measured`` are all holes, and ``has_object``
    tells whether there was an object to erase. ``sheet`` is what the contact sheet shows of it.
    """

    photo: int
    key: str
    measured: tuple[MeasuredHole, ...] = ()
    has_object: bool = False
    holes: tuple[HoleError, ...] = ()
    ghosts: tuple[GhostError, ...] = ()
    sheet: SheetRow | None = None
    damage: str | None = None


@dataclass(frozen=True)
class Hole:
    """One hole of a photo: the kind of its mask, and bool (H, W), true = hole."""

    masks: str
    hole: np.ndarray


@dataclass(frozen=True)
class _Truth:
    """What results are compared with.

    Attributes:
        pixels: uint8 (H, W, 3); ``exact`` the same, float32 in [0, 1].
        features: for LPIPS, which may be left out.
    """

    pixels: np.ndarray
    exact: np.ndarray
    features: list[np.ndarray] | None


class Measurement:
    """What is measured on every photo.

    Photo ``i`` gets the same masks and the same object whoever measures it: no figure but the
    seconds depends on how photos are shared by ranks. Holes are filled one by one, so that memory
    depends on the largest photo alone, and seconds are those of one photo.

    Args:
        photos: to measure on.
        methods: what fills the holes, by name.
        kinds: of masks.
        masks_per_photo: how many of each kind a photo gets.
        silhouettes: of the objects that are pasted and erased.
        num_ghost_photos: how many photos get one.
        num_sheet_photos: how many of the first photos the contact sheet shows.
        lpips: to measure it; None leaves it out.
        seed: of all choices.
        should_stop: asked before each hole is filled.
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
        num_sheet_photos: int,
        lpips: "LPIPS | None",
        seed: int,
        should_stop: Callable[[], bool],
    ) -> None:
        self.photos = photos
        self.methods = methods
        self._kinds = kinds
        self._masks_per_photo = masks_per_photo
        self._silhouettes = silhouettes
        self._num_ghost_photos = num_ghost_photos
        self._num_sheet_photos = num_sheet_photos
        self._lpips = lpips
        self._seed = seed
        self._should_stop = should_stop

    def measure(self, index: int) -> PhotoErrors:
        """Return the errors of photo ``index``.

        Raises:
            Interrupted: ``should_stop`` said so.
        """
        key = self.photos.key(index)
        try:
            pixels = self.photos.photo(index)
            holes = self.holes(index, pixels.shape[:2])
        except ImageError as error:
            return PhotoErrors(index, key, damage=str(error))
        exact = _as_floats(pixels)
        truth = _Truth(pixels, exact, self._features(exact))
        measured: list[MeasuredHole] = []
        errors: list[HoleError] = []
        sheet = None
        shown = self._shown_on_sheet(index)
        for number, hole in enumerate(holes):
            texture = TextureRatio(exact, hole.hole)
            described = MeasuredHole(
                photo=index,
                masks=hole.masks,
                number=number,
                hole_ratio=float(hole.hole.mean()),
                touches_border=touches_border(hole.hole),
                photo_texture=texture.of(exact),
            )
            measured.append(described)
            results: dict[str, np.ndarray] | None = {} if number == shown else None
            found = [*self._hole_errors(key, truth, hole.hole, described, texture, results)]
            errors += found
            if results is not None:
                sheet = sheet_row(pixels, hole.hole, results, found, key=key)
        composite = self.composite(index, pixels)
        ghosts = () if composite is None else self._ghost_errors(index, key, truth, composite)
        return PhotoErrors(
            index,
            key,
            tuple(measured),
            composite is not None,
            tuple(errors),
            tuple(ghosts),
            sheet,
        )

    def holes(self, index: int, shape: tuple[int, int]) -> list[Hole]:
        """Return the holes of photo ``index``, of that shape; their places are their numbers.

        Raises:
            ImageError: the photo is too narrow for them.
        """
        numbers = range(index * self._masks_per_photo, (index + 1) * self._masks_per_photo)
        return [
            Hole(kind.name, kind.hole(number, shape=shape))
            for kind in self._kinds
            for number in numbers
        ]

    def _shown_on_sheet(self, index: int) -> int | None:
        """Return which hole of a photo is on the contact sheet: kinds and bins in turn."""
        if index >= self._num_sheet_photos:
            return None
        turn = index + index // NUM_BINS  # else kinds would always meet the same bins
        kind = turn % len(self._kinds)
        return kind * self._masks_per_photo + index % self._masks_per_photo

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
        truth: _Truth,
        hole: np.ndarray,
        described: MeasuredHole,
        texture: TextureRatio,
        results: dict[str, np.ndarray] | None,
    ) -> Iterator[HoleError]:
        """Fill one hole with each method; put what they made into ``results``, if wanted."""
        for method, fill in self.methods.items():
            result, seconds = self._filled(fill, truth.pixels, hole)
            if result is None:
                continue
            if results is not None:
                results[method] = result
            found = _as_floats(result)
            yield HoleError(
                **asdict(described),
                key=key,
                method=method,
                l1=hole_l1(truth.exact, found, hole),
                psnr=psnr_db(truth.exact, found),
                ssim=ssim(truth.exact, found),
                lpips=self._distance(truth, found),
                texture=texture.of(found),
                seconds=seconds,
            )

    def _ghost_errors(
        self, index: int, key: str, truth: _Truth, composite: Composite
    ) -> Iterator[GhostError]:
        outline = Outline(composite.silhouette, truth.exact)
        for shape, hole in erase_masks(composite).items():
            rim = Outline(hole, truth.exact)
            for method, fill in self.methods.items():
                result, seconds = self._filled(fill, composite.picture, hole)
                if result is None:
                    continue
                found = _as_floats(result)
                ghost, patch = outline.trace(found), rim.trace(found)
                yield GhostError(
                    photo=index,
                    key=key,
                    method=method,
                    shape=shape,
                    hole_ratio=float(hole.mean()),
                    l1=hole_l1(truth.exact, found, hole),
                    psnr=psnr_db(truth.exact, found),
                    lpips=self._distance(truth, found),
                    outline_residue=ghost.residue,
                    outline_visible=ghost.visible,
                    rim_residue=patch.residue,
                    rim_visible=patch.visible,
                    seconds=seconds,
                )

    def _filled(
        self, fill: Fill, photo: np.ndarray, hole: np.ndarray
    ) -> tuple[np.ndarray | None, float]:
        """Return a filled photo, and how many seconds that took."""
        if self._should_stop():
            raise Interrupted("stopped before the end; the same command starts over")
        started = time.perf_counter()
        result = fill(photo, hole)
        return result, time.perf_counter() - started

    def _features(self, picture: np.ndarray) -> list[np.ndarray] | None:
        return None if self._lpips is None else self._lpips.features(picture[np.newaxis])

    def _distance(self, truth: _Truth, found: np.ndarray) -> float | None:
        features = self._features(found)
        if self._lpips is None or features is None or truth.features is None:
            return None
        return float(self._lpips.distance(truth.features, features)[0])


def erase_masks(composite: Composite) -> dict[str, np.ndarray]:
    """Return the hole of each mask shape for a composite's object, bool (H, W), true = hole."""
    silhouette = composite.silhouette
    dilation = default_dilation(int(np.count_nonzero(silhouette)))
    return {shape: shape_mask(silhouette, shape, dilation) for shape in MASK_SHAPES}


def _as_floats(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / np.float32(255)
