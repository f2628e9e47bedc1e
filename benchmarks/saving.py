"""What saving a checkpoint costs the training that goes on beside it.

    python -m benchmarks.saving FOLDER

Trains the paper's network for 512 × 512 photos (33 million parameters) on small images, so that
steps are short, and saves it several times. Prints one JSON object: stall_seconds (the longest that
a step waited for a save to begin), lost_seconds (what a save took from training in all: the stall,
and how much longer the steps were while it was written) and written_mib.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

_NUM_SAVES = 3
_STEPS_BETWEEN = 4
_MIB = 1 << 20


def main() -> None:
    """Train, save, measure, print."""
    folder = Path(sys.argv[1])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from pconv_hpc.foundation.config import config_from_mapping, config_to_mapping
    from pconv_hpc.model.losses import InpaintingLoss
    from pconv_hpc.model.unet import build_pconv_unet
    from pconv_hpc.shards.loader import Batch
    from pconv_hpc.training.checkpoint import CheckpointStore
    from pconv_hpc.training.distributed import Ranks
    from pconv_hpc.training.step import (
        TrainingStep,
        build_optimizer,
        read_outcome,
        variable_groups,
        variable_snapshots,
    )

    config = config_from_mapping({"model": {"levels": 8}, "train": {"global_batch_size": 1}})
    model = build_pconv_unet(config.model)
    optimizer = build_optimizer(
        config.optimizer, global_batch_size=1, total_steps=1000, precision="float32"
    )
    optimizer.build(model.trainable_variables)
    step = TrainingStep(
        model=model,
        loss=InpaintingLoss(config.loss, None),
        optimizer=optimizer,
        ranks=Ranks(),
        config=config,
    )
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    masks = np.ones((1, 64, 64, 1), np.uint8)
    masks[:, 20:40, 20:40] = 0
    batch = Batch(0, images, masks, np.zeros(1, np.int64))

    def one_step() -> float:
        began = time.perf_counter()
        read_outcome(step(batch, stop=False, save=False))
        return time.perf_counter() - began

    one_step(), one_step()
    store = CheckpointStore(folder, keep=2)
    undisturbed: list[float] = []
    stalls: list[float] = []
    lost: list[float] = []
    for number in range(_NUM_SAVES):
        undisturbed += [one_step() for _ in range(_STEPS_BETWEEN)]
        usual = statistics.median(undisturbed)
        began = time.perf_counter()
        groups = variable_groups(model, optimizer)
        arrays = {name: variable_snapshots(group) for name, group in groups.items()}
        store.save(number, arrays, {"config": config_to_mapping(config)})
        stalls.append(time.perf_counter() - began)
        disturbed = []
        while store.is_writing:
            disturbed.append(one_step())
        lost.append(stalls[-1] + sum(max(0.0, seconds - usual) for seconds in disturbed))
        store.wait()
    written = max(path.stat().st_size for path in folder.glob("*.h5"))
    found = {
        "stall_seconds": max(stalls),
        "lost_seconds": statistics.median(lost),
        "written_mib": written / _MIB,
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
