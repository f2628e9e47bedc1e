"""What an evaluation found, and its files, which docs/guide/evaluate.md describes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pconv_hpc.evaluation.figures.ghost_error import GhostError, rows_by_shape
from pconv_hpc.evaluation.figures.hole_error import BORDERS, HoleError, rows_by_hole_ratio
from pconv_hpc.evaluation.measuring.baselines import MAX_BIHARMONIC_PIXELS
from pconv_hpc.evaluation.measuring.measure import PhotoErrors
from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import UsageError

FORMAT = "pconv_hpc evaluation"
FORMAT_VERSION = 2
RESULTS_NAME = "results.json"


@dataclass(frozen=True, kw_only=True)
class Results:
    """All errors of an evaluation and their means.

    Attributes:
        conditions: under which they were measured, as they are written to ``results.json``.
        holes, ghosts: every single one, in the order of photos.
        by_hole_ratio, by_border: see ``hole_error.rows_by_hole_ratio``.
        ghosting: see ``ghost_error.rows_by_shape``.
    """

    conditions: dict[str, Any]
    holes: tuple[HoleError, ...]
    ghosts: tuple[GhostError, ...]
    by_hole_ratio: list[dict[str, object]]
    by_border: list[dict[str, object]]
    ghosting: list[dict[str, object]]

    @classmethod
    def of(cls, found: Sequence[PhotoErrors], conditions: dict[str, Any]) -> "Results":
        """Return the results of all photos.

        Raises:
            UsageError: none of them could be read, or nothing was filled.
        """
        left_out = [
            {"photo": errors.key, "reason": errors.damage} for errors in found if errors.damage
        ]
        if len(left_out) == len(found):
            raise UsageError(
                f"none of the {len(found)} photos can be read; the first: {found[0].key}: "
                f"{found[0].damage}"
            )
        measured = [hole for errors in found for hole in errors.measured]
        holes = tuple(error for errors in found for error in errors.holes)
        ghosts = tuple(error for errors in found for error in errors.ghosts)
        if not holes and not ghosts:
            raise UsageError(
                f"{', '.join(conditions['methods'])}: filled none of the {len(measured)} holes; "
                f"biharmonic takes holes of at most {MAX_BIHARMONIC_PIXELS:,} pixels: choose a "
                "smaller --size, or more of --baselines"
            )
        return cls(
            conditions={
                **conditions,
                "num_photos": len(found) - len(left_out),
                "left_out": left_out,
            },
            holes=holes,
            ghosts=ghosts,
            by_hole_ratio=rows_by_hole_ratio(holes, measured),
            by_border=rows_by_hole_ratio(holes, measured, borders=BORDERS[1:]),
            ghosting=rows_by_shape(ghosts, num_objects=sum(errors.has_object for errors in found)),
        )

    def write(self, out_dir: Path) -> None:
        """Write ``errors.csv``, ``ghosting.csv`` and last ``results.json``, each of them whole."""
        _write_table(out_dir / "errors.csv", HoleError, self.holes)
        _write_table(out_dir / "ghosting.csv", GhostError, self.ghosts)
        atomic.write_json(
            out_dir / RESULTS_NAME,
            {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                **self.conditions,
                "by_border": self.by_border,
                "ghosting": self.ghosting,
                "by_hole_ratio": self.by_hole_ratio,
            },
        )


def _write_table(
    path: Path, row_type: type[HoleError | GhostError], rows: Sequence[HoleError | GhostError]
) -> None:
    header = [field.name for field in fields(row_type)]
    atomic.write_csv(path, header, [list(asdict(row).values()) for row in rows])
