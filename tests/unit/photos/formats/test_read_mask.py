"""Masks of people: what counts as white, and which way up they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.formats.photo_files import read_mask


def test_masks(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    gray = np.zeros((4, 6), np.uint8)
    gray[1, 2], gray[2, 3], gray[3, 3] = 255, 128, 127
    Image.fromarray(gray).save(path)
    mask = read_mask(path).hole
    assert mask.dtype == bool
    assert np.argwhere(mask).tolist() == [[1, 2], [2, 3]]

    Image.fromarray(gray > 0).save(path)
    assert read_mask(path).hole.sum() == 3
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(path)
    assert not read_mask(path).hole.any()
    Image.fromarray((gray > 0).astype(np.uint8)).save(path)
    with pytest.raises(ImageError, match="brightest pixel of this mask is 1 of 255"):
        read_mask(path)


def test_areas_of_gray_are_kept_and_soft_edges_are_not(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    gray = np.zeros((60, 80), np.uint8)
    gray[10:30, 10:30] = 64
    gray[15:40, 25:50] = 255
    Image.fromarray(gray).save(path)
    mask = read_mask(path)
    assert mask.kept is not None
    np.testing.assert_array_equal(mask.kept, gray == 64)
    np.testing.assert_array_equal(mask.hole, gray == 255)

    y, x = np.mgrid[:60, :80]
    soft = np.clip(255 - 6 * (np.hypot(y - 30, x - 40) - 10), 0, 255).astype(np.uint8)
    Image.fromarray(soft).save(path)
    assert read_mask(path).kept is None


def test_a_mask_painted_on_transparency(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[..., :3] = 255
    rgba[1, 2, 3] = 255
    Image.fromarray(rgba).save(path)
    assert np.argwhere(read_mask(path).hole).tolist() == [[1, 2]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("color", ["red", "lime", "blue", "magenta", "white"])
def test_marks_of_any_full_colour_count(tmp_path: Path, color: str, mode: str) -> None:
    path = tmp_path / "mask.png"
    mask = Image.new(mode, (6, 4))
    mask.paste(color, (2, 1, 3, 2))
    mask.save(path)
    assert np.argwhere(read_mask(path).hole).tolist() == [[1, 2]]
    mask.paste((0, 0, 100), (2, 1, 3, 2))
    mask.save(path)
    if mode == "RGBA":  # on transparency
        assert np.argwhere(read_mask(path).hole).tolist() == [[1, 2]]
        mask.putpixel((0, 0), (0, 0, 0, 255))
        mask.save(path)
    with pytest.raises(ImageError, match="brightest pixel of this mask is 100 of 255"):
        read_mask(path)


def test_a_mask_is_turned_as_its_own_exif_says(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    gray = np.zeros((4, 6), np.uint8)
    gray[0, 5] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(gray).save(path, exif=exif)
    assert read_mask(path).hole.shape == (6, 4)
    assert np.argwhere(read_mask(path).hole).tolist() == [[5, 3]]
