"""What became of each photo: append-only rows, torn lines, replay of several attempts."""

import json
import os
import threading
from pathlib import Path

import pytest

from pconv_hpc.erasing.folder.ledger import MAX_FAILURES, LedgerWriter, attempt_path, read_slice
from pconv_hpc.erasing.folder.manifest import Manifest, build_manifest
from pconv_hpc.erasing.folder.slice_summary import count, read_done, summarise, write_done
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.foundation.errors import PconvError

ODD_NAME = os.fsdecode(b"two\nlines \xff \xe2\x98\x83.jpg")


def write(path: Path, *rows: tuple[str, str]) -> None:
    with LedgerWriter(path) as writer:
        for photo, status in rows:
            writer.write(photo, status, stage="segment", reason="why" * (status == "failed"))  # type: ignore[arg-type]


def test_rows_come_back(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path / "slices/00000/20260101T0-a.jsonl") as writer:
        writer.write(ODD_NAME, "begun", stage="segment")
        writer.write(ODD_NAME, "found", stage="segment", classes={"person": 2})
        writer.write("b.jpg", "failed", stage="segment", reason="damaged")
        writer.write("c.jpg", "empty", stage="copy", copied=True)
    ledger = read_slice(tmp_path / "slices/00000")
    assert ledger.num_torn == 0
    odd = ledger.outcomes[ODD_NAME]
    assert (odd.status, odd.classes, odd.is_done) == ("found", {"person": 2}, False)
    failed = ledger.outcomes["b.jpg"]
    assert (failed.failures, failed.reason, failed.is_set_aside) == (1, "damaged", False)
    assert ledger.outcomes["c.jpg"].is_done
    assert ledger.outcomes["c.jpg"].copied
    assert ledger.first_time is not None
    assert ledger.first_time <= ledger.outcomes["c.jpg"].time == ledger.last_time


def test_torn_and_foreign_lines_cost_only_themselves(tmp_path: Path) -> None:
    path = tmp_path / "20260101T0-a.jsonl"
    write(path, ("a.jpg", "erased"))
    with open(path, "ab") as stream:
        stream.write(b'{"photo": "b.jpg", "status": "era')  # torn by a crash
    write(path, ("c.jpg", "erased"))  # another process of the same attempt
    with open(path, "ab") as stream:
        for line in (b"\0\0\0", b"[]", b'{"photo": 3, "status": "erased", "stage": "", "time": 1}'):
            stream.write(line + b"\n")
        stream.write(b'{"photo": "d.jpg", "status": "melted", "stage": "", "time": 1}\n')
        stream.write(b'{"photo": "e.jpg", "status": "erased"')
    ledger = read_slice(tmp_path)
    assert set(ledger.outcomes) == {"a.jpg", "c.jpg"}
    assert ledger.num_torn == 6

    with open(path, "ab") as stream:  # it was only slow
        stream.write(b', "stage": "inpaint", "time": 2}\n')
    ledger.refresh()
    assert ledger.outcomes["e.jpg"].is_done
    assert ledger.num_torn == 5


@pytest.mark.parametrize(
    "change",
    [
        {"status": ["erased"]},
        {"status": {}},
        {"photo": ["a.jpg"]},
        {"time": float("nan")},
        {"time": 10**400},
        {"classes": {"person": float("inf")}},
        {"classes": {"person": None}},
        {"classes": 3},
    ],
)
def test_rows_of_wrong_types_and_numbers_are_foreign(
    tmp_path: Path, change: dict[str, object]
) -> None:
    row = {"photo": "a.jpg", "status": "erased", "stage": "inpaint", "time": 1.5} | change
    (tmp_path / "20260101T0-a.jsonl").write_text(f"{json.dumps(row)}\n{'[' * 100_000}\n")
    write(tmp_path / "20260101T0-a.jsonl", ("b.jpg", "erased"))
    ledger = read_slice(tmp_path)
    assert set(ledger.outcomes) == {"b.jpg"}
    assert ledger.num_torn == 2


def test_attempts_are_replayed_in_order(tmp_path: Path) -> None:
    write(tmp_path / "20260102T0-b.jsonl", ("a.jpg", "erased"))
    write(tmp_path / "20260101T0-a.jsonl", ("a.jpg", "failed"), ("b.jpg", "failed"))
    write(tmp_path / "20260103T0-c.jsonl", ("b.jpg", "failed"), ("a.jpg", "failed"))
    write(tmp_path / "todo.jsonl", ("b.jpg", "erased"))  # no ledger
    ledger = read_slice(tmp_path)
    assert ledger.outcomes["a.jpg"].status == "erased", "what is done stays done"
    assert ledger.outcomes["b.jpg"].failures == 2


