"""The small parts of training: schedule, tables, signals, folders, devices."""

import dataclasses
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import tensorflow as tf

from pconv_hpc.foundation.config import (
    MasksConfig,
    OptimizerConfig,
    RunConfig,
    TrainConfig,
    apply_overrides,
    config_from_mapping,
    config_to_mapping,
)
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.model.find_weights import find_weights
from pconv_hpc.training.curves import draw_curves
from pconv_hpc.training.distributed import Ranks, configure_devices, visible_gpu_index
from pconv_hpc.training.metrics_table import MetricsTable, read_table
from pconv_hpc.training.run_folder import RunFolder, check_continuation
from pconv_hpc.training.run_status import describe, read_run_status
from pconv_hpc.training.schedule import WarmupSchedule


def rates(config: OptimizerConfig, steps: range, *, batch: int, total: int) -> np.ndarray:
    schedule = WarmupSchedule(config, global_batch_size=batch, total_steps=total)
    return np.array([float(schedule(step)) for step in steps])


def test_the_learning_rate_scales_with_the_batch_and_warms_up() -> None:
    config = OptimizerConfig(learning_rate=1e-4, reference_batch_size=8, warmup_steps=4)
    found = rates(config, range(6), batch=32, total=100)
    np.testing.assert_allclose(found, 4e-4 * np.array([0.25, 0.5, 0.75, 1, 1, 1]), rtol=1e-6)


def test_the_cosine_ends_at_its_floor() -> None:
    config = OptimizerConfig(
        learning_rate=1e-3,
        reference_batch_size=4,
        warmup_steps=0,
        schedule="cosine",
        final_learning_rate_ratio=0.1,
    )
    found = rates(config, range(0, 101, 50), batch=4, total=100)
    np.testing.assert_allclose(found, [1e-3, 0.55e-3, 0.1e-3], rtol=1e-5)


def test_a_table_is_taken_back_to_a_step(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv", ["step", "loss"])
    table.rewind(0)
    for step in (10, 20, 30):
        table.append([step, 1.0 / step])
    with open(tmp_path / "metrics.csv", "a") as stream:
        stream.write("40,0.0")  # torn by a crash
        stream.write("\n4")
    table.rewind(20)
    assert (tmp_path / "metrics.csv").read_text() == "step,loss\n10,0.1\n20,0.05\n"
    assert read_table(tmp_path / "metrics.csv")[-1] == {"step": 20.0, "loss": 0.05}
    assert read_table(tmp_path / "missing.csv") == []


def test_a_table_with_other_columns_is_kept_beside(tmp_path: Path) -> None:
    old = MetricsTable(tmp_path / "metrics.csv", ["step", "loss"])
    old.rewind(0)
    old.append([10, 0.5])
    new = MetricsTable(tmp_path / "metrics.csv", ["step", "loss", "style"])
    for _ in range(2):
        new.rewind(10)
    (tmp_path / "edited.csv").write_text("\ufeffstep,loss\n10,0.5\n")  # by a spreadsheet
    MetricsTable(tmp_path / "edited.csv", ["step", "loss"]).rewind(20)
    assert (tmp_path / "edited.until_20.csv").is_file()
    assert (tmp_path / "metrics.csv").read_text() == "step,loss,style\n"
    assert (tmp_path / "metrics.until_10.csv").read_text() == "step,loss\n10,0.5\n"


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_sets_a_flag(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest() as request:
        assert not request.is_set
        os.kill(os.getpid(), number)
        assert request.is_set
        assert request.signal_name == number.name
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_is_obeyed_at_once() -> None:
    with StopRequest() as request:
        os.kill(os.getpid(), signal.SIGINT)
        assert request.is_set
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("visible", "local_rank", "index"), [(1, 3, 0), (4, 3, 3), (2, 0, 0)])
def test_each_rank_takes_its_own_gpu(visible: int, local_rank: int, index: int) -> None:
    assert visible_gpu_index(visible, local_rank) == index


def test_more_ranks_than_gpus_are_refused() -> None:
    with pytest.raises(UsageError, match="more ranks than GPUs"):
        visible_gpu_index(2, 2)


@pytest.mark.parametrize(
    ("tf32", "products"), [(True, "TF32 where the GPU has it"), (False, "float32")]
)
def test_the_log_says_in_what_float32_is_multiplied(
    monkeypatch: pytest.MonkeyPatch, tf32: bool, products: str
) -> None:
    gpus = [SimpleNamespace(name=f"GPU:{number}") for number in range(2)]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: gpus)
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *_: None)
    experimental = tf.config.experimental
    monkeypatch.setattr(experimental, "set_memory_growth", lambda *_: None)
    monkeypatch.setattr(experimental, "tensor_float_32_execution_enabled", lambda: tf32)
    ranks = cast(Ranks, SimpleNamespace(rank=3, local_rank=1))
    line = configure_devices(ranks, require_gpu=True, deterministic=False, environment={})
    assert line == f"rank 3: GPU:1 of 2 visible, float32 products in {products}"


