"""Drawing processes: in order, deaf to signals that are for their parent, and missed if killed."""

import multiprocessing
import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.masks.mask_drawing import MaskPlan, draw_mask
from pconv_hpc.masks.mask_workers import draw_in_order

NUM_MASKS = 1000
DRAW = partial(draw_mask, MaskPlan(size=32, seed=7, style_weights={"strokes": 1.0}), None)


def ignores(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (ignored,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigIgn"))
    return bool(int(ignored, 16) >> (number - 1) & 1)


def test_signals_to_all_processes_are_left_to_the_parent() -> None:
    masks = draw_in_order(DRAW, NUM_MASKS, workers=2)
    drawn = [next(masks)]
    deadline = time.monotonic() + 300
    for child in multiprocessing.active_children():
        assert child.pid is not None
        while not ignores(child.pid, signal.SIGTERM):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
            os.kill(child.pid, number)
    drawn.extend(masks)
    assert len(drawn) == NUM_MASKS
    np.testing.assert_array_equal(drawn[-1], DRAW(NUM_MASKS - 1))
    assert multiprocessing.active_children() == []


def test_a_killed_process_is_told_and_the_others_end() -> None:
    masks = draw_in_order(DRAW, NUM_MASKS, workers=2)
    next(masks)
    victim = multiprocessing.active_children()[0]
    victim.kill()
    with pytest.raises(PconvError, match="a process that draws masks was killed"):
        list(masks)
    assert multiprocessing.active_children() == []


def endless_mask(index: int) -> np.ndarray:
    while index >= 16:  # the first task of the two processes ends
        time.sleep(1)
    return np.zeros((8, 8), np.uint8)


def test_a_process_that_waits_for_a_killed_one_ends() -> None:
    masks = draw_in_order(endless_mask, 64, workers=2)
    next(masks)
    multiprocessing.active_children()[0].kill()
    with pytest.raises(PconvError, match="a process that draws masks was killed"):
        list(masks)
    assert multiprocessing.active_children() == []


def test_stopping_half_way_ends_the_processes() -> None:
    masks = draw_in_order(DRAW, NUM_MASKS, workers=2)
    next(masks)
    masks.close()
    assert multiprocessing.active_children() == []


def large_mask(index: int) -> np.ndarray:
    return np.full((512, 512), index % 2, np.uint8)


def test_stopping_while_large_masks_are_handed_over_ends_the_processes() -> None:
    for _ in range(4):  # 16 masks are 4 MB, handed over nearly all the time
        masks = draw_in_order(large_mask, NUM_MASKS, workers=2)
        next(masks)
        masks.close()
        assert multiprocessing.active_children() == []
