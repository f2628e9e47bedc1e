"""Photos and masks found for each other by path and name."""

from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.file_names import with_ending
from pconv_hpc.inpainting.pairs import Pairing, pair_files


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def shown(pairing: Pairing, tmp_path: Path) -> list[tuple[str, ...]]:
    return [
        tuple(str(path.relative_to(tmp_path)) for path in (job.photo, job.mask, job.output))
        for job in pairing.jobs
    ]


def test_folders_are_paired_by_relative_path_and_stem(tmp_path: Path) -> None:
    images = touch(
        tmp_path / "in", "a.jpg", "deep/b.JPG", "deep/c.webp", "deep/er/d.tif", "e.png", "notes.txt"
    )
    masks = touch(
        tmp_path / "masks",
        "a.png",
        "deep/b_mask.png",
        "deep/c.webp.png",
        "deep/c.png",
        "deep/er/d.tif",
        "b.png",
        ".hidden.png",
    )
    pairing = pair_files(images, masks, tmp_path / "out")
    assert shown(pairing, tmp_path) == [
        ("in/a.jpg", "masks/a.png", "out/a.jpg"),
        ("in/deep/b.JPG", "masks/deep/b_mask.png", "out/deep/b.JPG"),
        ("in/deep/c.webp", "masks/deep/c.webp.png", "out/deep/c.webp"),
        ("in/deep/er/d.tif", "masks/deep/er/d.tif", "out/deep/er/d.tif"),
    ]
    assert pairing.without_mask == [images / "e.png"]
    assert pairing.without_photo == [masks / "b.png", masks / "deep/c.png"]


def test_only_some_photos_of_a_folder(tmp_path: Path) -> None:
    images = touch(tmp_path / "in", "a.jpg", "deep/b.jpg", "c.jpg")
    masks = touch(tmp_path / "masks", "a.jpg.png", "deep/b.jpg.png")
    pairing = pair_files(images, masks, tmp_path / "out", ["deep/b.jpg", "c.jpg"])
    assert shown(pairing, tmp_path) == [("in/deep/b.jpg", "masks/deep/b.jpg.png", "out/deep/b.jpg")]
    assert pairing.without_mask == [images / "c.jpg"]
    assert pairing.without_photo == []
    assert pair_files(images, masks, tmp_path / "out", ["c.jpg"]).jobs == []


def test_masks_of_the_longest_names(tmp_path: Path) -> None:
    names = [f"{'é' * 125}{letter}.jpg" for letter in "ab"]
    images = touch(tmp_path / "in", *names)
    masks = touch(tmp_path / "masks", *(with_ending(Path(name), ".png").name for name in names))
    for listed in (None, names):
        jobs = pair_files(images, masks, tmp_path / "out", listed).jobs
        assert [(job.photo.name, job.mask) for job in jobs] == [
            (name, with_ending(masks / name, ".png")) for name in names
        ]


def test_masks_of_listed_photos_by_any_name(tmp_path: Path) -> None:
    images = touch(tmp_path / "in", "a.jpg", "deep/b.jpg", "c.jpg", "-d.jpg", "gone/e.jpg")
    touch(images, "deep/b_mask.png")
    masks = touch(tmp_path / "masks", "a_mask.webp", "deep/b.PNG", "-d.jpg.png", "-d.png")
    listed = ["a.jpg", "deep/b.jpg", "c.jpg", "-d.jpg", "gone/e.jpg"]
    pairing = pair_files(images, masks, tmp_path / "out", listed)
    assert [job.mask for job in pairing.jobs] == [
        masks / name for name in ("a_mask.webp", "deep/b.PNG", "-d.jpg.png")
    ]
    assert pairing.without_mask == [images / "c.jpg", images / "gone/e.jpg"]
    touch(masks, "c.png", "c.webp")
    with pytest.raises(UsageError, match="several masks"):
        pair_files(images, masks, tmp_path / "out", ["c.jpg"])
    together = pair_files(images, images, tmp_path / "out", ["deep/b.jpg", "deep/b_mask.png"])
    assert [job.mask for job in together.jobs] == [images / "deep/b_mask.png"]
    assert together.without_mask == []


