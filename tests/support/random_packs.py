"""Packs of random images, of as many in each shard as a test wants."""

from pathlib import Path

import numpy as np

from pconv_hpc.shards.shard_file import write_shard
from pconv_hpc.shards.shard_index import ShardIndex, fingerprint_of, write_index

SIZE = 8


def make_images(count: int, seed: int = 0) -> np.ndarray:
    """Return random images, uint8 (count, SIZE, SIZE, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def make_pack(
    folder: Path, counts: tuple[int, ...] = (5, 0, 3), *, class_name: str = "klasse"
) -> np.ndarray:
    """Write shards of ``counts`` images and their index; return all images in order."""
    images = make_images(sum(counts))
    entries, start = [], 0
    for number, count in enumerate(counts):
        keys = [f"{class_name}/ä{index}.png" for index in range(start, start + count)]
        entries.append(
            write_shard(
                folder / f"train-{number}.h5",
                images[start : start + count],
                keys,
                attributes={"split": "train", "seed": 0},
            )
        )
        start += count
    index = ShardIndex(
        split="train",
        image_size=SIZE,
        seed=0,
        fraction=1.0,
        num_images=start,
        num_rejected=0,
        source_fingerprint="",
        command="pack.py",
        shards=tuple(entries),
        fingerprint=fingerprint_of(entries),
    )
    write_index(folder, index)
    return images
