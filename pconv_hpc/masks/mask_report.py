"""What a mask bank holds, at a glance: a table and a contact sheet."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pconv_hpc.foundation.seeded import Stream, sample_hash
from pconv_hpc.foundation.text import aligned
from pconv_hpc.masks.mask_bank import MaskBank
from pconv_hpc.masks.mask_drawing import BIN_EDGES, NUM_BINS, STYLES, MaskPlan

_COLUMNS = 12
_THUMBNAIL_PIXELS = 128
_GAP_PIXELS = 4
_GAP_GRAY = 128


def bank_table(bank: MaskBank) -> str:
    """Return a text table of how many masks of each style a bank has in each bin."""
    return _table(bank.bins, bank.styles, bank.style_names)


def plan_table(plan: MaskPlan, num_masks: int) -> str:
    """Return the table that the bank of ``num_masks`` drawn by this plan will have."""
    bins = np.array([plan.bin(index) for index in range(num_masks)])
    styles = np.array([STYLES.index(plan.style(index)) for index in range(num_masks)])
    return _table(bins, styles, STYLES)


def _table(bins: NDArray[np.integer], styles: NDArray[np.integer], names: Sequence[str]) -> str:
    counts = np.zeros((NUM_BINS + 1, len(names) + 1), int)
    np.add.at(counts, (bins, styles), 1)
    counts[-1] = counts.sum(axis=0)
    counts[:, -1] = counts.sum(axis=1)
    bin_names = [f"({low:g}, {high:g}]" for low, high in pairwise(BIN_EDGES)]
    rows = [["hole ratio", *names, "all"]]
    for bin_name, row in zip((*bin_names, "all"), counts, strict=True):
        rows.append([bin_name, *map(str, row)])
    return "\n".join(aligned(rows, numbers=True))


def contact_sheet(bank: MaskBank) -> Image.Image:
    """Return a picture of up to 12 masks of each bin, a row a bin, holes white.

    The masks are a random sample, the same each time.
    """
    cell = _THUMBNAIL_PIXELS + _GAP_PIXELS
    sheet = Image.new(
        "L", (_COLUMNS * cell - _GAP_PIXELS, NUM_BINS * cell - _GAP_PIXELS), _GAP_GRAY
    )
    for row in range(NUM_BINS):
        members = np.flatnonzero(bank.bins == row)
        # Drawn by lot: equal steps would hit the same style or border constraint each time.
        lots = sample_hash(0, 0, members, Stream.CONTACT_SHEET)
        chosen = np.sort(members[np.argsort(lots)[:_COLUMNS]])
        for column, mask in enumerate(bank.valid_masks(chosen)):
            hole = Image.fromarray((1 - mask) * np.uint8(255))
            thumbnail = hole.resize((_THUMBNAIL_PIXELS,) * 2, Image.Resampling.BOX)
            sheet.paste(thumbnail, (column * cell, row * cell))
    return sheet
