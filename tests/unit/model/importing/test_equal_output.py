"""Imported networks give what the networks they come from give."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pconv_hpc.model.importing.weights import import_weights
from pconv_hpc.model.weights import load_model
from tests.support import references, torch_unets

WIDTHS = [6, 12, 16, 16]
HOLES = ("none", "scattered", "box", "stripes", "one pixel left", "all")


def holes(kind: str, height: int, width: int) -> np.ndarray:
    """Return a mask (H, W, 1), 1 = valid."""
    mask = np.ones((height, width, 1), np.float32)
    if kind == "scattered":
        mask[np.random.default_rng(5).random(mask.shape) < 0.6] = 0
    elif kind == "box":
        mask[height // 4 :, width // 3 : -width // 5] = 0
    elif kind == "stripes":
        mask[:, np.arange(width) % 13 < 9] = 0
    elif kind == "one pixel left":
        mask[:] = 0
        mask[height // 3, width // 2] = 1
    elif kind == "all":
        mask[:] = 0
    return mask


def import_file(kind: str, model: torch.nn.Module, folder: Path, **options):
    path, out = folder / "theirs.pth", folder / "ours.h5"
    torch.save(torch_unets.saved(kind, model), path, **options)
    import_weights(path, out, image_size=256)
    return load_model(out)


@pytest.mark.parametrize("kind", torch_unets.FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (37, 51), (33, 16)])
def test_the_output_is_theirs(tmp_path, kind, size):
    theirs = torch_unets.build(kind, widths=WIDTHS)
    ours, config, metadata = import_file(kind, theirs, tmp_path)
    assert (config.levels, config.base_channels, config.max_channels) == (4, 6, 16)
    assert metadata["image_size"] == 256

    photos = references.photo(np.random.default_rng(1), len(HOLES), *size)
    masks = np.stack([holes(kind, *size) for kind in HOLES])
    expected = torch_unets.fill(kind, theirs, photos, masks)
    found = np.array(ours([photos, masks], training=False))
    assert 0.2 < expected.std() < 5
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    for number, name in enumerate(HOLES[:-1]):  # the fill depends on the photo, hole or not
        other = np.array(ours([photos[::-1].copy(), masks], training=False))
        assert np.abs(other - found)[number].max() > 1e-3, name


def test_the_published_size_and_older_file_format(tmp_path):
    """7 levels, 64 to 512 channels, saved as PyTorch did before 1.6, as the released files are."""
    theirs = torch_unets.build("mmagic", widths=[64, 128, 256, 512, 512, 512, 512])
    ours, config, _ = import_file("mmagic", theirs, tmp_path, _use_new_zipfile_serialization=False)
    assert (config.levels, config.base_channels, config.max_channels) == (7, 64, 512)
    assert ours.count_params() == 25_788_692
    photos = references.photo(np.random.default_rng(2), 1, 128, 128)
    masks = holes("box", 128, 128)[None]
    expected = torch_unets.fill("mmagic", theirs, photos, masks)
    found = np.array(ours([photos, masks], training=False))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
