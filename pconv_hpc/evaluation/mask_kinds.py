"""Which masks an evaluation measures with: kinds that are drawn for it, and banks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pconv_hpc.data.disk import writing
from pconv_hpc.data.mask_bank import MaskBank, draw_bank
from pconv_hpc.data.mask_drawing import STYLES
from pconv_hpc.data.mask_variation import MaskVariation
from pconv_hpc.errors import UsageError
from pconv_hpc.mpi import World

_NUM_MASKS = 600  # a hundred in each bin


@dataclass(frozen=True)
class MaskKind:
    """Masks of one style out of one bank; each measurement takes one of them."""

    name: str
    source: str
    bank: MaskBank
    candidates: tuple[np.ndarray, ...]  # indices into the bank, of each bin that it has

    def hole(self, number: int, *, size: int, seed: int) -> np.ndarray:
        """Return the hole of measurement ``number``, bool (size, size), true = hole.

        Measurements in a row take the bins of hole ratios in turn; which mask of the bin follows
        from the seed and the number alone.
        """
        candidates = self.candidates[number % len(self.candidates)]
        index = np.random.default_rng([seed, number]).integers(len(candidates))
        masks = self.bank.valid_masks(candidates[[index]])
        return np.asarray(MaskVariation(self.bank.size, size, 0.0).centre(masks)[0] == 0)


def open_mask_kinds(
    names: Sequence[str],
    out_dir: Path,
    *,
    size: int,
    seed: int,
    objects_from: Path,
    world: World,
) -> list[MaskKind]:
    """Open the masks that ``names`` stand for. All ranks call this; rank 0 draws.

    Args:
        names: ``strokes``, ``boxes``, ``objects``, or the path of a mask bank, which stands for
            every style in it; each once. Kinds of a bank begin with its file's name, with all of
            its path where two banks' files have the same name.
        out_dir: where banks are drawn, ``masks_strokes.h5`` and so on.
        size: side of the photos, pixels.
        seed: of what is drawn.
        objects_from: silhouettes for ``objects``, see ``draw_bank``.
        world: the ranks.

    Raises:
        UsageError: a bank is missing, damaged or too small, or is another one than would be drawn,
            or masks are named twice.
        PconvError: a bank cannot be written.
    """
    bank_names = _bank_names(names)
    kinds = []
    for name in names:
        if name in STYLES:
            path = out_dir / f"masks_{name}.h5"
            if world.is_first:
                with writing(path):
                    draw_bank(
                        path,
                        num_masks=_NUM_MASKS,
                        size=size,
                        style_weights={name: 1.0},
                        objects_from=objects_from if name == "objects" else None,
                        seed=seed,
                        show_progress=True,
                    )
            world.barrier()
            kinds += _kinds_of(MaskBank(path), size, prefix="")
        else:
            kinds += _kinds_of(_open_bank(Path(name)), size, prefix=f"{bank_names[name]}: ")
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
            "one with tools/make_masks.py"
        )
    return MaskBank(path)


def _kinds_of(bank: MaskBank, size: int, *, prefix: str) -> list[MaskKind]:
    if bank.size < size:
        raise UsageError(
            f"{bank.path}: its masks have {bank.size} pixels a side, fewer than --size {size}; "
            "draw another with tools/make_masks.py"
        )
    kinds = []
    for style in np.unique(bank.styles):
        of_style = bank.styles == style
        candidates = tuple(
            np.flatnonzero(of_style & (bank.bins == number))
            for number in np.unique(bank.bins[of_style])
        )
        name = f"{prefix}{bank.style_names[style]}"
        kinds.append(MaskKind(name, str(bank.path), bank, candidates))
    return kinds
