"""Options that were given, told from those at their defaults."""

import argparse
import sys

import pytest

from pconv_hpc.options.given_options import parse_noting_given


def test_an_option_at_its_default_counts_as_given(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photo")
    parser.add_argument("--other", default="o")
    noted = [
        parser.add_argument("--mask", default="dilate"),
        parser.add_argument("--batch-size", type=int, default=8),
        parser.add_argument("--click", action="append", default=[]),
        parser.add_argument("--all", action="store_true"),
        parser.add_argument("--largest", type=int, nargs="?", const=1),
    ]
    words = ["a.jpg", "--mask", "dilate", "--click=1,2", "--click=3,4", "--other", "o"]
    arguments, given = parse_noting_given(parser, noted, words)
    assert arguments == parser.parse_args(words)
    assert given == {"mask", "click"}
    monkeypatch.setattr(sys, "argv", ["program", "a.jpg", "--batch-size=8", "--all", "--largest"])
    arguments, given = parse_noting_given(parser, noted)
    assert arguments == parser.parse_args()
    assert given == {"batch_size", "all", "largest"}
    arguments, given = parse_noting_given(parser, noted, ["a.jpg"])
    assert arguments == parser.parse_args(["a.jpg"])
    assert not given
