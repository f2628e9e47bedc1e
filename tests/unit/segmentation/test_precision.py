"""Fewer bits in a network's layers: the same objects, nearly the same masks, float32 beyond."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.segmentation import precision
from pconv_hpc.segmentation.instances import Instance
from pconv_hpc.segmentation.precision import fast_precision, has_fast_bfloat16
from pconv_hpc.segmentation.segmenter import Prediction, Prepared, Segmenter
from pconv_hpc.segmentation.selection import Selection, select
from tests.support.assets.shape_photos import CLASSES, ShapePhotos
from tests.support.assets.small_network import CHECKPOINT, CONFIG, small_segmenter

_UNSEEN_SEED = 1234
_NUM_PHOTOS = 12


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def _mask(instances: list[Instance], selection: Selection) -> np.ndarray:
    selected = select(instances, selection, height=192, width=192)
    return np.any([instances[index].mask for index in selected], axis=0)


def test_classes_and_clicks_choose_the_same_objects_in_bfloat16() -> None:
    unseen = ShapePhotos(seed=_UNSEEN_SEED, held_out=True)
    photos = [unseen[index].image for index in range(_NUM_PHOTOS)]
    exact = small_segmenter().segment(photos)
    fast = small_segmenter("bfloat16").segment(photos)
    ious = []
    for found, expected in zip(fast, exact, strict=True):
        sure = [one for one in expected if one.score >= 0.5]
        clicks = [(x0 + x1) / 2 for x0, _, x1, _ in (one.box for one in sure)]
        rows = [(one.box[1] + one.box[3]) / 2 for one in sure]
        selections = [Selection(clicks=(click,)) for click in zip(clicks, rows, strict=True)]
        classes = sorted({one.class_name for one in sure}, key=CLASSES.index)
        selections += [Selection(classes=(name,), min_score=0.5) for name in classes]
        ious += [_iou(_mask(found, one), _mask(expected, one)) for one in selections]
    assert len(ious) > _NUM_PHOTOS
    assert min(ious) > 0.9  # another object has none of the pixels
    assert np.mean(ious) >= 0.99


def test_fewer_bits_are_really_used_and_all_that_follows_is_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segmenter = small_segmenter("bfloat16")
    model = segmenter._model
    seen: dict[str, torch.dtype] = {}
    hook = model.backbone.conv1.register_forward_hook(
        lambda module, given, output: seen.update(layer=output.dtype)
    )
    real = model.rpn_head.predict_by_feat

    def watched(
        scores: list[torch.Tensor], boxes: list[torch.Tensor], **keywords: object
    ) -> object:
        seen.update(scores=scores[0].dtype, boxes=boxes[0].dtype)
        return real(scores, boxes, **keywords)

    monkeypatch.setattr(model.rpn_head, "predict_by_feat", watched)
    with hook:
        segmenter.segment([np.zeros((64, 64, 3), dtype=np.uint8)])
    assert seen == {"layer": torch.bfloat16, "scores": torch.float32, "boxes": torch.float32}


def test_auto_takes_what_is_fast_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, expected in (
        ({"amx_bf16": True, "avx512_bf16": False}, "bfloat16"),
        ({"amx_bf16": False, "avx512_bf16": True}, "bfloat16"),
        ({"avx512_f": True, "avx512_bf16": False}, "float32"),
        ({"neon": True}, "float32"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=capabilities: has)
        assert fast_precision("cpu") == expected
    assert not has_fast_bfloat16()
    assert (fast_precision("cuda"), fast_precision("mps")) == ("float16", "float32")


def test_auto_falls_back_where_an_operation_lacks_fewer_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda: True)
    photo = ShapePhotos(seed=_UNSEEN_SEED, held_out=True)[0].image
    lacking = "\"deform_conv\" not implemented for 'BFloat16'"
    chosen = Segmenter(CONFIG, CHECKPOINT, "cpu")
    asked = Segmenter(CONFIG, CHECKPOINT, "cpu", precision="bfloat16")
    for one in (chosen, asked):
        assert one.precision == "bfloat16"
        real = one._predict

        def predict(
            batch: Sequence[Prepared], one: Segmenter = one, real: Any = real
        ) -> list[Prediction]:
            if one.precision != "float32":
                raise RuntimeError(lacking)
            return real(batch)

        monkeypatch.setattr(one, "_predict", predict)
    with pytest.raises(PconvError, match="not implemented for 'BFloat16'"):
        asked.segment([photo])
    assert chosen.segment([photo]) == small_segmenter().segment([photo])
    assert chosen.precision == "float32"
    assert chosen.can_use("bfloat16")
    assert not asked.can_use("float32")
