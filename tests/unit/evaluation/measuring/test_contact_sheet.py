"""Contact sheets: what is in a row, and the pages they are written on."""

from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.evaluation.figures.hole_error import HoleError
from pconv_hpc.evaluation.measuring.contact_sheet import SIDE, SheetRow, sheet_row, write_pages


def error(method: str, *, l1: float, lpips: float | None) -> HoleError:
    return HoleError(
        photo=0,
        key="a.png",
        method=method,
        masks="boxes",
        number=0,
        hole_ratio=0.2,
        touches_border=False,
        photo_texture=1.0,
        l1=l1,
        psnr=20.0,
        ssim=0.5,
        lpips=lpips,
        texture=1.0,
        seconds=0.1,
    )


def row(lpips: tuple[float | None, float | None]) -> SheetRow:
    photo = np.random.default_rng(0).integers(0, 256, (500, 400, 3), np.uint8)
    hole = np.zeros((500, 400), bool)
    hole[200:300, 100:180] = True
    names = ("pconv, patches", "network alone", "telea", "fsr", "patchmatch", "mean")
    results = {name: np.full_like(photo, number) for number, name in enumerate(names)}
    errors = [error("telea", l1=0.1, lpips=lpips[0]), error("fsr", l1=0.2, lpips=lpips[1])]
    return sheet_row(photo, hole, results, errors, key="a.png")


def test_a_row_shows_what_is_to_be_compared() -> None:
    found = row((0.4, 0.3))
    assert list(found.pictures) == [
        *("before", "mask", "OpenCV (best of)", "patchmatch", "network alone", "pconv, patches")
    ]
    assert {picture.shape for picture in found.pictures.values()} == {(SIDE, SIDE, 3)}
    assert found.caption == "a.png: boxes, 20% hole; OpenCV: fsr"
    assert (found.pictures["OpenCV (best of)"] == 3).all()
    assert (found.pictures["patchmatch"] == 4).all()


def test_without_lpips_the_best_has_the_least_l1() -> None:
    assert row((None, None)).caption.endswith("OpenCV: telea")


def test_pages_hold_every_row_and_older_ones_go(tmp_path: Path) -> None:
    (tmp_path / "contact_sheet_3.png").write_bytes(b"of an earlier evaluation")
    tile = row((0.1, 0.2)).pictures["before"]
    rows = [SheetRow(f"{n}", {"before": tile[: 300 + n], "mask": tile}) for n in range(5)]
    paths = write_pages(tmp_path, rows)
    assert [path.name for path in paths] == ["contact_sheet_1.png", "contact_sheet_2.png"]
    assert sorted(tmp_path.iterdir()) == paths
    first, second = (np.asarray(Image.open(path)) for path in paths)
    assert first.shape[1] == second.shape[1] > 2 * SIDE
    assert first.shape[0] > 4 * SIDE > second.shape[0] > SIDE
    left = [
        column
        for column in range(20)
        if (second[-SIDE // 2 - 100, column : column + 30] == tile[SIDE // 2, :30]).any()
    ]
    assert left  # pixels as they are, not scaled
    assert write_pages(tmp_path, []) == []
    assert not list(tmp_path.iterdir())
