#!/usr/bin/env python
"""Train the small Mask R-CNN of the tests, through MMDetection, on photos with pasted shapes.

Reads small_mask_rcnn.py beside this file, draws its training photos as it goes, and writes the
weights in half precision beside it. The state is saved every few minutes; the same command
continues from it. Every line of the log gives the mask AP50 on photos that training never sees.
"""

import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))  # the repository

from mmdet.registry import MODELS  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402
from mmdet.structures.mask import BitmapMasks  # noqa: E402
from mmdet.utils import register_all_modules  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.optim import OptimWrapper  # noqa: E402
from mmengine.structures import InstanceData  # noqa: E402
from tqdm import tqdm  # noqa: E402

from pconv_hpc.foundation.atomic import atomic_path  # noqa: E402
from pconv_hpc.options import cli  # noqa: E402
from tests.support.assets.average_precision import mask_ap50  # noqa: E402
from tests.support.assets.shape_photos import CLASSES, ShapePhoto, ShapePhotos  # noqa: E402

CONFIG = HERE / "small_mask_rcnn.py"
_VALIDATION_PHOTOS = 48
_EXAMPLES = """\
  # the command that made small_mask_rcnn.pth
  python tests/support/assets/train_small_mask_rcnn.py
"""


def main() -> int:
    """Build the network, continue where an earlier run stopped, train, write the weights."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("--out", type=Path, default=HERE / "small_mask_rcnn.pth")
    parser.add_argument("--state", type=Path, default=Path("build/small_mask_rcnn_state.pth"))
    parser.add_argument("--iterations", type=cli.positive_int, default=700)
    parser.add_argument("--batch-size", type=cli.positive_int, default=8)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=cli.positive_int, default=1)
    parser.add_argument("--evaluate-every", type=cli.positive_int, default=100)
    parser.add_argument("--save-every", type=cli.positive_int, default=100)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    np.random.seed(arguments.seed)  # noqa: NPY002 - MMDetection's samplers draw from it
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.learning_rate, weight_decay=0.02)
    wrapper = OptimWrapper(optimizer, clip_grad={"max_norm": 10.0})
    first = _restore(arguments.state, model, optimizer)
    photos = ShapePhotos(seed=arguments.seed, held_out=False)
    unseen = ShapePhotos(seed=arguments.seed + 1, held_out=True)
    validation = [unseen[index] for index in range(_VALIDATION_PHOTOS)]

    started = time.monotonic()
    for iteration in tqdm(range(first, arguments.iterations), initial=first, mininterval=20):
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(iteration, arguments.learning_rate, arguments.iterations)
        indices = range(iteration * arguments.batch_size, (iteration + 1) * arguments.batch_size)
        losses = model.train_step(pack([photos[index] for index in indices]), wrapper)
        finished = iteration + 1
        if finished % arguments.save_every == 0:
            _save(arguments.state, model, optimizer, finished)
        if finished % arguments.evaluate_every == 0 or finished == arguments.iterations:
            parts = " ".join(f"{name} {value.item():.3f}" for name, value in losses.items())
            tqdm.write(
                f"iteration {finished}, {time.monotonic() - started:.0f} s: "
                f"AP50 {evaluate(model, validation):.3f}, {parts}"
            )
    save_half(arguments.out, model)
    return 0


def build_model() -> torch.nn.Module:
    """Return the network with freshly drawn weights."""
    register_all_modules()
    model = MODELS.build(Config.fromfile(CONFIG).model)
    model.init_weights()
    return model


def pack(photos: list[ShapePhoto]) -> dict[str, list[Any]]:
    """Return photos and truth in the form MMDetection's models take."""
    inputs, samples = [], []
    for photo in photos:
        size = photo.image.shape[:2]
        bgr = np.ascontiguousarray(photo.image[..., ::-1].transpose(2, 0, 1))
        inputs.append(torch.from_numpy(bgr))
        sample = DetDataSample(
            metainfo={"img_shape": size, "ori_shape": size, "scale_factor": (1.0, 1.0)}
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.from_numpy(photo.boxes),
            labels=torch.from_numpy(photo.labels),
            masks=BitmapMasks(photo.masks.astype(np.uint8), *size),
        )
        samples.append(sample)
    return {"inputs": inputs, "data_samples": samples}


def evaluate(model: torch.nn.Module, photos: list[ShapePhoto]) -> float:
    """Return the mask AP50 of the network on ``photos``, and leave it in training mode."""
    model.eval()
    found = []
    with torch.no_grad():
        for sample in model.test_step(pack(photos)):
            instances = sample.pred_instances
            found.append(
                [
                    (int(label), float(score), mask.numpy())
                    for label, score, mask in zip(
                        instances.labels, instances.scores, instances.masks, strict=True
                    )
                ]
            )
    model.train()
    return mask_ap50(photos, found)


def save_half(path: Path, model: torch.nn.Module) -> None:
    """Write the weights in half precision, with the class names, as MMDetection lays them out."""
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    with atomic_path(path) as temporary:
        torch.save({"state_dict": state, "meta": {"dataset_meta": {"classes": CLASSES}}}, temporary)


def _learning_rate(iteration: int, highest: float, num_iterations: int) -> float:
    """Rise over the first 100 iterations, then fall along a cosine to zero."""
    warmup = min(1.0, (iteration + 1) / 100)
    return highest * warmup * 0.5 * (1 + math.cos(math.pi * iteration / num_iterations))


def _save(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, iteration: int
) -> None:
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    with atomic_path(path) as temporary:
        torch.save(state | {"iteration": iteration}, temporary)


def _restore(path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load the saved state, if there is one; return the number of iterations it has seen."""
    if not path.exists():
        model.train()
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    model.train()
    return state["iteration"]


if __name__ == "__main__":
    cli.run(main)
