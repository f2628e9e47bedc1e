"""The order of samples: complete, the same for any ranks, and random where it claims to be."""

import warnings

import numpy as np
import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.seeded import Stream, hash_integers, sample_hash
from pconv_hpc.shards.sampler import SampleOrder, rank_slice

SHAPES = [(1, 1, 1), (7, 3, 2), (100, 32, 64), (97, 8, 3), (64, 8, 8), (50, 1, 1), (10, 100, 1)]
GOLDEN_ORDER = [9, 2, 0, 1, 11, 10, 8, 6, 7, 3, 5, 4]
GOLDEN_HASHES = [14005846164307048093, 8068151195960302455]


@pytest.mark.parametrize(("num_samples", "block_images", "window_blocks"), SHAPES)
def test_every_epoch_holds_every_sample_once(
    num_samples: int, block_images: int, window_blocks: int
) -> None:
    order = SampleOrder(num_samples, seed=3, block_images=block_images, window_blocks=window_blocks)
    for epoch in range(3):
        assert sorted(order.permutation(epoch).tolist()) == list(range(num_samples))


def test_epochs_and_seeds_have_their_own_orders() -> None:
    orders = [
        SampleOrder(200, seed=seed, block_images=8, window_blocks=4).permutation(epoch).tolist()
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    for index, first in enumerate(orders):
        for second in orders[index + 1 :]:
            assert sum(a == b for a, b in zip(first, second, strict=True)) < 20


def test_reads_stay_within_a_window_of_blocks() -> None:
    block_images, window_blocks = 8, 4
    order = SampleOrder(1024, seed=0, block_images=block_images, window_blocks=window_blocks)
    windows = order.permutation(0).reshape(-1, block_images * window_blocks)
    for window in windows:
        assert len(np.unique(window // block_images)) == window_blocks
        assert not np.array_equal(window, np.sort(window))
    blocks = [frozenset((window // block_images).tolist()) for window in windows]
    assert frozenset(range(window_blocks)) not in blocks  # the blocks themselves are shuffled


def test_batches_are_slices_of_all_epochs_in_a_row() -> None:
    order = SampleOrder(10, seed=5, block_images=2, window_blocks=2)
    stream = [(epoch, int(s)) for epoch in range(4) for s in order.permutation(epoch)]
    fresh = SampleOrder(10, seed=5, block_images=2, window_blocks=2)
    for step in range(10):
        epochs, samples = fresh.batch(step, 4)
        assert epochs.dtype == samples.dtype == np.int64
        pairs = list(zip(epochs.tolist(), samples.tolist(), strict=True))
        assert pairs == stream[4 * step : 4 * step + 4]


def test_a_batch_larger_than_the_data_set_takes_several_epochs() -> None:
    epochs, samples = SampleOrder(3, seed=0).batch(1, 8)
    assert epochs.tolist() == [2, 3, 3, 3, 4, 4, 4, 5]
    for epoch in (3, 4):
        assert sorted(samples[epochs == epoch].tolist()) == [0, 1, 2]


def test_any_step_can_be_asked_for_first() -> None:
    walked = SampleOrder(37, seed=9, block_images=4, window_blocks=3)
    for step in range(30):
        expected = walked.batch(step, 5)
        found = SampleOrder(37, seed=9, block_images=4, window_blocks=3).batch(step, 5)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 5, 16, 20])
def test_rank_slices_cover_a_batch_in_order(num_ranks: int) -> None:
    items = np.arange(16)
    parts = [items[rank_slice(16, rank, num_ranks)] for rank in range(num_ranks)]
    assert np.concatenate(parts).tolist() == items.tolist()
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_a_rank_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="rank 2 of 2"):
        rank_slice(8, 2, 2)


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(UsageError, match="no images"):
        SampleOrder(0, seed=0)


def test_the_order_never_changes_between_versions() -> None:
    """A run that is resumed after an update has to go on with the same samples."""
    order = SampleOrder(12, seed=2**63 - 1, block_images=3, window_blocks=2)
    assert order.permutation(7).tolist() == GOLDEN_ORDER
    assert sample_hash(1, [0, 2], [3, 4], Stream.MASK).tolist() == GOLDEN_HASHES


def test_hash_broadcasts_without_overflow_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hashes = sample_hash(2**64 - 1, 2**62, np.arange(6), 2**30)
        assert sample_hash(0, 0, 5, 0).shape == (1,)
    assert hashes.shape == (6,)
    assert hashes.dtype == np.uint64
    assert sample_hash(0, np.zeros((2, 1)), np.zeros(3), 0).shape == (2, 3)


def test_hash_of_one_sample_does_not_depend_on_its_neighbours() -> None:
    many = sample_hash(4, 1, np.arange(100), 2)
    assert sample_hash(4, 1, 57, 2)[0] == many[57]


def as_bits(hashes: np.ndarray) -> np.ndarray:
    return np.unpackbits(hashes.view(np.uint8).reshape(-1, 8), axis=1)


def test_hash_bits_are_balanced_and_independent() -> None:
    count = 20_000
    tolerance = 5 * 0.5 / np.sqrt(count)  # five standard deviations
    first = as_bits(sample_hash(0, 0, np.arange(count), Stream.MASK))
    assert np.abs(first.mean(axis=0) - 0.5).max() < tolerance
    correlation = np.corrcoef(first, rowvar=False) - np.eye(64)
    assert np.abs(correlation).max() < 6 / np.sqrt(count)
    for other in (
        sample_hash(0, 0, np.arange(count), Stream.MASK_FLIP),
        sample_hash(0, 1, np.arange(count), Stream.MASK),
        sample_hash(1, 0, np.arange(count), Stream.MASK),
        sample_hash(0, 0, np.arange(count) + 1, Stream.MASK),
    ):
        agreement = (as_bits(other) == first).mean(axis=0)
        assert np.abs(agreement - 0.5).max() < tolerance


@pytest.mark.parametrize("bit", [0, 1, 31, 62])
def test_one_changed_bit_changes_half_of_the_hash(bit: int) -> None:
    samples = np.arange(2000)
    before = as_bits(sample_hash(0, 0, samples, 0))
    for changed in (
        sample_hash(1 << bit, 0, samples, 0),
        sample_hash(0, 1 << bit, samples, 0),
        sample_hash(0, 0, samples ^ (1 << bit), 0),
    ):
        assert abs((as_bits(changed) != before).mean() - 0.5) < 0.01


@pytest.mark.parametrize("upper", [1, 2, 3, 10, 1000])
def test_hash_integers_are_even(upper: int) -> None:
    values = hash_integers(sample_hash(0, 0, np.arange(50_000), 0), upper)
    assert values.min() == 0
    assert values.max() == upper - 1
    counts = np.bincount(values, minlength=upper)
    expected = 50_000 / upper
    assert np.abs(counts - expected).max() < 6 * np.sqrt(expected)
