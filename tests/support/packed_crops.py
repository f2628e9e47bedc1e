"""A small real pack for training tests: crops of the sample photos, written as real shards."""

from pathlib import Path

import numpy as np

from pconv_hpc.photos.sample_photos import sample_photos
from pconv_hpc.shards.shard_file import write_shard
from pconv_hpc.shards.shard_index import ShardIndex, fingerprint_of, write_index

IMAGE_SIZE = 40  # larger than what training crops, so that cropping is part of every test


def write_pack(out_dir: Path, *, split: str, num_images: int, num_shards: int, seed: int) -> Path:
    """Write ``num_images`` random crops into ``num_shards`` shards; return the index's path."""
    rng = np.random.default_rng(seed)
    photos = list(sample_photos().values())
    crops = []
    for number in range(num_images):
        photo = photos[number % len(photos)][::4, ::4]
        top = rng.integers(photo.shape[0] - IMAGE_SIZE + 1)
        left = rng.integers(photo.shape[1] - IMAGE_SIZE + 1)
        crops.append(photo[top : top + IMAGE_SIZE, left : left + IMAGE_SIZE])
    out_dir.mkdir(parents=True, exist_ok=True)
    entries = tuple(
        write_shard(
            out_dir / f"{split}_{shard}.h5",
            np.stack(crops[shard::num_shards]),
            [f"crop_{n}" for n in range(shard, num_images, num_shards)],
            attributes={"split": split, "image_size": IMAGE_SIZE},
        )
        for shard in range(num_shards)
    )
    index = ShardIndex(
        split=split,
        image_size=IMAGE_SIZE,
        seed=seed,
        fraction=1.0,
        num_images=num_images,
        num_rejected=0,
        source_fingerprint="crops",
        command="tests",
        shards=entries,
        fingerprint=fingerprint_of(entries),
    )
    return write_index(out_dir, index)
