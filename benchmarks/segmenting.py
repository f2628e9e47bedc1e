"""A program: the segmentation of a folder against MMDetection's own loop over its photos.

    python -m benchmarks.segmenting CONFIG CHECKPOINT FOLDER ROUNDS

Prints the result of the comparison as one JSON object. In a process of its own, because PyTorch and
TensorFlow never share one here.
"""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

from mmdet.apis import inference_detector
from mmengine.config import Config

from benchmarks.compare import Comparison, compare
from benchmarks.photos import write_mixed_photos
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.segmentation.batches import Wish, segment_all
from pconv_hpc.segmentation.choices import Choices
from pconv_hpc.segmentation.detector import load_detector
from pconv_hpc.segmentation.photo_places import find_photos, places
from pconv_hpc.segmentation.segmenter import Segmenter
from pconv_hpc.segmentation.selection import Selection

_NUM_PHOTOS = 24
_BATCH_SIZE = 4


def segmenting_comparison(config: Path, checkpoint: Path, folder: Path) -> Comparison:
    """Return the comparison over 24 mixed photos, which ``folder`` takes with the results."""
    write_mixed_photos(folder, _NUM_PHOTOS)
    images, names = find_photos(folder / "photos", folder / "found")
    segmenter = Segmenter(config, checkpoint, batch_size=_BATCH_SIZE)
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
        goal=1.3,
    )


def main() -> None:
    """Compare and print."""
    config, checkpoint, folder = (Path(word) for word in sys.argv[1:4])
    result = compare(segmenting_comparison(config, checkpoint, folder), rounds=int(sys.argv[4]))
    print(json.dumps(dataclasses.asdict(result)), flush=True)


if __name__ == "__main__":
    main()
