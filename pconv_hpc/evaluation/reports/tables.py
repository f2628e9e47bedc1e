"""Tables of an evaluation: for the terminal, the report, and in Markdown to be pasted elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pconv_hpc.evaluation.figures.ghost_error import GHOST_FIGURES
from pconv_hpc.evaluation.figures.hole_error import ALL_BINS, BIN_NAMES, FIGURES
from pconv_hpc.evaluation.measuring.results import Results
from pconv_hpc.foundation import atomic

FIGURE_LABELS = {
    "l1": "L1 in holes",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "texture": "texture ratio",
    "hole_ratio": "hole",
    "outline_residue": "outline residue",
    "outline_visible": "outline visible",
    "rim_residue": "rim residue",
    "rim_visible": "rim visible",
    "seconds": "seconds",
}
PHOTO_ITSELF = "the photo itself"
MARKDOWN_NAME = "tables.md"
_MARKDOWN_FIGURES = ("psnr", "ssim", "l1", "lpips", "texture", "seconds")
_PERCENTAGES = ("hole_ratio", "outline_visible", "rim_visible")
_TWO_DIGITS = ("psnr", "texture", "outline_residue", "rim_residue", "seconds")
_NONE = "–"

Row = Mapping[str, object]
Table = tuple[list[str], list[list[str]]]


def measured(rows: Sequence[Row], figures: Sequence[str]) -> list[str]:
    """Return those of ``figures`` that were measured."""
    return [figure for figure in figures if any(row[figure] is not None for row in rows)]


def cells(row: Row, figures: Sequence[str]) -> list[str]:
    """Return figures of a row as texts."""
    shown = []
    for figure in figures:
        value = row[figure]
        if value is None:
            shown.append(_NONE)
        elif figure in _PERCENTAGES:
            shown.append(f"{value:.1%}")
        else:
            shown.append(f"{value:.2f}" if figure in _TWO_DIGITS else f"{value:.4f}")
    return shown


def overview_table(results: Results) -> Table:
    """Return the means over all holes: a row for each kind of masks and method."""
    figures = measured(results.by_hole_ratio, FIGURES)
    rows = [
        [str(row["masks"]), str(row["method"]), str(row["holes"]), *cells(row, figures)]
        for row in results.by_hole_ratio
        if row["hole"] == ALL_BINS
    ]
    return ["masks", "method", "holes", *(FIGURE_LABELS[figure] for figure in figures)], rows


def border_table(rows: Sequence[Row], figures: Sequence[str]) -> Table:
    """Return the means over holes that keep clear of the border, and over those that touch it."""
    body = [
        [
            str(row["masks"]),
            str(row["method"]),
            str(row["border"]),
            str(row["holes"]),
            *cells(row, figures),
        ]
        for row in rows
        if row["hole"] == ALL_BINS
    ]
    labels = [FIGURE_LABELS[figure] for figure in figures]
    return ["masks", "method", "border", "holes", *labels], body


def ghost_table(results: Results) -> Table:
    """Return the means over erased objects: a row for each mask shape and method."""
    figures = measured(results.ghosting, GHOST_FIGURES)
    rows = [
        [str(row["shape"]), str(row["method"]), str(row["objects"]), *cells(row, figures)]
        for shape in dict.fromkeys(row["shape"] for row in results.ghosting)
        for row in results.ghosting
        if row["shape"] == shape
    ]
    return ["mask", "method", "objects", *(FIGURE_LABELS[figure] for figure in figures)], rows


def bins_table(rows: Sequence[Row], figure: str) -> Table:
    """Return one figure: a row for each method, a column for each bin."""
    columns = [name for name in (*BIN_NAMES, ALL_BINS) if any(row["hole"] == name for row in rows)]
    body = []
    for method in dict.fromkeys(row["method"] for row in rows):
        by_bin = {row["hole"]: row for row in rows if row["method"] == method}
        body.append(
            [
                str(method),
                *(cells(by_bin[name], [figure])[0] if name in by_bin else "" for name in columns),
            ]
        )
    numbers = {row["hole"]: row["holes"] for row in rows}
    body.append(["holes", *(str(numbers[name]) for name in columns)])
    return ["method", *columns], body


def write_markdown(path: Path, results: Results) -> None:
    """Write all figures by kind of mask, bin and method, and those of ghosting."""
    figures = measured(results.by_hole_ratio, _MARKDOWN_FIGURES)
    parts = []
    for masks in dict.fromkeys(row["masks"] for row in results.by_hole_ratio):
        own = [row for row in results.by_hole_ratio if row["masks"] == masks]
        header = ["of the photo", "method", "holes", *(FIGURE_LABELS[f] for f in figures)]
        parts += [f"## Masks: {masks}", _markdown(header, [*_rows_by_bin(own, figures)])]
    if results.ghosting:
        parts += ["## Ghosts", _markdown(*ghost_table(results))]
    atomic.write_text(path, "\n\n".join(parts) + "\n")


def _rows_by_bin(rows: Sequence[Row], figures: Sequence[str]) -> Iterator[list[str]]:
    for name in (*BIN_NAMES, ALL_BINS):
        own = [row for row in rows if row["hole"] == name]
        for row in own:
            yield [name, str(row["method"]), str(row["holes"]), *cells(row, figures)]
        if own and "texture" in figures:
            photo = {**dict.fromkeys(figures), "texture": own[0]["photo_texture"]}
            yield [name, PHOTO_ITSELF, str(own[0]["holes"]), *cells(photo, figures)]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
