"""HEIC, AVIF, JPEG XL, JPEG 2000, BMP and GIF: read, changed in a hole and written back."""

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from pconv_hpc.photos import heif_image
from pconv_hpc.photos.decode import ImageError, decode_rgb, decode_square
from pconv_hpc.photos.formats.photo_files import read_mask, read_photo, write_photo
from pconv_hpc.photos.jxl_image import read_header
from pconv_hpc.photos.metadata.boxes import box, boxes
from pconv_hpc.photos.photo import Box, Photo
from pconv_hpc.photos.sample_photos import sample_photos
from tests.support.exif_blocks import exif_with_thumbnail

PHOTO = np.ascontiguousarray(sample_photos()["cat"][60:137, 90:191])  # of odd sides
HEIGHT, WIDTH = PHOTO.shape[:2]
HOLE = np.zeros((HEIGHT, WIDTH), dtype=bool)
HOLE[30:50, 40:60] = True
ALPHA = np.dstack([PHOTO, np.full((HEIGHT, WIDTH), 255, np.uint8)])
ALPHA[:9, :9, 3] = 0
GRAY = np.ascontiguousarray(PHOTO[..., 1])
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:title>A title</dc:title></x:xmpmeta>'


def exif(orientation: int = 1) -> bytes:
    block = Image.Exif()
    block[0x0112], block[0x010F] = orientation, "A camera"
    block.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    return block.tobytes()


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def save_jp2(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    path.write_bytes(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, **options))
    return path


def save_jxl(path: Path, pixels: np.ndarray, *parts: tuple[bytes, bytes]) -> Path:
    stream = imagecodecs.jpegxl_encode(pixels, lossless=True, effort=3, usecontainer=False)
    if parts:
        head = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
        stream = head + b"".join(box(*part) for part in parts) + box(b"jxlc", stream)
    path.write_bytes(stream)
    return path


def edited(path: Path, hole: np.ndarray = HOLE) -> tuple[Photo, Photo]:
    """Read, fill with gray, write and read again: the photo before and after."""
    photo, before = read_photo(path), read_photo(path)
    box = Box(0, 0, photo.height, photo.width)
    photo.write_rgb(box, np.full((photo.height, photo.width, 3), 0.5, np.float32), hole)
    write_photo(photo, path.with_name(f"erased{path.suffix}"))
    return before, read_photo(path.with_name(f"erased{path.suffix}"))


def assert_only_hole_changed(before: Photo, after: Photo, tolerance: float = 0) -> None:
    assert (after.format, after.color, after.alpha) == (before.format, before.color, before.alpha)
    assert after.pixels.dtype == before.pixels.dtype
    unit = 257 if before.pixels.dtype == np.uint16 else 1
    difference = np.abs(after.upright.astype(int) - before.upright) / unit
    near = np.zeros_like(HOLE)  # lossy blocks and chroma reach beyond the hole
    near[22:58, 32:68] = True
    assert difference[~(near if tolerance else HOLE)].mean() <= tolerance
    assert difference[HOLE].mean() > 5


@pytest.mark.parametrize(
    ("name", "pixels", "options"),
    [
        ("a.bmp", PHOTO, {"dpi": (300, 300)}),
        ("a.bmp", GRAY, {}),
        ("a.jp2", PHOTO, {"irreversible": False}),
        ("a.j2k", GRAY, {"irreversible": True}),
        ("a.jp2", ALPHA, {"irreversible": False}),
    ],
)
def test_formats_that_keep_every_pixel(
    tmp_path: Path, name: str, pixels: np.ndarray, options: dict[str, Any]
) -> None:
    path = save(tmp_path / name, pixels, **options)
    before, after = edited(path)
    assert_only_hole_changed(before, after)
    if not options.get("irreversible"):
        np.testing.assert_array_equal(before.pixels.squeeze(), pixels)
        assert before.notes == ()
    with Image.open(path) as old, Image.open(tmp_path / f"erased{path.suffix}") as new:
        assert (new.format, new.info.get("dpi")) == (old.format, old.info.get("dpi"))
    shown = before.read_rgb(Box(0, 0, HEIGHT, WIDTH)) * 255
    np.testing.assert_allclose(decode_rgb(path), shown, atol=1.01)


