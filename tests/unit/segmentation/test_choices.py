"""Selections as text: points, boxes, and tables of photos."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.segmentation.choices import Choices, read_choices
from pconv_hpc.segmentation.selection import Selection
from pconv_hpc.segmentation.selection_text import parse_box, parse_number, parse_point, split_names
from tests.support.drawn_instances import instance, rectangle

DEFAULTS = Selection(min_score=0.4, tolerance=7, every=True, largest=2)


def test_points_boxes_and_numbers() -> None:
    assert parse_point("12,34") == (12, 34)
    assert parse_point(" 12.5  34 ") == (12.5, 34)
    assert parse_box("40,5,10,30") == (10, 5, 40, 30)
    assert parse_number("3") == 3
    assert split_names(" traffic light,,car ") == ("traffic light", "car")


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_point, "12"),
        (parse_point, "1,2,3"),
        (parse_point, "a,b"),
        (parse_point, "nan,1"),
        (parse_point, "inf,1"),
        (parse_box, "1,2,3"),
        (parse_box, "1,2,1,9"),
        (parse_number, "0"),
        (parse_number, "-1"),
        (parse_number, "1.5"),
        (parse_number, "²"),
    ],
)
def test_what_is_not_understood_is_an_error(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(UsageError, match=r"expected|without any area"):
        parse(text)


def _table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "choices.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_table(tmp_path: Path) -> None:
    path = _table(
        tmp_path,
        "\ufeffimage,click,number,class,box\n"
        "a.jpg,10 20; 30 40,,,\n"
        '"./sub//b, c.jpg",,2;5,person,"1,2,3,4"\n'
        "a.jpg,,,car;bus,\n"
        "empty.jpg,,,,\n",
    )
    read = read_choices(path, DEFAULTS, None).per_image
    common = {"min_score": 0.4, "tolerance": 7.0}
    assert read == {
        "a.jpg": (
            Selection(clicks=((10, 20), (30, 40)), **common),
            Selection(classes=("car", "bus"), **common),
        ),
        "sub/b, c.jpg": (
            Selection(numbers=(2, 5), classes=("person",), box=(1, 2, 3, 4), **common),
        ),
        "empty.jpg": (Selection(**common),),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line must name the columns"),
        ("file,click\n", "found: file, click"),
        ("image,colour\n", "found: image, colour"),
        ("image,click\na.jpg,1 2\nb.jpg,x\n", "line 3: 'x': expected a point"),
        ("image,click\na.jpg,1,2\n", "line 2: has more or fewer cells"),
        ("image,click\na.jpg\n", "line 2: has more or fewer cells"),
        ("image,number\n ,1\n", "line 2: names no image"),
        ("image,number\n\n../a.jpg,1\n", "line 3: '../a.jpg' leads out"),
        ("image,number\n/x/a.jpg,1\n", "line 2: '/x/a.jpg' leads out"),
        ('image,click\n"a.jpg,1\n', "not a table"),
    ],
)
def test_bad_table_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=rf"choices\.csv.*{message}"):
        read_choices(_table(tmp_path, text), DEFAULTS, None)


def test_table_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_choices(tmp_path / "choices.csv", DEFAULTS, None)
    (tmp_path / "choices.csv").write_bytes(b"image\n\xff\xfe\n")
    with pytest.raises(UsageError, match="not text"):
        read_choices(tmp_path / "choices.csv", DEFAULTS, None)


def test_named_photos_have_their_own_choice_and_others_the_general_one() -> None:
    scene = (
        instance(rectangle((0, 10), (0, 10)), "person"),
        instance(rectangle((20, 50), (20, 50)), "car"),
        instance(rectangle((50, 55), (60, 70)), "person"),
    )
    size = {"height": 60, "width": 80}
    choices = Choices(
        Selection(classes=("Person",)),
        {
            "a.jpg": (Selection(numbers=(1,)), Selection(clicks=((30, 30),))),
            "nothing.jpg": (Selection(),),
        },
    ).checked(["person", "car"])
    assert choices.select("other.jpg", scene, **size) == (0, 2)
    assert choices.select("a.jpg", scene, **size) == (0, 1)
    assert choices.select("nothing.jpg", scene, **size) == ()
    assert choices.describe("nothing.jpg") is None
    accented = Choices(Selection(every=True), {"\u00e9.jpg": (Selection(numbers=(1,)),)})
    assert accented.select("e\u0301.jpg", scene, **size) == (0,)  # as macOS spells it
    assert choices.describe("a.jpg") != choices.describe("other.jpg")


def test_description_tells_every_difference() -> None:
    wishes = [
        Selection(every=True),
        Selection(every=True, min_score=0.6),
        Selection(classes=("car",)),
        Selection(classes=("car",), largest=1),
        Selection(classes=("car",), largest=2),
        Selection(clicks=((1, 2),)),
        Selection(clicks=((2, 1),)),
        Selection(clicks=((1, 2),), tolerance=5),
        Selection(box=(1, 2, 3, 4)),
        Selection(numbers=(1, 2)),
    ]
    texts = {Choices(wish).describe("a.jpg") for wish in wishes}
    assert len(texts) == len(wishes)


def test_unknown_class_in_a_table_is_an_error() -> None:
    choices = Choices(Selection(), {"a.jpg": (Selection(classes=("cow",)),)})
    with pytest.raises(UsageError, match="unknown class cow"):
        choices.checked(["person", "car"])
