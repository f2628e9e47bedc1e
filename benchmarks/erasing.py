"""The inpainting of a folder against one photo after the other through the same network."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.compare import Comparison
from benchmarks.photos import write_mixed_photos
from pconv_hpc.foundation.config import ModelConfig
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.inpainting.batches import erase_all
from pconv_hpc.inpainting.inpainter import load_inpainter
from pconv_hpc.inpainting.pairs import pair_files
from pconv_hpc.inpainting.settings import FillSettings
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.weights import save_weights
from pconv_hpc.photos.formats.photo_files import read_mask, read_photo, write_photo

_NUM_PHOTOS = 100
# The shape of the network that comes with the package.
_NETWORK = ModelConfig(levels=6, base_channels=24, max_channels=192)


def write_untrained_network(path: Path) -> None:
    """Write weights of a network as large as the one that comes with the package."""
    save_weights(path, build_pconv_unet(_NETWORK), _NETWORK)


def erasing_comparisons(folder: Path) -> Iterator[Comparison]:
    """Yield the comparison of 100 mixed photos; ``folder`` takes them and the results."""
    write_mixed_photos(folder, _NUM_PHOTOS)
    weights = folder / "weights.h5"
    write_untrained_network(weights)
    batched = load_inpainter(weights, settings=FillSettings())
    single = load_inpainter(weights, settings=FillSettings(), batch_size=1)
    jobs = pair_files(folder / "photos", folder / "masks", folder / "erased").jobs

    def ours() -> None:
        shutil.rmtree(folder / "erased", ignore_errors=True)
        failed = [r.reason for r in erase_all(jobs, batched) if r.status != "erased"]
        if failed:
            raise PconvError(failed[0])

    def one_by_one() -> None:
        shutil.rmtree(folder / "erased", ignore_errors=True)
        for job in jobs:
            photo = read_photo(job.photo)
            single.erase(photo, read_mask(job.mask).hole)
            write_photo(photo, job.output)

    yield Comparison(
        name="erase a folder of 100 photos",
        against="one photo at a time",
        ours=ours,
        reference=one_by_one,
        quantity="speed",
        goal=2.0,
    )
