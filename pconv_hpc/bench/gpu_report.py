"""Measurements of the training step on a GPU as text."""

from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]

_TERA = 1e12
_GIB = 1 << 30
_HEADER = (
    "backend",
    "pixels",
    "precision",
    "images/s",
    "batch",
    "ms a step",
    "TFLOP/s",
    "ceiling",
    "share",
    "GiB",
    "largest batch",
)
_NUM_KERNELS = 8
_MAX_NAME = 90


def fastest_run(record: Record) -> Record | None:
    """Return the run with the most images a second; ``None`` where there is none."""
    return max(record["runs"], key=lambda run: run["images_per_second"], default=None)


def ceiling_share(record: Record, run: Record) -> float:
    """Return the run's floating-point operations a second over the matrix product's."""
    achieved = run["flops"] / run["seconds_per_step"]
    return float(achieved / record["ceiling"]["flops_per_second"])


def progress(record: Record, news: str) -> str:
    """Return one line about what is new in a record; see ``gpu.measure_all``."""
    request = record["request"]
    what = f"{request['backend']} {request['image_size']}² {request['precision']}"
    if news == "kept":
        return f"{what}: measured before"
    if news == "machine":
        return f"{what}: {record['machine']['device']}, {record['machine']['framework']}"
    if news == "ceiling":
        ceiling = record["ceiling"]
        rate = ceiling["flops_per_second"] / _TERA
        return f"{what}: matrix product of {ceiling['matmul_size']}²: {rate:.4g} TFLOP/s"
    if news == "run":
        run = record["runs"][-1]
        return (
            f"{what}: batch {run['batch']}: {run['images_per_second']:.4g} images/s, "
            f"{ceiling_share(record, run):.1%} of the matrix product, "
            f"{run['peak_bytes'] / _GIB:.3g} GiB"
        )
    if news == "end":
        return f"{what}: {_largest(record)} is the largest batch"
    return f"{what}: {record['error']}"


def _largest(record: Record) -> str:
    """Return the largest batch, marked where something else than memory set the limit."""
    if "end" not in record:
        done = record["runs"][-1]["batch"] if record["runs"] else "?"
        return f"≥ {done} (not finished)"
    end = record["end"]
    if end["largest_batch"] is None:
        return f"< {end['refused_batch']}"
    return f"{'' if end['refused_batch'] else '≥ '}{end['largest_batch']}"


def _row(record: Record) -> list[str]:
    request, run = record["request"], fastest_run(record)
    start = [request["backend"], f"{request['image_size']}²", request["precision"]]
    if run is None:
        return [*start, *["–"] * (len(_HEADER) - len(start) - 1), _largest(record)]
    return [
        *start,
        f"{run['images_per_second']:.4g}",
        f"{run['batch']}",
        f"{1000 * run['seconds_per_step']:.4g}",
        f"{run['flops'] / run['seconds_per_step'] / _TERA:.4g}",
        f"{record['ceiling']['flops_per_second'] / _TERA:.4g}",
        f"{ceiling_share(record, run):.1%}",
        f"{run['peak_bytes'] / _GIB:.3g}",
        _largest(record),
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rows = [header, ["---"] * len(header), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    return [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]


def report(records: Sequence[Record]) -> list[str]:
    """Return the table of all records and the kernels that took longest, as lines of Markdown."""
    lines = _table(_HEADER, [_row(record) for record in records])
    for record in records:
        run, request = fastest_run(record), record["request"]
        if run is None or not run["kernels"]:
            continue
        busy = run["kernel_seconds_per_step"] / run["seconds_per_step"]
        what = f"{request['backend']} {request['image_size']}² {request['precision']}"
        lines += [
            "",
            f"{what}, batch {run['batch']}: kernels, together {busy:.0%} of a step's time",
            "",
            *_table(
                ("share", "ms a step", "calls a step", "kernel"),
                [
                    [
                        f"{kernel['share']:.1%}",
                        f"{1000 * kernel['seconds_per_step']:.3g}",
                        f"{kernel['calls_per_step']:g}",
                        kernel["name"][:_MAX_NAME].replace("|", "/"),
                    ]
                    for kernel in run["kernels"][:_NUM_KERNELS]
                ],
            ),
        ]
    return lines
