"""Comparisons: who is timed when, what the ratio means, and that both sides do the same."""

from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pytest

from benchmarks import compare as module
from benchmarks.compare import Comparison, compare
from benchmarks.loading import loading_comparisons
from benchmarks.peers import build_full_mask_unet, build_plain_unet, term_by_term_loss
from pconv_hpc.foundation.config import LossConfig, ModelConfig
from pconv_hpc.model.losses import InpaintingLoss
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.vgg import VGG16Features


@pytest.mark.parametrize(
    ("quantity", "goal", "ratio", "reached"),
    [("time", 1.05, 2.0, False), ("time", 2.0, 2.0, True), ("speed", 0.4, 0.5, True)],
)
def test_ratios_come_from_alternating_rounds(
    monkeypatch: pytest.MonkeyPatch,
    quantity: Literal["time", "speed"],
    goal: float,
    ratio: float,
    reached: bool,
) -> None:
    now = 0.0
    calls: list[str] = []

    def advance(name: str, seconds: float) -> None:
        nonlocal now
        now += seconds
        calls.append(name)

    monkeypatch.setattr(module.time, "perf_counter", lambda: now)
    result = compare(
        Comparison(
            name="a",
            against="b",
            ours=lambda: advance("ours", 4.0),
            reference=lambda: advance("reference", 2.0),
            quantity=quantity,
            goal=goal,
        ),
        rounds=3,
    )
    assert calls == ["reference", "ours", "ours", "reference"] * 2
    assert result.ratio == ratio
    assert result.reached is reached
    assert (result.ours, result.reference) == (4.0, 2.0)
    assert result.row()[-1] == ("reached" if reached else "missed")


def test_work_may_measure_itself() -> None:
    costs = iter([1.0, 1.0, 3.0, 2.0, 4.0, 6.0])  # the first round is not counted
    result = compare(
        Comparison(
            name="a",
            against="b",
            ours=lambda: next(costs),
            reference=lambda: next(costs),
            quantity="memory",
            goal=1.2,
            self_measured=True,
        ),
        rounds=2,
    )
    assert (result.ours, result.reference) == (4.5, 3.0)
    assert result.ratio == 1.5
    assert not result.reached


def test_the_plain_network_has_the_same_shape() -> None:
    config = ModelConfig(levels=4, base_channels=4, max_channels=16)
    plain, ours = build_plain_unet(config, 32), build_pconv_unet(config)
    kernels = [
        sorted(tuple(v.shape) for v in model.variables if v.name == "kernel")
        for model in (plain, ours)
    ]
    # but for the mask, which the plain network takes as a fourth channel: first layer and last skip
    extra = [np.prod(shape) for shape in (*kernels[0], *kernels[1])]
    assert len(kernels[0]) == len(kernels[1]) == 8
    assert sum(extra[:8]) - sum(extra[8:]) == 7 * 7 * 4 + 3 * 3 * 3
    images, masks = np.zeros((1, 32, 32, 3), np.float32), np.ones((1, 32, 32, 1), np.float32)
    assert keras.ops.shape(plain([images, masks])) == keras.ops.shape(ours([images, masks]))


def test_the_peers_compute_what_ours_do() -> None:
    rng = np.random.default_rng(5)
    images = rng.random((2, 32, 32, 3), np.float32)
    masks = (rng.random((2, 32, 32, 1)) > 0.4).astype(np.float32)
    config = ModelConfig(levels=3, base_channels=4, max_channels=16)
    ours, peer = build_pconv_unet(config), build_full_mask_unet(config, 32)
    by_shape = [v for v in peer.trainable_variables if v.name == "kernel"]
    kernels = [v for v in ours.trainable_variables if v.name == "kernel"]
    for ours_kernel, theirs in zip(kernels, by_shape, strict=True):
        theirs.assign(ours_kernel)
    found, expected = (np.asarray(model([images, masks])) for model in (ours, peer))
    np.testing.assert_allclose(found, expected, atol=1e-4)

    vgg = VGG16Features()
    vgg.build((None, None, None, 3))
    total = InpaintingLoss(LossConfig(), vgg)(found, images, masks)["loss"]
    reference = term_by_term_loss(LossConfig(), vgg, found, images, masks)
    np.testing.assert_allclose(float(total), float(reference), rtol=1e-5)


def test_loading_comparisons_run(tmp_path: Path) -> None:
    results = [compare(comparison, rounds=1) for comparison in loading_comparisons(tmp_path)]
    assert [result.against for result in results] == [
        "tf.data over JPEG files",
        "memcpy of the same bytes",
    ]
    assert all(result.ratio > 0 for result in results)