def test_one_folder_of_both(tmp_path: Path) -> None:
    folder = touch(tmp_path / "in", "a.jpg", "a_mask.png", "b.png", "b_mask.png")
    assert shown(pair_files(folder, folder, tmp_path / "out"), tmp_path) == [
        ("in/a.jpg", "in/a_mask.png", "out/a.jpg"),
        ("in/b.png", "in/b_mask.png", "out/b.png"),
    ]


def test_results_of_before_are_no_photos(tmp_path: Path) -> None:
    images = touch(tmp_path / "in", "a.png", "out/a.png")
    masks = touch(tmp_path / "masks", "a.png", "out/a.png")
    assert len(pair_files(images, masks, images / "out").jobs) == 1


def test_single_files(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "m.png")
    for out, expected in (("b.jpg", "b.jpg"), ("folder", "folder/a.jpg")):
        (job,) = pair_files(tmp_path / "a.jpg", tmp_path / "m.png", tmp_path / out).jobs
        assert job.output == tmp_path / expected
    touch(tmp_path, "b.jpg", "file")  # what is there may be a result of before
    assert pair_files(tmp_path / "a.jpg", tmp_path / "m.png", tmp_path / "b.jpg").jobs
    for out in ("b.png", "file"):
        with pytest.raises(UsageError, match=rf"{out}: is no folder .* ends in \.jpg, or a folder"):
            pair_files(tmp_path / "a.jpg", tmp_path / "m.png", tmp_path / out)


def test_nothing_selected_is_nothing_to_erase_and_a_typo_is_not(tmp_path: Path) -> None:
    """``pconv-hpc segment`` leaves what it found beside its masks, be there none."""
    images = touch(tmp_path / "in", "a.jpg", "deep/b.jpg")
    found = touch(tmp_path / "found", "instances/deep/b.jpg.json", "masks/other.png")
    pairing = pair_files(images, found / "masks", tmp_path / "out")
    assert (pairing.jobs, len(pairing.without_mask)) == ([], 2)
    touch(tmp_path, "found/mask/other.png")
    with pytest.raises(UsageError, match="no mask for any"):
        pair_files(images, found / "mask", tmp_path / "out")
    b, mask = images / "deep/b.jpg", found / "masks/deep/b.jpg.png"
    assert pair_files(b, mask, tmp_path / "out").without_mask == [b]
    for typo in ("found/maks", "found/masks/b.jpg.png", "found/masks/deep/c.jpg.png"):
        with pytest.raises(UsageError, match="no such file"):
            pair_files(images if typo == "found/maks" else b, tmp_path / typo, tmp_path / "out")
    (found / "instances/deep/b.jpg.json").unlink()
    with pytest.raises(UsageError, match="no mask for any"):
        pair_files(images, found / "masks", tmp_path / "out")


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    images = touch(tmp_path / "in", "a.jpg")
    masks = touch(tmp_path / "masks", "b.png")
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="no mask for any of the 1 photos"):
        pair_files(images, masks, out)
    with pytest.raises(UsageError, match="no such file"):
        pair_files(images, tmp_path / "none", out)
    with pytest.raises(UsageError, match="two files or two folders"):
        pair_files(images / "a.jpg", masks, out)
    touch(masks, "a.png", "a.bmp")
    with pytest.raises(UsageError, match="several masks could be meant"):
        pair_files(images, masks, out)
    for taken in (images, masks):
        with pytest.raises(UsageError, match="is an input"):
            pair_files(images, masks, taken)
    with pytest.raises(UsageError, match="is an input"):
        pair_files(images / "a.jpg", masks / "a.png", images / "a.jpg")
    with pytest.raises(UsageError, match="expected a folder"):
        pair_files(images, masks, touch(tmp_path, "file") / "file")
