"""The network itself: what a really trained Mask R-CNN finds, at any size, in any batch."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.segmentation.instances import Instance
from pconv_hpc.segmentation.segmenter import Prediction, Prepared, Segmenter
from tests.support.assets.average_precision import mask_ap50
from tests.support.assets.shape_photos import CLASSES, ShapePhoto, ShapePhotos
from tests.support.assets.small_network import small_segmenter

UNSEEN_SEED = 1234


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return small_segmenter()


def _found(instances: Sequence[Instance]) -> list[tuple[int, float, np.ndarray]]:
    return [(CLASSES.index(one.class_name), one.score, one.mask) for one in instances]


def _enlarged(photo: ShapePhoto, height: int, width: int) -> ShapePhoto:
    image = np.asarray(Image.fromarray(photo.image).resize((width, height)))
    masks = [
        np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
        for mask in photo.masks
    ]
    return ShapePhoto(image, photo.labels, np.array(masks))


def test_unseen_photos_reach_a_mask_ap50_of_four_fifths(segmenter: Segmenter) -> None:
    unseen = ShapePhotos(seed=UNSEEN_SEED, held_out=True)
    photos = [unseen[index] for index in range(40)]
    found = segmenter.segment([photo.image for photo in photos])
    assert mask_ap50(photos, [_found(instances) for instances in found]) >= 0.8


def test_average_precision_notices_wrong_classes_and_wrong_places() -> None:
    unseen = ShapePhotos(seed=UNSEEN_SEED, held_out=True)
    photos = [unseen[index] for index in range(12)]
    truth = [
        [(int(label), 1.0, mask) for label, mask in zip(photo.labels, photo.masks, strict=True)]
        for photo in photos
    ]
    assert mask_ap50(photos, truth) == pytest.approx(1)
    wrong_class = [[((label + 1) % 3, score, mask) for label, score, mask in one] for one in truth]
    assert mask_ap50(photos, wrong_class) < 0.2
    shifted = [[(label, 1.0, np.roll(mask, 40, 1)) for label, _, mask in one] for one in truth]
    assert mask_ap50(photos, shifted) < 0.2
    assert mask_ap50(photos, [[] for _ in photos]) == 0


def test_photos_of_any_sizes_come_back_in_order_and_alike_alone(segmenter: Segmenter) -> None:
    unseen = ShapePhotos(seed=UNSEEN_SEED, held_out=True)
    sizes = ((192, 192), (150, 400), (400, 150), (192, 192), (37, 51))
    photos = [_enlarged(unseen[i], *size) for i, size in enumerate(sizes)]
    together = segmenter.segment([photo.image for photo in photos])
    for photo, found in zip(photos, together, strict=True):
        (alone,) = segmenter.segment([photo.image])
        assert [one.class_name for one in found] == [one.class_name for one in alone]
        for one, other in zip(found, alone, strict=True):
            assert one.mask.shape == photo.image.shape[:2]
            assert (one.mask != other.mask).mean() < 0.001
            assert one.score == pytest.approx(other.score, abs=1e-3)


def test_masks_and_boxes_fit_a_photo_larger_than_the_masks_grid(segmenter: Segmenter) -> None:
    photo = ShapePhotos(seed=UNSEEN_SEED, held_out=True)[2]
    side = 2000
    (small,) = segmenter.segment([photo.image])
    (large,) = segmenter.segment([_enlarged(photo, side, side).image])
    assert len(small) >= len(photo.labels)
    for one in small:
        expected = np.asarray(Image.fromarray(one.mask).resize((side, side)))
        best = max(large, key=lambda other: (other.mask & expected).sum())
        assert best.class_name == one.class_name
        assert (best.mask & expected).sum() / (best.mask | expected).sum() > 0.9
        np.testing.assert_allclose(best.box, np.array(one.box) * side / 192, atol=20)


def test_masks_are_brought_to_the_photos_size_in_both_directions(segmenter: Segmenter) -> None:
    def ellipse(height: int, width: int) -> np.ndarray:
        rows, columns = (np.arange(n) + 0.5 for n in (height, width))
        y, x = rows[:, None] / height, columns[None] / width
        return ((x - 0.7) / 0.25) ** 2 + ((y - 0.2) / 0.3) ** 2 < 1  # cut off by the upper edge

    prediction = Prediction(
        height=997,
        width=1803,
        labels=np.array([2, 0]),
        scores=np.array([0.9, 0.8]),
        boxes=np.zeros((2, 4)),  # as networks give that find masks without boxes
        masks=np.stack([ellipse(120, 140), np.zeros((120, 140), dtype=bool)]),
    )
    (found,) = segmenter.instances(prediction)  # what has no pixels is left out
    assert found.class_name == "star"
    expected = ellipse(997, 1803)
    assert (found.mask & expected).sum() / (found.mask | expected).sum() > 0.98
    np.testing.assert_allclose(found.box, found.mask_box)


def test_instances_fall_in_score_and_stay_inside(segmenter: Segmenter) -> None:
    unseen = ShapePhotos(seed=UNSEEN_SEED, held_out=True)
    for instances in segmenter.segment([unseen[i].image for i in range(8)]):
        scores = [one.score for one in instances]
        assert scores == sorted(scores, reverse=True)
        assert all(score >= segmenter.min_score for score in scores)
        for one in instances:
            x0, y0, x1, y1 = one.box
            assert 0 <= x0 < x1 <= 192
            assert 0 <= y0 < y1 <= 192


def test_plain_photos_hold_nothing(segmenter: Segmenter) -> None:
    assert segmenter.segment([np.full((64, 64, 3), 90, dtype=np.uint8)]) == [[]]
    assert segmenter.segment([]) == []


def _fail_if_larger_than(
    limit: int, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    sizes: list[int] = []
    real = segmenter._predict

    def predict(batch: Sequence[Prepared]) -> list[Prediction]:
        sizes.append(len(batch))
        if len(batch) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore")
        return real(batch)

    monkeypatch.setattr(segmenter, "_predict", predict)
    return sizes


def test_batch_that_does_not_fit_in_memory_is_halved(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen = ShapePhotos(seed=UNSEEN_SEED, held_out=True)
    images = [unseen[i].image for i in range(4)]
    expected = segmenter.segment(images)
    sizes = _fail_if_larger_than(2, segmenter, monkeypatch)
    halved = segmenter.segment(images)
    assert sizes == [4, 2, 2]
    assert [[one.class_name for one in found] for found in halved] == [
        [one.class_name for one in found] for found in expected
    ]


def test_photo_that_fails_alone_is_an_error_of_its_own(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_if_larger_than(0, segmenter, monkeypatch)
    prepared = segmenter.prepare(np.zeros((64, 64, 3), dtype=np.uint8))
    results = segmenter.predict([prepared, prepared])
    assert [str(result) for result in results] == [
        "the network failed on it (CUDA out of memory. Tried to allocate 2.00 GiB.)"
    ] * 2
    with pytest.raises(PconvError, match="out of memory"):
        segmenter.segment([np.zeros((64, 64, 3), dtype=np.uint8)])


def test_cores_are_shared_and_given_back(segmenter: Segmenter) -> None:
    before = torch.get_num_threads()
    with segmenter.cores_shared(before):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    assert 1 <= segmenter.batches_at_once <= 4