def test_a_run_may_train_longer_but_not_on_other_batches(tmp_path: Path) -> None:
    old = RunConfig()
    longer = dataclasses.replace(old, train=dataclasses.replace(old.train, epochs=64))
    folder = saved_run(tmp_path, old)
    assert check_continuation(folder, longer) == ["train.epochs"]
    other = dataclasses.replace(old, train=TrainConfig(global_batch_size=17, seed=3))
    with pytest.raises(UsageError, match=r"train\.global_batch_size, train\.seed"):
        check_continuation(folder, other)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("masks.boxes=1", r"masks\.boxes"),  # the bank is drawn
        ("masks.num_masks=7", r"masks\.num_masks"),
        ("masks.objects_from=/moved/objects.h5", ""),  # drawn from already
        ("train.precision=float16", r"train\.precision"),
        ("train.precision=bfloat16", ""),
        ("train.freeze_encoder_batch_norm=true", r"train\.freeze_encoder_batch_norm"),
    ],
)
def test_what_saved_variables_depend_on_stays(tmp_path: Path, override: str, message: str) -> None:
    new = config_from_mapping(apply_overrides(config_to_mapping(RunConfig()), [override]))
    unsaved = RunFolder(tmp_path / "unsaved")
    unsaved.save_config(RunConfig())
    assert check_continuation(unsaved, new) == [override.partition("=")[0]]
    folder = saved_run(tmp_path / "saved", RunConfig())
    if message:
        with pytest.raises(UsageError, match=message):
            check_continuation(folder, new)
    else:
        assert check_continuation(folder, new)


def test_a_named_bank_takes_the_place_of_a_drawn_one(tmp_path: Path) -> None:
    named = MasksConfig(train_bank="a.h5", val_bank="b.h5", boxes=1.0)
    new = dataclasses.replace(RunConfig(), masks=named)
    assert "masks.boxes" in check_continuation(saved_run(tmp_path, RunConfig()), new)


def saved_run(path: Path, config: RunConfig) -> RunFolder:
    folder = RunFolder(path)
    folder.save_config(config)
    folder.checkpoints_dir.mkdir()
    (folder.checkpoints_dir / "step_00000001.json").touch()
    return folder


def test_the_status_of_a_run_that_never_saved(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no training run here"):
        read_run_status(tmp_path)
    folder = RunFolder(tmp_path)
    folder.save_config(RunConfig())
    status = read_run_status(tmp_path)
    assert (status.step, status.checkpoint, status.status) == (0, None, "not started")
    folder.write_state("running", step=3, total_steps=10, reason="")
    assert "exited without recording a status" in describe(read_run_status(tmp_path))
    folder.state_path.write_text("{ torn")
    assert read_run_status(tmp_path).status == "not started"


def test_weights_are_found_in_files_and_run_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such weights file or run folder"):
        find_weights(tmp_path / "missing")
    with pytest.raises(UsageError, match=r"neither weights\.h5 nor a finished checkpoint"):
        find_weights(tmp_path)
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    for name in ("step_00000010.h5", "step_00000010.json", "step_00000020.h5"):
        (checkpoints / name).touch()
    assert find_weights(tmp_path).path.name == "step_00000010.h5"  # 20 is not finished
    (tmp_path / "weights.h5").touch()
    assert find_weights(tmp_path).path == tmp_path / "weights.h5"
    assert find_weights(checkpoints / "step_00000020.h5").path.name == "step_00000020.h5"


def test_curves_are_drawn_with_and_without_rows(tmp_path: Path) -> None:
    rows = [{"step": 1.0, "epoch": 1.0, "loss": 2.0, "hole": 1.0, "images_per_second": 3.0}]
    validation = [{"step": 1.0, "epoch": 1.0, "loss": 2.5, "hole": 1.0, "l1": 0.2, "psnr": 20.0}]
    draw_curves(tmp_path / "full.png", training=rows * 3, validation=validation)
    draw_curves(tmp_path / "empty.png", training=[], validation=[])
    full, empty = (tmp_path / f"{name}.png" for name in ("full", "empty"))
    assert full.stat().st_size > empty.stat().st_size > 0