def test_bmp_with_alpha_and_with_a_palette(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(imagecodecs.bmp_encode(ALPHA))
    before, after = edited(path)
    assert before.alpha == "straight"
    assert_only_hole_changed(before, after)
    Image.fromarray(PHOTO).quantize(16).save(path)
    before, after = edited(path)
    assert "palette" in before.notes[0]
    assert_only_hole_changed(before, after)


@pytest.mark.parametrize("transparency", [None, 3])
def test_gif_keeps_its_palette(tmp_path: Path, transparency: int | None) -> None:
    options = {} if transparency is None else {"transparency": transparency}
    Image.fromarray(PHOTO).quantize(32).save(tmp_path / "a.gif", comment=b"a note", **options)
    before, after = edited(tmp_path / "a.gif")
    assert_only_hole_changed(before, after)
    colours = {tuple(colour) for colour in before.pixels.reshape(-1, before.pixels.shape[2])}
    assert {tuple(colour) for colour in after.pixels[HOLE]} <= colours
    with Image.open(tmp_path / "erased.gif") as image:
        assert image.info["comment"] == b"a note"


@pytest.mark.parametrize("depth", [8, 12, 16])
def test_jpeg_2000_keeps_depth_and_boxes(tmp_path: Path, depth: int) -> None:
    pixels = PHOTO if depth == 8 else PHOTO.astype(np.uint16) << (depth - 8)
    path = save_jp2(tmp_path / "a.jp2", pixels, codecformat="JP2", bitspersample=depth)
    kinds = [
        bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + XMP,
        b"JpgTiffExif->JP2" + exif_with_thumbnail(bytes(range(1, 200)))[6:],
        b"nobody knows it." + b"?" * 9,
    ]
    path.write_bytes(path.read_bytes() + b"".join(box(b"uuid", kind) for kind in kinds))
    before, after = edited(path)
    assert_only_hole_changed(before, after)
    data = (tmp_path / "erased.jp2").read_bytes()
    stored = imagecodecs.jpeg2k_decode(data)
    np.testing.assert_array_equal(stored[~HOLE], pixels[~HOLE])
    assert XMP in data
    assert b"JpgTiffExif->JP2" in data
    assert bytes(range(1, 200)) not in data
    assert b"nobody" not in data


@pytest.mark.parametrize("pixels", [PHOTO, GRAY, ALPHA, PHOTO[:1], PHOTO[:, :1]])
def test_jpeg_xl_keeps_every_pixel(tmp_path: Path, pixels: np.ndarray) -> None:
    path = save_jxl(tmp_path / "a.jxl", pixels)
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.pixels.squeeze(), pixels.squeeze())
    assert photo.notes == ()
    write_photo(photo, tmp_path / "again.jxl")
    np.testing.assert_array_equal(read_photo(tmp_path / "again.jxl").pixels, photo.pixels)
    if min(pixels.shape[:2]) > 1:
        assert_only_hole_changed(*edited(path))


def test_lossy_jpeg_xl_keeps_every_decoded_pixel_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jxl"
    path.write_bytes(imagecodecs.jpegxl_encode(PHOTO, distance=2, usecontainer=False))
    before, after = edited(path)
    assert "lossless" in before.notes[0]
    assert_only_hole_changed(before, after)


def test_jpeg_xl_keeps_metadata_without_its_thumbnail(tmp_path: Path) -> None:
    block = exif_with_thumbnail(bytes(range(1, 200)))[6:]
    turned = exif(6)[6:]
    for content in (block, turned):
        path = save_jxl(
            tmp_path / "a.jxl",
            PHOTO,
            (b"Exif", bytes(4) + content),
            (b"xml ", XMP),
            (b"brob", b"x"),
        )
        before, _ = edited(path)
        assert any("compressed metadata" in note for note in before.notes)
        assert (before.orientation, before.width) == (1, WIDTH)
        data = (tmp_path / "erased.jxl").read_bytes()
        kept = {name: data[first:end] for name, first, end in boxes(data)}
        assert kept[b"xml "] == XMP
        assert bytes(range(1, 200)) not in data
        again = Image.Exif()
        again.load(kept[b"Exif"][4:])
        assert (again[0x010F], again.get(0x0112, 1)) == ("A camera", 1)


