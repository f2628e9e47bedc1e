"""Courses of training in several precisions: the same batches, each its own curve."""

from pathlib import Path

import pytest
from PIL import Image

from benchmarks import precisions
from benchmarks.precisions import Course


def test_courses_are_trained_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precisions, "_NUM_CROPS", {"train": 16, "val": 2})
    monkeypatch.setattr(precisions, "_LOG_EVERY_STEPS", 1)
    monkeypatch.setattr(precisions, "_VARIANTS", (("float32", False), ("bfloat16", True)))
    courses = list(precisions.run_courses(tmp_path / "runs", num_steps=2, image_size=64))
    assert [course.name for course in courses] == ["float32, no XLA", "bfloat16, XLA"]
    exact, rounded = courses
    assert exact.steps == rounded.steps == (1, 2)
    # the same batches through the same weights, but for the rounding
    assert exact.losses != rounded.losses
    assert exact.losses[0] == pytest.approx(rounded.losses[0], rel=0.1)
    assert exact.images_per_second > 0


def test_the_curves_are_drawn(tmp_path: Path) -> None:
    course = Course("bfloat16", True, (5, 10), (0.5, 0.25), 12.0, 0.4)
    assert course.line() == ("bfloat16, XLA           12 images/s  loss 0.3750  validation 0.4000")
    precisions.draw_courses(tmp_path / "curves.png", [course])
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width > 500
