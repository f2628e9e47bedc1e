#!/usr/bin/env python
"""Measure speed as ratios: `python -m benchmarks` of this checkout, from any folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.__main__ import main
from pconv_hpc.options import cli

if __name__ == "__main__":
    cli.run(main)
