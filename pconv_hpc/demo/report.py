"""The demonstration's report: curves, validation grids, and what was erased."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.demo.pictures import held_out_names
from pconv_hpc.evaluation.reports.html_page import Report
from pconv_hpc.training.metrics_table import read_table
from pconv_hpc.training.run_folder import RunFolder


def write_report(
    path: Path, *, out_dir: Path, run: RunFolder, commands: Sequence[str], seconds: float
) -> None:
    """Write ``report.html`` from the files that the demonstration left in ``out_dir``."""
    report = Report("pconv_hpc: demonstration")
    report.paragraph(
        "A small PConvUNet was trained for a few minutes on crops of five photos, and was "
        "interrupted half way and continued. The network that comes with pconv_hpc, and then the "
        "one just trained, erased things from two photos that neither had ever seen."
    )

    report.heading("Erased")
    for name in held_out_names():
        before = np.asarray(Image.open(out_dir / "photos" / f"{name}.png").convert("RGB"))
        mask = np.asarray(Image.open(out_dir / "masks" / f"{name}.png").convert("L"))
        report.row(
            {
                "before": out_dir / "photos" / f"{name}.png",
                "to erase (red)": _tinted(before, mask > 0),
                "by the network in the package": out_dir / "erased" / f"{name}.png",
                "by the one just trained": out_dir / "erased_by_run" / f"{name}.png",
            }
        )

    click = out_dir / "click"
    if click.is_dir():
        report.heading("Found by a click, and erased")
        report.paragraph(
            "A small Mask R-CNN that knows three shapes found what was clicked on; the network in "
            "the package filled the hole."
        )
        report.row({"before": click / "photo.png", "after": click / "erased.png"})

    report.heading("Training")
    report.picture(run.curves_path, "losses and PSNR against the step")
    rows = read_table(run.validation_metrics_path)
    columns = ["epoch", "step", "loss", "l1", "psnr"]
    report.table(columns, [[f"{row[column]:.4g}" for column in columns] for row in rows])
    for epoch in (1, int(rows[-1]["epoch"])):
        report.picture(
            run.grid_path(epoch),
            f"validation after epoch {epoch}: masked, output, composite, truth",
        )

    report.heading("Commands")
    report.code("\n".join(commands))
    report.paragraph(f"All of it took {seconds / 60:.1f} minutes.")
    report.save(path)


def _tinted(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Return a uint8 photo (H, W, 3) with the pixels of ``hole`` (H, W) mixed with red."""
    tinted = photo.copy()
    tinted[hole] = (photo[hole] * 0.4 + np.array([255, 0, 0]) * 0.6).astype(np.uint8)
    return tinted
