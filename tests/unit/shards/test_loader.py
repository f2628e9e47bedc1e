"""Batches: the same for any ranks and any restart, varied as they should be, ended cleanly."""

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.config import DataConfig, MasksConfig
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_bank import MaskBank, draw_bank
from pconv_hpc.shards.loader import Batch, BatchLoader, validation_batches
from pconv_hpc.shards.shard_file import ShardReader, write_shard
from pconv_hpc.shards.shard_index import ShardIndex, fingerprint_of, write_index

STORED_SIZE, SIZE = 20, 16
NUM_IMAGES = 30


class MemoryReader:
    """Images in memory that carry their index in red, their row in green, their column in blue."""

    def __init__(self, num_images: int = NUM_IMAGES, image_size: int = STORED_SIZE) -> None:
        self.num_images, self.image_size = num_images, image_size
        side = np.arange(image_size, dtype=np.uint8)
        self.stored = np.zeros((num_images, image_size, image_size, 3), np.uint8)
        self.stored[..., 0] = np.arange(num_images, dtype=np.uint8)[:, None, None]
        self.stored[..., 1] = side[:, None]
        self.stored[..., 2] = side

    def image_views(self, indices: np.ndarray) -> list[np.ndarray]:
        return [self.stored[index] for index in indices]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> MaskBank:
    path = tmp_path_factory.mktemp("bank") / "bank.h5"
    draw_bank(path, num_masks=36, size=24, style_weights={"strokes": 1, "boxes": 1})
    return MaskBank(path)


def load(
    bank: MaskBank, count: int, *, reader: MemoryReader | ShardReader | None = None, **changes: int
) -> list[Batch]:
    arguments = {"seed": 1, "global_batch_size": 8, **changes}
    data = DataConfig(image_size=SIZE, shuffle_block_images=4, shuffle_window_blocks=2)
    with BatchLoader(reader or MemoryReader(), bank, data, MasksConfig(), **arguments) as loader:
        return [next(loader) for _ in range(count)]


