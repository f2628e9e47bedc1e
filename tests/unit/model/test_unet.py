import dataclasses

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from pconv_hpc.foundation.config import ModelConfig
from pconv_hpc.model.unet import (
    PConvUNet,
    build_pconv_unet,
    count_parameters,
    freeze_encoder_batch_norm,
)
from tests.support import references

SMALL = ModelConfig(levels=3, base_channels=4, max_channels=8)
SIGNED = dataclasses.replace(SMALL, padding="symmetric", pixels="signed")


@pytest.fixture
def rng() -> np.random.Generator:
    keras.utils.set_random_seed(7)
    return np.random.default_rng(7)


def test_the_papers_network_has_its_size():
    assert count_parameters(ModelConfig(levels=7)) == 25_788_692
    assert count_parameters(ModelConfig(levels=8)) == 32_870_676
    encoder_norms, decoder_norms = 128 + 256 + 4 * 512, 3 * 512 + 256 + 128 + 64
    convolutions = count_parameters(ModelConfig(levels=7)) - 4 * (encoder_norms + decoder_norms)
    assert convolutions == 25_771_028  # the 25.77 million usually quoted


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        ModelConfig(levels=1, base_channels=5),
        ModelConfig(levels=5, base_channels=2, encoder_kernels=(5,), decoder_kernel=5),
    ],
)
def test_parameters_are_counted_without_building(config):
    assert build_pconv_unet(config).count_params() == count_parameters(config)


def test_layers_follow_table_2():
    model = build_pconv_unet(ModelConfig(levels=7, base_channels=2, max_channels=16))
    shapes = {v.path: tuple(v.shape) for v in model.variables}
    assert len(shapes) == len(model.variables)
    kernels = [shapes[f"pconv_unet/encoder_{n}/partial_conv/kernel"] for n in range(1, 8)]
    assert kernels == [
        (7, 7, 3, 2),
        (5, 5, 2, 4),
        (5, 5, 4, 8),
        (3, 3, 8, 16),
        *[(3, 3, 16, 16)] * 3,
    ]
    kernels = [shapes[f"pconv_unet/decoder_{n}/partial_conv/kernel"] for n in range(7, 0, -1)]
    assert kernels == [
        *[(3, 3, 32, 16)] * 3,
        (3, 3, 24, 8),
        (3, 3, 12, 4),
        (3, 3, 6, 2),
        (3, 3, 5, 3),
    ]
    with_bias = [path for path in shapes if path.endswith("/bias")]
    assert with_bias == [
        "pconv_unet/encoder_1/partial_conv/bias",
        "pconv_unet/decoder_1/partial_conv/bias",
    ]
    normalised = {path.split("/")[1] for path in shapes if "batch_norm" in path}
    assert normalised == {f"{part}_{n}" for part in ("encoder", "decoder") for n in range(2, 8)}


def test_kernels_are_initialised_as_he_et_al_ask(rng):
    config = ModelConfig(levels=2, base_channels=64, max_channels=64)
    model = build_pconv_unet(config)
    for block, negative_slope in [(model.encoder[1], 0.0), (model.decoder[0], 0.2)]:
        kernel = to_numpy(block.partial_conv.kernel)
        fan_in = np.prod(kernel.shape[:3])
        assert kernel.std() == pytest.approx(
            np.sqrt(2 / (1 + negative_slope**2) / fan_in), rel=0.02
        )


@pytest.mark.parametrize("config", [SMALL, SIGNED])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (13, 22), (37, 16)])
def test_any_size_comes_back_as_it_went_in(rng, size, config):
    model = build_pconv_unet(config)
    images, masks = references.photo(rng, 2, *size), references.valid_mask(rng, 2, *size)
    output = np.array(model([images, masks]))
    assert output.shape == (2, *size, 3)
    assert output.dtype == np.float32
    assert np.isfinite(output).all()


def test_padding_is_a_hole_like_any_other(rng):
    model = build_pconv_unet(SMALL)
    images, masks = references.photo(rng, 1, 13, 22), references.valid_mask(rng, 1, 13, 22)
    pads = ((0, 0), (0, 3), (0, 2), (0, 0))
    padded = model([np.pad(images, pads, constant_values=0.7), np.pad(masks, pads)])
    np.testing.assert_allclose(
        np.array(model([images, masks])), np.array(padded)[:, :13, :22], atol=1e-6
    )


@pytest.mark.parametrize("junk", [123.0, np.nan, np.inf])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("config", [SMALL, SIGNED])
def test_what_lies_under_holes_never_changes_the_output(rng, junk, training, config):
    model = build_pconv_unet(config)
    images, masks = references.photo(rng, 2, 24, 24), references.valid_mask(rng, 2, 24, 24)
    spoiled = np.where(masks > 0, images, junk).astype(np.float32)
    expected = np.array(model([images, masks], training=training))
    np.testing.assert_array_equal(np.array(model([spoiled, masks], training=training)), expected)
    changed = images.copy()
    changed[masks[..., 0] > 0] *= 0.5
    assert np.abs(np.array(model([changed, masks], training=training)) - expected).max() > 1e-3


def test_a_photo_that_is_all_hole_is_still_finite(rng):
    model = build_pconv_unet(SMALL)
    output = model([np.ones((1, 8, 8, 3), np.float32), np.zeros((1, 8, 8, 1), np.uint8)])
    np.testing.assert_array_equal(np.array(output), 0)


