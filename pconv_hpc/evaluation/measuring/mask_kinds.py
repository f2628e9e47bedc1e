"""Which masks an evaluation measures with: kinds that are drawn for it, and banks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.masks.mask_bank import MaskBank
from pconv_hpc.masks.mask_drawing import NUM_BINS, STYLES, MaskPlan, draw_mask
from pconv_hpc.masks.silhouettes import Silhouettes
from pconv_hpc.photos.decode import ImageError

_MASKS_OF_BIN = 100  # that are chosen from


class MaskKind(Protocol):
    """Masks of one kind; each measurement takes one of them.

    Attributes:
        name: of the kind.
        source: where they are from, in words.
        fingerprint: SHA-256 of the bank they are from; None where they are drawn.
    """

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def fingerprint(self) -> str | None: ...

    def hole(self, number: int, *, shape: tuple[int, int]) -> np.ndarray:
        """Return the hole of measurement ``number``, bool (H, W), true = hole.

        Measurements in a row take the bins of hole ratios in turn; which mask of the bin follows
        from the seed and the number alone.

        Raises:
            ImageError: no such mask can be drawn on a photo of that shape.
            UsageError: the bank's mask has no hole or nothing else at that shape.
        """


@dataclass(frozen=True)
class DrawnKind:
    """Masks drawn at the photo's size; see ``MaskKind``."""

    name: str
    silhouettes: Silhouettes
    seed: int
    source: str = "drawn at each photo's size"
    fingerprint: str | None = None

    def hole(self, number: int, *, shape: tuple[int, int]) -> np.ndarray:
        plan = MaskPlan(size=max(shape), seed=self.seed, style_weights={self.name: 1.0})
        choice = int(np.random.default_rng([self.seed, number]).integers(_MASKS_OF_BIN))
        index = choice * NUM_BINS + number % NUM_BINS
        try:
            return np.asarray(draw_mask(plan, self.silhouettes, index, shape=shape) == 0)
        except UsageError:
            raise
        except PconvError as error:  # a photo may be too narrow for holes that large
            raise ImageError(str(error)) from error


@dataclass(frozen=True)
class BankKind:
    """Masks of one style out of one bank, scaled to the photo's sides; see ``MaskKind``."""

    name: str
    bank: MaskBank
    candidates: tuple[np.ndarray, ...]  # indices into the bank, of each bin that it has
    seed: int

    @property
    def source(self) -> str:
        return str(self.bank.path)

    @property
    def fingerprint(self) -> str:
        return self.bank.fingerprint

    def hole(self, number: int, *, shape: tuple[int, int]) -> np.ndarray:
        candidates = self.candidates[number % len(self.candidates)]
        index = np.random.default_rng([self.seed, number]).integers(len(candidates))
        [valid] = self.bank.valid_masks(candidates[[index]])
        rows, columns = (np.arange(side) * self.bank.size // side for side in shape)
        hole = np.asarray(valid[np.ix_(rows, columns)] == 0)
        if hole.all() or not hole.any():
            raise UsageError(
                f"{self.bank.path}: mask {candidates[index]} is all hole or all valid on a photo "
                f"of {shape[1]} x {shape[0]} pixels; draw another bank with pconv-hpc make-masks"
            )
        return hole


def open_mask_kinds(names: Sequence[str], *, seed: int, silhouettes: Silhouettes) -> list[MaskKind]:
    """Open the masks that ``names`` stand for.

    Args:
        names: ``strokes``, ``boxes``, ``objects``, or the path of a mask bank, which stands for
            every style in it; each once. Kinds of a bank begin with its file's name, with all of
            its path where two banks' files have the same name.
        seed: of what is drawn, and of the choice.
        silhouettes: for ``objects``.

    Raises:
        UsageError: a bank is missing or damaged, or masks are named twice.
    """
    bank_names = _bank_names(names)
    kinds: list[MaskKind] = []
    for name in names:
        if name in STYLES:
            kinds.append(DrawnKind(name, silhouettes, seed))
        else:
            kinds += _kinds_of(_open_bank(Path(name)), seed, prefix=f"{bank_names[name]}: ")
    return kinds


def _bank_names(names: Sequence[str]) -> dict[str, str]:
    """Return what tells each bank among ``names`` apart from the others."""
    if len({Path(name) for name in names}) < len(names):
        raise UsageError(f"--masks {' '.join(names)}: names the same masks twice; name them once")
    banks = [name for name in names if name not in STYLES]
    stems = [Path(name).stem for name in banks]
    distinct = len(set(stems)) == len(stems)
    return dict(zip(banks, stems if distinct else [str(Path(name)) for name in banks], strict=True))


def _open_bank(path: Path) -> MaskBank:
    if not path.is_file():
        raise UsageError(
            f"--masks {path}: neither a kind of masks ({', '.join(STYLES)}) nor a mask bank; draw "
            "one with pconv-hpc make-masks"
        )
    return MaskBank(path)


def _kinds_of(bank: MaskBank, seed: int, *, prefix: str) -> list[BankKind]:
    kinds = []
    for style in np.unique(bank.styles):
        of_style = bank.styles == style
        candidates = tuple(
            np.flatnonzero(of_style & (bank.bins == number))
            for number in np.unique(bank.bins[of_style])
        )
        kinds.append(BankKind(f"{prefix}{bank.style_names[style]}", bank, candidates, seed))
    return kinds
