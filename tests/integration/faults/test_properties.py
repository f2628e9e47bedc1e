"""What holds for photos of any size, kind and orientation, and for masks of any shape."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from pconv_hpc.inpainting.fill import fill_photo
from pconv_hpc.inpainting.settings import FillSettings
from pconv_hpc.photos.decode import decode_rgb, decode_square
from pconv_hpc.photos.formats.photo_files import read_mask, read_photo, write_photo
from pconv_hpc.photos.photo import Photo, upright_view
from tests.support.few_examples import few

sides = st.integers(1, 40)
orientations = st.integers(1, 8)


@st.composite
def pixels(draw: st.DrawFn, *, channels: tuple[int, ...] = (1, 2, 3, 4)) -> np.ndarray:
    """Draw uint8 (H, W, C)."""
    shape = (draw(sides), draw(sides), draw(st.sampled_from(channels)))
    return draw(arrays.arrays(np.uint8, shape))


def saved(image: np.ndarray, path: Path, orientation: int) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(path, exif=exif)
    return path


@few
@given(pixels(channels=(3,)), orientations, st.sampled_from([".png", ".tif", ".webp"]))
def test_a_photo_is_decoded_as_it_is_displayed(
    tmp_path: Path, image: np.ndarray, orientation: int, suffix: str
) -> None:
    path = tmp_path / f"photo{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(image).save(path, exif=exif, **options)
    np.testing.assert_array_equal(decode_rgb(path), upright_view(image, orientation))


@few
@given(pixels(channels=(1, 3)), st.integers(1, 50))
def test_any_photo_becomes_a_square_within_its_own_brightness(image: np.ndarray, size: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(stream, "PNG")
    square = decode_square(stream.getvalue(), size)
    assert square.shape == (size, size, 3)
    if image.min() == image.max():
        np.testing.assert_array_equal(square, image.min())


@st.composite
def photos_and_holes(draw: st.DrawFn) -> tuple[np.ndarray, int, np.ndarray]:
    """Draw a stored photo, its orientation, and a hole in it as displayed: anything but all."""
    image, orientation = draw(pixels()), draw(orientations)
    shape = upright_view(image, orientation).shape[:2]
    hole = draw(arrays.arrays(bool, shape))
    return image, orientation, hole & (np.arange(hole.size).reshape(shape) > 0)


@few
@given(
    photos_and_holes(),
    st.sampled_from([".png", ".tif"]),
    st.sampled_from(["crop", "resize", "full"]),
)
def test_erasing_changes_what_the_mask_marks_and_nothing_else(
    tmp_path: Path, drawn: tuple[np.ndarray, int, np.ndarray], suffix: str, strategy: str
) -> None:
    image, orientation, hole = drawn
    photo = read_photo(saved(image, tmp_path / f"photo{suffix}", orientation))
    Image.fromarray(hole).save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png").hole
    np.testing.assert_array_equal(mask, hole)
    fill(photo, mask, FillSettings(strategy=strategy, working_size=32))  # type: ignore[arg-type]
    write_photo(photo, tmp_path / f"erased{suffix}")

    again = read_photo(tmp_path / f"erased{suffix}")
    assert (again.orientation, again.color, again.alpha) == (orientation, photo.color, photo.alpha)
    kept = ~hole
    np.testing.assert_array_equal(again.upright[kept], upright_view(image, orientation)[kept])


def fill(photo: Photo, hole: np.ndarray, how: FillSettings) -> None:
    """Fill with a network that answers every tile with gray; it must be asked to the end."""
    filling = fill_photo(photo, hole, how, reach=8)
    try:
        tiles = next(filling)
        while True:
            for tile in tiles:
                assert np.isfinite(tile.rgb).all()
            tiles = filling.send([np.full_like(tile.rgb, 0.5) for tile in tiles])
    except StopIteration:
        return


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_hole_is_filled(tmp_path: Path, suffix: str) -> None:
    image = np.zeros((30, 20, 3), np.uint8)
    photo = read_photo(saved(image, tmp_path / f"photo{suffix}", 1))
    hole = np.zeros((30, 20), bool)
    hole[10:20, 5:9] = True
    # the network alone: around the hole all is black, and so are patches of it
    fill(photo, hole, FillSettings(working_size=32, rim=0, detail="none"))
    assert (photo.pixels[~hole] == 0).all()
    assert (photo.pixels[hole] > 0).any()