def test_jpeg_xl_that_cannot_be_written_back(tmp_path: Path) -> None:
    deep = PHOTO.astype(np.uint16) * 257
    path = save_jxl(tmp_path / "a.jxl", deep)
    with pytest.raises(ImageError, match="a JPEG XL of 16 bits or with a colour profile"):
        read_photo(path)
    assert decode_rgb(path).shape == PHOTO.shape  # packing reads it all the same
    path.write_bytes(imagecodecs.jpegxl_encode(np.stack([PHOTO, 255 - PHOTO]), lossless=True))
    with pytest.raises(ImageError, match="animated JPEG XL"):
        read_photo(path)
    np.testing.assert_array_equal(decode_rgb(path), PHOTO)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (64, 128), (37, 53), (600, 800), (3000, 9)])
@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
def test_jpeg_xl_headers(shape: tuple[int, int], channels: tuple[int, ...]) -> None:
    for dtype in (np.uint8, np.uint16):
        header = read_header(imagecodecs.jpegxl_encode(np.zeros(shape + channels, dtype), effort=1))
        assert (header.height, header.width) == shape
        assert header.depth == 8 * np.dtype(dtype).itemsize


@pytest.mark.parametrize("chroma", [420, 444])
@pytest.mark.parametrize("pixels", [PHOTO, GRAY, ALPHA])
def test_heic_loses_little(tmp_path: Path, pixels: np.ndarray, chroma: int) -> None:
    path = save(tmp_path / "a.heic", pixels, quality=70, chroma=chroma)
    before, after = edited(path)
    assert_only_hole_changed(before, after, tolerance=0.7)
    shown = before.read_rgb(Box(0, 0, HEIGHT, WIDTH)) * 255
    np.testing.assert_allclose(decode_rgb(path), shown, atol=1.01)
    if pixels is not GRAY:
        with Image.open(tmp_path / "erased.heic") as image:
            assert image.info["chroma"] == chroma


def test_lossless_heic_stays_lossless(tmp_path: Path) -> None:
    path = save(tmp_path / "a.heic", PHOTO, quality=-1, chroma=444, matrix_coefficients=0)
    before, after = edited(path)
    np.testing.assert_array_equal(before.pixels, PHOTO)
    assert_only_hole_changed(before, after)


