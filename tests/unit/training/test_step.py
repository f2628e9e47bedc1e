"""One training step: the update is the mean over the global batch, however the batch is cut."""

import dataclasses

import keras
import numpy as np
import pytest

from pconv_hpc.foundation.arrays.aligned_arrays import aligned_empty
from pconv_hpc.foundation.config import RunConfig, config_from_mapping
from pconv_hpc.model.losses import InpaintingLoss
from pconv_hpc.model.unet import PConvUNet, build_pconv_unet
from pconv_hpc.shards.loader import Batch
from pconv_hpc.shards.sampler import rank_slice
from pconv_hpc.training.distributed import Ranks
from pconv_hpc.training.step import (
    Outcome,
    TrainingStep,
    as_tensor,
    build_optimizer,
    read_outcome,
    variable_groups,
    variable_snapshots,
)


def config_of(**train: object) -> RunConfig:
    return config_from_mapping(
        {
            # one level has no batch norm, whose statistics depend on how a batch is cut
            "model": {"levels": 1, "base_channels": 4, "max_channels": 4, "encoder_kernels": [3]},
            "optimizer": {"warmup_steps": 0, "learning_rate": 1e-2, "reference_batch_size": 6},
            "train": {"global_batch_size": 6, **train},
        }
    )


def batch_of(count: int = 6, *, start: int = 0) -> Batch:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)[start : start + count]
    masks = (rng.random((6, 16, 16, 1)) > 0.3).astype(np.uint8)[start : start + count]
    return Batch(0, images, masks, np.arange(start, start + count))


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    keras.backend.clear_session()


def trained(config: RunConfig, *batches: Batch, seed: int = 3) -> tuple[PConvUNet, list[Outcome]]:
    keras.utils.set_random_seed(seed)
    precision = config.train.precision
    dtype = precision if precision == "float32" else f"mixed_{precision}"
    model = build_pconv_unet(config.model, dtype=dtype)
    optimizer = build_optimizer(
        config.optimizer, global_batch_size=6, total_steps=10, precision=precision
    )
    optimizer.build(model.trainable_variables)
    step = TrainingStep(
        model=model,
        loss=InpaintingLoss(config.loss, None),
        optimizer=optimizer,
        ranks=Ranks({}),
        config=config,
    )
    return model, [read_outcome(step(batch, stop=False, save=False)) for batch in batches]


def weights_of(model: PConvUNet) -> list[np.ndarray]:
    return [v.numpy() for v in model.variables]


