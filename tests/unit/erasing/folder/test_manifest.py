"""The list of a folder's photos: complete, sorted, in slices, made once, in little memory."""

import json
import multiprocessing
import os
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from pconv_hpc.erasing.folder.manifest import Manifest, build_manifest, read_manifest
from pconv_hpc.erasing.folder.photo_listing import list_work
from pconv_hpc.erasing.settings import EraseSettings, Resources
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.photos.sources.sorted_listing import PhotoRow, SortedRows
from pconv_hpc.segmentation.settings import SegmentSettings

SETTINGS = EraseSettings(
    segment=SegmentSettings(classes=("person",)), inpaint=InpaintSettings(weights=Path("/w.h5"))
)
ODD_NAMES = [
    "two\nlines.jpg",
    "-rf.png",
    " blank .JPG",
    "ünï/☃.webp",
    "a'b\"c\\d/e.tiff",
    os.fsdecode(b"latin\xe4/\xff.jpeg"),
]


def make(folder: Path, names: list[str], num_bytes: int = 1) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * num_bytes)
    return folder


def names_of(manifest: Manifest) -> list[list[str]]:
    return [[row.photo for row in manifest.photos(k)] for k in range(manifest.num_slices)]


def test_every_name_survives_sorted_by_its_bytes(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", ODD_NAMES)
    manifest = build_manifest(images, tmp_path / "out", num_slices=2, settings=SETTINGS)
    found = [name for part in names_of(manifest) for name in part]
    assert found == sorted(ODD_NAMES, key=os.fsencode)
    assert all((images / name).is_file() for name in found)
    assert (tmp_path / "out/photos.jsonl").read_bytes().isascii()


def test_only_photos_are_listed(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", ["a.jpg", "b/c.png"])
    make(images, [".hidden.jpg", ".hidden/d.jpg", "notes.txt", "out/erased/a.jpg", "jpg"])
    (images / "linked").symlink_to(images / "b")
    (images / "loop").symlink_to(images)
    (images / "gone.jpg").symlink_to("nowhere")  # somebody's photo that cannot be read
    (images / "linked.jpg").symlink_to("a.jpg")
    (images / "folder.jpg").symlink_to("b")
    (images / "empty.jpg").mkdir()
    os.mkfifo(images / "pipe.jpg")
    manifest = build_manifest(images, images / "out", num_slices=1, settings=SETTINGS)
    assert names_of(manifest) == [["a.jpg", "b/c.png", "gone.jpg", "linked.jpg"]]
    assert [row.num_bytes for row in manifest.photos(0)] == [1, 1, 0, 1]


def test_a_table_of_choices_may_name_only_photos_that_are_there(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", ["a.jpg", "b/c.png"])
    table = tmp_path / "table.csv"
    settings = EraseSettings(segment=SegmentSettings(choices=table))
    table.write_text("image,number\na.jpg,1\nc.png,1\n")
    with pytest.raises(UsageError, match=r"table.csv, line 3: no photo c.png .*nearest is b/c.png"):
        build_manifest(images, tmp_path / "out", num_slices=1, settings=settings)
    assert not (tmp_path / "out" / "manifest.json").exists()
    table.write_text(f"image;number\n\n./a.jpg;1\n{images.absolute()}/b//c.png;1\n;\n")
    assert build_manifest(images, tmp_path / "out", num_slices=1, settings=settings).num_photos == 2


@pytest.mark.parametrize(("num_photos", "num_slices"), [(1, 1), (2, 2), (3, 8), (64, 8), (101, 7)])
def test_slices_cover_all_photos_once_and_evenly(
    tmp_path: Path, num_photos: int, num_slices: int
) -> None:
    names = [f"{index:03}.jpg" for index in range(num_photos)]
    images = make(tmp_path / "photos", names)
    built = build_manifest(images, tmp_path / "out", num_slices=num_slices, settings=SETTINGS)
    manifest = read_manifest(tmp_path / "out")
    assert manifest == built
    parts = names_of(manifest)
    assert [name for part in parts for name in part] == names
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [len(part) for part in parts] == [part.num_photos for part in manifest.slices]
    assert manifest.num_photos == manifest.num_bytes == num_photos


def test_slices_are_balanced_by_bytes(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", [f"a{index}.jpg" for index in range(10)], 1_000_000)
    make(images, [f"b{index}.jpg" for index in range(100)], 100_000)
    manifest = build_manifest(images, tmp_path / "out", num_slices=4, settings=SETTINGS)
    weights = [part.num_bytes + (64 << 10) * part.num_photos for part in manifest.slices]
    assert max(weights) - min(weights) < 2 * 1_100_000
    assert manifest.slices[0].num_photos < manifest.slices[-1].num_photos


@pytest.mark.parametrize("sizes", [(1, 9), (9, 1), (0, 0, 10**9, 1, 1, 1, 1), (10**9, 5, 1, 1, 1)])
@pytest.mark.parametrize("num_slices", [2, 4, 5000])
def test_no_slice_is_empty_while_another_holds_two(
    tmp_path: Path, sizes: tuple[int, ...], num_slices: int
) -> None:
    for index, size in enumerate(sizes):
        os.truncate(make(tmp_path / "photos", [f"{index}.jpg"]) / f"{index}.jpg", size)
    manifest = build_manifest(
        tmp_path / "photos", tmp_path / "out", num_slices=num_slices, settings=SETTINGS
    )
    lengths = [len(part) for part in names_of(manifest)]
    assert sum(length > 0 for length in lengths) == min(num_slices, len(sizes))


def test_sorting_takes_memory_for_a_chunk_and_not_for_the_folder(tmp_path: Path) -> None:
    num_rows = 30_000
    rows = (PhotoRow(f"{index * 7919 % num_rows:08}.jpg", 1) for index in range(num_rows))
    tracemalloc.start()
    with SortedRows(rows, tmp_path, chunk_rows=100) as ordered:  # 300 runs, merged in two steps
        last = -1
        for row in ordered:
            assert int(row.photo[:8]) == last + 1
            last += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last + 1 == ordered.num_rows == ordered.num_bytes == num_rows
    # 64 open runs and their buffers; the rows of the whole folder would take over 5 MB
    assert peak < 2_000_000
    assert list(tmp_path.iterdir()) == []


def test_ten_thousand_photos_in_small_chunks(tmp_path: Path) -> None:
    images = tmp_path / "photos"
    for folder in range(20):
        (images / f"{folder}").mkdir(parents=True)
        for index in range(500):
            os.close(os.open(images / f"{folder}/{index}.jpg", os.O_CREAT | os.O_WRONLY))
    manifest = build_manifest(
        images, tmp_path / "out", num_slices=16, settings=SETTINGS, chunk_rows=64
    )
    found = [name for part in names_of(manifest) for name in part]
    expected = [path.relative_to(images).as_posix() for path in images.rglob("*.jpg")]
    assert found == sorted(expected)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        "photos.jsonl",
    ]


def _build(images: Path, out: Path, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    build_manifest(images, out, num_slices=3, settings=SETTINGS, environment={})


def test_several_that_come_at_once_make_one_manifest(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", [f"{index}.jpg" for index in range(50)])
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    arguments = (images, tmp_path / "out", barrier)
    processes = [context.Process(target=_build, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sum(map(len, names_of(read_manifest(tmp_path / "out")))) == 50
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        "photos.jsonl",
    ]


def test_a_manifest_is_kept_and_other_work_is_refused(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", ["a.jpg"])
    out = tmp_path / "out"
    build_manifest(images, out, num_slices=2, settings=SETTINGS)
    make(images, ["b.jpg"])
    again = build_manifest(images, out, num_slices=2, settings=SETTINGS)
    assert again.num_photos == 1
    other = EraseSettings(
        segment=SegmentSettings(every=True),
        inpaint=InpaintSettings(weights=Path("/other.h5")),
        empty="skip",
    )
    with pytest.raises(UsageError) as caught:
        build_manifest(images, out, num_slices=3, settings=other)
    for text in (
        "slices: 2, now 3",
        "weights: /w.h5, now /other.h5",
        "classes: person, now none",
        "all: no, now yes",
        "empty: copy, now skip",
        "another OUT",
    ):
        assert text in str(caught.value)
    assert "images" not in str(caught.value)


def test_what_a_node_can_hold_may_change(tmp_path: Path) -> None:
    images, out = make(tmp_path / "photos", ["a.jpg"]), tmp_path / "out"
    first = replace(SETTINGS, resources=Resources(segment_batch_size=9, device="cuda:1"))
    build_manifest(images, out, num_slices=2, settings=first)
    less = replace(SETTINGS, resources=Resources(segment_batch_size=2, threads=1, max_pixels=99))
    manifest = build_manifest(images, out, num_slices=2, settings=less)
    assert manifest.settings == less
    assert read_manifest(out) == manifest
    older = build_manifest(images, out, num_slices=2, settings=first, record=False)
    assert older.settings == first
    assert read_manifest(out) == manifest
    assert names_of(manifest) == [["a.jpg"], []]
    other = replace(less, inpaint=replace(less.inpaint, rim=2.5))
    with pytest.raises(UsageError, match=r"rim: 6, now 2.5\n"):
        build_manifest(images, out, num_slices=2, settings=other)
    assert read_manifest(out) == manifest


def test_settings_are_recorded(tmp_path: Path) -> None:
    settings = EraseSettings(
        segment=SegmentSettings(
            config="mask-rcnn",
            checkpoint=Path(os.fsdecode(b"/\xff\n.pth")),
            clicks=((1.5, 2), (3, 4)),
            classes=("a b", "☃"),
            box=(1, 2, 3, 4),
            largest=2,
        ),
        inpaint=InpaintSettings(weights=Path("/w.h5"), working_size=64, precision="bfloat16"),
        resources=Resources(threads=2),
        empty="skip",
    )
    images = make(tmp_path / "photos", ["a.jpg"])
    build_manifest(images, tmp_path / "out", num_slices=1, settings=settings)
    assert read_manifest(tmp_path / "out").settings == settings


@pytest.mark.parametrize(
    ("names", "out", "message"),
    [
        ([], "out", "no photos in it"),
        (["notes.txt"], "out", "no photos in it"),
        (["a.jpg"], "photos", "a folder of their own"),
        (["a.jpg"], "photos/a.jpg", "a folder of their own"),
        (["a.jpg"], "photos/a.jpg/b/c", r"a\.jpg: not a folder"),
        (None, "out", "no such folder"),
    ],
)
def test_what_cannot_work_is_refused(
    tmp_path: Path, names: list[str] | None, out: str, message: str
) -> None:
    if names is not None:
        (tmp_path / "photos").mkdir()
        make(tmp_path / "photos", names)
    with pytest.raises(UsageError, match=message):
        build_manifest(tmp_path / "photos", tmp_path / out, num_slices=1, settings=SETTINGS)
    assert not (tmp_path / out / "manifest.json").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "[]",
        lambda text: text[:100],
        lambda text: text.replace('"version": 2', '"version": 3'),
        lambda text: text.replace('"every": false', '"every": 1'),
        lambda text: text.replace('"threads": 4', '"threads": 0'),
        lambda text: text.replace('"rim": 6.0', '"rim": NaN'),
        lambda text: text.replace('"box": null', '"box": [1, 2, 3]'),
        lambda text: text.replace('"mask":', '"masks":'),
        lambda text: text.replace('"copy"', '"burn"'),
        lambda text: text.replace('"offset": 0', '"offset": "x"'),
        lambda text: text.replace('"offset": 0', '"offset": -1'),
        lambda text: text.replace('"offset": 0', '"offset": 1e999'),
        lambda text: text.replace('"offset": 0', f'"offset": {1 << 70}'),
        lambda text: text.replace('"/w.h5"', r'"/w\u0000.h5"'),
        lambda text: text.replace('"/w.h5"', r'"/w\ud800.h5"'),
        lambda text: "[" * 100_000,
    ],
)
def test_a_damaged_manifest_is_an_error_that_names_it(tmp_path: Path, change: object) -> None:
    images = make(tmp_path / "photos", ["a.jpg"])
    build_manifest(images, tmp_path / "out", num_slices=1, settings=SETTINGS)
    path = tmp_path / "out/manifest.json"
    path.write_text(change(path.read_text()))  # type: ignore[operator]
    with pytest.raises(UsageError, match=r"manifest\.json"):
        read_manifest(tmp_path / "out")


@pytest.mark.parametrize(
    "line",
    [
        '{"photo": "../a.jpg", "bytes": 1}',
        '{"photo": "/a.jpg"}',
        "{",
        "[]",
        '{"photo": 1}',
        '{"photo": ""}',
        r'{"photo": "a\u0000.jpg"}',
        r'{"photo": "\ud800.jpg"}',
        "[" * 100_000,
    ],
)
def test_a_damaged_list_is_an_error_that_names_it(tmp_path: Path, line: str) -> None:
    images = make(tmp_path / "photos", ["a.jpg"])
    manifest = build_manifest(images, tmp_path / "out", num_slices=1, settings=SETTINGS)
    (tmp_path / "out/photos.jsonl").write_text(f"{line}\n")
    with pytest.raises(UsageError, match=r"photos\.jsonl: row 0"):
        list(manifest.photos(0))


def test_a_folder_without_a_manifest_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected the manifest of an OUT folder"):
        read_manifest(tmp_path)


def test_a_folder_of_the_version_before_is_refused_with_what_to_do(tmp_path: Path) -> None:
    settings = {"weights": "/w.h5", "segment_options": ["--all"], "inpaint_options": []}
    manifest = {"format": "pconv_hpc erase manifest", "version": 1, "settings": settings}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="finish this folder with that version, or choose another"):
        read_manifest(tmp_path)


def test_what_vanishes_while_it_is_listed_is_an_error(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", ["a/b.jpg", "c/d.jpg"])
    rows = list_work(images, tmp_path / "out")
    next(rows)
    shutil.rmtree(images)
    with pytest.raises(UsageError, match="cannot be listed"):
        list(rows)


def test_what_a_killed_process_sorted_or_wrote_is_removed(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", ["a.jpg"])
    leftover = tmp_path / "out/.sorting-killed"
    leftover.mkdir(parents=True)
    (leftover / "0.jsonl").write_text("{")
    for name in (".photos.jsonl.gone.7.tmp", ".manifest.json.gone.7.tmp"):
        (tmp_path / "out" / name).touch()
    build_manifest(images, tmp_path / "out", num_slices=1, settings=SETTINGS)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["manifest.json", "photos.jsonl"]


def test_rows_are_json(tmp_path: Path) -> None:
    images = make(tmp_path / "photos", ["a.jpg"], 5)
    build_manifest(images, tmp_path / "out", num_slices=1, settings=SETTINGS)
    assert json.loads((tmp_path / "out/photos.jsonl").read_text()) == {"photo": "a.jpg", "bytes": 5}
