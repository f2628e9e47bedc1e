"""A program: the segmentation of a folder against MMDetection's own loop over its photos.

    python -m benchmarks.segmenting FOLDER ROUNDS [CONFIG CHECKPOINT]

Prints the result of the comparison as one JSON object. Without CONFIG it is Mask R-CNN R50-FPN at
its own size with random weights, which finds nothing: its mask head is not measured. In a process
of its own, because PyTorch and TensorFlow never share one here.
"""

import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
from mmdet.apis import inference_detector, init_detector
from mmengine.config import Config

from benchmarks.compare import Comparison, compare
from benchmarks.photos import write_mixed_photos
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.segmentation.batches import Wish, segment_all
from pconv_hpc.segmentation.choices import Choices
from pconv_hpc.segmentation.detector import load_detector
from pconv_hpc.segmentation.network_files import DEFAULT_CONFIG, find_config
from pconv_hpc.segmentation.photo_places import find_photos, places
from pconv_hpc.segmentation.segmenter import Segmenter
from pconv_hpc.segmentation.selection import Selection

_NUM_PHOTOS = 24
_NUM_LARGE = 4  # photos for a network that takes seconds for one
_BATCH_SIZE = 4  # of a small network, most of whose time is Python's
_GOAL = 1.3
_GOAL_LARGE, _GOAL_AMX = 1.2, 2.0


def segmenting_comparison(
    config: Path,
    checkpoint: Path,
    folder: Path,
    *,
    num_photos: int = _NUM_PHOTOS,
    batch_size: int | None = _BATCH_SIZE,
) -> Comparison:
    """Return the comparison over mixed photos, which ``folder`` takes with the results."""
    write_mixed_photos(folder, num_photos)
    images, names = find_photos(folder / "photos", folder / "found")
    segmenter = Segmenter(config, checkpoint, batch_size=batch_size)
    model = load_detector(config, checkpoint).model
    model.cfg = Config.fromfile(config)  # where inference_detector looks for the pipeline
    wish = Wish(choices=Choices(Selection(every=True), {}), overwrite=True)

    def ours() -> None:
        shutil.rmtree(folder / "found", ignore_errors=True)
        photos = [places(images, name, folder / "found") for name in names]
        for result in segment_all(photos, segmenter, wish):
            if result.status == "failed":
                raise PconvError(result.reason)

    def their_loop() -> None:
        for name in names:
            inference_detector(model, str(images / name))

    return Comparison(
        name="segmentation of a folder, with files",
        against="loop of inference_detector, without",
        ours=ours,
        reference=their_loop,
        quantity="speed",
        goal=_GOAL,
    )


def large_comparison(folder: Path) -> Comparison:
    """Return the comparison with Mask R-CNN R50-FPN, random weights, at its own size."""
    config, checkpoint = find_config(DEFAULT_CONFIG), folder / "untrained.pth"
    torch.manual_seed(0)
    torch.save({"state_dict": init_detector(str(config), device="cpu").state_dict()}, checkpoint)
    has_amx = "amx_bf16" in Path("/proc/cpuinfo").read_text()
    return replace(
        segmenting_comparison(config, checkpoint, folder, num_photos=_NUM_LARGE, batch_size=None),
        name="the same with Mask R-CNN R50-FPN, untrained, 1333 × 800",
        goal=_GOAL_AMX if has_amx else _GOAL_LARGE,
    )


def main() -> None:
    """Compare and print."""
    folder, rounds, files = Path(sys.argv[1]), int(sys.argv[2]), [Path(w) for w in sys.argv[3:]]
    comparison = (
        segmenting_comparison(files[0], files[1], folder) if files else large_comparison(folder)
    )
    print(json.dumps(asdict(compare(comparison, rounds=rounds))), flush=True)


if __name__ == "__main__":
    main()
