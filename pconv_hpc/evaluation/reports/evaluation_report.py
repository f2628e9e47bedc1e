"""``report.html`` of an evaluation: tables, plots and examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pconv_hpc.evaluation.figures.hole_error import FIGURES
from pconv_hpc.evaluation.measuring.measure import Measurement
from pconv_hpc.evaluation.measuring.results import Results
from pconv_hpc.evaluation.reports.examples import ghost_examples, hole_examples
from pconv_hpc.evaluation.reports.html_page import Report
from pconv_hpc.evaluation.reports.plots import plot_by_hole_ratio, plot_ghosting
from pconv_hpc.evaluation.reports.tables import (
    FIGURE_LABELS,
    bins_table,
    border_table,
    ghost_table,
    measured,
)

_PLOTTED = ("l1", "psnr", "ssim", "lpips", "texture")
_PLOTTED_GHOST_FIGURES = ("l1", "lpips", "outline_visible", "rim_visible")


def write_report(
    path: Path, results: Results, measurement: Measurement, sheets: Sequence[Path]
) -> None:
    """Write the report; the examples' pictures are made again, from the seed.

    Args:
        path: of the report.
        results: what was measured.
        measurement: how.
        sheets: pages of the contact sheet.
    """
    figures = measured(results.by_hole_ratio, FIGURES)
    report = Report("pconv_hpc: evaluation")
    report.code("\n".join(_describe(results.conditions)))
    report.paragraph(
        "Every method filled the same holes of the same photos; outside the holes the photo is "
        "untouched. L1 is the mean absolute error in the hole, colours from 0 to 1; PSNR, SSIM and "
        "LPIPS are of the whole photo. Low L1 and LPIPS are good, high PSNR and SSIM. The texture "
        "ratio, a median, is the energy of fine texture in the hole over that around it: 1 is as "
        "much, less is blur. Seconds are of one hole of one photo. A method that does not fill all "
        "holes of a column is left out there."
    )
    report.heading("By hole ratio")
    if results.by_hole_ratio:
        plotted = measured(results.by_hole_ratio, _PLOTTED)
        plot = plot_by_hole_ratio(results.by_hole_ratio, plotted)
        report.picture(plot, "means in bins of ratios")
    else:
        report.paragraph("No method filled all holes of any column.")
    for masks in dict.fromkeys(row["masks"] for row in results.by_hole_ratio):
        own = [row for row in results.by_hole_ratio if row["masks"] == masks]
        for figure in figures:
            report.heading(f"{FIGURE_LABELS[figure]}, masks: {masks}")
            report.table(*bins_table(own, figure))
    report.heading("With and without holes at the border")
    report.table(*border_table(results.by_border, figures))
    if results.ghosting:
        _ghosting_section(report, results)
    if sheets:
        report.heading("The first photos")
        report.paragraph(
            "One hole of each, filled by each method, pixel by pixel, beside this file: "
            f"{', '.join(sheet.name for sheet in sheets)}"
        )
    judged = next(iter(measurement.methods))
    report.heading(f"Examples: holes filled by {judged}")
    for example in hole_examples(measurement, results.holes, judged):
        report.paragraph(example.title)
        report.row(example.pictures)
    if results.ghosts:
        report.heading(f"Examples: objects erased by {judged}")
        for example in ghost_examples(measurement, results.ghosts, judged):
            report.paragraph(example.title)
            report.row(example.pictures)
    report.save(path)


def _describe(conditions: Mapping[str, Any]) -> list[str]:
    size = conditions["image_size"]
    networks = [
        f"{name}: {file['weights']}, at {file['working_size']} pixels"
        for name, file in conditions["networks"].items()
    ]
    left_out = [f"{item['photo']}: {item['reason']}" for item in conditions["left_out"]]
    return [
        f"photos    {conditions['num_photos']} of {conditions['images']}, "
        + (f"{size} × {size} pixels" if size else "at their own size"),
        f"          {conditions['order']}",
        f"networks  {'; '.join(networks) or 'none'}",
        f"fill      {conditions['fill']}",
        f"masks     {', '.join(conditions['masks'])}; {conditions['masks_per_photo']} of each",
        f"objects   {conditions['objects_from']}",
        f"seed      {conditions['seed']}",
        *(f"absent    {name}: {reason}" for name, reason in conditions["absent"].items()),
        *(f"left out  {text}" for text in left_out),
    ]


def _ghosting_section(report: Report, results: Results) -> None:
    report.heading("Ghosting")
    report.paragraph(
        "An object with soft edges and a contact shadow was pasted on each photo, then erased with "
        "each shape of mask; the truth is the photo as it was. Steps in colour along the object's "
        "outline, and along the rim of the hole, are compared with those in the truth. Residue: 0 "
        "as in the truth, above 0 an outline shows, below 0 the result is smoother. Visible: the "
        "part of the outline on which steps exceed the truth's by half or more; 0 is good."
    )
    report.picture(
        plot_ghosting(results.ghosting, measured(results.ghosting, _PLOTTED_GHOST_FIGURES)),
        "means by shape of the mask",
    )
    report.table(*ghost_table(results))
