"""Rows of ledgers and fields of manifests that hold any value, cut at any place."""

import contextlib
import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pconv_hpc.erasing.folder.ledger import LedgerWriter, SliceLedger, read_slice
from pconv_hpc.erasing.folder.manifest import build_manifest, read_manifest
from pconv_hpc.erasing.folder.slice_summary import count, read_done, write_done
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.foundation.errors import UsageError
from tests.support.few_examples import few

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
statuses = st.sampled_from(["begun", "left", "found", "empty", "erased", "failed", "forgiven"])
sound = {
    "photo": st.sampled_from(["a.jpg", "b.jpg", "../c.jpg"]),
    "status": statuses,
    "stage": st.just("segment"),
    "reason": st.just("why"),
    "classes": st.dictionaries(st.just("person"), st.integers(1, 3)),
    "copied": st.booleans(),
    "time": st.floats(0, 2e9),
}
rows = st.fixed_dictionaries(sound)
odd_rows = st.builds(
    lambda row, field, value: row | {field: value}, rows, st.sampled_from(list(sound)), anything
)
lines = (rows | odd_rows | anything).map(lambda row: json.dumps(row).encode()) | st.binary(
    max_size=20
)


def make_manifest(folder: Path) -> Path:
    """Write a folder of two photos and its manifest, unless they are there."""
    (folder / "photos").mkdir(exist_ok=True)
    for name in ("a.jpg", "b.jpg"):
        (folder / "photos" / name).touch()
    build_manifest(folder / "photos", folder / "out", num_slices=1, settings=EraseSettings())
    return folder / "out"


@few
@given(st.lists(lines, max_size=8), st.data())
def test_any_ledger_is_replayed_the_same_in_parts_and_counts_every_photo_once(
    tmp_path: Path, written: list[bytes], data: st.DataObject
) -> None:
    manifest = read_manifest(make_manifest(tmp_path))
    slice_dir = manifest.slice_dir(0)
    slice_dir.mkdir(parents=True, exist_ok=True)
    content = b"\n".join(written)
    cut = data.draw(st.integers(0, len(content)))
    path = slice_dir / "20260101T0-a.jsonl"
    path.write_bytes(content[:cut])
    growing = SliceLedger(slice_dir)
    growing.refresh()
    path.write_bytes(content)
    growing.refresh()
    assert growing == read_slice(slice_dir)

    with LedgerWriter(path) as writer:  # after a crash, in the same file
        writer.write("after it.jpg", "erased", stage="inpaint")
    ledger = read_slice(slice_dir)
    assert ledger.outcomes["after it.jpg"].is_done
    summary = count(manifest, 0, ledger)
    assert summary.photos == 2
    assert summary.erased + summary.empty + summary.set_aside + summary.remaining == 2
    write_done(slice_dir, summary)
    assert read_done(slice_dir) == summary


fields = st.sampled_from(
    [
        *(("images",), ("inputs",), ("num_photos",), ("num_bytes",), ("slices",), ("settings",)),
        *(("slices", 0), ("slices", 0, "first"), ("slices", 0, "offset"), ("version",)),
        *(("slices", 0, "num_photos"), ("settings", "segment"), ("settings", "empty")),
        *(("settings", "segment", name) for name in ("clicks", "config", "checkpoint", "mask")),
        *(("settings", "inpaint", "weights"), ("settings", "resources", "threads")),
    ]
)


@few
@given(fields, anything)
def test_a_manifest_with_any_value_anywhere_is_used_or_refused(
    tmp_path: Path, field: tuple[Any, ...], value: object
) -> None:
    out = make_manifest(tmp_path)
    path = out / "manifest.json"
    before = path.read_text()
    changed = json.loads(before)
    place = changed
    for key in field[:-1]:
        place = place[key]
    place[field[-1]] = value
    path.write_text(json.dumps(changed))
    try:
        with contextlib.suppress(UsageError):
            manifest = read_manifest(out)
            photos = [row.photo for n in range(manifest.num_slices) for row in manifest.photos(n)]
            assert set(photos) <= {"a.jpg", "b.jpg"}
            manifest.images.exists()
    finally:
        path.write_text(before)
