"""``report.html`` of an evaluation: tables, plots and examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pconv_hpc.evaluation.examples import ghost_examples, hole_examples
from pconv_hpc.evaluation.ghost_error import GHOST_FIGURES
from pconv_hpc.evaluation.hole_error import ALL_BINS, BIN_NAMES, FIGURES
from pconv_hpc.evaluation.measure import Measurement
from pconv_hpc.evaluation.plots import FIGURE_LABELS, plot_by_hole_ratio, plot_ghosting
from pconv_hpc.evaluation.report import Report
from pconv_hpc.evaluation.results import Results

Table = tuple[list[str], list[list[str]]]
_PLOTTED_GHOST_FIGURES = ("l1", "lpips", "outline_visible", "rim_visible")


def write_report(path: Path, results: Results, measurement: Measurement) -> None:
    """Write the report; the examples' pictures are made again, from the seed."""
    figures = measured(results.by_hole_ratio, FIGURES)
    report = Report("pconv_hpc: evaluation")
    report.code("\n".join(_describe(results.conditions)))
    report.paragraph(
        "Every method filled the same holes of the same photos; outside the holes the photo is "
        "untouched. L1 is the mean absolute error in the hole, colours from 0 to 1; PSNR, SSIM and "
        "LPIPS are of the whole photo. Low L1 and LPIPS are good, high PSNR and SSIM. A method "
        "that does not fill all holes of a column is left out there."
    )
    report.heading("By hole ratio")
    if results.by_hole_ratio:
        plot = plot_by_hole_ratio(results.by_hole_ratio, figures)
        report.picture(plot, "means in bins of ratios")
    else:
        report.paragraph("No method filled all holes of any column.")
    for masks in dict.fromkeys(row["masks"] for row in results.by_hole_ratio):
        own = [row for row in results.by_hole_ratio if row["masks"] == masks]
        for figure in figures:
            report.heading(f"{FIGURE_LABELS[figure]}, masks: {masks}")
            report.table(*_bins_table(own, figure))
    report.heading("With and without holes at the border")
    report.table(*border_table(results.by_border, figures))
    if results.ghosting:
        _ghosting_section(report, results)
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
    networks = [f"{name}: {file['weights']}" for name, file in conditions["networks"].items()]
    left_out = [f"{item['photo']}: {item['reason']}" for item in conditions["left_out"]]
    return [
        f"photos    {conditions['num_photos']} of {conditions['images']}, {size} × {size} pixels",
        f"          {conditions['order']}",
        f"networks  {'; '.join(networks) or 'none'}",
        f"fill      {conditions['fill']}, at {conditions['working_size']} pixels",
        f"masks     {', '.join(conditions['masks'])}; {conditions['masks_per_photo']} of each",
        f"objects   {conditions['objects_from']}",
        f"seed      {conditions['seed']}",
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


def measured(rows: Sequence[Mapping[str, object]], figures: Sequence[str]) -> list[str]:
    """Return those of ``figures`` that were measured."""
    return [figure for figure in figures if all(row[figure] is not None for row in rows)]


def overview_table(results: Results) -> Table:
    """Return the means over all holes: a row for each kind of masks and method."""
    figures = measured(results.by_hole_ratio, FIGURES)
    rows = [
        [str(row["masks"]), str(row["method"]), str(row["holes"]), *_cells(row, figures)]
        for row in results.by_hole_ratio
        if row["hole"] == ALL_BINS
    ]
    return ["masks", "method", "holes", *(FIGURE_LABELS[figure] for figure in figures)], rows


def border_table(rows: Sequence[Mapping[str, object]], figures: Sequence[str]) -> Table:
    """Return the means over holes that keep clear of the border, and over those that touch it."""
    body = [
        [
            str(row["masks"]),
            str(row["method"]),
            str(row["border"]),
            str(row["holes"]),
            *_cells(row, figures),
        ]
        for row in rows
        if row["hole"] == ALL_BINS
    ]
    labels = [FIGURE_LABELS[figure] for figure in figures]
    return ["masks", "method", "border", "holes", *labels], body


def ghost_table(results: Results) -> Table:
    """Return the means over erased objects: a row for each method and mask shape."""
    figures = measured(results.ghosting, GHOST_FIGURES)
    rows = [
        [str(row["method"]), str(row["shape"]), str(row["objects"]), *_cells(row, figures)]
        for row in results.ghosting
    ]
    return ["method", "mask", "objects", *(FIGURE_LABELS[figure] for figure in figures)], rows


def _bins_table(rows: Sequence[Mapping[str, object]], figure: str) -> Table:
    """Return one figure: a row for each method, a column for each bin."""
    columns = [name for name in (*BIN_NAMES, ALL_BINS) if any(row["hole"] == name for row in rows)]
    body = []
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = {row["hole"]: row for row in rows if row["method"] == method}
        body.append(
            [
                str(method),
                *(_cells(cells[name], [figure])[0] if name in cells else "" for name in columns),
            ]
        )
    numbers = {row["hole"]: row["holes"] for row in rows}
    body.append(["holes", *(str(numbers[name]) for name in columns)])
    return ["method", *columns], body


def _cells(row: Mapping[str, object], figures: Sequence[str]) -> list[str]:
    shown = []
    for figure in figures:
        value = row[figure]
        if figure in ("hole_ratio", "outline_visible", "rim_visible"):
            shown.append(f"{value:.1%}")
        elif figure in ("psnr", "outline_residue", "rim_residue"):
            shown.append(f"{value:.2f}")
        else:
            shown.append(f"{value:.4f}")
    return shown
