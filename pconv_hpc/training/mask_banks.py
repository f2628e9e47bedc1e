"""The mask banks a run trains and validates on: named by its configuration, or drawn at start."""

import logging
import os
from pathlib import Path

from pconv_hpc.foundation.config import RunConfig
from pconv_hpc.masks.mask_bank import MaskBank, draw_bank
from pconv_hpc.training.distributed import Ranks

_LOG = logging.getLogger(__name__)
_TRAIN, _VAL = "train.h5", "val.h5"
_NUM_VALIDATION_MASKS = 240
_MAX_WORKERS = 16
_MASKS_PER_WORKER = 1000  # fewer are drawn before another process has started


def open_mask_banks(
    config: RunConfig, directory: Path, ranks: Ranks, *, show_progress: bool
) -> tuple[MaskBank, MaskBank]:
    """Return the training and the validation bank.

    A bank that the configuration does not name is drawn by rank 0 into ``directory``, once in the
    life of a run; validation masks follow another seed, so they are none that training sees.
    """
    paths = []
    for name, given, num_masks, seed in (
        (_TRAIN, config.masks.train_bank, config.masks.num_masks, config.train.seed),
        (_VAL, config.masks.val_bank, _NUM_VALIDATION_MASKS, config.validation.seed + 2**32),
    ):
        path = Path(given) if given else directory / name
        if not given and ranks.is_first and not path.is_file():
            _LOG.info("drawing %d masks into %s", num_masks, path)
            draw_bank(
                path,
                num_masks=num_masks,
                size=config.data.image_size,
                style_weights={
                    "strokes": config.masks.strokes,
                    "boxes": config.masks.boxes,
                    "objects": config.masks.objects,
                },
                objects_from=Path(config.masks.objects_from) if config.masks.objects_from else None,
                seed=seed,
                workers=_num_workers(num_masks),
                show_progress=show_progress,
            )
        paths.append(path)
    ranks.barrier()
    return MaskBank(paths[0]), MaskBank(paths[1])


def remove_drawn_banks(directory: Path) -> None:
    """Remove what ``open_mask_banks`` drew for other settings."""
    for name in (_TRAIN, _VAL):
        (directory / name).unlink(missing_ok=True)


def _num_workers(num_masks: int) -> int:
    """Return how many processes draw a bank: the other ranks, and their GPUs, wait for it."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(_MAX_WORKERS, cores, num_masks // _MASKS_PER_WORKER))
