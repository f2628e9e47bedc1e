"""What a person answers who sees a picture with numbered objects: numbers, or points."""

from collections.abc import Sequence

from pconv_hpc.foundation.text import aligned
from pconv_hpc.segmentation.instances import Instance, PhotoInstances
from pconv_hpc.segmentation.selection import Selection, select
from pconv_hpc.segmentation.selection_text import parse_number, parse_point


def parse_answer(text: str, num_instances: int) -> Selection:
    """Return the selection that an answer means.

    ``3`` and ``3 5 8`` are numbers, ``812,340`` is a point. Two numbers with a blank between them
    are numbers of objects if there are such objects, else a point.

    Args:
        text: the answer, not empty.
        num_instances: how many objects the person was shown.

    Raises:
        UsageError: it is none of these.
    """
    words = text.split()
    is_point = "," in text or (
        len(words) == 2 and not all(_is_shown(word, num_instances) for word in words)
    )
    if is_point:
        return Selection(clicks=(parse_point(text),), min_score=0)
    return Selection(numbers=tuple(map(parse_number, words)), min_score=0)


def _is_shown(word: str, num_instances: int) -> bool:
    return word.isascii() and word.isdigit() and 1 <= int(word) <= num_instances


def answered_instances(text: str, found: PhotoInstances) -> tuple[int, ...]:
    """Return the indices of the instances that an answer means.

    Raises:
        UsageError: it cannot be understood.
        SelectionError: there is no such object.
    """
    selection = parse_answer(text, len(found.instances))
    return select(found.instances, selection, height=found.height, width=found.width)


def describe_instances(instances: Sequence[Instance]) -> str:
    """Return a table of plain text: number, class, score and box of each."""
    rows = [("number", "class", "score", "box")]
    for number, instance in enumerate(instances, start=1):
        box = " ".join(f"{end:.0f}" for end in instance.box)
        rows.append((str(number), instance.class_name, f"{instance.score:.2f}", box))
    return "\n".join(aligned(rows))
