"""Contact sheets on disk."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.photos.contact_sheet import save_contact_sheet


def test_a_sheet_is_written_whole_or_the_error_names_it(tmp_path: Path) -> None:
    images = np.zeros((3, 8, 8, 3), np.uint8)
    save_contact_sheet(tmp_path / "a" / "sheet.png", images, tile_size=16)
    assert Image.open(tmp_path / "a" / "sheet.png").size == (2 * 20 + 4,) * 2
    with pytest.raises(PconvError, match=r"sheet\.png/b\.png: cannot be written"):
        save_contact_sheet(tmp_path / "a" / "sheet.png" / "b.png", images)
