"""YAML means what it shows, or is refused with the line and what to write instead."""

from pathlib import Path

import pytest
import yaml

from pconv_hpc.foundation.config import apply_overrides, load_config
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.yaml_files import parse_yaml


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("train:\n  epochs: 1\ndata: {}\ntrain:\n  seed: 2\n", "train", "1 and 4"),
        ("train:\n  epochs: 1\n  seed: 2\n  'epochs': 3\n", "epochs", "2 and 4"),
        ("train: {epochs: 1, epochs: 1}\n", "epochs", "1 and 1"),
        ("a: [{b: 1,\n b: 2}]\n", "b", "1 and 2"),
    ],
)
def test_a_key_given_twice_is_refused(tmp_path: Path, text: str, key: str, lines: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=rf"run\.yaml: .*'{key}' is given twice, in lines {lines}"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("010", "8"),
        ("00", "0"),
        ("-010", "-8"),
        ("1:30", "90"),
        ("1:30.5", "90.5"),
        ("1_000", "1000"),
        ("1_0.5", "10.5"),
        ("0b11", "3"),
        ("010.5", "10.5"),
        ("2026-01-02", "a date"),
        ("2001-12-14 21:59:43", "a date"),
    ],
)
def test_a_number_that_yaml_reads_otherwise_is_refused(text: str, meaning: str) -> None:
    with pytest.raises(UsageError, match=rf"line 2: YAML reads {text} as {meaning};"):
        parse_yaml(f"seed: 1\nepochs: {text}", "run.yaml")
    with pytest.raises(UsageError, match=f"--set train.epochs={text}: .*YAML reads"):
        apply_overrides({}, [f"train.epochs={text}"])
    assert parse_yaml(f"'{text}'", "run.yaml") == text


@pytest.mark.parametrize(
    "text", ["0", "-3", "+5", "0x1F", "1.5", "-.5", "0.25", "1.5e+3", ".inf", "true", "no", "null"]
)
def test_other_values_are_yamls(text: str) -> None:
    assert parse_yaml(text, "run.yaml") == yaml.safe_load(text)


@pytest.mark.parametrize("word", ["yes", "no", "on", "off"])
def test_a_truth_value_is_no_text(tmp_path: Path, word: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"data: {{horizontal_flip: {word}}}\n")
    assert load_config(path).data.horizontal_flip is (word in ("yes", "on"))
    for text in (f"data: {{val_index: {word}}}", f"train: {{precision: {word}}}"):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"; expected (text .*in YAML|one of float32)"):
            load_config(path)
    path.write_text(f"data: {{val_index: '{word}'}}\n")
    assert load_config(path).data.val_index == word


def test_a_leading_zero_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("optimizer: {learning_rate: 08}\n")
    with pytest.raises(UsageError, match="learning_rate is '08'; expected a number"):
        load_config(path)


def test_merged_mappings_may_repeat_a_key() -> None:
    text = "base: &base {a: 1, b: 2}\nother: {<<: *base, a: 3}"
    assert parse_yaml(text, "run.yaml")["other"] == {"a": 3, "b": 2}
