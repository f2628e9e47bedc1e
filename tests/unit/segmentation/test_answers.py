"""What people answer, and what they are shown."""

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.segmentation.answers import answered_instances, describe_instances, parse_answer
from pconv_hpc.segmentation.instances import PhotoInstances
from tests.support.drawn_instances import instance, rectangle


@pytest.mark.parametrize(
    ("answer", "numbers", "clicks"),
    [
        ("3", (3,), ()),
        (" 3 5 ", (3, 5), ()),
        ("1 2 3 9", (1, 2, 3, 9), ()),
        ("9", (9,), ()),  # refused later, with what there is
        ("3,5", (), ((3, 5),)),
        ("3, 5", (), ((3, 5),)),
        ("812 340", (), ((812, 340),)),
        ("3 340", (), ((3, 340),)),
        ("12.5 3", (), ((12.5, 3),)),
    ],
)
def test_numbers_and_points(
    answer: str, numbers: tuple[int, ...], clicks: tuple[tuple[float, float], ...]
) -> None:
    selection = parse_answer(answer, 6)
    assert selection.numbers == numbers
    assert selection.clicks == clicks


@pytest.mark.parametrize("answer", ["x", "0", "1,2,3", "-1 5 6", "3;5", "nan,3", "²"])
def test_what_cannot_be_understood_says_what_was_expected(answer: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        parse_answer(answer, 6)


def test_an_answer_means_uncertain_objects_too() -> None:
    instances = (
        instance(rectangle((10, 30), (10, 30), 100, 100), "cat", 0.9),
        instance(rectangle((50, 90), (50, 90), 100, 100), "dog", 0.31),
    )
    found = PhotoInstances(
        image="a.png",
        width=100,
        height=100,
        num_bytes=1,
        model="m",
        min_score=0.3,
        instances=instances,
    )
    assert answered_instances("70,70", found) == (1,)
    assert answered_instances("1 2", found) == (0, 1)
    with pytest.raises(UsageError, match="no instance 3; 2 objects found in this photo: cat, dog"):
        answered_instances("3", found)
    assert describe_instances(instances).splitlines() == [
        "number  class  score  box",
        "1       cat    0.90   10 10 30 30",
        "2       dog    0.31   50 50 90 90",
    ]
