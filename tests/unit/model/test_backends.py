"""One network, one batch, three Keras backends: outputs, losses and gradients agree to 1e-4."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from pconv_hpc.foundation.config import ModelConfig
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.weights import save_weights
from tests.support import references
from tests.support.paths import REPOSITORY

LEVELS = 2

SCRIPT = """
import sys
import numpy as np
from keras import backend, ops
from pathlib import Path
from pconv_hpc.foundation.config import LossConfig
from pconv_hpc.model.losses import InpaintingLoss
from pconv_hpc.model.vgg import load_vgg16
from pconv_hpc.model.weights import load_model

folder, result = Path(sys.argv[1]), sys.argv[2]
batch = np.load(folder / "batch.npz")
images, masks = batch["images"], batch["masks"]
model, _, _ = load_model(folder / "weights.h5")
loss = InpaintingLoss(LossConfig(), load_vgg16(folder / "vgg.npz"))
values = {}
if backend.backend() != "jax":
    values["inference"] = model([images, masks], training=False)

if backend.backend() == "tensorflow":
    import tensorflow as tf
    with tf.GradientTape() as tape:
        output = model([images, masks], training=True)
        parts = loss(output, images, masks)
    gradients = tape.gradient(parts["loss"], model.trainable_variables)
elif backend.backend() == "torch":
    output = model([images, masks], training=True)
    parts = loss(output, images, masks)
    parts["loss"].backward()
    gradients = [v.value.grad for v in model.trainable_variables]
else:
    import jax
    def run(trainable, constant):
        (output, constant) = model.stateless_call(
            trainable, constant, [images, masks], training=True
        )
        parts = loss(output, images, masks)
        return parts["loss"], (output, parts, constant)
    state = [[v.value for v in group] for group in
             (model.trainable_variables, model.non_trainable_variables)]
    values["inference"], _ = jax.jit(model.stateless_call)(*state, [images, masks])
    gradients, (output, parts, constant) = jax.jit(jax.grad(run, has_aux=True))(*state)
    for variable, value in zip(model.non_trainable_variables, constant):
        variable.assign(value)

values["output"] = output
values |= {f"loss/{name}": part for name, part in parts.items()}
for v, gradient in zip(model.trainable_variables, gradients, strict=True):
    values[f"gradient/{v.path}"] = gradient
for v in model.non_trainable_variables:
    values[f"moving/{v.path}"] = v.value
np.savez(result, backend=backend.backend(),
         **{name: ops.convert_to_numpy(value) for name, value in values.items()})
"""


def write_inputs(folder: Path) -> None:
    rng = np.random.default_rng(11)
    keras.utils.set_random_seed(11)
    config = ModelConfig(levels=LEVELS, base_channels=4)
    model = build_pconv_unet(config)
    for variable in model.variables:  # also shifts and moving statistics that are not 0 and 1
        variable.assign(variable + rng.uniform(0.05, 0.2, variable.shape))
    save_weights(folder / "weights.h5", model, config)
    np.savez(
        folder / "batch.npz",
        images=references.photo(rng, 2, 29, 34),
        masks=references.valid_mask(rng, 2, 29, 34),
    )
    shapes = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128)}
    shapes |= {10: (256, 128), 12: (256, 256), 14: (256, 256)}
    arrays = {}
    for n, (filters, channels) in shapes.items():
        scale = np.sqrt(2 / (9 * channels))
        arrays[f"features.{n}.weight"] = rng.normal(0, scale, (filters, channels, 3, 3))
        arrays[f"features.{n}.bias"] = rng.normal(0, 1, filters)
    np.savez(folder / "vgg.npz", **arrays)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("backends")
    write_inputs(folder)
    processes = {
        backend: subprocess.Popen(
            [sys.executable, "-c", SCRIPT, folder, folder / f"{backend}.npz"],
            cwd=REPOSITORY,
            env={
                **os.environ,
                "KERAS_BACKEND": backend,
                "JAX_PLATFORMS": "cpu",
                "CUDA_VISIBLE_DEVICES": "",
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for backend in ("tensorflow", "jax", "torch")
    }
    found = {}
    try:
        for backend, process in processes.items():
            _, errors = process.communicate(timeout=500)
            assert process.returncode == 0, f"{backend}: {errors[-4000:]}"
            with np.load(folder / f"{backend}.npz") as values:
                found[backend] = dict(values)
            assert str(found[backend].pop("backend")) == backend
    finally:
        for process in processes.values():
            process.kill()
    return found


def scale_of(name: str, values: dict[str, np.ndarray]) -> float:
    """Return what an error in ``name`` is small against.

    A bias's gradient sums terms as large as its kernel's, which nearly cancel each other: its
    rounding error belongs to the terms, so a layer's gradients share the scale of the largest.
    """
    layer = name.rsplit("/", 1)[0] if name.startswith("gradient/") else name
    return max(1e-3, *(np.abs(v).max() for key, v in values.items() if key.startswith(layer)))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_equal_to_tensorflow(results, backend):
    expected, found = results["tensorflow"], results[backend]
    assert found.keys() == expected.keys()
    assert sum(name.startswith("loss/") for name in found) == 6
    assert sum(name.startswith("gradient/") for name in found) == 2 * LEVELS + 2 + 4 * (LEVELS - 1)
    for name, value in expected.items():
        assert np.abs(value - found[name]).max() <= 1e-4 * scale_of(name, expected), name