@pytest.mark.parametrize("depth", [10, 12])
def test_deep_heic_keeps_its_depth(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "a.heic"
    with open(path, "wb") as stream:
        deep = (PHOTO.astype(np.uint16) * 257).tobytes()
        pillow_heif.encode("RGB;16", (WIDTH, HEIGHT), deep, stream, quality=80, bit_depth=depth)
    before, after = edited(path)
    assert before.pixels.dtype == np.uint16
    assert_only_hole_changed(before, after, tolerance=0.7)
    with Image.open(tmp_path / "erased.heic") as image:
        assert image.info["bit_depth"] == depth


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_photos_are_turned_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = save(tmp_path / f"a{suffix}", PHOTO, quality=95, exif=exif(orientation))
    turn = Image.Exif()
    turn[0x0112] = orientation
    plain = save(tmp_path / "a.png", PHOTO, exif=turn)
    upright = decode_rgb(plain)
    shown = decode_rgb(path)
    assert np.abs(shown.astype(int) - upright).mean() < 3
    before, after = edited(path, HOLE if orientation < 5 else HOLE.T)
    for photo in (before, after):
        assert photo.upright.shape == upright.shape
    assert np.abs(before.upright.astype(int) - upright).mean() < 3
    erased = decode_rgb(tmp_path / f"erased{suffix}")
    assert np.abs(erased[:25].astype(int) - shown[:25]).mean() < 1
    with Image.open(tmp_path / f"erased{suffix}") as image:
        assert image.getexif()[0x010F] == "A camera"
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_metadata_survives_without_thumbnails(tmp_path: Path, suffix: str) -> None:
    thumbnail = bytes(range(1, 200))
    block = exif_with_thumbnail(thumbnail)
    path = save(tmp_path / f"a{suffix}", PHOTO, icc_profile=ICC, xmp=XMP, exif=block)
    edited(path)
    data = (tmp_path / f"erased{suffix}").read_bytes()
    assert thumbnail not in data
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == ICC
        assert b"A title" in image.info["xmp"]
        assert image.getexif()[0x010F] == "A camera"


def test_heic_of_several_pictures_and_with_thumbnails(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    other = Image.fromarray(255 - PHOTO)
    Image.fromarray(PHOTO).save(path, save_all=True, append_images=[other], thumbnails=[64])
    before, _ = edited(path)
    assert any("other pictures" in note for note in before.notes)
    assert np.abs(before.pixels.astype(int) - PHOTO).mean() < 5
    assert decode_square(path, 16).shape == (16, 16, 3)
    with Image.open(tmp_path / "erased.heic") as image:
        assert getattr(image, "n_frames", 1) == 1
        assert image.info["thumbnails"] == []


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("pixels", [PHOTO, GRAY, ALPHA])
def test_avif_loses_little(tmp_path: Path, pixels: np.ndarray, subsampling: str) -> None:
    options = {} if pixels is GRAY else {"subsampling": subsampling}
    path = save(tmp_path / "a.avif", pixels, quality=70, **options)
    before, after = edited(path)
    assert before.notes == ()
    assert_only_hole_changed(before, after, tolerance=1)


def test_deep_avif_becomes_8_bits_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    deep = PHOTO.astype(np.uint16) << 2
    path.write_bytes(imagecodecs.avif_encode(deep, level=95, bitspersample=10, speed=8))
    before, after = edited(path)
    assert "became 8" in before.notes[0]
    assert_only_hole_changed(before, after, tolerance=1)


def small_files(folder: Path) -> list[Path]:
    return [
        save(folder / "a.heic", PHOTO),
        save(folder / "a.avif", PHOTO),
        save(folder / "a.bmp", PHOTO),
        save(folder / "a.gif", GRAY),
        save_jp2(folder / "a.jp2", PHOTO, codecformat="JP2"),
        save_jxl(folder / "a.jxl", PHOTO, (b"xml ", XMP)),
    ]


def test_they_are_masks_too(tmp_path: Path) -> None:
    for path in small_files(tmp_path):
        white = np.where(HOLE, 255, 0).astype(np.uint8)
        if path.suffix == ".jxl":
            save_jxl(path, white)
        else:
            save(path, white)
        assert (read_mask(path).hole != HOLE).mean() < 0.02


@pytest.mark.filterwarnings("ignore")
def test_size_and_damage_are_refused(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for path in small_files(tmp_path):
        for read in (read_photo, decode_rgb, read_mask):
            with pytest.raises(ImageError, match="more than 1000 pixels"):
                read(path, max_pixels=1000)  # type: ignore[operator]
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 3])
        with pytest.raises(ImageError, match=path.name):
            read_photo(path)
        for _ in range(40):
            data = bytearray(whole)
            for place in generator.integers(0, len(data), 5):
                data[place] = generator.integers(0, 256)
            path.write_bytes(data)
            try:
                photo = read_photo(path, max_pixels=1 << 20)
            except ImageError:
                continue
            assert photo.pixels.nbytes <= 8 << 20


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(PHOTO), Image.fromarray(255 - PHOTO)]
    for suffix in (".gif", ".avif"):
        path = tmp_path / f"a{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        with pytest.raises(ImageError, match=f"a{suffix}: an animated"):
            read_photo(path)


def test_without_pillow_heif_the_message_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.heic", PHOTO)
    monkeypatch.setattr("pconv_hpc.photos.decode.FORMATS", ("JPEG", "PNG"))
    monkeypatch.setattr(heif_image, "FORMATS", ())
    with pytest.raises(ImageError, match="needs the package pillow-heif"):
        read_photo(path)
