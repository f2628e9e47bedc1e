"""Drawn masks: in their bin, clear of the border where planned, and the same each time."""

import numpy as np
import pytest

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.masks.mask_drawing import BIN_EDGES, NUM_BINS, STYLES, MaskPlan, bin_of, draw_mask
from pconv_hpc.masks.silhouettes import Silhouettes
from tests.support.mask_folders import make_mask_folder


@pytest.fixture(scope="module")
def silhouettes(tmp_path_factory: pytest.TempPathFactory) -> Silhouettes:
    return Silhouettes.from_folder(make_mask_folder(tmp_path_factory.mktemp("masks") / "m"), seed=0)


@pytest.mark.parametrize("size", [16, 33, 128])
@pytest.mark.parametrize("style", STYLES)
def test_every_mask_lies_in_its_bin(style: str, size: int, silhouettes: Silhouettes) -> None:
    plan = MaskPlan(size=size, seed=1, style_weights={style: 1})
    for index in range(4 * NUM_BINS):
        mask = draw_mask(plan, silhouettes, index)
        assert mask.shape == (size, size)
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 1}
        low, high = BIN_EDGES[plan.bin(index) : plan.bin(index) + 2]
        assert low < 1 - mask.mean() <= high


@pytest.mark.parametrize("shape", [(48, 120), (200, 100)])
@pytest.mark.parametrize("style", STYLES)
def test_masks_of_any_shape_lie_in_their_bin_too(
    style: str, shape: tuple[int, int], silhouettes: Silhouettes
) -> None:
    plan = MaskPlan(size=max(shape), seed=1, style_weights={style: 1})
    margin = round(min(shape) * 50 / 512)
    for index in range(4 * NUM_BINS):
        mask = draw_mask(plan, silhouettes, index, shape=shape)
        assert mask.shape == shape
        low, high = BIN_EDGES[plan.bin(index) : plan.bin(index) + 2]
        assert low < 1 - mask.mean() <= high
        if plan.keeps_clear_of_border(index):
            mask[margin:-margin, margin:-margin] = 1
            assert mask.all()


@pytest.mark.parametrize("style", STYLES)
def test_half_of_the_small_holes_keep_clear_of_the_border(
    style: str, silhouettes: Silhouettes
) -> None:
    size = 128
    margin = round(size * 50 / 512)
    plan = MaskPlan(size=size, seed=2, style_weights={style: 1})
    clear = [index for index in range(72) if plan.keeps_clear_of_border(index)]
    small = [index for index in range(72) if plan.bin(index) <= 2]
    assert len(set(clear) & set(small)) == len(small) / 2
    for index in clear:
        framed = draw_mask(plan, silhouettes, index)
        framed[margin:-margin, margin:-margin] = 1
        assert framed.all()
    free = [index for index in range(72) if index not in clear]
    touching = [not draw_mask(plan, silhouettes, i)[[0, -1]].all() for i in free]
    assert sum(touching) > len(touching) / 4


def test_a_mask_follows_from_seed_and_index(silhouettes: Silhouettes) -> None:
    weights = {"strokes": 1, "boxes": 1, "objects": 1}
    plans = [MaskPlan(size=64, seed=seed, style_weights=weights) for seed in (0, 0, 1)]
    for index in (0, 13, 30):
        first, again, other = (draw_mask(plan, silhouettes, index) for plan in plans)
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
        assert not np.array_equal(first, draw_mask(plans[0], silhouettes, index + 72))


@pytest.mark.parametrize(
    "weights", [{"strokes": 1, "boxes": 1, "objects": 1}, {"strokes": 3, "objects": 1}]
)
def test_styles_follow_their_weights_in_every_bin(weights: dict[str, float]) -> None:
    plan = MaskPlan(size=64, seed=0, style_weights=weights)
    indices = range(1200)
    for bin_index in range(NUM_BINS):
        members = [index for index in indices if plan.bin(index) == bin_index]
        assert len(members) == len(indices) / NUM_BINS
        for style in STYLES:
            share = np.mean([plan.style(index) == style for index in members])
            assert share == pytest.approx(weights.get(style, 0) / sum(weights.values()), abs=0.02)


def test_bins_include_their_upper_edge() -> None:
    ratios = np.array([0.01, 0.0100001, 0.1, 0.10001, 0.6, 0.61])
    assert bin_of(ratios).tolist() == [-1, 0, 0, 1, 5, 6]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 15}, "side 15: expected 16 to 8192"),
        ({"size": 100_000}, "expected 16 to 8192"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**64}, "expected 0 to"),
        ({"style_weights": {"scribbles": 1}}, "valid styles: strokes, boxes, objects"),
        ({"style_weights": {}}, "not all may be 0"),
        ({"style_weights": {"strokes": -1, "boxes": 2}}, "none may be below 0"),
        ({"style_weights": {"strokes": float("nan")}}, "none may be below 0"),
    ],
)
def test_impossible_plans_are_refused(changes: dict[str, object], message: str) -> None:
    arguments: dict = {"size": 64, "seed": 0, "style_weights": {"strokes": 1.0}, **changes}
    with pytest.raises(UsageError, match=message):
        MaskPlan(**arguments)


def test_objects_without_silhouettes_are_refused() -> None:
    plan = MaskPlan(size=64, seed=0, style_weights={"objects": 1})
    with pytest.raises(UsageError, match="need a silhouette file or a folder"):
        draw_mask(plan, None, 0)


def test_a_style_that_cannot_fill_its_bin_says_so() -> None:
    class Nothing:
        def draw(self, rng: np.random.Generator, region: object, area: float) -> np.ndarray:
            return np.zeros((64, 64), np.bool_)

    plan = MaskPlan(size=64, seed=0, style_weights={"objects": 1})
    with pytest.raises(
        PconvError, match="no objects mask of 64 x 64 pixels with holes of 10% to 20%"
    ):
        draw_mask(plan, Nothing(), 1)  # type: ignore[arg-type]
