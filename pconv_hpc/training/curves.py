"""The picture of a run: loss against steps, its parts, and validation."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # compute nodes have no display

import matplotlib.pyplot as plt

from pconv_hpc.foundation import atomic

Table = Sequence[dict[str, float]]
_NO_LOSS = ("step", "epoch", "images_per_second", "psnr")


def draw_curves(path: Path, *, training: Table, validation: Table) -> None:
    """Draw each loss of the two metrics tables against the step, one panel each, and PSNR in dB.

    Panels of losses have a logarithmic scale. Tables without rows give an empty panel.
    """
    tables = [table for table in (training, validation) if table]
    names = list(dict.fromkeys(n for t in tables for n in t[0] if n not in _NO_LOSS)) or ["loss"]
    if validation and "psnr" in validation[0]:
        names.append("psnr")
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.6 * columns, 2.8 * rows), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes.flat, names, strict=False):
        for table, label, style in ((training, "training", "-"), (validation, "validation", "o-")):
            points = [(row["step"], row[name]) for row in table if name in row]
            if points:
                axis.plot(*zip(*points, strict=True), style, label=label, linewidth=1, markersize=4)
        if name != "psnr":
            axis.set_yscale("log")
        axis.set_title("PSNR, dB" if name == "psnr" else name.replace("_", " "), fontsize=10)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    with atomic.atomic_path(path, durable=False) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)
