"""Where the checkout is that the tests belong to."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ASSETS = REPOSITORY / "tests" / "support" / "assets"
