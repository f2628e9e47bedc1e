import re
from pathlib import Path

import keras
import numpy as np
import pytest

from pconv_hpc.foundation.arrays.hdf5 import h5py
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.vgg import load_vgg16
from tests.support import references

NAMES = {
    "block1_conv1": "features.0",
    "block1_conv2": "features.2",
    "block2_conv1": "features.5",
    "block2_conv2": "features.7",
    "block3_conv1": "features.10",
    "block3_conv2": "features.12",
    "block3_conv3": "features.14",
}


@pytest.fixture(scope="module")
def keras_vgg() -> keras.Model:
    """Keras' own VGG16, its weights random and its biases not zero; it takes BGR."""
    keras.utils.set_random_seed(3)
    model = keras.applications.VGG16(weights=None, include_top=False)
    rng = np.random.default_rng(3)
    for name in NAMES:
        layer = model.get_layer(name)
        layer.bias.assign(rng.normal(0, 5, layer.bias.shape))
    return model


@pytest.fixture(scope="module")
def arrays(keras_vgg) -> dict[str, list[np.ndarray]]:
    return {name: keras_vgg.get_layer(name).get_weights() for name in NAMES}


def write_h5(path: Path, arrays: dict[str, list[np.ndarray]]) -> Path:
    """Write the layout of vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5."""
    with h5py.File(path, "w") as file:
        for name, pair in arrays.items():
            for kind, array in zip("Wb", pair, strict=True):
                file[f"{name}/{name}_{kind}_1:0"] = array
    return path


def torchvision_arrays(arrays: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    result = {}
    for keras_name, name in NAMES.items():
        kernel, bias = arrays[keras_name]
        if keras_name == "block1_conv1":
            kernel = kernel[:, :, ::-1]  # torchvision's network takes RGB
        result[f"{name}.weight"] = kernel.transpose(3, 2, 0, 1)
        result[f"{name}.bias"] = bias
    return result


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("layout", ["h5", "npz"])
def test_features_are_those_of_keras_own_vgg16_divided_by_255(tmp_path, keras_vgg, arrays, layout):
    if layout == "h5":
        path = write_h5(tmp_path / "vgg.h5", arrays)
    else:
        path = write_npz(tmp_path / "vgg.npz", torchvision_arrays(arrays))
    images = references.photo(np.random.default_rng(0), 2, 24, 37)
    features = load_vgg16(path)(images)

    pools = [keras_vgg.get_layer(f"block{n}_pool").output for n in (1, 2, 3)]
    preprocessed = keras.applications.vgg16.preprocess_input(images * 255)
    expected = keras.Model(keras_vgg.input, pools)(preprocessed)
    assert [tuple(f.shape) for f in features] == [
        (2, 12, 18, 64),
        (2, 6, 9, 128),
        (2, 3, 4, 256),
    ]
    for ours, theirs in zip(features, expected, strict=True):
        np.testing.assert_allclose(
            np.array(ours), np.array(theirs) / 255, rtol=1e-3, atol=1e-4 * np.max(theirs) / 255
        )


def test_it_is_not_trained_and_computes_in_the_type_asked_for(tmp_path, arrays):
    path = write_h5(tmp_path / "vgg.h5", arrays)
    images = references.photo(np.random.default_rng(0), 1, 16, 16)
    vgg, mixed = load_vgg16(path), load_vgg16(path, dtype="mixed_bfloat16")
    assert vgg.trainable_variables == []
    assert len(vgg.variables) == 14
    for ours, theirs in zip(mixed(images), vgg(images), strict=True):
        assert keras.backend.standardize_dtype(ours.dtype) == "bfloat16"
        theirs = np.array(theirs)
        assert np.abs(np.array(ours).astype(np.float32) - theirs).max() < 0.05 * theirs.max()


def test_a_file_of_another_kind_is_refused(tmp_path):
    text = tmp_path / "notes.h5"
    text.write_text("not weights")
    with pytest.raises(UsageError, match=r"notes\.h5: not a readable HDF5 file"):
        load_vgg16(text)
    with pytest.raises(UsageError, match=r"no such file"):
        load_vgg16(tmp_path / "absent.h5")
    not_zip = tmp_path / "notes.npz"
    not_zip.write_text("not weights")
    with pytest.raises(UsageError, match=r"notes\.npz: not a readable \.npz"):
        load_vgg16(not_zip)
    with pytest.raises(UsageError, match=r"absent\.npz: not a readable \.npz"):
        load_vgg16(tmp_path / "absent.npz")


def test_wrong_or_missing_arrays_are_named(tmp_path, arrays):
    lacking = {k: v for k, v in arrays.items() if k != "block2_conv1"}
    with pytest.raises(UsageError, match="has no dataset 'block2_conv1/"):
        load_vgg16(write_h5(tmp_path / "a.h5", lacking))
    kernel, bias = arrays["block1_conv2"]
    with pytest.raises(UsageError, match=re.escape("has shape (3, 3, 64, 63)")):
        load_vgg16(write_h5(tmp_path / "b.h5", {**arrays, "block1_conv2": [kernel[..., 1:], bias]}))

    torch_arrays = torchvision_arrays(arrays)
    lacking = {k: v for k, v in torch_arrays.items() if k != "features.5.bias"}
    with pytest.raises(UsageError, match=r"has no array 'features\.5\.bias'"):
        load_vgg16(write_npz(tmp_path / "c.npz", lacking))
    whole_numbers = {**torch_arrays, "features.0.bias": np.zeros(64, np.int64)}
    with pytest.raises(UsageError, match="type int64; expected"):
        load_vgg16(write_npz(tmp_path / "d.npz", whole_numbers))


def test_an_npz_never_unpickles(tmp_path, arrays):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    trapped = {**torchvision_arrays(arrays), "features.0.bias": np.array([Trap()] * 64)}
    with pytest.raises(UsageError, match=r"'features\.0\.bias' has shape \(64,\) and type object"):
        load_vgg16(write_npz(tmp_path / "trap.npz", trapped))
    assert not (tmp_path / "sprung").exists()


def test_an_npz_cut_short_is_refused(tmp_path, arrays):
    path = write_npz(tmp_path / "cut.npz", torchvision_arrays(arrays))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UsageError, match=r"cut\.npz"):
        load_vgg16(path)


def test_a_flipped_bit_in_an_npz_is_noticed(tmp_path, arrays):
    path = write_npz(tmp_path / "bad.npz", torchvision_arrays(arrays))
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"bad\.npz"):
        load_vgg16(path)


def test_an_h5_that_links_elsewhere_is_refused(tmp_path, arrays):
    real = write_h5(tmp_path / "real.h5", arrays)
    with h5py.File(tmp_path / "links.h5", "w") as file:
        for name in arrays:
            file[name] = h5py.ExternalLink(str(real), name)
    with pytest.raises(UsageError, match="link to elsewhere"):
        load_vgg16(tmp_path / "links.h5")
