"""A CSV file that grows row by row and can be taken back to the step a run continues from."""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path

from pconv_hpc.foundation import atomic

_LOG = logging.getLogger(__name__)


class MetricsTable:
    """Appends rows of numbers under fixed columns, the first of which, ``step``, only grows."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = Path(path)
        self._columns = list(columns)

    def rewind(self, step: int) -> None:
        """Drop every row after ``step``: those steps will be done, and told, again.

        Rows that a crash tore go too. A table with other columns is kept beside this one, by the
        step it came to.
        """
        rows = read_table(self._path)
        if rows and list(rows[0]) != self._columns:
            until = f"{rows[-1].get('step', step):.0f}"
            aside = self._path.with_suffix(f".until_{until}{self._path.suffix}")
            self._path.rename(aside)
            _LOG.info("%s: its rows so far are kept in %s", self._path, aside.name)
            rows = []
        kept = [list(map(_compact, row.values())) for row in rows if row["step"] <= step]
        atomic.write_csv(self._path, self._columns, kept)

    def append(self, values: Sequence[float]) -> None:
        """Add one row, in the order of the columns, and hand it to the operating system."""
        with open(self._path, "a", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerow([_compact(value) for value in values])


def _compact(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.6g}"


def read_table(path: Path) -> list[dict[str, float]]:
    """Return the rows of a metrics table as numbers; ``[]`` where there is no file.

    A row that is not all numbers, or not as wide as the header, is left out.
    """
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as stream:
        lines = list(csv.reader(line.replace("\0", "") for line in stream))
    rows = []
    for line in lines[1:]:
        try:
            rows.append(dict(zip(lines[0], map(float, line), strict=True)))
        except ValueError:
            continue
    return rows
