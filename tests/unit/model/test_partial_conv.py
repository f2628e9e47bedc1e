import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from pconv_hpc.model.partial_conv import PartialConv2D, upsample_nearest
from tests.support import references


def masks_for(kind: str, shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    masks = np.zeros((*shape, 1), np.float32)
    if kind == "valid":
        masks[:] = 1
    elif kind == "scattered":
        masks[:] = rng.random(masks.shape) > 0.7
    elif kind == "corner":
        masks[:, 0, 0] = 1
    return masks


def build_layer(
    filters: int, kernel_size: int, features: list[np.ndarray], rng: np.random.Generator, **options
) -> PartialConv2D:
    layer = PartialConv2D(filters, kernel_size, **options)
    layer([f * 0 for f in features], [f[..., :1] * 0 for f in features])
    layer.kernel.assign(rng.normal(size=layer.kernel.shape))
    if layer.bias is not None:
        layer.bias.assign(rng.normal(size=filters))
    return layer


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("kind", ["valid", "scattered", "corner", "all holes"])
@pytest.mark.parametrize(
    ("height", "width", "channels", "kernel_size", "stride"),
    [
        (9, 11, (3,), 7, 2),
        (8, 12, (3,), 7, 2),
        (8, 8, (2,), 5, 2),
        (6, 7, (4,), 3, 1),
        (6, 7, (4,), 3, 2),
        (5, 4, (2,), 1, 1),
        (1, 1, (2,), 3, 2),
        (7, 5, (3, 2), 3, 1),
        (8, 6, (1, 4), 5, 2),
    ],
)
def test_equals_equations_1_and_2(height, width, channels, kernel_size, stride, kind, padding):
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(2, height, width, c)).astype(np.float32) for c in channels]
    masks = [masks_for(kind, (2, height, width), rng) for _ in channels]
    layer = build_layer(4, kernel_size, features, rng, strides=stride, padding=padding)

    output, new_mask = layer(features, masks)
    expected, expected_mask = references.partial_conv(
        features, masks, to_numpy(layer.kernel), to_numpy(layer.bias), stride, padding
    )

    np.testing.assert_array_equal(np.array(new_mask), expected_mask)
    np.testing.assert_allclose(np.array(output), expected, rtol=1e-4, atol=1e-4)
    assert not np.array(output)[np.repeat(expected_mask == 0, 4, axis=-1)].any()  # not the bias
    assert layer.compute_output_shape(features[0].shape, masks[0].shape) == (
        output.shape,
        new_mask.shape,
    )


def test_each_concatenated_tensor_counts_with_its_own_mask_and_channels():
    rng = np.random.default_rng(1)
    features = [np.ones((1, 5, 5, 3), np.float32), np.ones((1, 5, 5, 1), np.float32)]
    masks = [np.ones((1, 5, 5, 1), np.float32), np.zeros((1, 5, 5, 1), np.float32)]
    layer = build_layer(1, 3, features, rng, use_bias=False)
    output, _ = layer(features, masks)
    expected = to_numpy(layer.kernel)[:, :, :3].sum() * (4 / 3)  # 27 of 36 mask values are 1
    np.testing.assert_allclose(np.array(output)[0, 2, 2, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_with_nothing_missing_it_is_a_convolution_away_from_the_borders(stride):
    rng = np.random.default_rng(2)
    features = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
    layer = build_layer(5, 5, [features], rng, strides=stride)
    plain = keras.layers.Conv2D(5, 5, strides=stride, padding="same")
    plain.build(features.shape)
    plain.set_weights(layer.get_weights())
    output, new_mask = layer(features, np.ones((2, 16, 16, 1), np.float32))
    inner = (slice(None), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(
        np.array(output)[inner], np.array(plain(features))[inner], rtol=1e-4, atol=1e-5
    )
    assert np.array(new_mask).all()
    assert not np.allclose(np.array(output), np.array(plain(features)), atol=1e-3)  # at the borders


def test_what_lies_in_holes_never_matters():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(1, 12, 12, 3)).astype(np.float32)
    mask = masks_for("scattered", (1, 12, 12), rng)
    layer = build_layer(4, 3, [features], rng)
    junk = np.where(mask > 0, features, 1e6).astype(np.float32)
    np.testing.assert_array_equal(
        np.array(layer(features, mask)[0]), np.array(layer(junk, mask)[0])
    )


def test_masked_input_gives_the_same_without_masking_again():
    rng = np.random.default_rng(4)
    features = rng.normal(size=(1, 8, 8, 3)).astype(np.float32)
    mask = masks_for("scattered", (1, 8, 8), rng)
    layer = build_layer(4, 3, [features], rng)
    trusting = PartialConv2D.from_config({**layer.get_config(), "input_is_masked": True})
    trusting.build(features.shape, mask.shape)
    trusting.set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        np.array(layer(features, mask)[0]), np.array(trusting(features * mask, mask)[0])
    )


def test_gradients_are_zero_in_holes_and_finite_everywhere():
    import tensorflow as tf

    rng = np.random.default_rng(5)
    features = tf.constant(rng.normal(size=(1, 10, 10, 2)), tf.float32)
    mask = masks_for("corner", (1, 10, 10), rng)
    layer = build_layer(3, 3, [features.numpy()], rng)
    with tf.GradientTape() as tape:
        tape.watch(features)
        loss = tf.reduce_sum(layer(features, mask)[0] ** 2)
    by_features, by_kernel = tape.gradient(loss, [features, layer.kernel.value])
    assert np.isfinite(by_kernel).all()
    assert np.abs(by_features[0, 0, 0]).min() > 0
    assert np.count_nonzero(by_features) == 2


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mask_sums_stay_exact_in_mixed_precision(policy):
    """513 valid positions of 31·31·1: bfloat16 and float16 cannot even count them."""
    features = np.ones((1, 31, 31, 3), np.float32)
    mask = np.zeros((1, 31, 31, 1), np.float32)
    mask.reshape(-1)[:513] = 1
    layer = PartialConv2D(1, 61, use_bias=False, kernel_initializer="ones", dtype=policy)
    ratio, _ = layer._renormalisation([3], [mask])
    assert keras.backend.standardize_dtype(ratio.dtype) == "float32"
    np.testing.assert_allclose(np.array(ratio)[0, 15, 15, 0], 61 * 61 / 513, rtol=1e-6)
    output, _ = layer(features, mask)
    assert keras.backend.standardize_dtype(output.dtype) == policy.removeprefix("mixed_")
    assert keras.backend.standardize_dtype(layer.kernel.dtype) == "float32"


def test_configuration_round_trip():
    layer = PartialConv2D(
        6,
        5,
        strides=2,
        padding="symmetric",
        use_bias=False,
        kernel_initializer="he_uniform",
        name="p",
    )
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    again.build((None, None, None, 3), (None, None, None, 1))
    assert again.kernel.shape == (5, 5, 3, 6)
    assert again.bias is None


def test_upsampling_repeats_pixels():
    x = np.arange(2 * 2 * 3 * 2, dtype=np.float32).reshape(2, 2, 3, 2)
    np.testing.assert_array_equal(
        np.array(upsample_nearest(x)), x.repeat(2, axis=1).repeat(2, axis=2)
    )


def test_a_new_layer_shifts_nothing():
    layer = PartialConv2D(3, 3)
    layer.build((None, None, None, 2), (None, None, None, 1))
    assert not to_numpy(layer.bias).any()
