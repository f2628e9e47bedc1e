import dataclasses

import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from pconv_hpc.foundation.config import LossConfig
from pconv_hpc.model.losses import InpaintingLoss, gram_matrix, hole_total_variation
from pconv_hpc.model.vgg import VGG16Features
from tests.support import references


@pytest.fixture(scope="module")
def vgg() -> VGG16Features:
    """VGG16's shape with small random weights."""
    features = VGG16Features(name="vgg16")
    features.build((None, None, None, 3))
    rng = np.random.default_rng(1)
    for variable in features.variables:
        fan_in = np.prod(variable.shape[:-1])
        variable.assign(rng.normal(0, np.sqrt(2 / max(fan_in, 9)), variable.shape) * 0.9)
    return features


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    truth = references.photo(rng, 2, 24, 28)
    output = (truth + rng.normal(0, 0.2, truth.shape)).astype(np.float32)
    return output, truth, references.valid_mask(rng, 2, 24, 28)


def reference_terms(output, truth, masks, vgg) -> dict[str, float]:
    """The terms of section 3.3 of Liu et al. 2018, one image, channel and pixel pair at a time."""
    output, truth, m = (a.astype(np.float64) for a in (output, truth, masks))
    composite = m * truth + (1 - m) * output
    terms = {
        "valid": np.mean(np.abs(m * (output - truth))),
        "hole": np.mean(np.abs((1 - m) * (output - truth))),
        "perceptual": 0.0,
        "style": 0.0,
    }

    def features(images):
        return [to_numpy(f).astype(np.float64) for f in vgg(images.astype(np.float32))]

    def gram(psi):  # K_p = 1 / (C H W)
        height, width, channels = psi.shape
        flat = psi.reshape(height * width, channels)
        return flat.T @ flat / (channels * height * width)

    for images in (output, composite):
        for found, expected in zip(features(images), features(truth), strict=True):
            terms["perceptual"] += np.mean(np.abs(found - expected))
            pairs = zip(found, expected, strict=True)
            terms["style"] += np.mean([np.abs(gram(f) - gram(e)) for f, e in pairs])

    batch, height, width, _ = composite.shape
    region = np.zeros((batch, height, width), bool)
    for b, i, j in zip(*np.nonzero(m[..., 0] == 0), strict=True):
        region[b, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2] = True
    total = 0.0
    for b, i, j in np.ndindex(batch, height, width):
        for down, right in ((0, 1), (1, 0)):
            y, x = i + down, j + right
            if y < height and x < width and region[b, i, j] and region[b, y, x]:
                total += np.abs(composite[b, y, x] - composite[b, i, j]).sum()
    terms["total_variation"] = total / composite.size
    return terms


def test_each_term_equals_its_formula(batch, vgg):
    config = LossConfig()
    loss = InpaintingLoss(config, vgg)
    parts = loss(*batch)
    assert list(parts) == loss.part_names
    assert loss.part_names[0] == "loss"
    expected = reference_terms(*batch, vgg)
    for name, value in expected.items():
        assert value > 0
        assert float(parts[name]) == pytest.approx(value, rel=2e-4), name
    total = sum(getattr(config, name) * value for name, value in expected.items())
    assert float(parts["loss"]) == pytest.approx(total, rel=2e-4)


def test_terms_without_weight_or_vgg_are_left_out(batch, vgg):
    loss = InpaintingLoss(LossConfig(), None)
    assert loss.part_names == ["loss", "valid", "hole", "total_variation"]
    assert list(loss(*batch)) == loss.part_names

    pixels = InpaintingLoss(LossConfig(valid=2, hole=0, total_variation=0), None)(*batch)
    assert list(pixels) == ["loss", "valid"]
    assert float(pixels["loss"]) == pytest.approx(2 * float(pixels["valid"]))

    both = InpaintingLoss(LossConfig(), vgg)(*batch)
    for name in ("perceptual", "style"):
        config = dataclasses.replace(LossConfig(), **{name: 0})
        parts = InpaintingLoss(config, vgg)(*batch)
        assert name not in parts
        assert {k: float(v) for k, v in parts.items() if k != "loss"} == {
            k: pytest.approx(float(v)) for k, v in both.items() if k in parts and k != "loss"
        }


