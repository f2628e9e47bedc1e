"""Plots of an evaluation: figures over hole ratio, and ghosting by mask shape."""

import io
from collections.abc import Sequence

import matplotlib

matplotlib.use("Agg")  # compute nodes have no display

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from pconv_hpc.evaluation.figures.hole_error import ALL_BINS, BIN_NAMES
from pconv_hpc.evaluation.reports.tables import FIGURE_LABELS

Rows = Sequence[dict[str, object]]


def plot_by_hole_ratio(rows: Rows, figures: Sequence[str]) -> np.ndarray:
    """Draw a panel for each kind of masks and figure, a line for each method: uint8 (H, W, 3).

    Args:
        rows: see ``hole_error.rows_by_hole_ratio``.
        figures: which of them; all were measured.
    """
    kinds = list(dict.fromkeys(row["masks"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    figure, axes = plt.subplots(
        len(kinds),
        len(figures),
        figsize=(3.6 * len(figures), 2.9 * len(kinds)),
        squeeze=False,
        layout="constrained",
    )
    for (i, j), axis in np.ndenumerate(axes):
        for number, method in enumerate(methods):
            values = {
                row["hole"]: row[figures[j]]
                for row in rows
                if (row["masks"], row["method"]) == (kinds[i], method) and row["hole"] != ALL_BINS
            }
            places = [place for place, name in enumerate(BIN_NAMES) if name in values]
            axis.plot(
                places,
                [values[BIN_NAMES[place]] for place in places],
                "o-",
                color=f"C{number}",
                label=str(method),
                linewidth=1.2,
                markersize=3,
            )
        axis.set_title(f"{kinds[i]}: {FIGURE_LABELS[figures[j]]}", fontsize=10)
        axis.set_xticks(range(len(BIN_NAMES)), BIN_NAMES, fontsize=7, rotation=30)
        axis.tick_params(axis="y", labelsize=8)
        axis.grid(alpha=0.3)
    return _rendered(figure, axes[0, 0], len(methods))


def plot_ghosting(rows: Rows, figures: Sequence[str]) -> np.ndarray:
    """Draw a panel of bars for each figure, grouped by mask shape: uint8 (H, W, 3).

    Args:
        rows: see ``ghost_error.rows_by_shape``.
        figures: which of them; all were measured.
    """
    methods = list(dict.fromkeys(str(row["method"]) for row in rows))
    shapes = list(dict.fromkeys(str(row["shape"]) for row in rows))
    width = 0.8 / len(methods)
    figure, axes = plt.subplots(
        1, len(figures), figsize=(3.6 * len(figures), 2.9), squeeze=False, layout="constrained"
    )
    for name, axis in zip(figures, axes[0], strict=True):
        for number, method in enumerate(methods):
            own = {str(row["shape"]): row[name] for row in rows if row["method"] == method}
            places = [place for place, shape in enumerate(shapes) if shape in own]
            axis.bar(
                np.array(places) + (number - (len(methods) - 1) / 2) * width,
                [own[shapes[place]] for place in places],
                width,
                color=f"C{number}",
                label=method,
            )
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_title(FIGURE_LABELS[name], fontsize=10)
        axis.set_xticks(range(len(shapes)), shapes, fontsize=8)
        axis.tick_params(axis="y", labelsize=8)
        axis.grid(alpha=0.3, axis="y")
    return _rendered(figure, axes[0, 0], len(methods))


def _rendered(figure: Figure, axis: Axes, num_methods: int) -> np.ndarray:
    """Return the figure as a picture, with the legend of one of its panels below all of them."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=num_methods, fontsize=9)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=110, format="png")
    plt.close(figure)
    return np.asarray(Image.open(stream).convert("RGB"))
