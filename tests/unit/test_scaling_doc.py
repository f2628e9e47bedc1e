"""The table of docs/reference/scaling.md is what the code beside it prints."""

import re
import subprocess
import sys

from tests.support.paths import REPOSITORY

DOC = REPOSITORY / "docs" / "reference" / "scaling.md"


def test_the_table_follows_from_the_code_beside_it() -> None:
    text = DOC.read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 9
    assert done.stdout in text
