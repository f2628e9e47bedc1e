"""Ghosting: known cases, in which anyone would say what must come out."""

import numpy as np
import pytest
from scipy import ndimage

from pconv_hpc.evaluation.figures.ghosting import Outline, Trace
from pconv_hpc.evaluation.measuring.composites import Composite, paste_object, write_figures
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_growing import MASK_SHAPES, default_dilation, shape_mask
from pconv_hpc.masks.silhouettes import Silhouettes
from pconv_hpc.photos.sample_photos import sample_photos

SIZE = 192


def crop(name: str) -> np.ndarray:
    photo = sample_photos()[name]
    return np.ascontiguousarray(photo[:SIZE, :SIZE])


@pytest.fixture(scope="module")
def silhouettes(tmp_path_factory: pytest.TempPathFactory) -> Silhouettes:
    folder = tmp_path_factory.mktemp("figures")
    write_figures(folder, seed=0)
    return Silhouettes.from_folder(folder, seed=0)


@pytest.fixture(scope="module", params=["cat", "temple", "coffee", "rocket"])
def composite(request: pytest.FixtureRequest, silhouettes: Silhouettes) -> Composite:
    background, texture = crop(request.param), crop("flower")
    return paste_object(background, texture, silhouettes, np.random.default_rng(3))


def trace(composite: Composite, result: np.ndarray, region: np.ndarray) -> Trace:
    return Outline(region, composite.background / 255.0).trace(result / 255.0)


def test_a_perfect_restoration_leaves_no_trace(composite: Composite) -> None:
    assert trace(composite, composite.background, composite.silhouette) == Trace(0.0, 0.0)


def test_an_object_that_was_left_shows(composite: Composite) -> None:
    found = trace(composite, composite.picture, composite.silhouette)
    assert found.residue > 1.0
    assert found.visible > 0.7


def test_a_fading_ghost_shows_less_and_less(composite: Composite) -> None:
    found = []
    for share in (0.5, 0.25, 0.1, 0.0):
        ghost = share * composite.picture + (1 - share) * composite.background
        found.append(trace(composite, ghost, composite.silhouette))
    for figures in ([f.residue for f in found], [f.visible for f in found]):
        assert figures == sorted(figures, reverse=True)
    assert found[0].residue > 0.2
    assert found[0].visible > 0.3
    assert found[-1] == Trace(0.0, 0.0)


def test_a_gray_patch_shows_along_the_rim_of_its_hole(composite: Composite) -> None:
    hole = shape_mask(composite.silhouette, "dilate", 6)
    patch = np.where(hole[..., None], 128, composite.background)
    found = trace(composite, patch, hole)
    assert found.residue > 0.5
    assert found.visible > 0.5


def test_blur_is_no_outline(composite: Composite) -> None:
    hole = shape_mask(composite.silhouette, "dilate", 6)
    blurred = ndimage.gaussian_filter(composite.background, (3, 3, 0))
    result = np.where(hole[..., None], blurred, composite.background)
    for region in (hole, composite.silhouette):
        found = trace(composite, result, region)
        assert found.residue < 0.15
        assert found.visible < 0.15


def test_a_ghost_on_a_wall_shows_though_texture_was_lost_beside_it() -> None:
    rng = np.random.default_rng(0)
    truth = np.full((SIZE, SIZE, 3), 0.5)
    truth[:, SIZE // 2 :] = rng.random((SIZE, SIZE // 2, 3))  # a wall on the left, leaves right
    region = np.zeros((SIZE, SIZE), bool)
    region[60:130, 40:150] = True
    result = np.where(region[..., None], 0.45, truth)  # a faint patch, and the leaves are gone
    result[:, SIZE // 2 :] = 0.5
    found = Outline(region, truth).trace(result)
    assert found.residue < 0
    assert found.visible > 0.3


def test_other_texture_of_the_same_kind_is_no_outline(composite: Composite) -> None:
    """Its pixels differ from the truth everywhere, and yet no ghost is to be seen."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0.5, 0.15, (SIZE, SIZE, 3))
    other = rng.normal(0.5, 0.15, (SIZE, SIZE, 3))
    hole = composite.silhouette
    found = Outline(hole, truth).trace(np.where(hole[..., None], other, truth))
    assert abs(found.residue) < 0.2
    assert found.visible < 0.15


def test_a_step_is_its_height_over_the_width_of_the_band() -> None:
    region = np.zeros((100, 100), bool)
    region[:50] = True
    picture = np.where(region[..., None], 0.25, 0.75) * np.ones(3)
    outline = Outline(region, picture)
    steps = outline.steps(picture)
    assert len(steps) == 4 * 100  # two pixels to each side
    assert steps == pytest.approx(0.5 / 4, rel=0.2)
    crossing = outline.steps(picture.transpose(1, 0, 2))  # an edge across the contour instead
    assert crossing.mean() < 0.05 * steps.mean()


def test_composites_are_what_they_say(composite: Composite) -> None:
    shape = composite.silhouette
    assert 0.02 < shape.mean() < 0.2
    far = ndimage.distance_transform_edt(~shape) > SIZE // 8
    np.testing.assert_array_equal(composite.picture[far], composite.background[far])
    inside = ndimage.distance_transform_edt(shape) > 4
    np.testing.assert_array_equal(composite.picture[inside], crop("flower")[inside])
    radius = default_dilation(np.count_nonzero(shape))
    for kind in MASK_SHAPES:
        hole = shape_mask(shape, kind, radius)
        assert (hole & shape).sum() == shape.sum()
        assert not hole[[0, -1]].any()
    rim = ~shape & (ndimage.distance_transform_edt(~shape) <= 2)
    assert (composite.picture[rim] != composite.background[rim]).any()  # soft edge and shadow


def test_outlines_of_which_scaling_leaves_nothing_are_drawn_again_or_named() -> None:
    net = np.zeros((256, 256), bool)
    net[::9] = net[:, ::9] = True  # 21% of it
    solid = np.ones((40, 30), bool)
    background, texture = crop("cat")[:64, :64], crop("coffee")[:64, :64]
    for seed in range(10):
        rng = np.random.default_rng(seed)
        composite = paste_object(background, texture, Silhouettes([net, solid]), rng)
        assert composite.silhouette.any()
    with pytest.raises(UsageError, match="--objects-from: 20 objects in a row had outlines so"):
        paste_object(background, texture, Silhouettes([net]), rng)


@pytest.mark.parametrize("texture", [(60, 200), (300, 90), (400, 400)])
def test_photos_of_any_size_are_pasted_on_photos_of_any_other(
    silhouettes: Silhouettes, texture: tuple[int, int]
) -> None:
    background = sample_photos()["temple"][:160, :256]
    other = np.resize(sample_photos()["flower"], (*texture, 3))
    composite = paste_object(background, other, silhouettes, np.random.default_rng(4))
    assert composite.picture.shape == background.shape
    assert 0.02 < composite.silhouette.mean() < 0.2
    margin = composite.silhouette.copy()
    margin[16:-16, 16:-16] = False
    assert not margin.any()


def test_composites_follow_from_the_seed(silhouettes: Silhouettes) -> None:
    first, again, other = (
        paste_object(crop("cat"), crop("coffee"), silhouettes, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.picture, again.picture)
    assert (first.silhouette != other.silhouette).any()
