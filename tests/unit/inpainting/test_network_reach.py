"""How deep a network fills: computed from its kernels, compared with the network itself."""

import numpy as np
import pytest

from pconv_hpc.foundation.config import ModelConfig
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.inpainting.network_reach import network_reach
from pconv_hpc.model.unet import build_pconv_unet


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(levels=1, base_channels=2),
        ModelConfig(levels=3, base_channels=2),
        ModelConfig(levels=2, base_channels=2, encoder_kernels=(3, 5), decoder_kernel=5),
        ModelConfig(levels=1, base_channels=2, padding="symmetric"),
        ModelConfig(levels=3, base_channels=2, padding="symmetric"),
    ],
)
def test_it_is_what_the_network_does(config: ModelConfig) -> None:
    model = build_pconv_unet(config)
    model.decoder[-1].partial_conv.bias.assign(np.ones(3))  # 0 then means: not filled
    size, stride = 96, 2**config.levels
    masks = np.zeros((stride, size, size, 1), dtype=np.float32)
    positions = np.arange(stride) + 40
    masks[np.arange(stride), positions, positions] = 1
    images = np.random.default_rng(0).random((stride, size, size, 3), dtype=np.float32)
    output = np.asarray(model([images, masks], training=False))
    filled = (output != 0).any(axis=-1)
    reach = network_reach(config)
    distances = []
    for index, position in enumerate(positions):
        rows = np.flatnonzero(filled[index, :, position])
        distances += [position - rows[0], rows[-1] - position]
        around = np.s_[position - reach : position + reach + 1]
        assert filled[index, around, around].all()
    assert min(distances) == reach


def test_the_paper_network_sees_all_of_its_own_size() -> None:
    assert network_reach(ModelConfig(levels=7)) == 135
    assert network_reach(ModelConfig(levels=12)) == network_reach(ModelConfig(levels=8)) >= 256


def test_a_network_that_fills_nothing() -> None:
    with pytest.raises(UsageError, match="too small to fill any hole"):
        network_reach(ModelConfig(levels=1, encoder_kernels=(1,), decoder_kernel=1))
