import dataclasses
import json
import re
import shlex

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from pconv_hpc.foundation.arrays.hdf5 import h5py
from pconv_hpc.foundation.config import (
    ModelConfig,
    apply_overrides,
    config_to_mapping,
    model_config_from_mapping,
)
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.weight_writer import write_arrays
from pconv_hpc.model.weights import (
    assign_variables,
    load_initial_weights,
    load_model,
    read_arrays,
    save_weights,
    variable_arrays,
)
from tests.support import references

CONFIG = ModelConfig(levels=2, base_channels=4, leaky_slope=0.1)
FIRST_KERNEL = "model/pconv_unet/encoder_1/partial_conv/kernel"


@pytest.fixture
def model():
    keras.utils.set_random_seed(5)
    return build_pconv_unet(CONFIG)


@pytest.fixture
def path(model, tmp_path):
    path = tmp_path / "weights.h5"
    save_weights(path, model, CONFIG, metadata={"step": 7, "note": "für später"})
    return path


def test_round_trip_float32_is_exact(model, path):
    again, config, metadata = load_model(path)
    assert config == CONFIG
    assert metadata == {"step": 7, "note": "für später"}
    for ours, theirs in zip(again.variables, model.variables, strict=True):
        assert ours.path == theirs.path
        np.testing.assert_array_equal(to_numpy(ours), to_numpy(theirs))
    rng = np.random.default_rng(0)
    inputs = [references.photo(rng, 1, 9, 9), references.valid_mask(rng, 1, 9, 9)]
    np.testing.assert_array_equal(np.array(again(inputs)), np.array(model(inputs)))


def test_round_trip_float16_rounds_and_halves_the_file(model, path, tmp_path):
    small = tmp_path / "small.h5"
    save_weights(small, model, CONFIG, dtype="float16")
    again, _, metadata = load_model(small, dtype="mixed_bfloat16")
    assert metadata == {}
    assert again.encoder[0].compute_dtype == "bfloat16"
    for ours, theirs in zip(again.variables, model.variables, strict=True):
        expected = to_numpy(theirs).astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(to_numpy(ours), expected)
    with h5py.File(path) as full, h5py.File(small) as half:
        assert half[FIRST_KERNEL].dtype == np.float16
        assert half[FIRST_KERNEL].nbytes * 2 == full[FIRST_KERNEL].nbytes


def test_a_training_checkpoint_loads_as_well(model, tmp_path):
    path = tmp_path / "step_00000010.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "pconv_hpc checkpoint"
        file.attrs["format_version"] = 1
        file.attrs["model_config"] = json.dumps(config_to_mapping(CONFIG))
        write_arrays(file.create_group("model"), variable_arrays(model.variables))
        write_arrays(file.create_group("optimizer"), {"adam/iteration": np.int64(10)})
    again, config, metadata = load_model(path)
    assert config == CONFIG
    assert metadata == {}
    np.testing.assert_array_equal(to_numpy(again.variables[0]), to_numpy(model.variables[0]))


def test_an_optimizer_round_trip_keeps_names_types_and_values(model, tmp_path):
    optimizer = keras.optimizers.Adam(1e-3, name="adam")
    optimizer.build(model.trainable_variables)
    optimizer.apply([np.ones(v.shape) for v in model.trainable_variables])
    arrays = variable_arrays(optimizer.variables)
    with h5py.File(tmp_path / "optimizer.h5", "w") as file:
        write_arrays(file.create_group("optimizer"), arrays)
    with h5py.File(tmp_path / "optimizer.h5") as file:
        again = read_arrays(file, "optimizer")
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)
    fresh = keras.optimizers.Adam(1e-3, name="adam")
    fresh.build(model.trainable_variables)
    assign_variables(fresh.variables, again, source=tmp_path)
    assert int(to_numpy(fresh.iterations)) == 1


