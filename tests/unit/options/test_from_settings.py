"""Options follow from dataclasses of settings, and settings from what was given."""

import argparse
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from pconv_hpc.erasing.settings import EraseSettings, Resources
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.options import cli
from pconv_hpc.options.from_settings import add_setting_options, settings_of
from pconv_hpc.segmentation.settings import SegmentSettings

CLASSES = (SegmentSettings, InpaintSettings, Resources, EraseSettings)


def parser_of(*classes: type, stage: str = "") -> argparse.ArgumentParser:
    parser = cli.build_parser("")
    for cls in classes:
        add_setting_options(parser, cls, stage=stage)
    return parser


def parse(*words: str, otherwise: EraseSettings | None = None) -> EraseSettings:
    arguments = parser_of(*CLASSES).parse_args(words)
    return settings_of(arguments, otherwise or EraseSettings())


def test_every_setting_has_an_option() -> None:
    options = {option.dest for cls in CLASSES for option in add_setting_options(parser_of(), cls)}
    names = {field.name for cls in CLASSES for field in fields(cls)}
    assert options == names - {"segment", "inpaint", "resources"}


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ("", SegmentSettings()),
        ("--click 8,40.5 --click=-3,4", SegmentSettings(clicks=((8, 40.5), (-3, 4)))),
        ("--number 2 --number 7 --all", SegmentSettings(numbers=(2, 7), every=True)),
        ("--largest", SegmentSettings(largest=1)),
        ("--largest 3 --box 9,9,1,2", SegmentSettings(largest=3, box=(1, 2, 9, 9))),
        ("--classes person,,car", SegmentSettings(classes=("person", "car"))),
        ("--min-score 1e-1 --dilate 0", SegmentSettings(min_score=0.1, dilate=0)),
        ("--strategy full --rim 2", InpaintSettings(strategy="full", rim=2)),
        ("--segment-batch-size 2 --device cpu", Resources(segment_batch_size=2, device="cpu")),
    ],
)
def test_what_is_given_replaces_the_default(words: str, changed: object) -> None:
    settings = parse(*words.split())
    parts = (settings.segment, settings.inpaint, settings.resources)
    for part in parts:
        assert part == (changed if isinstance(changed, type(part)) else type(part)())


def test_what_is_not_given_stays_and_a_default_that_is_given_counts() -> None:
    recorded = parse("--mask", "hull", "--rim", "2", "--empty", "skip", "--threads", "9")
    changed = parse("--mask", "dilate", "--threads", "4", otherwise=recorded)
    assert changed == replace(recorded, segment=SegmentSettings(), resources=Resources())


def test_paths_are_absolute_as_other_programs_are_told_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").touch()
    settings = parse("--choices", "my c.csv", "--config", "net.py", "--weights", "w.h5")
    assert settings.segment.choices == tmp_path / "my c.csv"
    assert settings.segment.config == str(tmp_path / "net.py")
    assert settings.inpaint.weights == tmp_path / "w.h5"
    assert parse("--config", "mask-rcnn").segment.config == "mask-rcnn"  # of MMDetection's own


def test_a_stage_has_its_own_resources_without_its_name() -> None:
    words = ["--batch-size", "3", "--threads", "2"]
    parsed = parser_of(Resources, stage="segment").parse_args(words)
    assert settings_of(parsed, Resources()) == Resources(segment_batch_size=3, threads=2)
    parsed = parser_of(Resources, stage="inpaint").parse_args(words)
    assert settings_of(parsed, Resources()) == Resources(inpaint_batch_size=3, threads=2)
    with pytest.raises(SystemExit):
        parser_of(Resources, stage="inpaint").parse_args(["--device", "cpu"])


def test_each_stage_has_a_precision_of_its_own() -> None:
    both = parse("--segment-precision", "bfloat16", "--precision", "float16")
    assert (both.segment.segment_precision, both.inpaint.precision) == ("bfloat16", "float16")
    assert list(EraseSettings().differences(both)) == [
        ("segment-precision", "auto", "bfloat16"),
        ("precision", "float32", "float16"),
    ]
    parsed = parser_of(SegmentSettings, stage="segment").parse_args(["--precision", "float32"])
    assert settings_of(parsed, SegmentSettings()) == SegmentSettings(segment_precision="float32")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--threads 0", "--threads must be at least 1, found 0"),
        ("--threads 1.5", "--threads is '1.5'; expected a whole number"),
        ("--rim inf", "--rim is 'inf'; expected a number"),
        ("--min-score=-1", "--min-score must be between 0 and 1, found -1"),
        ("--click 7", "expected a point"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_options_name(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        parse(*words.split())


def test_help_says_what_happens_by_default() -> None:
    text = " ".join(parser_of(*CLASSES).format_help().split())
    assert "0 to 1 (default: 0.5)" in text
    assert "(default: 5% of the object's size, at least 3)" in text
    assert "(default: the GPU if there is one)" in text
    for nothing in ("(default: )", "(default: None)", "(default: False)", "==SUPPRESS=="):
        assert nothing not in text