@pytest.mark.parametrize("max_batch", [1, 2, 4, 5])
def test_accumulated_gradients_are_those_of_the_whole_batch(max_batch: int) -> None:
    whole, outcome = trained(config_of(), batch_of(), batch_of())
    parts, parts_outcome = trained(config_of(max_batch_per_rank=max_batch), batch_of(), batch_of())
    for a, b in zip(weights_of(whole), weights_of(parts), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
    np.testing.assert_allclose(outcome[-1].parts, parts_outcome[-1].parts, rtol=1e-4)


def test_the_shares_of_uneven_ranks_add_up() -> None:
    """Each rank's loss is weighted by its share, so that a plain sum is the mean of all."""
    whole = trained(config_of(), batch_of())[1][0].parts
    shares = [rank_slice(6, rank, 4) for rank in range(4)]
    parts = [
        trained(config_of(), batch_of(s.stop - s.start, start=s.start))[1][0].parts for s in shares
    ]
    assert len({s.stop - s.start for s in shares}) == 2
    np.testing.assert_allclose(np.sum(parts, axis=0), whole, rtol=1e-5)


def test_training_lowers_the_loss_and_moves_every_weight() -> None:
    config = config_of()
    before = weights_of(trained(config)[0])
    model, outcomes = trained(config, *[batch_of()] * 30)
    assert outcomes[-1].parts[0] < 0.8 * outcomes[0].parts[0]
    for old, new in zip(before, weights_of(model), strict=True):
        assert (old != new).any()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_stays_close(precision: str) -> None:
    batches = [batch_of()] * 5
    full = trained(config_of(), *batches)[1]
    mixed = trained(config_of(precision=precision), *batches)[1]
    np.testing.assert_allclose(mixed[-1].parts, full[-1].parts, rtol=0.05)


def test_compiled_steps_compute_the_same() -> None:
    batches = [batch_of()] * 2
    plain = trained(config_of(), *batches)[1]
    compiled = trained(config_of(jit_compile=True), *batches)[1]
    np.testing.assert_allclose(compiled[-1].parts, plain[-1].parts, rtol=1e-4)


def test_requests_and_broken_losses_are_reported() -> None:
    config = config_of()
    model = build_pconv_unet(config.model)
    optimizer = build_optimizer(
        config.optimizer, global_batch_size=6, total_steps=10, precision="float32"
    )
    huge = dataclasses.replace(config.loss, hole=3.4e38, valid=3.4e38, total_variation=3.4e38)
    step = TrainingStep(
        model=model,
        loss=InpaintingLoss(huge, None),
        optimizer=optimizer,
        ranks=Ranks({}),
        config=config,
    )
    outcome = read_outcome(step(batch_of(), stop=True, save=False))
    assert (outcome.stop, outcome.save, outcome.finite) == (True, False, False)


def test_gradient_clipping_limits_the_update() -> None:
    config = config_of()
    clipped = dataclasses.replace(
        config, optimizer=dataclasses.replace(config.optimizer, gradient_clip_norm=1e-12)
    )
    start = weights_of(trained(clipped)[0])
    free = weights_of(trained(config, batch_of())[0])
    limited = weights_of(trained(clipped, batch_of())[0])
    moved = [np.abs(a - b).max() for a, b in zip(start, limited, strict=True)]
    assert max(moved) < 0.1 * max(np.abs(a - b).max() for a, b in zip(start, free, strict=True))


def test_any_array_becomes_a_tensor_and_outlives_its_name() -> None:
    aligned = aligned_empty((3, 4, 5))
    aligned[...] = np.arange(60).reshape(3, 4, 5)
    shifted = np.zeros(61, np.uint8)[1:]
    shifted[...] = aligned.ravel()
    for array in (aligned, aligned[:, :2], aligned[:, ::-1], shifted):
        expected = array.copy()
        tensor = as_tensor(array)
        np.testing.assert_array_equal(tensor.numpy(), expected)
    del aligned, array
    np.testing.assert_array_equal(as_tensor(aligned_empty((0, 2))).shape, (0, 2))
    assert tensor[59] == 59


@pytest.mark.parametrize("compiled", [False, True])
def test_a_snapshot_keeps_its_values_while_training_goes_on(compiled: bool) -> None:
    keras.utils.set_random_seed(3)
    config = config_of(jit_compile=compiled)
    model = build_pconv_unet(dataclasses.replace(config.model, levels=3))  # with batch norm
    optimizer = build_optimizer(
        config.optimizer, global_batch_size=6, total_steps=10, precision="float32"
    )
    optimizer.build(model.trainable_variables)
    loss = InpaintingLoss(config.loss, None)
    step = TrainingStep(model=model, loss=loss, optimizer=optimizer, ranks=Ranks({}), config=config)
    groups = variable_groups(model, optimizer)
    variables = [v for group in groups.values() for v in group]
    for _ in range(3):
        step(batch_of(), stop=False, save=False)
        expected = {v.path: np.array(keras.ops.convert_to_numpy(v)) for v in variables}
        found = {k: v for group in groups.values() for k, v in variable_snapshots(group).items()}
        for _ in range(2):
            read_outcome(step(batch_of(), stop=False, save=False))
        for path, values in expected.items():
            np.testing.assert_array_equal(np.asarray(found[path]), values, err_msg=path)
        changed = [np.any(expected[v.path] != keras.ops.convert_to_numpy(v)) for v in variables]
        assert sum(changed) > len(model.trainable_variables)