def test_without_the_valid_term_valid_pixels_of_the_output_do_not_count(batch, vgg):
    output, truth, masks = batch
    loss = InpaintingLoss(LossConfig(valid=0), vgg)
    parts = loss(output, truth, masks)
    other = loss(np.where(masks > 0, 1 - output, output), truth, masks)
    assert {k: float(v) for k, v in parts.items()} == {k: float(v) for k, v in other.items()}
    of_composite = InpaintingLoss(LossConfig(), vgg)(
        masks * truth + (1 - masks) * output, truth, masks
    )  # there both halves are the composite
    for name in ("perceptual", "style"):
        assert 2 * float(parts[name]) == pytest.approx(float(of_composite[name]), rel=1e-5)


def test_features_are_not_computed_for_nobody(batch):
    def never(images):
        raise AssertionError("VGG16 was asked")

    InpaintingLoss(LossConfig(perceptual=0, style=0), never)(*batch)


def test_a_perfect_output_costs_only_its_own_roughness(batch, vgg):
    _, truth, masks = batch
    parts = InpaintingLoss(LossConfig(), vgg)(truth, truth, masks)
    for name in ("valid", "hole", "perceptual", "style"):
        assert float(parts[name]) == pytest.approx(0, abs=1e-6)
    assert float(parts["total_variation"]) > 0


def test_the_mean_of_parts_is_that_of_the_whole(batch, vgg):
    """What lets a trainer cut a batch and weigh the pieces by their size."""
    loss = InpaintingLoss(LossConfig(), vgg)
    whole = loss(*batch)
    pieces = [loss(*(a[i : i + 1] for a in batch)) for i in range(2)]
    for name, value in whole.items():
        assert np.mean([float(p[name]) for p in pieces]) == pytest.approx(float(value), rel=1e-4)


def test_total_variation_looks_one_pixel_around_the_hole_and_no_further():
    hole = np.zeros((1, 9, 9, 1), np.float32)
    hole[0, 4, 4] = 1
    spike = np.zeros((1, 9, 9, 1), np.float32)
    spike[0, 3, 4] = 1  # within the dilated hole: neighbours left, right and below are too
    assert float(hole_total_variation(spike, hole)) == pytest.approx(3 / 81)
    spike = np.roll(spike, -1, axis=1)  # outside
    assert float(hole_total_variation(spike, hole)) == 0
    assert float(hole_total_variation(spike, np.zeros_like(hole))) == 0


def test_gram_matrix_of_one_image():
    features = np.arange(12, dtype=np.float32).reshape(1, 2, 3, 2)
    flat = features.reshape(6, 2)
    np.testing.assert_allclose(np.array(gram_matrix(features)), [flat.T @ flat / 12], rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradients_are_finite_and_none_reaches_the_truth(batch, vgg, jit_compile):
    import tensorflow as tf

    loss = InpaintingLoss(LossConfig(), vgg)

    @tf.function(jit_compile=jit_compile)
    def gradients(output, truth, masks):
        with tf.GradientTape() as tape:
            tape.watch([output, truth])
            total = loss(output, truth, masks)["loss"]
        return tape.gradient(total, [output, truth])

    by_output, by_truth = gradients(*(tf.constant(a) for a in batch))
    assert by_truth is None
    assert np.isfinite(by_output).all()
    assert np.abs(by_output).max() > 0


def test_low_precision_inputs_are_compared_in_float32(batch, vgg):
    import tensorflow as tf

    output, truth, masks = batch
    loss = InpaintingLoss(LossConfig(), vgg)
    parts = loss(tf.cast(output, tf.bfloat16), tf.constant(truth), tf.cast(masks, tf.bfloat16))
    expected = loss(output, truth, masks)
    for name, value in parts.items():
        assert value.dtype == tf.float32
        assert float(value) == pytest.approx(float(expected[name]), rel=0.02)
