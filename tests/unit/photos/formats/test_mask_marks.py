"""Masks whose marks are not plainly white: understood where that is certain, else refused."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.formats.photo_files import read_mask
from pconv_hpc.photos.sample_photos import sample_photos

LABELS = np.zeros((60, 80), np.uint8)
LABELS[5:20, 5:25] = 1
LABELS[30:50, 10:40] = 2
LABELS[30:50, 50:70] = 3
VOC = [0, 0, 0, 128, 0, 0, 64, 0, 0, 192, 0, 0]  # the second class is dark


def label_map(palette: list[int]) -> Image.Image:
    image = Image.fromarray(LABELS, "P")
    image.putpalette(palette)
    return image


def painted(color: tuple[int, int, int], opaque: np.ndarray) -> Image.Image:
    rgba = np.zeros((60, 80, 4), np.uint8)
    rgba[..., :3] = color
    rgba[..., 3] = np.where(opaque, 255, 0)
    return Image.fromarray(rgba)


@pytest.mark.parametrize("color", [(0, 0, 0), (90, 10, 10)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_one_dark_paint_on_transparency_is_the_mark(
    tmp_path: Path, color: tuple[int, int, int], mode: str
) -> None:
    path = tmp_path / "mask.png"
    painted(color, LABELS == 2).convert(mode).save(path)
    np.testing.assert_array_equal(read_mask(path).hole, LABELS == 2)


def test_what_transparency_means_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    painted((0, 0, 0), LABELS != 2).save(path)
    with pytest.raises(ImageError, match=r"mask\.png: all of one dark colour, 88% opaque"):
        read_mask(path)
    cat = Image.fromarray(sample_photos()["cat"][60:120, 90:170])
    cat.putalpha(Image.fromarray(np.where(LABELS == 2, 0, 255).astype(np.uint8)))
    cat.save(path)
    with pytest.raises(ImageError, match="many colours, 12% of it transparent"):
        read_mask(path)


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp", ".tif"])
def test_a_dark_class_beside_bright_ones_is_refused_and_can_be_picked(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"labels{suffix}"
    label_map(VOC).save(path)
    with pytest.raises(ImageError, match=r"too dark .* 2 \(600 pixels\).*--mask-values") as caught:
        read_mask(path)
    assert "1 (300 pixels)" in str(caught.value)
    np.testing.assert_array_equal(read_mask(path, values={2, 3}).hole, LABELS >= 2)
    assert not read_mask(path, values={9}).hole.any()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([0, 100, 255, 200], "too dark .*100 \\(300 pixels\\)"),
        ([0, 1, 2, 255], "too dark .*1 \\(300 pixels\\), 2 \\(600 pixels\\), 255"),
        ([0, 1, 2, 3], "brightest pixel of this mask is 3 .*3 \\(400 pixels\\)"),
        ([0, 20, 40, 130], "too dark"),
    ],
)
def test_gray_label_maps(tmp_path: Path, values: list[int], reason: str) -> None:
    path = tmp_path / "labels.png"
    gray = np.array(values, np.uint8)[LABELS]
    Image.fromarray(gray).save(path)
    with pytest.raises(ImageError, match=reason):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, values={values[1]}).hole, LABELS == 1)
    if values[3] == 3:
        return
    tifffile.imwrite(tmp_path / "labels.tif", gray)
    with pytest.raises(ImageError, match=reason):
        read_mask(tmp_path / "labels.tif")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_labels_of_16_bits_do_not_round_to_black(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels{suffix}"
    for last, reason in ((3, "brightest"), (65535, "too dark")):
        values = np.array([0, 1, 300, last], np.uint16)[LABELS]
        Image.fromarray(values).save(path)
        with pytest.raises(ImageError, match=reason):
            read_mask(path)
        np.testing.assert_array_equal(read_mask(path, values={1, 300}).hole, LABELS % 3 != 0)


def test_colours_and_black_palettes(tmp_path: Path) -> None:
    path = tmp_path / "labels.png"
    label_map(VOC).convert("RGB").save(path)
    with pytest.raises(ImageError, match="#400000 \\(600 pixels\\)"):
        read_mask(path)
    hole = read_mask(path, values={0x400000, 0xC00000}).hole
    np.testing.assert_array_equal(hole, LABELS >= 2)
    label_map([0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0]).save(path)
    with pytest.raises(ImageError, match=r"several values in black.* 1 \(300 pixels\)"):
        read_mask(path)
    Image.fromarray(LABELS * 80).save(path, "JPEG")
    with pytest.raises(ImageError, match="a JPEG, whose values are not exact"):
        read_mask(path, values={80})


@pytest.mark.parametrize("sigma", [0.7, 3, 12, 60, 200])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".png", {}), (".jpg", {"quality": 60}), (".webp", {"quality": 60}), (".gif", {})],
)
def test_soft_edges_are_no_labels(
    tmp_path: Path, sigma: float, suffix: str, options: dict[str, Any]
) -> None:
    path = tmp_path / f"mask{suffix}"
    canvas = np.zeros((400, 500), np.float32)
    canvas[100:300, 150:400] = 255
    canvas[20:60, 30:80] = 255
    soft = cv2.GaussianBlur(canvas, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    soft = np.rint(soft * 255 / soft.max()).astype(np.uint8)
    Image.fromarray(soft).save(path, **options)
    differing = read_mask(path).hole != (soft >= 128)
    assert differing.mean() < 0.01
    red = np.dstack([soft, np.zeros_like(soft), np.zeros_like(soft)])
    if suffix == ".png":
        Image.fromarray(red).save(path)
        np.testing.assert_array_equal(read_mask(path).hole, soft >= 128)
        Image.fromarray(np.dstack([np.full_like(red, 255), soft])).save(path)
        assert (read_mask(path).hole != (soft >= 128)).mean() < 0.002
        tifffile.imwrite(tmp_path / "mask.tif", soft.astype(np.uint16) * 257)
        np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif").hole, soft >= 128)
