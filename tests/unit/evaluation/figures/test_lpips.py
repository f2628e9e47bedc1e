"""LPIPS: the same as a plain torch version, and weights from files as others write them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from pconv_hpc.evaluation.figures.lpips import LPIPS, load_lpips
from pconv_hpc.evaluation.figures.lpips_weights import convert_lpips, read_lpips_arrays
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.weights_catalog import CATALOG
from tests.support.evaluation_files import random_lpips_arrays

PYTORCH_CONVOLUTIONS = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}


def reference(arrays: dict[str, np.ndarray], a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Zhang et al. 2018, equation 1, layer by layer with torch's functions."""
    tensors = {name: torch.tensor(array).double() for name, array in arrays.items()}
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    xs = [(torch.tensor(x).double().permute(0, 3, 1, 2) * 2 - 1 - shift) / scale for x in (a, b)]
    total = torch.zeros(len(a), dtype=torch.float64)
    for head, (number, (stride, padding)) in enumerate(PYTORCH_CONVOLUTIONS.items()):
        if number in (3, 6):
            xs = [functional.max_pool2d(x, kernel_size=3, stride=2) for x in xs]
        weight, bias = tensors[f"features.{number}.weight"], tensors[f"features.{number}.bias"]
        xs = [functional.conv2d(x, weight, bias, stride, padding).relu() for x in xs]
        unit = [x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) for x in xs]
        difference = (unit[0] - unit[1]).pow(2)
        weighted = functional.conv2d(difference, tensors[f"lin{head}.model.1.weight"])
        total += weighted.mean((2, 3))[:, 0]
    return total.numpy()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 64), (75, 50)])
def test_it_equals_a_reference_in_torch(height: int, width: int) -> None:
    rng = np.random.default_rng(height)
    arrays = random_lpips_arrays(1)
    a, b = rng.random((2, 3, height, width, 3)).astype(np.float32)
    found = LPIPS(arrays)(a, b)
    expected = reference(arrays, a, b)
    assert expected.min() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_equal_pictures_are_at_no_distance_and_one_may_meet_many() -> None:
    rng = np.random.default_rng(2)
    lpips = LPIPS(random_lpips_arrays(2))
    a = rng.random((3, 40, 40, 3)).astype(np.float32)
    np.testing.assert_array_equal(lpips(a, a), np.zeros(3))
    truth, others = lpips.features(a[:1]), lpips.features(a)
    together = lpips.distance(truth, others)
    assert together.shape == (3,)
    np.testing.assert_allclose(together, lpips(np.repeat(a[:1], 3, axis=0), a), atol=1e-5)


def test_weights_come_in_any_number_of_files(tmp_path: Path) -> None:
    arrays = random_lpips_arrays(3)
    np.savez(tmp_path / "a.npz", **{n: a for n, a in arrays.items() if n.startswith("features")})
    with pytest.raises(UsageError, match=r"lin0\.model\.1\.weight.*fetch-weights"):
        read_lpips_arrays([tmp_path])
    np.savez(tmp_path / "b.npz", **{n: a for n, a in arrays.items() if n.startswith("lin")})
    for paths in ([tmp_path], [tmp_path / "a.npz", tmp_path / "b.npz"]):
        found = read_lpips_arrays(paths)
        assert set(found) == set(arrays)
        assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    a = np.random.default_rng(0).random((1, 32, 32, 3)).astype(np.float32)
    assert load_lpips([tmp_path])(a, 1 - a) == pytest.approx(LPIPS(arrays)(a, 1 - a))


def write_published(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the two files as they are published: one zipped, with more layers; one older."""
    alexnet, linear = (folder / file.name for file in CATALOG["lpips"])
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    features = {name: t for name, t in tensors.items() if name.startswith("features")}
    torch.save({**features, "classifier.1.weight": torch.zeros(4, 4)}, alexnet)
    heads = {name: t for name, t in tensors.items() if name.startswith("lin")}
    torch.save(heads, linear, _use_new_zipfile_serialization=False)


def test_published_files_are_converted(tmp_path: Path) -> None:
    arrays = random_lpips_arrays(4)
    write_published(tmp_path, arrays)
    found = read_lpips_arrays([convert_lpips(tmp_path)])
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_other_files_are_not_converted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=CATALOG["lpips"][0].name):
        convert_lpips(tmp_path)
    arrays = random_lpips_arrays(5)
    write_published(tmp_path, {**arrays, "lin2.model.1.weight": np.zeros((1, 3, 1, 1))})
    with pytest.raises(UsageError, match=r"lin2\.model"):
        convert_lpips(tmp_path)

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "was run",)

    torch.save({"features.0.weight": Hostile()}, tmp_path / CATALOG["lpips"][0].name)
    with pytest.raises(UsageError, match="not readable as a state dict"):
        convert_lpips(tmp_path)
    assert not (tmp_path / "was run").exists()
