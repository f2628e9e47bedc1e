"""Ghosting: known cases, in which anyone would say what must come out."""

import numpy as np
import pytest
from scipy import ndimage

from pconv_hpc.data.sample_photos import sample_photos
from pconv_hpc.data.silhouettes import Silhouettes
from pconv_hpc.erasing.mask_shaping import MASK_SHAPES, default_dilation, shape_mask
from pconv_hpc.evaluation.composites import Composite, paste_object, write_figures
from pconv_hpc.evaluation.ghosting import Contour

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


def residue(composite: Composite, result: np.ndarray, region: np.ndarray) -> float:
    return Contour.of(region).residue(result / 255.0, composite.background / 255.0)


def test_a_perfect_restoration_has_no_residue(composite: Composite) -> None:
    assert residue(composite, composite.background, composite.silhouette) == 0.0


def test_an_object_that_was_left_shows(composite: Composite) -> None:
    assert residue(composite, composite.picture, composite.silhouette) > 1.0


def test_a_fading_ghost_shows_less_and_less(composite: Composite) -> None:
    found = []
    for share in (0.5, 0.25, 0.1, 0.0):
        ghost = share * composite.picture + (1 - share) * composite.background
        found.append(residue(composite, ghost, composite.silhouette))
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.2


def test_a_gray_patch_shows_along_the_rim_of_its_hole(composite: Composite) -> None:
    hole = shape_mask(composite.silhouette, "dilate", 6)
    patch = np.where(hole[..., None], 128, composite.background)
    assert residue(composite, patch, hole) > 0.5


def test_blur_is_no_outline(composite: Composite) -> None:
    hole = shape_mask(composite.silhouette, "dilate", 6)
    blurred = ndimage.gaussian_filter(composite.background, (3, 3, 0))
    result = np.where(hole[..., None], blurred, composite.background)
    for region in (hole, composite.silhouette):
        assert residue(composite, result, region) < 0.15


def test_other_texture_of_the_same_kind_is_no_outline(composite: Composite) -> None:
    """Its pixels differ from the truth everywhere, and yet no ghost is to be seen."""
    rng = np.random.default_rng(0)
    truth = np.clip(rng.normal(128, 40, (SIZE, SIZE, 3)), 0, 255)
    other = np.clip(rng.normal(128, 40, (SIZE, SIZE, 3)), 0, 255)
    hole = composite.silhouette
    result = np.where(hole[..., None], other, truth)
    assert abs(Contour.of(hole).residue(result / 255, truth / 255)) < 0.2


def test_energy_of_a_step_is_its_height_over_the_band() -> None:
    region = np.zeros((100, 100), bool)
    region[:50] = True
    contour = Contour.of(region)
    picture = np.where(region[..., None], 0.25, 0.75) * np.ones(3)
    rows = np.flatnonzero(contour.band.any(axis=1))
    assert contour.energy(picture) == pytest.approx(0.5 / len(rows), rel=0.15)
    sideways = picture.transpose(1, 0, 2)  # an edge that crosses the contour instead
    assert contour.energy(sideways) < 0.05 * contour.energy(picture)


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


def test_composites_follow_from_the_seed(silhouettes: Silhouettes) -> None:
    first, again, other = (
        paste_object(crop("cat"), crop("coffee"), silhouettes, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.picture, again.picture)
    assert (first.silhouette != other.silhouette).any()