def test_initial_weights_go_into_an_existing_network(model, path):
    tuned = dataclasses.replace(CONFIG, batch_norm_momentum=0.5)
    other = build_pconv_unet(tuned)
    load_initial_weights(other, tuned, path)
    np.testing.assert_array_equal(to_numpy(other.variables[0]), to_numpy(model.variables[0]))

    wider = dataclasses.replace(CONFIG, base_channels=8, encoder_kernels=(7, 5))
    message = "another network (model.base_channels is 4, here 8; model.encoder_kernels is [7, 5"
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        load_initial_weights(build_pconv_unet(wider), wider, path)
    words = shlex.split(str(caught.value).split("as there: ")[1])
    assert words[::2] == ["--set", "--set"]
    mapping = apply_overrides({"model": config_to_mapping(wider)}, words[1::2])
    assert model_config_from_mapping(mapping["model"]) == CONFIG


def test_a_failed_save_leaves_the_old_file(model, path):
    before = path.read_bytes()
    model.variables[0].assign(np.full(model.variables[0].shape, 1e5))
    with pytest.raises(PconvError, match="holds values that float16 cannot"):
        save_weights(path, model, CONFIG, dtype="float16")
    with pytest.raises(PconvError, match="metadata of"):
        save_weights(path, model, CONFIG, metadata={"log": "x" * 70_000})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_wrong_variables_are_all_looked_at_before_one_is_changed(path):
    with h5py.File(path, "r+") as file:
        variable = file["model/pconv_unet/decoder_1/partial_conv/bias"][()]
        del file["model/pconv_unet/decoder_1/partial_conv/bias"]
        file["model/pconv_unet/decoder_9/bias"] = variable
        file["model/pconv_unet/decoder_8/bias"] = variable
        file["model/pconv_unet/decoder_7/bias"] = variable
    model = build_pconv_unet(CONFIG)
    before = to_numpy(model.variables[0]).copy()
    with pytest.raises(UsageError) as caught:
        load_initial_weights(model, CONFIG, path)
    assert "'pconv_unet/decoder_1/partial_conv/bias' is missing" in str(caught.value)
    assert "'pconv_unet/decoder_7/bias' is unexpected" in str(caught.value)
    assert "and 1 more" in str(caught.value)
    np.testing.assert_array_equal(to_numpy(model.variables[0]), before)


def edit_kernel(array):
    def edit(file):
        del file[FIRST_KERNEL]
        file[FIRST_KERNEL] = array

    return edit


def set_attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def claim_terabytes(file):
    del file[FIRST_KERNEL]
    file.create_dataset(FIRST_KERNEL, shape=(1 << 20, 1 << 20), dtype=np.float32)


def link_elsewhere(file):
    del file["model"]
    file["model"] = h5py.ExternalLink("/etc/passwd", "/")


def link_inside(file):
    file["elsewhere"] = file["model"]
    del file["model"]
    file["model"] = h5py.SoftLink("/elsewhere")


HUGE = {**config_to_mapping(CONFIG), "levels": 12, "base_channels": 8192, "max_channels": 8192}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edit_kernel(np.zeros((7, 7, 3, 5), np.float32)), r"shape \(7, 7, 3, 5\), expected"),
        (edit_kernel(np.full((7, 7, 3, 4), np.nan, np.float32)), "kernel' holds values that are"),
        (edit_kernel(b"text"), "expected numbers"),
        (claim_terabytes, r"claims shape \(1048576, 1048576\)"),
        (link_elsewhere, "has no group 'model'"),
        (link_inside, "has no group 'model'"),
        (lambda file: file.__delitem__("model"), "has no group 'model'"),
        (set_attribute("format", "a recipe"), "is 'a recipe' version 1; expected"),
        (set_attribute("format", 3), "has no text attribute 'format'"),
        (set_attribute("format_version", 99), "version 99; expected"),
        (set_attribute("model_config", "{"), "'model_config' is not valid JSON"),
        (set_attribute("model_config", "[" * 50_000), "'model_config' is not valid JSON"),
        (set_attribute("model_config", "[]"), "'model_config' is not a JSON object"),
        (set_attribute("model_config", '{"layers": 3}'), "has no key 'layers'; valid keys: levels"),
        (set_attribute("model_config", '{"levels": 99}'), "levels must be between"),
        (set_attribute("model_config", json.dumps(HUGE)), "too small to hold them"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused(path, edit, message):
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(UsageError, match=message):
        load_model(path)


def test_a_truncated_file_is_refused(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(UsageError, match=re.escape(str(path))):
        load_model(path)
