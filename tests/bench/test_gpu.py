"""The measurement of training steps on a GPU, run on the processor, and what it does in trouble."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pconv_hpc.bench import gpu, gpu_measure, gpu_report
from pconv_hpc.bench.flops import convolution_flops, training_step_flops
from pconv_hpc.bench.gpu_device import Kernel
from pconv_hpc.bench.gpu_request import Request
from pconv_hpc.config import ModelConfig
from pconv_hpc.errors import PconvError, UsageError

ROOT = Path(__file__).parents[2]
TINY = ["--sizes", "16", "--base-channels", "2", "--batch", "1", "--max-batch", "1"]
TINY += ["--steps", "1", "--rounds", "1", "--matmul-size", "64"]


def request(**changes: Any) -> Request:
    values = {
        "backend": "jax",
        "device": "cpu",
        "image_size": 16,
        "precision": "float32",
        "batch": 1,
        "max_batch": 8,
        "base_channels": 2,
        "steps": 1,
        "rounds": 1,
        "matmul_size": 8,
        "vgg_weights": None,
    }
    return Request(**(values | changes))


def start(folder: Path, *options: object) -> subprocess.Popen[str]:
    """Start the tool where importing what it must not need fails."""
    for name in ("tensorflow", "horovod", "mpi4py"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise ImportError('is not here')")
    return subprocess.Popen(
        [sys.executable, ROOT / "tools" / "gpu_bench.py", *map(str, options)],
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": f"{folder}:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, tuple[int, str, str, Path]]:
    """Return exit code, both outputs and the result file of each call, all running at once."""
    calls: dict[str, list[object]] = {
        "jax": ["--device", "cpu", "--backend", "jax", "--precisions", "tf32", *TINY],
        "torch": ["--device", "cpu", "--backend", "torch", "--precisions", "bfloat16", *TINY],
        "no gpu": ["--backend", "torch", *TINY],
    }
    folders = {name: tmp_path_factory.mktemp(name.replace(" ", "_")) for name in calls}
    running = {name: start(folders[name], *options) for name, options in calls.items()}
    try:
        found = {}
        for name, process in running.items():
            out, errors = process.communicate(timeout=500)
            path = folders[name] / "build/bench/gpu.json"
            found[name] = process.returncode, out, errors, path
        return found
    finally:
        for process in running.values():
            process.kill()


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_both_backends_measure_without_tensorflow(outcomes, backend: str) -> None:
    code, out, errors, path = outcomes[backend]
    assert code == 0, errors
    (record,) = json.loads(path.read_text())["measurements"]
    assert record["machine"]["framework"].startswith(backend)
    assert record["end"] == {"largest_batch": 1, "refused_batch": None}
    (run,) = record["runs"]
    assert run["seconds_per_step"] > 0
    assert run["images_per_second"] == 1 / run["seconds_per_step"]
    assert run["peak_bytes"] > 1 << 20
    shares = [kernel["share"] for kernel in run["kernels"]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1 + 1e-9
    assert f"| {backend}" in out
    assert run["kernels"][0]["name"] in out


def test_what_was_measured_is_not_measured_again(outcomes) -> None:
    path = outcomes["jax"][3]
    before = path.read_text()
    (record,) = json.loads(before)["measurements"]
    ((again, news),) = gpu.measure_all([Request(**record["request"])], path)
    assert (again, news) == (record, "kept")
    assert path.read_text() == before


def test_without_a_gpu_it_says_what_it_needs(outcomes) -> None:
    code, _, errors, path = outcomes["no gpu"]
    assert code == 2
    assert "no CUDA GPU: torch" in errors
    assert "NVIDIA" in errors
    assert "--device cpu" in errors
    assert "Traceback" not in errors
    assert not path.exists()


class FullAt:
    """A device whose memory is full at some batch, or whose loss or step goes wrong."""

    is_gpu = True
    name = "a device"
    framework = "a framework"

    def __init__(self, batch: int = 4, *, loss: float = 1.0, error: str = "memory is full") -> None:
        self.batch, self.loss, self.error = batch, loss, error

    def use_precision(self, precision: str) -> None:
        self.precision = precision

    def matrix_product(self, size: int, dtype: str) -> Any:
        return lambda: None

    def training_step(self, model: Any, loss: Any, optimizer: Any, images: Any, masks: Any) -> Any:
        assert images.shape == (len(images), 16, 16, 3)
        assert masks.mean() == pytest.approx(0.75)

        def step() -> float:
            if len(images) >= self.batch:
                raise RuntimeError(self.error)
            return self.loss

        return step

    def wait(self, value: Any) -> None: ...

    def forget_peak(self) -> None: ...

    def peak_bytes(self) -> int:
        return 7

    def is_out_of_memory(self, error: Exception) -> bool:
        return "memory" in str(error)

    def kernels(self, work: Any) -> list[Kernel]:
        work()
        return [Kernel("small", 0.3, 3), Kernel("none", 0.0, 1), Kernel("large", 0.9, 6)]


def test_the_batch_doubles_until_memory_is_full() -> None:
    findings = list(gpu_measure.measure(request(), FullAt(4)))
    assert [name for name, _ in findings] == ["machine", "ceiling", "run", "run", "end"]
    assert findings[-1][1] == {"largest_batch": 2, "refused_batch": 4}
    kernels = findings[2][1]["kernels"]
    assert [k["name"] for k in kernels] == ["large", "small"]
    assert [k["share"] for k in kernels] == pytest.approx([0.75, 0.25])
    assert [k["calls_per_step"] for k in kernels] == [2, 1]


def test_the_first_batch_may_be_too_large() -> None:
    findings = list(gpu_measure.measure(request(batch=4), FullAt(4)))
    assert findings[-1][1] == {"largest_batch": None, "refused_batch": 4}


@pytest.mark.parametrize(
    ("device", "message"),
    [(FullAt(loss=float("nan")), "the loss is nan"), (FullAt(1, error="a bug"), "a bug")],
)
def test_other_trouble_is_no_end(device: FullAt, message: str) -> None:
    with pytest.raises((PconvError, RuntimeError), match=message):
        list(gpu_measure.measure(request(), device))


def test_what_a_dying_process_found_is_kept(tmp_path: Path, monkeypatch) -> None:
    program = tmp_path / "python"
    program.write_text(
        "#!/bin/sh\n"
        'echo \'{"machine": {"device": "d", "framework": "f"}}\'\n'
        'echo \'{"run": {"batch": 1}}\'\n'
        'echo "the GPU fell off" >&2\n'
        "kill -9 $$\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    path = tmp_path / "gpu.json"
    requests = [request(), request(precision="bfloat16")]
    news = [news for _, news in gpu.measure_all(requests, path)]
    assert news == ["machine", "run", "error"] * 2
    for record in gpu.read_records(path):
        assert record["runs"] == [{"batch": 1}]
        assert "ended with -9: the GPU fell off" in record["error"]
        assert not gpu.is_complete(record)
    assert [news for _, news in gpu.measure_all(requests[:1], path)] == ["machine", "run", "error"]
    assert len(gpu.read_records(path)) == 2


@pytest.mark.parametrize("text", ["no JSON", "{}", '{"measurements": [{"request": {"a": 1}}]}'])
def test_a_file_of_another_kind_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"results.json: holds no measurements.*--out"):
        list(gpu.measure_all([request()], path))
    assert path.read_text() == text


def drawn_record(**changes: Any) -> dict[str, Any]:
    kernel = {"name": "conv", "share": 0.6, "seconds_per_step": 0.3, "calls_per_step": 8.0}
    run = {
        "batch": 8,
        "images_per_second": 16.0,
        "flops": 4e12,
        "seconds_per_step": 0.5,
        "peak_bytes": 3 << 29,
        "kernel_seconds_per_step": 0.45,
        "kernels": [kernel],
    }
    slower = run | {"batch": 16, "images_per_second": 10.0}
    return {
        "request": request(image_size=256, precision="bfloat16").as_mapping(),
        "runs": [run, slower],
        "ceiling": {"matmul_size": 8192, "flops_per_second": 20e12},
        "end": {"largest_batch": 16, "refused_batch": 32},
    } | changes


def test_the_table_shows_the_fastest_batch() -> None:
    table = gpu_report.report([drawn_record()])
    cells = [cell.strip() for cell in table[2].strip("|").split("|")]
    assert cells == [
        *("jax", "256²", "bfloat16", "16", "8", "500", "8", "20", "40.0%", "1.5", "16"),
    ]
    assert "together 90% of a step's time" in "\n".join(table)
    assert table[-1].split("|")[1].strip() == "60.0%"


@pytest.mark.parametrize(
    ("changes", "cell"),
    [
        ({"end": {"largest_batch": 16, "refused_batch": None}}, "≥ 16"),
        ({"end": {"largest_batch": None, "refused_batch": 8}, "runs": []}, "< 8"),
    ],
)
def test_the_table_says_what_ended_the_doubling(changes: dict[str, Any], cell: str) -> None:
    assert gpu_report.report([drawn_record(**changes)])[2].strip("| ").endswith(f"| {cell}")


def test_the_table_shows_what_did_not_finish() -> None:
    record = drawn_record(error="it ended with -9")
    del record["end"]
    assert "≥ 16 (not finished)" in gpu_report.report([record])[2]


def test_operations_are_counted_without_the_padding() -> None:
    image, kernel = np.ones((6, 6)), np.ones((5, 5))
    padded = np.pad(image, 2)
    taps = sum(
        (padded[row : row + 5, column : column + 5] * kernel).sum()
        for row in range(6)
        for column in range(6)
    )
    assert convolution_flops(6, kernel=5, strides=1, channels=3, filters=7) == 2 * taps * 3 * 7
    # stride 2 over an even side pads one more at the end: the first window begins one pixel outside
    assert convolution_flops(6, kernel=5, strides=2, channels=1) == 2 * (4 + 5 + 3) ** 2


_COUNT = """
import sys
import jax, keras, numpy as np
from pconv_hpc.config import LossConfig, ModelConfig
from pconv_hpc.model.losses import InpaintingLoss
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.vgg import VGG16Features
vgg = VGG16Features()
vgg.build((None, None, None, 3))
loss = InpaintingLoss(LossConfig(), vgg)
for size, levels in ((256, 7), (512, 8)):
    model = build_pconv_unet(ModelConfig(levels=levels))
    def loss_of(trainable, constant, images, masks):
        output, constant = model.stateless_call(trainable, constant, [images, masks], training=True)
        return loss(output, images, masks)["loss"], constant
    step = jax.jit(jax.value_and_grad(loss_of, has_aux=True))
    state = [[v.value for v in group]
             for group in (model.trainable_variables, model.non_trainable_variables)]
    batch = [np.zeros((1, size, size, c), np.float32) for c in (3, 1)]
    print(step.lower(*state, *batch).cost_analysis()["flops"])
"""


def test_the_formula_agrees_with_what_xla_counts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _COUNT],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counted = [float(line) for line in done.stdout.split()]
    sizes = {256: 7, 512: 8}
    ours = [training_step_flops(ModelConfig(levels=n), size) for size, n in sizes.items()]
    assert len(counted) == 2
    for expected, found in zip(counted, ours, strict=True):
        assert found == pytest.approx(expected, rel=0.005)
