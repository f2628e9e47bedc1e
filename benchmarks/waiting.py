"""How long training waits for its photos and masks.

    python -m benchmarks.waiting FOLDER STEPS

Trains a quarter of the paper's width without VGG16, so that steps are short and the loader has
little time, on photos of 256 × 256. Prints one JSON object: waiting_seconds and step_seconds, of
all steps together; the second holds the first.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.loading import ImagesInMemory
from benchmarks.steps import build_step
from pconv_hpc.foundation.config import DataConfig, MasksConfig
from pconv_hpc.masks.mask_bank import MaskBank, draw_bank
from pconv_hpc.shards.loader import BatchLoader
from pconv_hpc.training.distributed import Ranks
from pconv_hpc.training.step import read_outcome

_SIZE = 256
_BATCH_SIZE = 8
_BASE_CHANNELS = 16
_NUM_MASKS = 256
_WARM_UP_STEPS = 2


def main() -> None:
    """Train, measure, print."""
    bank, num_steps = Path(sys.argv[1]) / "waiting.h5", int(sys.argv[2])
    draw_bank(bank, num_masks=_NUM_MASKS, size=_SIZE, style_weights={"strokes": 1.0})
    ranks = Ranks()
    step = build_step(
        ranks,
        image_size=_SIZE,
        batch=_BATCH_SIZE,
        base_channels=_BASE_CHANNELS,
        plain=False,
        vgg=False,
    )
    waiting = total = 0.0
    with BatchLoader(
        ImagesInMemory(),
        MaskBank(bank),
        DataConfig(image_size=_SIZE),
        MasksConfig(),
        seed=0,
        global_batch_size=_BATCH_SIZE,
    ) as loader:
        for number in range(_WARM_UP_STEPS + num_steps):
            began = time.perf_counter()
            batch = next(loader)
            loaded = time.perf_counter()
            read_outcome(step(batch, stop=False, save=False))
            if number >= _WARM_UP_STEPS:
                waiting += loaded - began
                total += time.perf_counter() - began
    print(json.dumps({"waiting_seconds": waiting, "step_seconds": total}), flush=True)
    ranks.shutdown()


if __name__ == "__main__":
    main()