@pytest.mark.parametrize(
    ("pixels", "mean", "deviation"),
    [
        ("signed", 127.5 / 255, 127.5 / 255),
        ("imagenet", np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])),
    ],
)
def test_pixels_are_brought_to_another_scale_and_back(rng, pixels, mean, deviation):
    unit = build_pconv_unet(SMALL)
    scaled = build_pconv_unet(dataclasses.replace(SMALL, pixels=pixels))
    scaled.set_weights(unit.get_weights())
    images, masks = references.photo(rng, 2, 20, 24), references.valid_mask(rng, 2, 20, 24)
    expected = np.array(unit([(images - mean) / deviation, masks])) * deviation + mean
    np.testing.assert_allclose(np.array(scaled([images, masks])), expected, atol=1e-5)


def test_symmetric_padding_centres_windows_as_pytorch_does(rng):
    """A first layer that copies its window's middle keeps pixels 0, 2, 4 …, not 1, 3, 5 …"""
    photo = references.photo(rng, 1, 8, 8)
    for padding, first in [("symmetric", 0), ("same", 1)]:
        config = ModelConfig(levels=1, base_channels=3, encoder_kernels=(5,), padding=padding)
        layer = build_pconv_unet(config).encoder[0].partial_conv
        kernel = np.zeros(layer.kernel.shape)
        kernel[2, 2] = np.eye(3)
        layer.kernel.assign(kernel / 75)  # the inner windows' ratio is 1, theirs at borders more
        output, _ = layer(photo, np.ones((1, 8, 8, 1), np.float32))
        inner = np.array(output)[0, 1:-1, 1:-1] * 75
        expected = photo[0, first::2, first::2][1:-1, 1:-1]
        np.testing.assert_allclose(inner, expected, rtol=1e-5)


def test_features_are_zero_where_their_mask_is(rng):
    """The layers rely on it: they take the product X ⊙ M as done."""
    model = build_pconv_unet(SMALL)
    for variable in model.variables:
        if variable.path.endswith(("beta", "bias")):
            variable.assign(np.full(variable.shape, 0.5))
    x = references.photo(rng, 1, 32, 32)
    mask = np.zeros((1, 32, 32, 1), np.float32)
    mask[:, :9, :9] = 1
    x = x * mask
    for block in model.encoder:
        x, mask = block(x, mask, training=True)
        hole = np.array(mask)[..., 0] == 0
        assert hole.any()
        assert not np.array(x)[hole].any()
        assert np.array(x)[~hole].any()


def test_bfloat16_is_close_to_float32(rng):
    model = build_pconv_unet(SMALL)
    images, masks = references.photo(rng, 2, 32, 32), references.valid_mask(rng, 2, 32, 32)
    expected = np.array(model([images, masks], training=False))
    for policy in ("mixed_bfloat16", "mixed_float16"):
        mixed = build_pconv_unet(SMALL, dtype=policy)
        for ours, theirs in zip(mixed.variables, model.variables, strict=True):
            assert ours.dtype == "float32"
            ours.assign(theirs)
        assert mixed.encoder[0].compute_dtype == policy.removeprefix("mixed_")
        output = mixed([images, masks], training=False)
        assert keras.backend.standardize_dtype(output.dtype) == "float32"
        assert np.abs(np.array(output) - expected).max() < 0.03 * np.abs(expected).max()
        mixed([images, masks], training=True)
        assert all(v.dtype == "float32" for v in mixed.variables)


def test_frozen_encoder_batch_norm_neither_learns_nor_follows_the_batch(rng):
    import tensorflow as tf

    model = build_pconv_unet(SMALL)
    images, masks = references.photo(rng, 2, 16, 16), references.valid_mask(rng, 2, 16, 16)
    freeze_encoder_batch_norm(model)
    trained = {v.path for v in model.trainable_variables}
    assert not any("encoder" in path and "batch_norm" in path for path in trained)
    assert {path for path in trained if "batch_norm" in path} == {
        f"pconv_unet/decoder_{n}/batch_norm/{kind}" for n in (2, 3) for kind in ("gamma", "beta")
    }
    before = {v.path: to_numpy(v).copy() for v in model.variables}
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model([images, masks], training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.isfinite(g).all() and np.any(g) for g in gradients)
    moved = {v.path for v in model.variables if not np.array_equal(to_numpy(v), before[v.path])}
    assert moved == {
        f"pconv_unet/decoder_{n}/batch_norm/moving_{kind}"
        for n in (2, 3)
        for kind in ("mean", "variance")
    }


def test_compiles_for_any_size_at_once(rng):
    import tensorflow as tf

    model = build_pconv_unet(SMALL)
    signature = [
        tf.TensorSpec((None, None, None, 3), tf.float32),
        tf.TensorSpec((None, None, None, 1), tf.uint8),
    ]
    compiled = tf.function(lambda images, masks: model([images, masks]), input_signature=signature)
    for size in ((9, 20), (16, 8)):
        images, masks = references.photo(rng, 1, *size), references.valid_mask(rng, 1, *size)
        np.testing.assert_allclose(
            np.array(compiled(images, masks)), np.array(model([images, masks])), atol=1e-5
        )


def test_configuration_round_trip():
    model = build_pconv_unet(SMALL, dtype="mixed_bfloat16")
    again = keras.layers.deserialize(keras.layers.serialize(model))
    assert isinstance(again, PConvUNet)
    assert again.config == SMALL
    assert again.get_config() == model.get_config()
    block = model.decoder[0]
    assert type(block).from_config(block.get_config()).get_config() == block.get_config()
