"""A bank of masks in one HDF5 file: drawn once, bit-packed, read by all ranks.

Layout: ``bits`` uint8 (N, S, ceil(S / 8)), one bit a pixel, 1 = valid, the first pixel of a row in
the highest bit; ``hole_ratios`` float32 (N,); ``styles`` uint8 (N,), indices into the names in its
attribute ``names``; ``bins`` uint8 (N,), see :data:`pconv_hpc.masks.mask_drawing.BIN_EDGES`.
Attributes of the file: ``format_version``; as texts ``size``, ``seed``, ``style_weights`` and
``objects_sha256``, what the masks were drawn from; ``sha256`` of all that the datasets hold.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from pconv_hpc.foundation.arrays.hdf5 import (
    get_contiguous_dataset,
    h5py,
    open_for_reading,
    open_for_writing,
    text_attribute,
)
from pconv_hpc.foundation.atomic import atomic_path
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_drawing import (
    MAX_SIZE,
    MIN_SIZE,
    NUM_BINS,
    STYLES,
    MaskPlan,
    bin_of,
    draw_mask,
)
from pconv_hpc.masks.mask_workers import draw_in_order
from pconv_hpc.masks.silhouettes import Silhouettes

FORMAT_VERSION = 1
_MAX_MASKS = 10_000_000


class MaskBank:
    """Read-only view of a mask bank; the bits stay on disk (memory-mapped, shared by ranks).

    Attributes:
        path: the file.
        num_masks, size: N masks of S x S pixels.
        hole_ratios: float32 (N,), share of hole pixels, in (0, 1).
        styles: uint8 (N,), indices into ``style_names``.
        bins: uint8 (N,), the bin of each hole ratio, 0 to 5.
        fingerprint: SHA-256 of the masks, in hexadecimal, as the file states it.

    Raises:
        UsageError: the file is missing, damaged or no mask bank of this format version.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        with open_for_reading(self.path) as file:
            self._check_version(file)
            bits = get_contiguous_dataset(file, "bits")
            self._check_bits(bits)
            self.num_masks, self.size = bits.shape[:2]
            self.hole_ratios = self._column(file, "hole_ratios", np.float32)
            self.styles = self._column(file, "styles", np.uint8)
            self.bins = self._column(file, "bins", np.uint8)
            names = text_attribute(get_contiguous_dataset(file, "styles"), "names")
            self.style_names = tuple(names.split(","))
            self.recipe = {
                name: text_attribute(file, name)
                for name in ("size", "seed", "style_weights", "objects_sha256")
            }
            self.fingerprint = text_attribute(file, "sha256")
            offset, shape = bits.id.get_offset(), bits.shape
        if not ((self.hole_ratios > 0) & (self.hole_ratios < 1)).all():
            raise UsageError(f"{self.path}: has hole ratios outside (0, 1); draw the bank again")
        if (self.styles >= len(self.style_names)).any():
            raise UsageError(f"{self.path}: has styles without a name; draw the bank again")
        if (self.bins >= NUM_BINS).any():
            raise UsageError(f"{self.path}: has bins that do not exist; draw the bank again")
        self._bits = np.memmap(self.path, np.uint8, mode="r", offset=offset, shape=shape)

    def _check_version(self, file: h5py.File) -> None:
        version = file.attrs.get("format_version")
        if not np.array_equal(version, FORMAT_VERSION):
            raise UsageError(
                f"{self.path}: format_version is {version!r}, expected {FORMAT_VERSION}: not a "
                "mask bank of this version; draw one with pconv-hpc make-masks"
            )

    def _check_bits(self, bits: h5py.Dataset) -> None:
        fits = (
            bits.dtype == np.uint8
            and bits.ndim == 3
            and bits.shape[0] >= 1
            and MIN_SIZE <= bits.shape[1] <= MAX_SIZE
            and bits.shape[2] == -(-bits.shape[1] // 8)
        )
        if not fits:
            raise UsageError(
                f"{self.path}: 'bits' is {bits.dtype} {bits.shape}; expected uint8 "
                "(N, S, S / 8), at least one mask: draw the bank again with pconv-hpc make-masks"
            )

    def _column(self, file: h5py.File, name: str, dtype: type) -> NDArray:
        dataset = get_contiguous_dataset(file, name)
        if dataset.shape != (self.num_masks,) or dataset.dtype != dtype:
            raise UsageError(
                f"{self.path}: {name!r} is {dataset.dtype} {dataset.shape}; expected "
                f"{np.dtype(dtype)} ({self.num_masks},): draw the bank again"
            )
        return np.asarray(dataset[:])

    def valid_masks(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Return masks as uint8 (n, S, S), 1 = valid pixel, 0 = hole, for int indices (n,)."""
        return np.unpackbits(self.packed_masks(indices), axis=-1, count=self.size)

    def packed_masks(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Return masks as uint8 (n, S, ⌈S / 8⌉), eight pixels a byte as by ``np.packbits``."""
        return self._bits[np.asarray(indices)]

    def select(
        self, min_ratio: float = 0.0, max_ratio: float = 1.0, style: str | None = None
    ) -> NDArray[np.int64]:
        """Return the indices of masks with a hole ratio in (min_ratio, max_ratio], in order.

        Args:
            min_ratio, max_ratio: limits as in the paper's bins: 0.1 and 0.2 give the second one.
            style: only this one, by name; all where it is None.

        Raises:
            UsageError: the bank knows no such style.
        """
        chosen = (self.hole_ratios > min_ratio) & (self.hole_ratios <= max_ratio)
        if style is not None:
            if style not in self.style_names:
                raise UsageError(
                    f"{self.path}: has no style {style!r}; its styles: "
                    + ", ".join(self.style_names)
                )
            chosen &= self.styles == self.style_names.index(style)
        return np.flatnonzero(chosen)

    def verify(self) -> None:
        """Read everything and compare it with the checksum in the file.

        Raises:
            UsageError: they differ.
        """
        digest = hashlib.sha256()
        for bits in self._bits:
            digest.update(bits.tobytes())
        for column in (self.hole_ratios, self.styles, self.bins):
            digest.update(column.tobytes())
        if digest.hexdigest() != self.fingerprint:
            raise UsageError(f"{self.path}: its checksum does not match; draw it again")


def draw_bank(
    path: Path,
    *,
    num_masks: int,
    size: int,
    style_weights: Mapping[str, float],
    objects_from: Path | None = None,
    seed: int = 0,
    workers: int = 1,
    show_progress: bool = False,
) -> None:
    """Draw a bank and write it to ``path``, whole or not at all.

    Where ``path`` already is the bank that would be drawn, it is left alone.

    Mask ``i`` depends on the seed, ``i``, the size, the weights and the silhouettes alone: the file
    is the same, byte by byte, for any number of workers, and a longer bank begins with a shorter.

    Args:
        path: the HDF5 file to write.
        num_masks: N >= 1.
        size: S, side of the masks in pixels.
        style_weights: share of each style of ``mask_drawing.STYLES``; missing ones are 0.
        objects_from: silhouette file or folder of mask PNGs for the style ``objects``.
        seed: 0 <= seed < 2^64.
        workers: processes that draw; 1 draws in this process.
        show_progress: draw a progress bar on standard error.

    Raises:
        UsageError: an argument is out of range, ``objects_from`` cannot be used, or ``path`` is
            another bank or no bank at all.
    """
    plan = MaskPlan(size=size, seed=seed, style_weights=style_weights)
    if not 1 <= num_masks <= _MAX_MASKS:
        raise UsageError(f"{num_masks} masks are asked for; expected 1 to {_MAX_MASKS:,}")
    silhouettes = load_silhouettes(plan, objects_from)
    recipe = _recipe(plan, silhouettes)
    if Path(path).exists():
        _check_same(MaskBank(path), recipe, num_masks)
        return
    with atomic_path(Path(path)) as temporary, open_for_writing(temporary) as file:
        file.attrs["format_version"] = FORMAT_VERSION
        for name, text in recipe.items():
            file.attrs[name] = text
        masks = draw_in_order(partial(draw_mask, plan, silhouettes), num_masks, workers)
        with tqdm(masks, "drawing masks", num_masks, disable=not show_progress) as counted:
            file.attrs["sha256"] = _write_masks(file, plan, counted, num_masks)


def load_silhouettes(plan: MaskPlan, objects_from: Path | None) -> Silhouettes | None:
    """Read the silhouettes that a plan needs; None where it draws no objects."""
    if plan.style_weights["objects"] == 0:
        return None
    if objects_from is None:
        raise UsageError("object masks need a silhouette file or a folder of mask PNGs")
    return Silhouettes.from_path(Path(objects_from), seed=plan.seed)


def _recipe(plan: MaskPlan, silhouettes: Silhouettes | None) -> dict[str, str]:
    """Return all that masks follow from, as texts."""
    return {
        "size": str(plan.size),
        "seed": str(plan.seed),
        "style_weights": json.dumps(plan.style_weights),
        "objects_sha256": silhouettes.fingerprint() if silhouettes else "none",
    }


def _check_same(bank: MaskBank, recipe: Mapping[str, str], num_masks: int) -> None:
    found = {**bank.recipe, "num_masks": str(bank.num_masks)}
    wanted = {**recipe, "num_masks": str(num_masks)}
    differences = [
        f"{name} is {found[name]}, wanted {wanted[name]}"
        for name in wanted
        if found[name] != wanted[name]
    ]
    if differences:
        raise UsageError(
            f"{bank.path}: already exists and is another bank ({'; '.join(differences)}); remove "
            "it or choose another name"
        )


def _write_masks(
    file: h5py.File,
    plan: MaskPlan,
    masks: Iterable[NDArray[np.uint8]],
    num_masks: int,
) -> str:
    """Write the masks as they come; return the SHA-256 of what the datasets hold."""
    digest = hashlib.sha256()
    shape = (num_masks, plan.size, -(-plan.size // 8))
    dataset = file.create_dataset("bits", shape, np.uint8, track_times=False)
    exact_ratios = np.empty(num_masks)
    for index, mask in enumerate(masks):
        bits = np.packbits(mask, axis=-1)
        dataset[index] = bits
        digest.update(bits.tobytes())
        exact_ratios[index] = np.count_nonzero(mask == 0) / mask.size
    hole_ratios = exact_ratios.astype(np.float32)
    styles = np.array([STYLES.index(plan.style(i)) for i in range(num_masks)], np.uint8)
    bins = bin_of(exact_ratios).astype(np.uint8)  # float32 rounds 60% to above the last edge
    for name, column in (("hole_ratios", hole_ratios), ("styles", styles), ("bins", bins)):
        file.create_dataset(name, data=column, track_times=False)
        digest.update(column.tobytes())
    file["styles"].attrs["names"] = ",".join(STYLES)
    return digest.hexdigest()
