"""Configuration: what is accepted, what is refused and how, and that a round trip loses nothing."""

from pathlib import Path

import pytest
import yaml

from pconv_hpc.foundation.config import (
    RunConfig,
    apply_overrides,
    config_from_mapping,
    config_to_mapping,
    config_to_yaml,
    load_config,
    model_config_from_mapping,
    with_absolute_paths,
)
from pconv_hpc.foundation.errors import UsageError
from tests.support.paths import REPOSITORY

CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))


def test_the_shipped_configurations_are_the_ones_documented() -> None:
    assert [path.stem for path in CONFIGS] == [
        "imagenet_256",
        "imagenet_256_finetune",
        "imagenet_512",
        "original_10pct",
        "small_128",
        "small_128_finetune",
        "tiny_cpu",
    ]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_configuration_survives_a_round_trip(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    written = tmp_path / "config.yaml"
    written.write_text(config_to_yaml(config))
    assert load_config(written) == config
    assert config_from_mapping(config_to_mapping(config)) == config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_configuration_says_how_to_run_it(path: Path) -> None:
    header = path.read_text().split("\ndata:")[0]
    assert "Needs:" in header
    assert f"configs/{path.name}" in header


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    assert load_config(path) == RunConfig()


def test_numbers_are_read_as_people_write_them() -> None:
    mapping = yaml.safe_load("optimizer: {learning_rate: 2e-4}\nloss: {style: 120}")
    config = config_from_mapping(mapping)
    assert config.optimizer.learning_rate == 2e-4
    assert config.loss.style == 120.0
    assert isinstance(config.loss.style, float)


def test_an_unknown_key_lists_the_valid_ones() -> None:
    with pytest.raises(UsageError, match=r"'epoch'; valid keys: epochs, steps_per_epoch"):
        config_from_mapping({"train": {"epoch": 3}})
    with pytest.raises(UsageError, match=r"'training'; valid keys: data, masks, model"):
        config_from_mapping({"training": {"epochs": 3}})


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"train": {"epochs": "three"}}, "train.epochs is 'three'; expected a whole number"),
        ({"train": {"epochs": 3.5}}, "expected a whole number"),
        ({"train": {"epochs": True}}, "expected a whole number"),
        ({"train": {"epochs": 0}}, "train.epochs must be at least 1"),
        ({"train": {"steps_per_epoch": "x"}}, "expected a whole number or null"),
        ({"train": {"precision": "half"}}, "expected one of float32, bfloat16, float16"),
        ({"train": {"seed": 2**63}}, "train.seed"),
        ({"train": []}, "expected keys and values"),
        ({"optimizer": {"learning_rate": float("nan")}}, "expected a number"),
        ({"optimizer": {"learning_rate": -1.0}}, "optimizer.learning_rate"),
        ({"data": {"image_size": 10**12}}, "data.image_size"),
        ({"data": {"train_index": 7}}, "expected text or null"),
        ({"data": {"horizontal_flip": "no"}}, "expected true or false"),
        ({"model": {"encoder_kernels": [3, 4]}}, "odd numbers"),
        ({"model": {"encoder_kernels": "3"}}, "expected a list of whole numbers"),
        ({"model": {"base_channels": 64, "max_channels": 32}}, "base_channels <= max_channels"),
        ({"masks": {"objects": 1.0}}, "masks.objects_from"),
        ({"masks": {"strokes": 0.0}}, "not all 0"),
        ({"loss": {"hole": -6}}, "loss.hole must not be negative"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(mapping: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace(".", r"\.")):
        config_from_mapping(mapping)


def test_overrides_are_yaml_and_the_last_one_wins() -> None:
    mapping = apply_overrides(
        {"train": {"epochs": 1}, "model": None},
        ["train.epochs=2", "train.epochs=3", "model.encoder_kernels=[5, 3]", "data.val_index=a=b"],
    )
    assert mapping == {
        "train": {"epochs": 3},
        "model": {"encoder_kernels": [5, 3]},
        "data": {"val_index": "a=b"},
    }


@pytest.mark.parametrize("text", ["epochs=3", "train.epochs", "=", "train.=3", "train.epochs=[1"])
def test_a_malformed_override_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        apply_overrides({}, [text])


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "train: !!python/name:os.system",
        "train: [",
        "- a list",
        "just text",
        "a: &a [*a]",
        "\x00",
    ],
)
def test_a_file_that_is_no_configuration_is_refused_by_name(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"bad\.yaml"):
        load_config(path)


def test_missing_binary_and_oversized_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_config(tmp_path / "missing.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x9f")
    with pytest.raises(UsageError, match="UTF-8"):
        load_config(binary)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (2 << 20))
    with pytest.raises(UsageError, match="1 MiB"):
        load_config(large)


def test_paths_become_absolute_and_none_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = with_absolute_paths(config_from_mapping({"data": {"train_index": "a/index.json"}}))
    assert config.data.train_index == str(tmp_path / "a" / "index.json")
    assert config.data.val_index is None
    assert config.loss.vgg_weights == "none"


def test_a_model_section_alone_is_checked_the_same() -> None:
    assert model_config_from_mapping({"levels": 3}).levels == 3
    with pytest.raises(UsageError, match="valid keys: levels"):
        model_config_from_mapping({"depth": 3})
