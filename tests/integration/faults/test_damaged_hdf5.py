"""HDF5 files whose structure was damaged, as a disk or a copy does it: refused by name."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.arrays.hdf5 import open_for_writing
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_bank import draw_bank
from pconv_hpc.shards.shard_file import write_shard
from tests.integration.faults.flip_bits import READERS
from tests.support.drawn_silhouettes import write_drawn
from tests.support.paths import REPOSITORY

FLIPS = 120


def write_small_shard(path: Path) -> None:
    write_shard(
        path,
        np.zeros((3, 8, 8, 3), np.uint8),
        ["a.png", "b.png", "c.png"],
        attributes={"split": "train", "seed": 0},
        rejected=[("d.png", "empty file")],
    )


def write_small_weights(path: Path) -> None:
    with open_for_writing(path) as file:
        file.attrs["format"] = "pconv_hpc weights"
        for name in ("encoder/kernel", "encoder/bias", "decoder/kernel"):
            file[f"model/{name}"] = np.ones((3, 3, 2), np.float32)


WRITERS: dict[str, Callable[[Path], object]] = {
    "shard": write_small_shard,
    "bank": lambda path: draw_bank(path, num_masks=3, size=16, style_weights={"boxes": 1.0}),
    "silhouettes": write_drawn,
    "weights": write_small_weights,
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("signature", [b"HEAP", b"SNOD", b"TREE"])
def test_one_bit_of_any_signature_is_refused_by_name(
    tmp_path: Path, kind: str, signature: bytes
) -> None:
    path = tmp_path / "file.h5"
    WRITERS[kind](path)
    whole = path.read_bytes()
    READERS[kind](path)
    places = [match.start() for match in re.finditer(signature, whole)]
    assert places
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(UsageError, match=r"file\.h5: "):
            READERS[kind](path)


@pytest.mark.parametrize("kind", WRITERS)
def test_single_bits_anywhere_give_no_other_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file.h5"
    WRITERS[kind](path)
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.faults.flip_bits", kind, path, str(FLIPS), "1"],
        cwd=REPOSITORY,
        env=os.environ | {"KERAS_BACKEND": "numpy"},  # a small process forks fast
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert "another error" not in outcomes, done.stderr[-4000:]
    assert outcomes["refused"] > 3
    assert (
        outcomes.get("signal", 0) < 3
    )  # in HDF5's own code: a limit that docs/reference/reliability.md names
