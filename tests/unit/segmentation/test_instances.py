"""Masks as run lengths, and the JSON files of photos, well-formed and hostile."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.segmentation.instances import (
    PhotoInstances,
    encode_mask,
    read_instances,
    write_instances,
)
from tests.support.drawn_instances import instance, rectangle


def test_encoding_part_of_a_picture_equals_coco_on_the_whole() -> None:
    rng = np.random.default_rng(0)
    for density in (0.0, 0.3, 0.8, 1.0):
        for _ in range(100):
            height, width = (int(n) for n in rng.integers(1, 9, size=2))
            top, left = int(rng.integers(height)), int(rng.integers(width))
            shape = (int(rng.integers(1, height - top + 1)), int(rng.integers(1, width - left + 1)))
            part = rng.random(shape) < density
            whole = np.zeros((height, width), dtype=np.uint8, order="F")
            whole[top : top + shape[0], left : left + shape[1]] = part
            expected = coco_mask.encode(whole)["counts"].decode()
            assert encode_mask(part, top, left, height, width) == expected


def test_instance_gives_its_mask_back() -> None:
    mask = rectangle((10, 30), (20, 25))
    drawn = instance(mask)
    assert drawn.mask.dtype == bool
    np.testing.assert_array_equal(drawn.mask, mask)
    assert drawn.area == 100
    assert drawn.mask_box == (20, 10, 25, 30)


def test_empty_mask_has_no_area_and_no_box() -> None:
    empty = instance(np.zeros((4, 5), dtype=bool))
    assert (empty.area, empty.mask_box) == (0, (0, 0, 0, 0))


def _found() -> PhotoInstances:
    return PhotoInstances(
        image="a/b.jpg",
        width=80,
        height=60,
        num_bytes=1234,
        model="network weights",
        min_score=0.3,
        instances=(
            instance(rectangle((0, 60), (0, 80)), "person", 0.75),
            instance(rectangle((5, 9), (70, 80)), "car", 0.5),
        ),
        selection="classes car",
        selected=(1,),
    )


def test_file_gives_back_what_was_written(tmp_path: Path) -> None:
    write_instances(tmp_path / "a" / "b.jpg.json", _found())
    assert read_instances(tmp_path / "a" / "b.jpg.json") == _found()


def test_file_reads_as_coco_and_numbers_from_one(tmp_path: Path) -> None:
    write_instances(tmp_path / "b.json", _found())
    value = json.loads((tmp_path / "b.json").read_text())
    assert value["selected"] == [2]
    assert [entry["number"] for entry in value["instances"]] == [1, 2]
    assert value["instances"][1]["area"] == 40
    np.testing.assert_array_equal(
        coco_mask.decode(value["instances"][1]["mask"]), rectangle((5, 9), (70, 80))
    )


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (["width"], 81),
        (["width"], -80),
        (["width"], 10**12),
        (["height"], "60"),
        (["selected"], [3]),
        (["selected"], [0]),
        (["instances"], [{}]),
        (["instances"], None),
        (["instances", 0, "box"], [0, 0, 1]),
        (["instances", 0, "mask", "counts"], ""),
        (["instances", 0, "mask", "counts"], "1"),
        (["instances", 0, "mask", "counts"], "é"),
        (["instances", 0, "mask", "counts"], "oooooooooooooooo"),
        (["instances", 0, "mask", "counts"], "1" * 10_000),
        (["instances", 0, "mask", "counts"], 5),
        (["image"], 3),
        (["selection"], ["x"]),
    ],
)
def test_damaged_file_is_refused_with_its_name(
    tmp_path: Path, where: list[Any], value: Any
) -> None:
    path = tmp_path / "b.json"
    write_instances(path, _found())
    content = json.loads(path.read_text())
    place = content
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"b\.json: not a file of instances"):
        read_instances(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_file_that_is_no_json_of_this_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.json").write_bytes(content)
    with pytest.raises(UsageError, match="not a file of instances"):
        read_instances(tmp_path / "b.json")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_instances(tmp_path / "b.json")
