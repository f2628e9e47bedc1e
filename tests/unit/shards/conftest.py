"""What the tests of packing start from."""

from pathlib import Path

import pytest

from tests.support.photo_folders import write_photos
from tests.unit.shards.pack_calls import Call


@pytest.fixture
def call(tmp_path: Path) -> Call:
    write_photos(tmp_path / "photos", 18)
    return Call(tmp_path / "photos", tmp_path / "out")
