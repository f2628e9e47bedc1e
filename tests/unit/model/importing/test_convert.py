"""Every tensor of another project's file is accounted for, or named."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.importing.convert import convert
from tests.support import torch_unets

Arrays = dict[str, np.ndarray]
PATH = Path("theirs.pth")


def tensors_of(kind: str, **options) -> Arrays:
    state = torch_unets.build(kind, widths=[4, 8, 8], **options).state_dict()
    return {name: tensor.numpy() for name, tensor in state.items()}


def without(name: str) -> Callable[[Arrays], Arrays]:
    return lambda tensors: {key: array for key, array in tensors.items() if key != name}


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    return lambda tensors: {**tensors, name: change(tensors[name])}


@pytest.mark.parametrize(
    ("kind", "project", "left_out"),
    [
        ("mmagic", "MMagic (MMEditing)", 2),
        ("naoto", "pytorch-inpainting-with-partial-conv", 0),
        ("naoto 2018", "pytorch-inpainting-with-partial-conv (names of 2018)", 0),
    ],
)
def test_projects_are_told_apart(kind: str, project: str, left_out: int):
    converted = convert(tensors_of(kind), source=PATH)
    assert converted.project == project
    assert len(converted.left_out) == left_out
    assert all(array.dtype == np.float32 for array in converted.arrays.values())
    assert converted.config.padding == "symmetric"
    assert converted.config.pixels == ("signed" if kind == "mmagic" else "imagenet")
    assert converted.config.encoder_kernels == (7, 5)


def test_generators_saved_alone_or_from_several_gpus_are_the_same():
    tensors = tensors_of("mmagic")
    expected = convert(tensors, source=PATH).arrays
    alone = {k.removeprefix("generator."): v for k, v in tensors.items() if k[0] == "g"}
    for others in (alone, {f"module.{name}": array for name, array in tensors.items()}):
        found = convert(others, source=PATH).arrays
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("kind", "part"),
    [("naoto 2018", "num_batches_tracked"), ("mmagic", "mask_updater"), ("naoto 2018", "mask2d")],
)
def test_constants_may_be_missing_altogether(kind: str, part: str):
    tensors = tensors_of(kind)
    expected = convert(tensors, source=PATH).arrays
    others = {name: array for name, array in tensors.items() if part not in name}
    assert len(others) < len(tensors)
    found = convert(others, source=PATH).arrays
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    one = next(name for name in tensors if part in name)
    with pytest.raises(UsageError, match=re.escape(f"{one!r} is missing")):
        convert(without(one)(tensors), source=PATH)


@pytest.mark.parametrize(
    ("kind", "spoil", "message"),
    [
        (
            "mmagic",
            without("generator.decoder.dec2.bn.running_var"),
            "'generator.decoder.dec2.bn.running_var' is missing",
        ),
        (
            "mmagic",
            without("generator.encoder.enc2.conv.weight"),
            "'generator.encoder.enc2.conv.weight' is missing",
        ),
        (
            "naoto",
            without("dec_1.conv.input_conv.weight"),
            "'dec_1.conv.input_conv.weight' is miss",
        ),
        ("naoto", without("dec_1.conv.input_conv.bias"), "'dec_1.conv.input_conv.bias' is missing"),
        ("naoto 2018", without("enc_2.conv.conv2d.bias"), "'enc_2.conv.conv2d.bias' is missing"),
        (
            "mmagic",
            lambda t: {**t, "disc.conv1.weight": np.zeros(3)},
            "'disc.conv1.weight' is unexpected",
        ),
        (
            "naoto",
            lambda t: {**t, "enc_2.conv.input_conv.bias": np.zeros(8)},
            "'enc_2.conv.input_conv.bias' is unexpected",
        ),
        (
            "mmagic",
            changed("generator.encoder.enc2.conv.weight", lambda a: a[:5]),
            "'generator.encoder.enc2.conv.weight' has shape (5, 4, 5, 5), expected (8, 4, 5, 5)",
        ),
        (
            "mmagic",
            changed("generator.encoder.enc1.conv.weight", lambda a: a[0]),
            "'generator.encoder.enc1.conv.weight' has shape (3, 7, 7), expected four dimensions",
        ),
        (
            "mmagic",
            changed("generator.encoder.enc1.conv.weight", lambda a: a[:, :, :6, :6]),
            "model.encoder_kernels and model.decoder_kernel must be odd",
        ),
        (
            "naoto",
            changed("enc_2.conv.mask_conv.weight", lambda a: a * 2),
            "'enc_2.conv.mask_conv.weight' should sum masks and therefore hold only ones",
        ),
        (
            "naoto 2018",
            changed("enc_2.conv.mask2d.bias", lambda a: a + 1),
            "'enc_2.conv.mask2d.bias' should sum masks and therefore hold only zeros",
        ),
        (
            "naoto",
            changed("dec_2.bn.running_var", lambda a: -a),
            "'dec_2.bn.running_var' holds negative variances",
        ),
        (
            "naoto",
            changed("enc_3.bn.bias", lambda a: a / 0),
            "'enc_3.bn.bias' holds values that are",
        ),
        (
            "naoto",
            changed("enc_3.bn.bias", lambda a: a.astype(np.int64)),
            "'enc_3.bn.bias' holds int64; expected floating-point numbers",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_does_not_fit_is_named(kind: str, spoil: Callable[[Arrays], Arrays], message: str):
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        convert(spoil(tensors_of(kind)), source=PATH)
    assert str(caught.value).startswith("theirs.pth: does not fit the U-Net of Liu et al. 2018")


def test_another_network_is_told_as_such():
    with pytest.raises(UsageError) as caught:
        convert({"features.0.weight": np.zeros((64, 3, 3, 3))}, source=PATH)
    text = str(caught.value)
    assert "the weights of another network (1 tensors: 'features.0.weight'" in text
    assert "'generator.encoder.enc1.conv.weight' (MMagic (MMEditing))" in text
    assert "'enc_1.conv.input_conv.weight'" in text


def test_many_problems_are_counted():
    tensors = {name: a for name, a in tensors_of("naoto").items() if ".bn." not in name}
    with pytest.raises(UsageError, match=r"is missing and 13 more$"):
        convert(tensors, source=PATH)
