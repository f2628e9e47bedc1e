"""Mask banks: reproducible, whole or absent, selectable, and suspicious of files from outside."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.arrays.hdf5 import h5py
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks import mask_bank
from pconv_hpc.masks.mask_bank import MaskBank, draw_bank
from pconv_hpc.masks.mask_drawing import BIN_EDGES, STYLES, MaskPlan, draw_mask
from pconv_hpc.masks.mask_report import bank_table, contact_sheet, plan_table
from pconv_hpc.masks.silhouette_file import write_silhouettes
from tests.support.drawn_silhouettes import RECIPE, drawn_silhouettes, write_drawn
from tests.support.mask_folders import make_mask_folder

SIZE = 35  # no multiple of 8: rows end within a byte
WEIGHTS = {"strokes": 1.0, "boxes": 1.0}


def draw(path: Path, num_masks: int = 24, **changes: object) -> MaskBank:
    arguments: dict = {"size": SIZE, "style_weights": WEIGHTS, "seed": 7, **changes}
    draw_bank(path, num_masks=num_masks, **arguments)
    return MaskBank(path)


def test_a_bank_holds_the_masks_that_were_drawn(tmp_path: Path) -> None:
    bank = draw(tmp_path / "bank.h5")
    plan = MaskPlan(size=SIZE, seed=7, style_weights=WEIGHTS)
    drawn = np.stack([draw_mask(plan, None, index) for index in range(24)])
    assert (bank.num_masks, bank.size) == (24, SIZE)
    np.testing.assert_array_equal(bank.valid_masks(np.arange(24)), drawn)
    np.testing.assert_array_equal(bank.valid_masks([5, 1, 5]), drawn[[5, 1, 5]])
    np.testing.assert_allclose(bank.hole_ratios, 1 - drawn.mean(axis=(1, 2)), atol=1e-6)
    assert bank.bins.tolist() == [plan.bin(index) for index in range(24)]
    assert bank.style_names == STYLES
    assert bank.hole_ratios.dtype == np.float32
    bank.verify()


def test_holes_of_exactly_a_bins_upper_edge_are_in_that_bin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mask_of_edge(_plan: MaskPlan, _silhouettes: None, index: int) -> np.ndarray:
        mask = np.ones((20, 20), np.uint8)
        mask.reshape(-1)[: round(BIN_EDGES[index + 1] * mask.size)] = 0
        return mask

    monkeypatch.setattr(mask_bank, "draw_mask", mask_of_edge)
    bank = draw(tmp_path / "bank.h5", 6, size=20)
    np.testing.assert_array_equal(bank.hole_ratios, np.float32(BIN_EDGES[1:]))
    assert bank.bins.tolist() == list(range(6))


def test_a_bank_is_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    objects = make_mask_folder(tmp_path / "masks")
    weights = {"strokes": 1.0, "objects": 1.0}
    for workers in (1, 2):
        draw(
            tmp_path / f"{workers}.h5",
            num_masks=48,
            style_weights=weights,
            objects_from=objects,
            workers=workers,
        )
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_a_bank_is_drawn_from_a_silhouette_file(tmp_path: Path) -> None:
    objects = write_drawn(tmp_path / "objects.h5")
    bank = draw(tmp_path / "bank.h5", style_weights={"objects": 1.0}, objects_from=objects)
    bank.verify()
    assert set(bank.styles) == {STYLES.index("objects")}
    write_silhouettes(objects, drawn_silhouettes()[:1], RECIPE)
    with pytest.raises(UsageError, match="is another bank"):
        draw(tmp_path / "bank.h5", style_weights={"objects": 1.0}, objects_from=objects)


def test_a_longer_bank_begins_with_the_shorter_one(tmp_path: Path) -> None:
    short, long = draw(tmp_path / "short.h5", 10), draw(tmp_path / "long.h5", 30)
    np.testing.assert_array_equal(short.valid_masks(np.arange(10)), long.valid_masks(np.arange(10)))
    assert short.fingerprint != long.fingerprint


def test_select_takes_ratios_and_styles(tmp_path: Path) -> None:
    bank = draw(tmp_path / "bank.h5", 48)
    assert bank.select().tolist() == list(range(48))
    second = bank.select(0.1, 0.2)
    assert second.tolist() == np.flatnonzero(bank.bins == 1).tolist()
    boxes = bank.select(0.1, 0.3, "boxes")
    assert len(boxes) > 0
    assert set(bank.styles[boxes]) == {STYLES.index("boxes")}
    assert set(bank.bins[boxes]) == {1, 2}
    assert len(bank.select(0.9, 1.0)) == 0
    with pytest.raises(UsageError, match="no style 'dots'; its styles: strokes, boxes, objects"):
        bank.select(style="dots")


def test_a_bank_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bank.h5"
    draw(path)
    os.utime(path, (1, 1))
    draw(path)
    assert path.stat().st_mtime == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_masks": 12}, "num_masks is 24, wanted 12"),
        ({"size": 40}, "size is 35, wanted 40"),
        ({"seed": 8}, "seed is 7, wanted 8"),
        ({"style_weights": {"boxes": 1}}, "style_weights is"),
    ],
)
def test_another_bank_is_never_replaced(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    draw(tmp_path / "bank.h5")
    content = (tmp_path / "bank.h5").read_bytes()
    with pytest.raises(UsageError, match=message):
        draw(tmp_path / "bank.h5", **changes)  # type: ignore[arg-type]
    assert (tmp_path / "bank.h5").read_bytes() == content


def test_a_file_that_is_no_bank_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.h5").write_text("years of work")
    with pytest.raises(UsageError, match="not a readable HDF5 file"):
        draw(tmp_path / "thesis.h5")
    assert (tmp_path / "thesis.h5").read_text() == "years of work"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_masks": 0}, "0 masks are asked for"),
        ({"size": 4}, "expected 16 to 8192"),
        ({"style_weights": {"objects": 1}}, "need a silhouette file or a folder"),
        ({"style_weights": {"dots": 1}}, "no mask style dots"),
    ],
)
def test_impossible_banks_are_refused_and_leave_nothing(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        draw(tmp_path / "bank.h5", **changes)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_drawing_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(plan: MaskPlan, silhouettes: None, index: int) -> np.ndarray:
        if index == 5:
            raise KeyboardInterrupt
        return draw_mask(plan, silhouettes, index)

    with monkeypatch.context() as patch:
        patch.setattr(mask_bank, "draw_mask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            draw(tmp_path / "bank.h5")
    assert list(tmp_path.iterdir()) == []
    draw(tmp_path / "bank.h5").verify()


def test_verify_finds_a_changed_bit(tmp_path: Path) -> None:
    path = tmp_path / "bank.h5"
    draw(path)
    with h5py.File(path, "r") as file:
        offset = file["bits"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[offset + 11] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(UsageError, match="checksum does not match"):
        MaskBank(path).verify()


def test_a_truncated_bank_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bank.h5"
    draw(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UsageError, match="truncated"):
        MaskBank(path)


def test_a_missing_bank_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.h5: no such file"):
        MaskBank(tmp_path / "none.h5")


def replace(name: str, **arguments: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **arguments)

    return change


def link_elsewhere(file: h5py.File) -> None:
    del file["bits"]
    file["bits"] = h5py.ExternalLink("/etc/passwd", "bits")


def set_attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        with contextlib.suppress(KeyError):
            del file.attrs[name]
        if value is not None:
            file.attrs[name] = value

    return change


def fill(name: str, value: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][3] = value

    return change


BITS_SHAPE = (24, SIZE, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_attribute("format_version", 2), "format_version is .*2.*, expected 1"),
        (set_attribute("format_version", None), "format_version is None"),
        (set_attribute("format_version", [1, 1]), "format_version is"),
        (set_attribute("sha256", None), "no text attribute 'sha256'"),
        (set_attribute("seed", 5), "no text attribute 'seed'"),
        (link_elsewhere, "link to elsewhere"),
        (replace("bits", data=np.zeros((24, SIZE, 4), "u1")), "'bits' is uint8"),
        (replace("bits", data=np.zeros((0, SIZE, 5), "u1")), "at least one mask"),
        (replace("bits", data=np.zeros((24, 5), "u1")), "'bits' is uint8"),
        (replace("bits", data=np.zeros(BITS_SHAPE, "f4")), "'bits' is float32"),
        (
            replace("bits", shape=BITS_SHAPE, dtype="u1", chunks=True),
            "'bits' is not stored in one piece",
        ),
        (
            replace("bits", shape=BITS_SHAPE, dtype="u1"),
            "'bits' is not stored in one piece",
        ),  # never written
        (
            replace("bins", data=np.zeros(24, "u1"), chunks=(24,)),
            "'bins' is not stored in one piece",
        ),
        (replace("bins", data=np.zeros(23, "u1")), "'bins' is uint8"),
        (replace("hole_ratios", data=np.zeros(24)), "'hole_ratios' is float64"),
        (fill("hole_ratios", 0.0), "hole ratios outside"),
        (fill("hole_ratios", float("nan")), "hole ratios outside"),
        (fill("styles", 3), "styles without a name"),
        (fill("bins", 6), "bins that do not exist"),
    ],
)
def test_files_that_are_no_banks_are_refused_by_name(
    tmp_path: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    path = tmp_path / "bank.h5"
    draw(path)
    with h5py.File(path, "r+") as file:
        names = file["styles"].attrs["names"]
        change(file)
        file["styles"].attrs["names"] = names
    with pytest.raises(UsageError, match=message) as caught:
        MaskBank(path)
    assert "bank.h5" in str(caught.value)


def test_the_table_counts_every_mask_and_the_plan_foretells_it(tmp_path: Path) -> None:
    bank = draw(tmp_path / "bank.h5", 40)
    table = bank_table(bank)
    assert table == plan_table(MaskPlan(size=SIZE, seed=7, style_weights=WEIGHTS), 40)
    lines = [line.split() for line in table.splitlines()]
    assert lines[0] == ["hole", "ratio", "strokes", "boxes", "objects", "all"]
    assert [line[-1] for line in lines[1:]] == ["7", "7", "7", "7", "6", "6", "40"]
    assert int(lines[-1][1]) + int(lines[-1][2]) == 40


def test_the_contact_sheet_shows_holes_white_growing_by_rows(tmp_path: Path) -> None:
    sheet = np.asarray(contact_sheet(draw(tmp_path / "bank.h5", 72)))
    rows = [sheet[row * 132 : row * 132 + 128, : 132 * 12 - 4] for row in range(6)]
    shares = [np.mean(row > 200) for row in rows]
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert shares[-1] > 0.4
