"""All settings of erasing as one word that a stage is told, and what differs between two."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pconv_hpc.erasing.settings import EraseSettings, Resources
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.segmentation.settings import SegmentSettings

SETTINGS = EraseSettings(
    segment=SegmentSettings(clicks=((1.5, 2), (3, 4)), classes=("a 'b'", "☃"), box=(1, 2, 3, 4)),
    inpaint=InpaintSettings(weights=Path(os.fsdecode(b"/\xff\n.h5")), working_size=64),
    resources=Resources(device="cuda:1"),
    empty="skip",
)


def test_a_stage_reads_what_it_is_told() -> None:
    option, _, value = SETTINGS.word.partition("=")
    assert option == "--settings"
    assert value.isascii()
    assert EraseSettings.from_word(value) == SETTINGS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--settings is not valid JSON"),
        ("[" * 100_000, "--settings is not valid JSON"),
        ("[]", "--settings is not a JSON object"),
        ('{"segments": {}}', "--settings has no key 'segments'; valid keys: segment, inpaint"),
        ('{"segment": {"mask": "round"}}', "segment.mask is 'round'; expected one of exact"),
        ('{"segment": {"clicks": [[1, 2, 3]]}}', r"segment.clicks\[0\] is \[1, 2, 3\]; expected"),
        ('{"segment": {"min_score": 2}}', "min_score must be between 0 and 1, found 2"),
        ('{"inpaint": {"weights": "\\u0000"}}', "inpaint.weights is .*expected a path"),
        ('{"resources": {"threads": 0}}', "threads must be at least 1, found 0"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_key(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EraseSettings.from_word(text)


def test_differences_are_named_but_for_resources() -> None:
    other = replace(
        SETTINGS, segment=replace(SETTINGS.segment, clicks=(), every=True), resources=Resources()
    )
    assert list(SETTINGS.differences(other)) == [
        ("click", "1.5,2 3,4", "none"),
        ("all", "no", "yes"),
    ]
    assert other.summary["selection"] == "classes a 'b' ☃, box 1,2,3,4, all yes"
    assert (other.summary["filling"], other.summary["resources"]) == (
        "working-size 64",
        "by default",
    )