def assert_equal(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for field in dataclasses.fields(Batch):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_batches_have_the_promised_shapes_and_values(bank: MaskBank) -> None:
    for step, batch in enumerate(load(bank, 5)):
        assert batch.step == step
        assert batch.images.shape == (8, SIZE, SIZE, 3)
        assert batch.masks.shape == (8, SIZE, SIZE, 1)
        assert batch.images.dtype == batch.masks.dtype == np.uint8
        assert batch.samples.shape == (8,)
        assert batch.samples.dtype == np.int64
        assert set(np.unique(batch.masks)) == {0, 1}
        for mask in batch.masks:
            assert mask.any()
            assert not mask.all()
        np.testing.assert_array_equal(batch.images[:, 3, 5, 0], batch.samples)


def test_an_epoch_shows_every_photo_once(bank: MaskBank) -> None:
    samples = np.concatenate([batch.samples for batch in load(bank, 15)])
    for epoch in range(4):
        part = samples[epoch * NUM_IMAGES : (epoch + 1) * NUM_IMAGES]
        assert sorted(part.tolist()) == list(range(NUM_IMAGES))


@pytest.mark.parametrize("num_ranks", [2, 3, 8])
def test_all_ranks_together_see_what_one_rank_sees(bank: MaskBank, num_ranks: int) -> None:
    parts = [load(bank, 4, rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
    joined = [
        Batch(
            step,
            *(
                np.concatenate([getattr(part[step], name) for part in parts])
                for name in ("images", "masks", "samples")
            ),
        )
        for step in range(4)
    ]
    assert_equal(joined, load(bank, 4))


def test_a_loader_that_starts_late_goes_on_as_the_first(bank: MaskBank) -> None:
    assert_equal(load(bank, 4, first_step=3), load(bank, 7)[3:])


def test_seeds_differ(bank: MaskBank) -> None:
    first, second = (load(bank, 1, seed=seed)[0] for seed in (1, 2))
    assert not np.array_equal(first.samples, second.samples)
    assert not np.array_equal(first.masks, second.masks)


def test_a_photo_gets_another_crop_and_mask_in_each_epoch(bank: MaskBank) -> None:
    batches = load(bank, 30, global_batch_size=NUM_IMAGES)
    crops, masks = set(), set()
    for batch in batches:
        place = int(np.flatnonzero(batch.samples == 4)[0])
        crops.add(batch.images[place].tobytes())
        masks.add(batch.masks[place].tobytes())
    assert len(crops) > 15  # of 2 x 25 possible ones
    assert len(masks) > 25


def test_crops_are_windows_and_half_of_them_mirrored(bank: MaskBank) -> None:
    flips, places = [], set()
    for batch in load(bank, 60):
        for image in batch.images:
            rows, columns = image[:, 0, 1].astype(int), image[0, :, 2].astype(int)
            assert np.all(np.diff(rows) == 1)
            step = np.unique(np.diff(columns))
            assert step.tolist() in ([1], [-1])
            assert (image[..., 1] == rows[:, None]).all()
            assert (image[..., 2] == columns).all()
            flips.append(step[0] == -1)
            places.add((rows[0], columns.min()))
    assert np.mean(flips) == pytest.approx(0.5, abs=0.1)
    assert places == {(top, left) for top in range(5) for left in range(5)}


def test_mirroring_can_be_turned_off(bank: MaskBank) -> None:
    data = DataConfig(image_size=SIZE, horizontal_flip=False)
    with BatchLoader(
        MemoryReader(), bank, data, MasksConfig(), seed=0, global_batch_size=30
    ) as loader:
        assert (np.diff(next(loader).images[:, 0, :, 2].astype(int), axis=1) == 1).all()


def test_batches_share_no_memory(bank: MaskBank) -> None:
    reader = MemoryReader(image_size=SIZE)
    first, second = load(bank, 2, reader=reader)
    for name in ("images", "masks", "samples"):
        assert not np.shares_memory(getattr(first, name), getattr(second, name))
    assert not np.shares_memory(first.images, reader.stored)


def test_a_data_set_smaller_than_a_batch_is_repeated(bank: MaskBank) -> None:
    (batch,) = load(bank, 1, reader=MemoryReader(3))
    assert np.bincount(batch.samples).sum() == 8
    assert np.bincount(batch.samples).min() >= 2
    twins = [batch.images[batch.samples == 0], batch.masks[batch.samples == 0]]
    assert not np.array_equal(twins[1][0], twins[1][1])  # another epoch, another mask


def test_reads_real_shards(bank: MaskBank, tmp_path: Path) -> None:
    stored = MemoryReader().stored
    entries = [
        write_shard(
            tmp_path / f"train-{number}.h5",
            stored[10 * number : 10 * number + 10],
            [f"{10 * number + i}.png" for i in range(10)],
            attributes={"split": "train"},
        )
        for number in range(3)
    ]
    write_index(
        tmp_path,
        ShardIndex(
            split="train",
            image_size=STORED_SIZE,
            seed=0,
            fraction=1.0,
            num_images=NUM_IMAGES,
            num_rejected=0,
            source_fingerprint="",
            command="",
            shards=tuple(entries),
            fingerprint=fingerprint_of(entries),
        ),
    )
    with ShardReader(tmp_path / "index.json") as reader:
        assert_equal(load(bank, 6, reader=reader), load(bank, 6))


def is_running() -> bool:
    return any(thread.name == "batch-loader" for thread in threading.enumerate())


def test_an_error_while_reading_reaches_the_consumer(bank: MaskBank) -> None:
    class DyingReader(MemoryReader):
        def image_views(self, indices: np.ndarray) -> list[np.ndarray]:
            if 7 in indices:
                raise OSError("stale file handle")
            return super().image_views(indices)

    with pytest.raises(OSError, match="stale file handle"):
        load(bank, 5, reader=DyingReader())
    assert not is_running()


def test_closing_ends_the_thread(bank: MaskBank) -> None:
    loader = BatchLoader(
        MemoryReader(),
        bank,
        DataConfig(image_size=SIZE, prefetch_batches=1),
        MasksConfig(),
        seed=0,
        global_batch_size=2,
    )
    next(loader)
    assert is_running()
    loader.close()
    assert not is_running()
    assert next(loader, None) is None


@pytest.mark.parametrize(
    ("reader", "changes", "message"),
    [
        (MemoryReader(), {"num_ranks": 9}, "9 ranks share a global batch of 8"),
        (MemoryReader(image_size=15), {}, r"15 x 15 pixels.*data\.image_size = 16.*--size 16"),
        (MemoryReader(0), {}, "holds no images"),
    ],
)
def test_what_cannot_work_is_refused_before_a_thread_starts(
    bank: MaskBank, reader: MemoryReader, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load(bank, 1, reader=reader, **changes)
    assert not is_running()


def test_masks_smaller_than_the_crop_are_refused(tmp_path: Path) -> None:
    draw_bank(tmp_path / "bank.h5", num_masks=6, size=16, style_weights={"boxes": 1})
    data = DataConfig(image_size=20)
    with pytest.raises(UsageError, match="16 x 16 pixels, smaller than the photos of 20 x 20"):
        BatchLoader(
            MemoryReader(),
            MaskBank(tmp_path / "bank.h5"),
            data,
            MasksConfig(),
            seed=0,
            global_batch_size=2,
        )


def validate(bank: MaskBank, **changes: int) -> list[Batch]:
    arguments = {"image_size": SIZE, "num_images": 10, "seed": 5, "batch_size": 4, **changes}
    return list(validation_batches(MemoryReader(), bank, **arguments))


def test_validation_takes_the_first_photos_cut_at_their_centre(bank: MaskBank) -> None:
    batches = validate(bank)
    assert [len(batch.samples) for batch in batches] == [4, 4, 2]
    assert [batch.step for batch in batches] == [0, 1, 2]
    samples = np.concatenate([batch.samples for batch in batches])
    images = np.concatenate([batch.images for batch in batches])
    assert samples.tolist() == list(range(10))
    np.testing.assert_array_equal(images, MemoryReader().stored[:10, 2:18, 2:18])
    for batch in batches:
        assert batch.masks.shape == (len(batch.samples), SIZE, SIZE, 1)
        assert batch.masks.dtype == np.uint8


@pytest.mark.parametrize("changes", [{"batch_size": 1}, {"batch_size": 100}])
def test_validation_masks_do_not_depend_on_the_batches(
    bank: MaskBank, changes: dict[str, int]
) -> None:
    expected, found = validate(bank), validate(bank, **changes)
    for name in ("images", "masks", "samples"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(batch, name) for batch in found]),
            np.concatenate([getattr(batch, name) for batch in expected]),
        )


@pytest.mark.parametrize("num_ranks", [2, 3, 12])
def test_validation_ranks_share_the_photos(bank: MaskBank, num_ranks: int) -> None:
    whole = validate(bank, batch_size=100)[0]
    parts = [b for rank in range(num_ranks) for b in validate(bank, rank=rank, num_ranks=num_ranks)]
    for name in ("images", "masks", "samples"):
        joined = np.concatenate([getattr(batch, name) for batch in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))


def test_validation_masks_follow_from_the_seed(bank: MaskBank) -> None:
    first, again, other = (validate(bank, seed=seed, batch_size=10)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.masks, again.masks)
    assert not np.array_equal(first.masks, other.masks)


def test_validation_takes_all_photos_where_there_are_fewer(bank: MaskBank) -> None:
    assert sum(len(batch.samples) for batch in validate(bank, num_images=500)) == NUM_IMAGES


def test_validation_refuses_small_photos_when_it_is_called(bank: MaskBank) -> None:
    with pytest.raises(UsageError, match="20 x 20 pixels"):
        validation_batches(MemoryReader(), bank, image_size=24, num_images=1, seed=0, batch_size=1)
