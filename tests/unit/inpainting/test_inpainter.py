"""The network itself fills holes: a tiny one, untrained or taught one colour."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.inpainting.inpainter import Inpainter, load_inpainter
from pconv_hpc.inpainting.outside_in import Tile
from pconv_hpc.inpainting.settings import FillSettings, Strategy
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.photos.formats.photo_files import read_mask, read_photo
from tests.support.inpainting_files import (
    CONFIG,
    IMAGE_SIZE,
    save_photo_and_mask,
    save_tiny_weights,
)
from tests.support.paths import REPOSITORY


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_weights(tmp_path_factory.mktemp("weights") / "w.h5", image_size=IMAGE_SIZE)


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_a_photo_is_erased_inside_its_mask_alone(
    tmp_path: Path, weights: Path, strategy: Strategy
) -> None:
    save_photo_and_mask(tmp_path / "photo.png", tmp_path / "mask.png")
    photo, hole = read_photo(tmp_path / "photo.png"), read_mask(tmp_path / "mask.png").hole
    before = photo.pixels.copy()
    inpainter = load_inpainter(weights, settings=FillSettings(strategy=strategy))
    inpainter.erase(photo, hole)
    np.testing.assert_array_equal(photo.pixels[~hole], before[~hole])
    assert (photo.pixels[hole] != before[hole]).any(axis=1).mean() > 0.9

    again = read_photo(tmp_path / "photo.png")
    again.pixels[hole] = 255 - again.pixels[hole]
    inpainter.erase(again, hole)
    np.testing.assert_array_equal(again.pixels, photo.pixels)


def test_an_empty_mask_changes_nothing(tmp_path: Path, weights: Path) -> None:
    hole = save_photo_and_mask(tmp_path / "photo.png", tmp_path / "mask.png")
    photo = read_photo(tmp_path / "photo.png")
    before = photo.pixels.copy()
    load_inpainter(weights, settings=FillSettings()).erase(photo, np.zeros_like(hole))
    np.testing.assert_array_equal(photo.pixels, before)


def test_the_working_size_is_the_one_trained_at(tmp_path: Path, weights: Path) -> None:
    def size(path: Path, working_size: int | None = None) -> int:
        settings = FillSettings(working_size=working_size)
        return load_inpainter(path, settings=settings).settings.side

    assert size(weights) == IMAGE_SIZE
    assert size(weights, 128) == 128
    assert size(save_tiny_weights(tmp_path / "plain.h5")) == 256
    with pytest.raises(UsageError, match="working_size must be between"):
        size(save_tiny_weights(tmp_path / "odd.h5", image_size=10**9))


def test_tiles_of_any_shapes_come_back_in_order() -> None:
    model = build_pconv_unet(CONFIG)
    inpainter = Inpainter(model, CONFIG, settings=FillSettings(), batch_size=2)
    generator = np.random.default_rng(0)
    tiles = [
        Tile(generator.random((*shape, 3), dtype=np.float32), generator.random(shape) < 0.7)
        for shape in ((16, 16), (24, 40), (16, 16), (16, 16), (24, 40), (9, 5))
    ]
    for tile, output in zip(tiles, inpainter.predict(tiles), strict=True):
        one = model([tile.rgb[None], tile.valid[None, ..., None].astype(np.float32)])
        expected = np.clip(np.asarray(one)[0], 0, 1)
        np.testing.assert_allclose(output, expected, atol=1e-5)


def test_a_network_gone_wrong_is_an_error_not_a_black_hole() -> None:
    model = build_pconv_unet(CONFIG)
    model.decoder[-1].partial_conv.bias.assign([np.inf] * 3)
    inpainter = Inpainter(model, CONFIG, settings=FillSettings())
    tile = Tile(np.zeros((16, 16, 3), np.float32), np.ones((16, 16), dtype=bool))
    with pytest.raises(PconvError, match="not finite"):
        inpainter.predict([tile])


def test_torch_is_never_imported() -> None:
    code = (
        "import sys, pconv_hpc.inpainting.inpainter, pconv_hpc.inpainting.batches;"
        "assert 'torch' not in sys.modules and 'horovod' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_pairing_and_planning_need_no_tensorflow() -> None:
    code = (
        "import sys, pconv_hpc.inpainting.pairs, pconv_hpc.inpainting.fill;"
        "assert 'keras' not in sys.modules and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
