"""Mask PNGs of every kind: which objects they show, and hostile ones refused by name."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.label_maps import bounding_box, object_segments, read_labels
from tests.support.mask_folders import draw_disk, draw_figure, panoptic


def objects_in(path: Path) -> list[np.ndarray]:
    return list(object_segments(read_labels(path)))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_a_mask_of_any_mode_gives_its_white_object(tmp_path: Path, mode: str) -> None:
    figure = draw_figure()
    expected = np.asarray(figure) > 0
    if mode == "I;16":
        image = Image.fromarray(expected.astype(np.uint16) * 65535)
    else:
        image = figure.convert(mode)
    image.save(tmp_path / "mask.png")
    (found,) = objects_in(tmp_path / "mask.png")
    np.testing.assert_array_equal(found, expected)


def test_soft_edges_are_cut_at_half(tmp_path: Path) -> None:
    soft = draw_disk().filter(ImageFilter.GaussianBlur(1))
    soft.save(tmp_path / "mask.png")
    (found,) = objects_in(tmp_path / "mask.png")
    np.testing.assert_array_equal(found, np.asarray(soft) > 127)


def make_labels() -> np.ndarray:
    """Two objects, a ground cut off by the picture's edge, scattered crumbs and a speck."""
    labels = np.zeros((96, 96), np.int64)
    labels[80:] = 70_000  # ground
    labels[10:40, 10:30] = 3
    labels[20:60, 50:80] = 300_000
    labels[2, 2] = 9  # too small
    labels[4:76:12, 4:90:12] = 17  # crumbs
    return labels


def test_label_maps_give_whole_objects_only(tmp_path: Path) -> None:
    labels = make_labels()
    panoptic(labels).save(tmp_path / "coco.png")
    found = objects_in(tmp_path / "coco.png")
    expected = [labels == 3, labels == 300_000]
    assert len(found) == 2
    for segment in expected:
        assert any(np.array_equal(segment, other) for other in found)


def voc_labels() -> np.ndarray:
    """Return two objects side by side, in rings of void as VOC draws them."""
    labels = np.zeros((96, 96), np.uint8)
    labels[8:42, 8:56] = 255
    labels[11:39, 11:30], labels[11:39, 33:53] = 5, 15
    return labels


@pytest.mark.parametrize("palette", [[0] * 768, [*range(255, -1, -1)] * 3], ids=["black", "voc"])
def test_palette_indices_are_labels_whatever_their_colours(
    tmp_path: Path, palette: list[int]
) -> None:
    image = Image.fromarray(voc_labels()).convert("P")
    image.putpalette(palette)
    image.putdata(voc_labels().ravel().tolist())
    image.save(tmp_path / "voc.png")
    areas = sorted(int(segment.sum()) for segment in objects_in(tmp_path / "voc.png"))
    assert areas == [28 * 19, 28 * 20]


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_void_is_no_object_in_gray_label_maps(tmp_path: Path, mode: str) -> None:
    Image.fromarray(voc_labels()).convert(mode).save(tmp_path / "voc.png")
    found = [int(segment.sum()) for segment in objects_in(tmp_path / "voc.png")]
    assert found == [28 * 19, 28 * 20]


def test_a_ring_of_void_that_is_larger_than_its_object_is_none_with_a_palette(
    tmp_path: Path,
) -> None:
    labels = np.zeros((96, 96), np.uint8)
    labels[20:40, 20:40] = 255
    labels[25:35, 25:35] = 15
    image = Image.fromarray(labels, "P")
    image.putpalette([*range(255, -1, -1)] * 3)
    image.save(tmp_path / "voc.png")
    [found] = objects_in(tmp_path / "voc.png")
    np.testing.assert_array_equal(found, labels == 15)


def test_255_is_an_object_where_labels_have_more_than_a_byte(tmp_path: Path) -> None:
    labels = voc_labels().astype(np.uint16)
    Image.fromarray(labels).save(tmp_path / "instances.png")
    assert len(objects_in(tmp_path / "instances.png")) == 3


def test_the_core_of_a_very_soft_mask_is_kept(tmp_path: Path) -> None:
    soft = draw_disk().filter(ImageFilter.GaussianBlur(4))
    labels = np.asarray(soft)
    assert 0 < (labels == 255).sum() < ((labels > 0) & (labels < 255)).sum()
    soft.save(tmp_path / "mask.png")
    assert any((labels[segment] == 255).all() for segment in objects_in(tmp_path / "mask.png"))


@pytest.mark.parametrize("value", [0, 255])
def test_an_empty_or_full_mask_has_no_object(tmp_path: Path, value: int) -> None:
    Image.new("L", (64, 64), value).save(tmp_path / "mask.png")
    assert objects_in(tmp_path / "mask.png") == []


def test_masks_too_small_or_too_large_to_use_are_left_out(tmp_path: Path) -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[50, 50:60] = 255
    Image.fromarray(labels).save(tmp_path / "speck.png")
    labels[:80] = 255
    Image.fromarray(labels).save(tmp_path / "wall.png")
    assert objects_in(tmp_path / "speck.png") == []
    assert objects_in(tmp_path / "wall.png") == []


def test_bounding_box_is_tight() -> None:
    segment = np.zeros((9, 9), np.bool_)
    segment[2, 3] = segment[5, 7] = True
    assert bounding_box(segment) == (slice(2, 6), slice(3, 8))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_promising(width: int, height: int) -> bytes:
    """Return a PNG whose header promises far more pixels than follow."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(10))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a PNG image"),
        (b"GIF89a" + bytes(100), "not a PNG image"),
        (png_promising(100, 100), "damaged PNG"),
        (png_promising(9_000, 9_000), "9000 x 9000 pixels, expected at most"),
        (png_promising(60_000, 60_000), "scale it down"),
    ],
)
def test_hostile_files_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "evil.png"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


def test_a_truncated_mask_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    panoptic(np.random.default_rng(0).integers(0, 1 << 24, (64, 64))).save(path)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(UsageError, match="damaged PNG"):
        read_labels(path)


def test_a_jpeg_named_png_is_refused(tmp_path: Path) -> None:
    draw_disk().save(tmp_path / "mask.png", format="JPEG")
    with pytest.raises(UsageError, match="not a PNG image"):
        read_labels(tmp_path / "mask.png")
