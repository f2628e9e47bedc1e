"""Speed, measured as ratios side by side in one run; `python -m benchmarks` in a checkout."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
