"""Which objects make outlines, case by case, and what is kept of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.harvest.outlines import Criteria, outlines
from pconv_hpc.masks.run_lengths import decode_runs
from pconv_hpc.masks.silhouette_file import MAX_SIDE, Silhouette
from pconv_hpc.segmentation.instances import Instance, encode_mask

HEIGHT, WIDTH = 120, 160


def instance(mask: np.ndarray, class_name: str = "car", score: float = 0.9) -> Instance:
    height, width = mask.shape
    return Instance(
        class_name=class_name,
        score=score,
        box=(0.0, 0.0, float(width), float(height)),
        height=height,
        width=width,
        counts=encode_mask(mask, 0, 0, height, width),
    )


def disk(x: float = 80, y: float = 60, radius: float = 20) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.hypot(rows - y, columns - x) < radius


def found(instances: Sequence[Instance], **changes: object) -> list[Silhouette]:
    return list(outlines("a.jpg", instances, Criteria(**changes)))  # type: ignore[arg-type]


def test_an_outline_is_the_mask_cropped_to_the_object() -> None:
    mask = disk() & ~disk(radius=5)  # a ring: holes stay
    (one,) = found([instance(mask, "donut", 0.912345)])
    assert (one.photo, one.class_name, one.score) == ("a.jpg", "donut", 0.9123)
    assert one.photo_size == (HEIGHT, WIDTH)
    x0, y0, x1, y1 = one.box
    assert one.box == (61, 41, 100, 80)
    np.testing.assert_array_equal(decode_runs(one.counts, *one.size), mask[y0:y1, x0:x1])
    assert mask[y0:y1, x0:x1].sum() == mask.sum()


def test_large_outlines_are_scaled_down() -> None:
    mask = np.zeros((1500, 2400), np.bool_)
    mask[100:1300, 200:1800] = True
    (one,) = found([instance(mask)], max_area=0.9)
    assert one.box == (200, 100, 1800, 1300)
    assert one.size == (384, MAX_SIDE)
    assert decode_runs(one.counts, *one.size).mean() > 0.99


@pytest.mark.parametrize(
    ("mask", "changes", "is_taken"),
    [
        (disk(), {}, True),
        (disk(radius=3), {}, False),  # 0.15% of the photo
        (disk(radius=3), {"min_area": 0.001}, True),
        (disk(radius=58), {}, False),  # 55%
        (disk(radius=58), {"max_area": 0.6}, True),
        (disk(x=5), {}, False),  # cut off at the left
        (disk(x=5), {"keep_cut_off": True}, True),
        (disk(x=5) & (np.arange(WIDTH) > 0), {}, False),  # the mask ends just before the edge
        (disk(x=21), {}, True),  # touches the edge with its rim alone
        (disk(20, 20, 6) | disk(140, 100, 6), {}, False),  # scattered pieces
        (disk(), {"min_score": 0.95}, False),
        (disk(), {"classes": ("person",)}, False),
        (disk(), {"classes": ("person", "CAR")}, True),
    ],
)
def test_criteria(mask: np.ndarray, changes: dict[str, object], is_taken: bool) -> None:
    assert len(found([instance(mask)], **changes)) == is_taken


def test_an_object_found_as_two_classes_is_taken_once() -> None:
    car, truck = instance(disk()), instance(disk(x=81), "truck", 0.8)
    beside = instance(disk(x=110), "truck", 0.75)
    assert [one.class_name for one in found([car, truck, beside])] == ["car", "truck"]
    assert [one.class_name for one in found([car, truck], classes=("truck",))] == ["truck"]


def test_impossible_criteria_are_refused() -> None:
    for changes in ({"min_score": 1.5}, {"min_area": 0.0}, {"min_area": 0.6}, {"max_area": 2.0}):
        with pytest.raises(UsageError, match="expected"):
            Criteria(**changes)  # type: ignore[arg-type]
    criteria = Criteria(classes=("Car", "person", "car"))
    assert criteria.checked(("person", "car", "dog")) == replace(
        criteria, classes=("car", "person")
    )
    with pytest.raises(UsageError, match="unknown class person; this network knows: dog"):
        Criteria(classes=("person",)).checked(("dog",))
