"""A simulated job array: what must be so whatever chance decides, and the reading of a real one."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.array_simulation import Cluster, Work, check, observe, simulate, tables
from pconv_hpc.foundation.errors import UsageError
from tests.support.erase_folders import account, make_erase_folder

_QUIET = Cluster(
    places=4,
    limit_s=math.inf,
    queue_s=1e-9,
    hours_between_losses=math.inf,
    slow_share=0.0,
)
_EVEN = Work(num_photos=4000, photo_s=2.0, spread=0.0, start_s=40.0, margin_s=100.0)


def test_where_nothing_happens_it_takes_what_can_be_computed() -> None:
    outcome = simulate(_EVEN, _QUIET, 8, 0)
    assert outcome.hours == pytest.approx(2 * (40 + 500 * 2) / 3600)
    assert outcome.task_hours == pytest.approx(8 * (40 + 500 * 2) / 3600)
    assert (outcome.starts, outcome.losses, outcome.repeats) == (8, 0, 0)
    alone = simulate(_EVEN, _QUIET, 1, 0)
    assert alone.hours == pytest.approx((40 + 4000 * 2) / 3600)


def test_a_time_limit_costs_starts_and_no_photo() -> None:
    limited = replace(_QUIET, limit_s=640.0)  # 540 usable, 500 of them for 250 photos
    outcome = simulate(_EVEN, limited, 4, 0)
    assert (outcome.starts, outcome.repeats) == (16, 0)
    assert outcome.task_hours == pytest.approx(16 * 540 / 3600)
    with pytest.raises(UsageError, match="leaves no time for photos"):
        simulate(_EVEN, replace(limited, limit_s=140.0), 4, 0)
    with pytest.raises(UsageError, match="lost sooner than tasks start"):
        simulate(_EVEN, replace(_QUIET, hours_between_losses=0.01), 4, 0)


def test_a_lost_node_costs_what_was_in_flight_and_a_start() -> None:
    lossy = replace(_QUIET, hours_between_losses=0.5)
    outcome = simulate(_EVEN, lossy, 8, 2)
    assert outcome.losses > 0
    assert outcome.starts == 8 + outcome.losses
    assert 0 < outcome.repeats <= outcome.losses * _EVEN.in_flight
    quiet = simulate(_EVEN, _QUIET, 8, 2)
    lost_h = outcome.losses * (_EVEN.start_s + (_EVEN.in_flight + 1) * _EVEN.photo_s) / 3600
    assert quiet.task_hours < outcome.task_hours <= quiet.task_hours + lost_h


def test_a_slow_place_holds_up_one_large_slice_more_than_many_small_ones() -> None:
    slow = replace(_QUIET, slow_share=0.5)
    few, many = (
        sum(simulate(_EVEN, slow, slices, seed).hours for seed in range(20)) for slices in (4, 40)
    )
    assert many < few


def test_the_tables_of_the_documents() -> None:
    lines = list(tables(replace(_EVEN, num_photos=20_000), Cluster(places=30)))
    assert [line.count("|") for line in lines if line] == [9] * 8 + [8] * 7
    assert lines[2].startswith("| 1 | 20,000 | 1 | ")


def test_a_real_folder_is_read(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path, num_photos=4, num_slices=2)
    with pytest.raises(UsageError, match="no photo is done"):
        observe(manifest.out)
    account(manifest, 0, "erased", "")
    account(manifest, 0, "erased", "empty")
    account(manifest, 1, "erased", "empty")
    seen = observe(manifest.out)
    assert (seen.num_slices, seen.attempts, seen.work.num_photos) == (2, 3, 4)
    assert "4 photos in 2 slices, 2 at once" in list(check(manifest.out, Cluster(places=2), 5.0))
