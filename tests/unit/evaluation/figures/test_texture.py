"""The texture ratio: known cases, in which anyone would say what must come out."""

import numpy as np
import pytest
from scipy import ndimage

from pconv_hpc.evaluation.figures.texture import TextureRatio
from pconv_hpc.photos.sample_photos import sample_photos

NAMES = ["cat", "coffee", "flower", "temple"]


def photo_and_hole(name: str) -> tuple[np.ndarray, np.ndarray]:
    photo = (sample_photos()[name][:200, :240] / 255).astype(np.float32)
    hole = np.zeros(photo.shape[:2], bool)
    hole[60:130, 80:170] = True
    return photo, hole


def ratio(photo: np.ndarray, hole: np.ndarray, fill: np.ndarray) -> float:
    found = TextureRatio(photo, hole).of(np.where(hole[..., None], fill, photo))
    assert found is not None
    return found


def test_photos_themselves_have_about_one() -> None:
    ratios = [ratio(*photo_and_hole(name), photo_and_hole(name)[0]) for name in NAMES]
    assert 0.7 < np.median(ratios) < 1.4


def test_the_same_texture_everywhere_has_one() -> None:
    rng = np.random.default_rng(0)
    photo = rng.normal(0.5, 0.1, (128, 160, 3)).astype(np.float32)
    hole = np.zeros((128, 160), bool)
    hole[30:90, 40:100] = True
    assert ratio(photo, hole, photo) == pytest.approx(1, rel=0.05)
    other = rng.normal(0.2, 0.1, photo.shape).astype(np.float32)  # darker: no texture either
    assert ratio(photo, hole, other) == pytest.approx(1, rel=0.05)


def test_a_blur_has_less_than_half_and_noise_more_than_one() -> None:
    blurred, noisy = [], []
    for name in NAMES:
        photo, hole = photo_and_hole(name)
        noise = np.random.default_rng(1).normal(0, 0.1, photo.shape).astype(np.float32)
        blurred.append(ratio(photo, hole, ndimage.gaussian_filter(photo, (4, 4, 0))))
        noisy.append(ratio(photo, hole, photo + noise))
        assert blurred[-1] < ratio(photo, hole, photo) < noisy[-1]
    assert np.median(blurred) < 0.5
    assert min(noisy) > 1


def test_nothing_crosses_the_edge_of_the_hole() -> None:
    photo, hole = photo_and_hole("temple")
    black, white = (np.where(hole[..., None], np.float32(c), photo) for c in (0, 1))
    for hidden in (black, white):
        assert TextureRatio(hidden, hole).of(black) == TextureRatio(photo, hole).of(black)
    assert ratio(photo, hole, black) == ratio(photo, hole, white)  # a step at the edge is none


def test_a_plain_fill_in_a_plain_sky_has_one() -> None:
    sky = np.full((64, 64, 3), 0.6, np.float32)
    hole = np.zeros((64, 64), bool)
    hole[20:40, 20:40] = True
    assert ratio(sky, hole, sky) == pytest.approx(1, abs=1e-4)
    assert ratio(sky, hole, sky - np.float32(0.2)) == pytest.approx(1, abs=1e-4)


def test_holes_that_are_all_rim_have_none() -> None:
    photo, hole = photo_and_hole("cat")
    thin = np.zeros_like(hole)
    thin[50:53] = True
    assert TextureRatio(photo, thin).of(photo) is None
    nearly_all = np.ones_like(hole)
    nearly_all[0, 0] = False
    assert TextureRatio(photo, nearly_all).of(photo) is None
