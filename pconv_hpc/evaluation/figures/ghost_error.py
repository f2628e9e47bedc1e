"""Errors of erased objects against the known background, and their means by mask shape."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from pconv_hpc.evaluation.figures.hole_error import mean_of

GHOST_FIGURES = (
    "hole_ratio",
    "l1",
    "psnr",
    "lpips",
    "outline_residue",
    "outline_visible",
    "rim_residue",
    "rim_visible",
    "seconds",
)


@dataclass(frozen=True, kw_only=True)
class GhostError:
    """One erased object; the truth is the photo before the object was pasted in.

    Attributes:
        photo: its number; ``key``: its name.
        method: what filled the hole.
        shape: of the mask, see ``mask_shaping``.
        hole_ratio: share of hole pixels.
        l1: mean absolute error over the hole's pixels, range 0 to 1.
        psnr: of the whole photo, dB: what an exact mask left of edge and shadow counts too.
        lpips: of the whole photo; None without its weights.
        outline_residue, outline_visible: along the object's silhouette, see ``ghosting``.
        rim_residue, rim_visible: along the rim of the hole.
        seconds: that filling took, wall clock; what alone differs from run to run.
    """

    photo: int
    key: str
    method: str
    shape: str
    hole_ratio: float
    l1: float
    psnr: float
    lpips: float | None
    outline_residue: float
    outline_visible: float
    rim_residue: float
    rim_visible: float
    seconds: float = field(compare=False)

    @property
    def visible(self) -> float:
        """The larger of the two visible shares."""
        return max(self.outline_visible, self.rim_visible)


def rows_by_shape(errors: Sequence[GhostError], *, num_objects: int) -> list[dict[str, object]]:
    """Return means for each method and mask shape, where the method erased every object.

    Args:
        errors: of the objects that were erased.
        num_objects: how many were to be erased with each shape.

    Returns:
        Rows with ``method``, ``shape``, ``objects`` (how many), and the means of ``GHOST_FIGURES``.
    """
    rows: list[dict[str, object]] = []
    methods = dict.fromkeys(error.method for error in errors)
    shapes = dict.fromkeys(error.shape for error in errors)
    for method, shape in itertools.product(methods, shapes):
        own = [error for error in errors if (error.method, error.shape) == (method, shape)]
        if not own or len(own) < num_objects:
            continue
        rows.append(
            {
                "method": method,
                "shape": shape,
                "objects": num_objects,
                **{figure: mean_of(own, figure) for figure in GHOST_FIGURES},
            }
        )
    return rows
