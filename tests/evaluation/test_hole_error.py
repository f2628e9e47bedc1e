"""Errors of filled holes: known cases, and the same for any number of ranks."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.config import ModelConfig
from pconv_hpc.data.mask_bank import MaskBank, draw_bank
from pconv_hpc.data.shards import ShardReader
from pconv_hpc.errors import Interrupted
from pconv_hpc.evaluation.hole_error import (
    HoleError,
    measure_hole,
    measure_network,
    table_by_hole_ratio,
)
from pconv_hpc.launch import mpirun_command
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.weights import save_weights
from tests.training.packed_crops import write_pack

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    return write_pack(folder, split="val", num_images=11, num_shards=2, seed=3)


def gray(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    assert set(np.unique(masks)) <= {0.0, 1.0}
    return np.full_like(images, 0.5)


def test_known_errors() -> None:
    truth = np.zeros((16, 16, 3), np.float32)
    valid = np.ones((16, 16, 1), np.float32)
    valid[:4] = 0
    composite = np.where(valid == 1, truth, np.float32(0.1))
    l1, psnr, ssim = measure_hole(truth, composite, valid)
    assert l1 == pytest.approx(0.1, rel=1e-5)
    assert psnr == pytest.approx(-10 * np.log10(0.01 / 4), rel=1e-4)
    assert 0 < ssim < 1
    assert measure_hole(truth, truth, valid) == pytest.approx((0.0, 100.0, 1.0))


def test_ranks_share_the_photos_and_find_the_same(index: Path, tmp_path: Path) -> None:
    bank_path = tmp_path / "masks.h5"
    draw_bank(bank_path, num_masks=12, size=32, style_weights={"boxes": 1.0})

    def measure(rank: int, num_ranks: int) -> list[HoleError]:
        with ShardReader(index) as reader:
            return measure_network(
                gray,
                reader,
                MaskBank(bank_path),
                image_size=32,
                num_images=9,
                seed=1,
                batch_size=4,
                rank=rank,
                num_ranks=num_ranks,
            )

    alone = measure(0, 1)
    assert [error.sample for error in alone] == list(range(9))
    assert measure(0, 2) + measure(1, 2) == alone
    header, rows = table_by_hole_ratio(alone)
    assert rows[-1][:2] == ["all", 9]
    assert sum(int(str(row[1])) for row in rows[:-1]) == 9
    assert len(header) == len(rows[0])


def test_being_stopped_ends_between_batches(index: Path, tmp_path: Path) -> None:
    draw_bank(tmp_path / "masks.h5", num_masks=6, size=32, style_weights={"boxes": 1.0})
    with ShardReader(index) as reader, pytest.raises(Interrupted):
        measure_network(
            gray,
            reader,
            MaskBank(tmp_path / "masks.h5"),
            image_size=32,
            num_images=9,
            seed=1,
            batch_size=4,
            rank=0,
            num_ranks=1,
            should_stop=lambda: True,
        )


@pytest.mark.mpi
def test_the_program_with_one_and_two_ranks(index: Path, tmp_path: Path) -> None:
    config = ModelConfig(levels=2, base_channels=4, max_channels=8, encoder_kernels=(3,))
    weights = tmp_path / "weights.h5"
    save_weights(weights, build_pconv_unet(config), config, metadata={"image_size": 32})
    tables = []
    for ranks in (1, 2):
        out = tmp_path / f"out {ranks}"
        command = [sys.executable, str(REPOSITORY / "tools" / "evaluate.py"), str(index)]
        command += ["--weights", str(weights), "--out", str(out), "--batch-size", "3"]
        if ranks > 1:
            command = mpirun_command(ranks, command)
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert json.loads((out / "results.json").read_text())["image_size"] == 32
        assert "<table>" in (out / "report.html").read_text()
        with open(out / "errors.csv", newline="") as stream:
            tables.append(list(csv.reader(stream)))
    assert tables[0][0] == ["sample", "hole_ratio", "l1", "psnr", "ssim"]
    assert len(tables[0]) == 12
    values = [np.array([[float(v) for v in row] for row in table[1:]]) for table in tables]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-4)


def test_missing_weights_are_named(index: Path, tmp_path: Path) -> None:
    command = [sys.executable, REPOSITORY / "tools" / "evaluate.py", index]
    done = subprocess.run(
        [*command, "--weights", tmp_path / "none.h5", "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ),
    )
    assert done.returncode == 2
    assert "none.h5" in done.stderr
    assert "Traceback" not in done.stderr
