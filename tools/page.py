#!/usr/bin/env python
"""``pconv-hpc page`` with the package of this checkout, whichever is installed."""

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from pconv_hpc.__main__ import main_of_checkout  # noqa: E402 (found by the line above)

if __name__ == "__main__":
    main_of_checkout(CHECKOUT, "page")