def test_three_failures_set_a_photo_aside_until_it_is_forgiven(tmp_path: Path) -> None:
    path = tmp_path / "20260101T0-a.jsonl"
    ledger = read_slice(tmp_path)
    for number in range(1, MAX_FAILURES + 1):
        write(path, ("a.jpg", "begun"), ("a.jpg", "failed"))
        ledger.refresh()
        assert ledger.outcomes["a.jpg"].failures == number
        assert ledger.outcomes["a.jpg"].is_set_aside == (number == 3)
    write(path, ("a.jpg", "forgiven"))
    ledger.refresh()
    assert not ledger.outcomes["a.jpg"].is_set_aside


def test_threads_never_mix_their_rows(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path / "20260101T0-a.jsonl") as writer:

        def work(number: int) -> None:
            for index in range(200):
                writer.write(f"{number}/{index}.jpg", "begun", stage="segment")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ledger = read_slice(tmp_path)
    assert ledger.num_torn == 0
    assert len(ledger.outcomes) == 1600


def test_a_ledger_that_cannot_be_written_stops_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PconvError, match="cannot be written"):
        LedgerWriter(tmp_path / "file/20260101T0-a.jsonl").write("a", "begun", stage="segment")
    with pytest.raises(PconvError, match="cannot be written"):
        LedgerWriter(Path("/dev/full")).write("a", "begun", stage="segment")


def test_names_of_attempts_tell_who_made_them(tmp_path: Path) -> None:
    first = attempt_path(tmp_path, {"SLURM_JOB_ID": "12", "SLURM_RESTART_COUNT": "3"})
    second = attempt_path(tmp_path, {})
    assert "-job12-restart3-" in first.name
    assert "-local-" in second.name
    assert sorted([second.name, first.name]) == [first.name, second.name]
    write(first, ("a.jpg", "begun"))
    assert read_slice(tmp_path).outcomes["a.jpg"].attempt == first.name


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    (tmp_path / "photos").mkdir()
    for name in "abcdefg":
        (tmp_path / f"photos/{name}.jpg").touch()
    work = (tmp_path / "photos", tmp_path / "out")
    return build_manifest(*work, num_slices=1, settings=EraseSettings())


def test_a_summary_counts_every_photo_once(manifest: Manifest) -> None:
    assert summarise(manifest, 0).remaining == 7
    path = attempt_path(manifest.slice_dir(0), {})
    with LedgerWriter(path) as writer:
        writer.write("a.jpg", "found", stage="segment", classes={"person": 2, "car": 1})
        writer.write("a.jpg", "erased", stage="inpaint")
        writer.write("b.jpg", "empty", stage="copy", copied=True)
        for _ in range(3):
            writer.write("c.jpg", "failed", stage="segment", reason="damaged")
        writer.write("d.jpg", "failed", stage="segment", reason="damaged")
        writer.write("e.jpg", "begun", stage="segment")
        writer.write("f.jpg", "found", stage="segment", classes={"person": 1})
        writer.write("not listed.jpg", "erased", stage="inpaint")
    summary = summarise(manifest, 0)
    assert (summary.photos, summary.erased, summary.empty) == (7, 1, 1)
    assert (summary.set_aside, summary.failed, summary.remaining) == (1, 1, 4)
    assert summary.classes == {"person": 2, "car": 1}
    assert summary.reasons == {"damaged": 2}
    assert not summary.is_accounted


def test_a_finished_slice_is_told_by_one_small_file(manifest: Manifest) -> None:
    slice_dir = manifest.slice_dir(0)
    path = attempt_path(slice_dir, {})
    write(path, *((f"{name}.jpg", "erased") for name in "abcdefg"))
    summary = count(manifest, 0, read_slice(slice_dir))
    assert summary.is_accounted
    write_done(slice_dir, summary)
    path.unlink()
    assert summarise(manifest, 0) == read_done(slice_dir) == summary
    done = (slice_dir / "done.json").read_text()
    damaged = [
        json.dumps(json.loads(done) | change)
        for change in (
            {"photos": "7"},
            {"classes": [1]},
            {"reasons": {"x": "y"}},
            {"busy_seconds": float("nan")},
            {"more": 1},
        )
    ]
    for text in ("", "[]", "[" * 100_000, json.dumps({"photos": 7}), done[:50], *damaged):
        (slice_dir / "done.json").write_text(text)
        assert read_done(slice_dir) is None
        assert summarise(manifest, 0).remaining == 7


def test_reasons_that_all_differ_do_not_fill_the_summary(manifest: Manifest) -> None:
    with LedgerWriter(attempt_path(manifest.slice_dir(0), {})) as writer:
        for name in "abcdefg":
            writer.write(f"{name}.jpg", "failed", stage="segment", reason=f"only {name}")
    assert summarise(manifest, 0).reasons == {f"only {name}": 1 for name in "abcdefg"}
