"""The tables of docs/reference/scaling.md are what the code beside them prints."""

import re
import subprocess
import sys

from benchmarks.array_simulation import Cluster, Work, tables
from tests.support.paths import REPOSITORY

DOC = REPOSITORY / "docs" / "reference" / "scaling.md"


def test_the_table_follows_from_the_code_beside_it() -> None:
    text = DOC.read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 9
    assert done.stdout in text


def test_the_tables_of_erasing_are_those_of_the_simulation() -> None:
    text = DOC.read_text()
    over_slices, over_limits = "\n".join(tables(Work(), Cluster())).split("\n\n")
    assert over_slices in text
    assert over_limits in text
