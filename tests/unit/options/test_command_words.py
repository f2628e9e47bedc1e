"""Options handed on to another program mean the same there."""

import argparse
from pathlib import Path

import pytest

from pconv_hpc.options.command_words import option_words
from pconv_hpc.options.inpaint import add_filling_options, fill_settings_of
from pconv_hpc.options.segment import (
    add_mask_options,
    add_network_options,
    add_selection_options,
    selection_of,
)


def segment_parser(prefix: str = "") -> tuple[argparse.ArgumentParser, list[argparse.Action]]:
    parser = argparse.ArgumentParser()
    return parser, [
        *add_network_options(parser, prefix=prefix),
        *add_selection_options(parser),
        *add_mask_options(parser),
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", []),
        ("--min-score 0.5 --mask dilate", []),  # the defaults
        ("--click 8,40.5 --click 1,2", ["--click=8,40.5", "--click=1,2"]),
        ("--click=-3,4", ["--click=-3,4"]),  # no value passes for an option
        ("--largest --all", ["--largest=1", "--all"]),
        ("--largest 3 --box 9,9,1,2", ["--box=1,2,9,9", "--largest=3"]),
        ("--dilate 0 --min-score 0.1", ["--min-score=0.1", "--dilate=0"]),
        ("--number 2 --number 7 --overlay", ["--number=2", "--number=7", "--overlay"]),
    ],
)
def test_words_of_what_was_given(given: str, words: list[str]) -> None:
    parser, options = segment_parser()
    found = option_words(options, parser.parse_args(given.split()))
    assert sorted(found) == sorted(words)
    assert parser.parse_args(found) == parser.parse_args(given.split())


def test_names_with_blanks_and_commas_and_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parser, options = segment_parser()
    words = option_words(
        options, parser.parse_args(["--classes", "traffic light,car", "--choices", "my c.csv"])
    )
    assert words == ["--classes=traffic light,car", f"--choices={tmp_path}/my c.csv"]


def test_options_of_two_networks_in_one_program() -> None:
    parser, segment_options = segment_parser(prefix="segment-")
    inpaint_options = add_filling_options(parser, prefix="inpaint-")
    both = parser.parse_args(
        [
            "--segment-batch-size",
            "4",
            "--inpaint-batch-size",
            "2",
            "--context",
            "1.1",
            "--strategy",
            "full",
        ]
    )
    assert option_words(segment_options, both, prefix="segment-") == ["--batch-size=4"]
    words = option_words(inpaint_options, both, prefix="inpaint-")
    assert words == ["--strategy=full", "--context=1.1", "--batch-size=2"]

    other = argparse.ArgumentParser()
    add_filling_options(other)
    parsed = other.parse_args(words)
    assert fill_settings_of(parsed) == fill_settings_of(both)
    assert parsed.batch_size == 2


def test_the_selection_that_options_describe() -> None:
    parser, _ = segment_parser()
    selection = selection_of(parser.parse_args(["--classes", "person,,car", "--click", "1,2"]))
    assert selection.classes == ("person", "car")
    assert selection.clicks == ((1, 2),)
    assert selection_of(parser.parse_args(["--classes", " , "])).is_empty
