"""Tables in Markdown."""

from pathlib import Path
from typing import Any

from pconv_hpc.evaluation.measuring.results import Results
from pconv_hpc.evaluation.reports.tables import write_markdown


def row(method: str, hole: str, **figures: Any) -> dict[str, object]:
    return {
        "masks": "mine|yours: boxes",
        "method": method,
        "border": "any",
        "hole": hole,
        "photos": 3,
        "holes": 3,
        "l1": 0.05,
        "psnr": 30.0,
        "ssim": 0.9,
        "lpips": None,
        "texture": 0.5,
        "seconds": 0.25,
        "photo_texture": 1.02,
        **figures,
    }


def test_all_bins_and_methods_are_there_and_what_the_photo_itself_has(tmp_path: Path) -> None:
    rows = [
        row("telea", "1%–10%"),
        row("telea", "all", texture=None),
        row("mean", "1%–10%", psnr=20.0),
    ]
    results = Results(
        conditions={}, holes=(), ghosts=(), by_hole_ratio=rows, by_border=[], ghosting=[]
    )
    write_markdown(tmp_path / "tables.md", results)
    assert (tmp_path / "tables.md").read_text().splitlines() == [
        "## Masks: mine|yours: boxes",
        "",
        "| of the photo | method | holes | PSNR, dB | SSIM | L1 in holes | texture ratio "
        "| seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| 1%–10% | telea | 3 | 30.00 | 0.9000 | 0.0500 | 0.50 | 0.25 |",
        "| 1%–10% | mean | 3 | 20.00 | 0.9000 | 0.0500 | 0.50 | 0.25 |",
        "| 1%–10% | the photo itself | 3 | – | – | – | 1.02 | – |",
        "| all | telea | 3 | 30.00 | 0.9000 | 0.0500 | – | 0.25 |",
        "| all | the photo itself | 3 | – | – | – | 1.02 | – |",
    ]


def test_a_bar_in_a_name_ends_no_cell(tmp_path: Path) -> None:
    results = Results(
        conditions={},
        holes=(),
        ghosts=(),
        by_hole_ratio=[row("a|b alone", "all")],
        by_border=[],
        ghosting=[],
    )
    write_markdown(tmp_path / "tables.md", results)
    assert r"| all | a\|b alone | 3 |" in (tmp_path / "tables.md").read_text()
