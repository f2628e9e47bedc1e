"""Photos for editing: read, changed in a hole and written, everything else stays."""

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from pconv_hpc.photos.decode import ImageError, decode_rgb
from pconv_hpc.photos.formats.photo_files import read_photo, write_photo
from pconv_hpc.photos.photo import Box, Photo, upright_view
from tests.support.exif_blocks import exif_with_thumbnail

HEIGHT, WIDTH = 37, 53
HOLE = np.zeros((HEIGHT, WIDTH), dtype=bool)
HOLE[10:20, 30:45] = True
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pixels(channels: int, dtype: type) -> np.ndarray:
    values = np.random.default_rng(channels).integers(
        0, np.iinfo(dtype).max + 1, (HEIGHT, WIDTH, channels), dtype=dtype
    )
    return values[..., 0] if channels == 1 else values


def exif_with_everything(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


def fill(photo: Photo, hole: np.ndarray, value: float = 0.5) -> None:
    box = Box(0, 0, photo.height, photo.width)
    photo.write_rgb(box, np.full((photo.height, photo.width, 3), value, dtype=np.float32), hole)


def edited(path: Path, hole: np.ndarray = HOLE) -> tuple[Photo, Photo]:
    """Read, fill, write and read again: the photo before and after."""
    photo = read_photo(path)
    before = read_photo(path)
    fill(photo, hole)
    out = path.with_name(f"erased{path.suffix}")
    write_photo(photo, out)
    return before, read_photo(out)


def assert_only_hole_changed(before: Photo, after: Photo, hole: np.ndarray = HOLE) -> None:
    assert after.pixels.dtype == before.pixels.dtype
    assert (after.format, after.color, after.alpha) == (before.format, before.color, before.alpha)
    np.testing.assert_array_equal(after.upright[~hole], before.upright[~hole])
    assert (after.upright[hole] != before.upright[hole]).any()


def save_tiff(path: Path, values: np.ndarray, **options: Any) -> None:
    tifffile.imwrite(path, values, metadata=None, **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_keeps_every_pixel_outside_the_hole(tmp_path: Path, channels: int, dtype: type) -> None:
    path = tmp_path / "photo.png"
    values = pixels(channels, dtype)
    path.write_bytes(imagecodecs.png_encode(values))
    before, after = edited(path)
    np.testing.assert_array_equal(before.pixels.squeeze(), values)
    assert_only_hole_changed(before, after)
    assert imagecodecs.png_decode((tmp_path / "erased.png").read_bytes()).dtype == dtype
    if channels in (2, 4):
        np.testing.assert_array_equal(after.pixels[..., -1], before.pixels[..., -1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("channels", "options"),
    [
        (1, {"photometric": "minisblack", "compression": "lzw", "predictor": True}),
        (1, {"photometric": "miniswhite"}),
        (3, {"photometric": "rgb", "compression": "adobe_deflate", "byteorder": ">"}),
        (3, {"photometric": "rgb", "tile": (16, 16), "compression": "zstd"}),
        (4, {"photometric": "rgb", "extrasamples": ["unassalpha"], "compression": "packbits"}),
        (4, {"photometric": "rgb", "extrasamples": ["assocalpha"]}),
        (4, {"photometric": "rgb", "extrasamples": ["unspecified"]}),
        (4, {"photometric": "separated"}),
    ],
)
def test_tiff_keeps_every_pixel_outside_the_hole(
    tmp_path: Path, channels: int, options: dict[str, Any], dtype: type
) -> None:
    path = tmp_path / "photo.tif"
    values = pixels(channels, dtype)
    save_tiff(path, values, **options)
    before, after = edited(path)
    assert_only_hole_changed(before, after)
    with tifffile.TiffFile(path) as old, tifffile.TiffFile(tmp_path / "erased.tif") as new:
        assert new.pages[0].photometric == old.pages[0].photometric
        assert new.pages[0].compression == old.pages[0].compression
        assert new.pages[0].predictor == old.pages[0].predictor
        assert new.pages[0].extrasamples == old.pages[0].extrasamples
        np.testing.assert_array_equal(new.asarray()[~HOLE], values[~HOLE])


def test_planar_tiff(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    values = pixels(3, np.uint8)
    save_tiff(path, np.moveaxis(values, 2, 0), photometric="rgb", planarconfig="separate")
    before, after = edited(path)
    np.testing.assert_array_equal(before.pixels, values)
    assert_only_hole_changed(before, after)


@pytest.mark.parametrize("channels", [3, 4])
def test_lossless_webp_keeps_every_pixel_outside_the_hole(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "photo.webp"
    Image.fromarray(pixels(channels, np.uint8)).save(path, lossless=True, exact=True)
    before, after = edited(path)
    np.testing.assert_array_equal(before.pixels, pixels(channels, np.uint8))
    assert_only_hole_changed(before, after)
    assert before.notes == ()


def test_lossy_webp_keeps_every_decoded_pixel_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "photo.webp"
    Image.fromarray(pixels(3, np.uint8)).save(path, quality=50)
    before, after = edited(path)
    assert_only_hole_changed(before, after)
    assert "lossless" in before.notes[0]


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_stays_cmyk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    inks = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    inks[..., 0], inks[..., 3] = 200, 30
    Image.fromarray(inks, "CMYK").save(path)
    before, after = edited(path)
    assert after.color == "cmyk"
    box = Box(14, 36, 16, 38)
    assert np.abs(after.read_rgb(box) - 0.5).max() < 0.03
    np.testing.assert_allclose(
        after.read_rgb(Box(0, 0, 5, 5)), before.read_rgb(Box(0, 0, 5, 5)), atol=0.02
    )


def save_with_metadata(path: Path, orientation: int = 1) -> None:
    image = Image.fromarray(pixels(3, np.uint8))
    options: dict[str, Any] = {"icc_profile": ICC, "exif": exif_with_everything(orientation)}
    if path.suffix != ".webp":
        options["dpi"] = (300, 300)
    image.save(path, **options)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_metadata_survives(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    save_with_metadata(path)
    edited(path)
    with Image.open(path) as old, Image.open(tmp_path / f"erased{suffix}") as new:
        assert new.format == old.format
        assert new.size == old.size
        assert new.info["icc_profile"] == ICC
        assert new.info.get("dpi") == old.info.get("dpi")
        exif = new.getexif()
        assert exif[0x010F] == "A camera"
        assert exif.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
        assert exif.get_ifd(0x8825)[1] == "N"


def test_png_keeps_text_and_gamma_of_16_bits(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    plain = imagecodecs.png_encode(pixels(3, np.uint16))
    stream = io.BytesIO()
    Image.new("RGB", (1, 1)).save(stream, "PNG", icc_profile=ICC, dpi=(200, 200))
    donor = stream.getvalue()
    middle = donor[33 : donor.index(b"IDAT") - 4]
    path.write_bytes(plain[:33] + middle + plain[33:])
    edited(path)
    with Image.open(tmp_path / "erased.png") as new:
        assert new.info["icc_profile"] == ICC
        assert round(new.info["dpi"][0]) == 200


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_orientation_turns_the_mask_never_the_pixels(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    path = tmp_path / f"photo{suffix}"
    if suffix == ".webp":
        Image.fromarray(pixels(3, np.uint8)).save(
            path, lossless=True, exif=exif_with_everything(orientation)
        )
    elif suffix == ".tif":
        save_tiff(
            path, pixels(3, np.uint8), photometric="rgb", extratags=[(274, 3, 1, orientation, True)]
        )
    else:
        save_with_metadata(path, orientation)
    shown = decode_rgb(path)
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.upright, shown)
    np.testing.assert_array_equal(photo.pixels, pixels(3, np.uint8))

    hole = np.zeros(shown.shape[:2], dtype=bool)
    hole[3:9, 20:30] = True
    edited(path, hole)
    erased = decode_rgb(tmp_path / f"erased{suffix}")
    np.testing.assert_array_equal(erased[~hole], shown[~hole])
    assert (erased[hole] == 128).all()
    assert read_photo(tmp_path / f"erased{suffix}").orientation == orientation


def test_palette_becomes_rgb_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(pixels(3, np.uint8)).quantize(64).save(path)
    shown = decode_rgb(path)
    before, after = edited(path)
    assert "palette" in before.notes[0]
    np.testing.assert_array_equal(after.pixels[~HOLE], shown[~HOLE])
    Image.fromarray(pixels(3, np.uint8)).quantize(64).save(path, transparency=3)
    before, after = edited(path)
    assert before.alpha == "straight"
    assert_only_hole_changed(before, after)


@pytest.mark.parametrize("mode", ["RGB", "L", "1"])
def test_transparent_colour_becomes_alpha(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "photo.png"
    key: Any = (1, 2, 3) if mode == "RGB" else 1
    Image.fromarray(pixels(3, np.uint8)).convert(mode).save(path, transparency=key)
    before, after = edited(path)
    assert before.alpha == "straight"
    assert before.notes
    np.testing.assert_array_equal(after.pixels[~HOLE], before.pixels[~HOLE])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_thumbnail_is_removed(tmp_path: Path, suffix: str) -> None:
    thumbnail = bytes(range(1, 200))
    exif = exif_with_thumbnail(thumbnail)
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(pixels(3, np.uint8)).save(path, exif=exif)
    assert thumbnail in path.read_bytes()
    edited(path)
    assert thumbnail not in (tmp_path / f"erased{suffix}").read_bytes()
    with Image.open(tmp_path / f"erased{suffix}") as image:
        assert image.getexif()[0x010F] == "A camera"


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:title>A title</dc:title>
<xmpGImg:image>%s</xmpGImg:image><rdf:li xapGImg:format="JPEG" xapGImg:image='%s'/></x:xmpmeta>"""


@pytest.mark.parametrize("suffix", [".png", ".packed.png", ".jpg", ".webp", ".tif"])
def test_thumbnails_in_xmp_are_emptied(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    picture = b"/9j/4AAQSkZJRg=&#xA;" * 9
    xmp = XMP % (picture, picture)
    image = Image.fromarray(pixels(3, np.uint8))
    if suffix == ".tif":
        save_tiff(
            path, pixels(3, np.uint8), photometric="rgb", extratags=[(700, 1, None, xmp, True)]
        )
    elif path.suffix == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=suffix == ".packed.png")
        image.save(path, pnginfo=info)
    else:
        image.save(path, xmp=xmp)
    edited(path)
    with Image.open(tmp_path / f"erased{path.suffix}") as new:
        found = new.tag_v2[700] if suffix == ".tif" else new.info["xmp"]  # type: ignore[attr-defined]
    assert found == (XMP % (b"", b"")).replace(b"''", b'""')


def test_png_text_that_may_hold_thumbnails_goes_and_its_orientation_stays(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    thumbnail = bytes(range(1, 200))
    exif = exif_with_everything(6)
    info = PngImagePlugin.PngInfo()
    info.add_text("XML:com.adobe.xmp", "<x:xmpmeta/>")
    others = [(kind, thumbnail) for kind in ("APP1", "8bim", "iptc", "xmp")]
    for kind, data in (("exif", exif), *others):
        profile = f"\n{kind}\n{len(data):8}\n{data.hex()}\n"
        info.add_text(f"Raw profile type {kind}", profile, zip=kind != "8bim")
    info.add_text("Title", "A title")
    Image.fromarray(pixels(3, np.uint8)).save(path, pnginfo=info)
    before, after = edited(path, HOLE.T)
    assert (before.orientation, after.orientation) == (6, 6)
    with Image.open(tmp_path / "erased.png") as new:
        assert new.info["Title"] == "A title"
        assert [name for name in new.info if name.startswith(("Raw", "XML"))] == []
        assert new.getexif()[0x010F] == "A camera"
        assert "exif" in new.info


def test_what_cannot_be_written_back_is_refused(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for name in ("a.png", "a.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(ImageError, match=f"{name}.*animated"):
            read_photo(tmp_path / name)
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="2 pages"):
        read_photo(tmp_path / "a.tif")
    frames[0].save(tmp_path / "a.ppm")
    with pytest.raises(ImageError, match="a PPM file; expected JPEG, PNG, TIFF, WEBP, HEIF, AVIF"):
        read_photo(tmp_path / "a.ppm")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_damage_and_size_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    save_with_metadata(path)
    with pytest.raises(ImageError, match="more than 1000 pixels"):
        read_photo(path, max_pixels=1000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=path.name):
        read_photo(path)
    path.write_bytes(b"")
    with pytest.raises(ImageError, match="empty file"):
        read_photo(path)
    path.unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        read_photo(path)


def test_alpha_is_flattened_for_the_network(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    values = pixels(4, np.uint8)
    Image.fromarray(values).save(path)
    shown = read_photo(path).read_rgb(Box(0, 0, HEIGHT, WIDTH))
    np.testing.assert_allclose(shown * 255, decode_rgb(path), atol=1.01)


def test_upright_view_shares_memory() -> None:
    values = pixels(3, np.uint8)
    for orientation in range(1, 9):
        assert np.shares_memory(upright_view(values, orientation), values)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_any_damage_is_an_image_error_or_harmless(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    save_with_metadata(path)
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(80):
        data = bytearray(whole)
        for place in generator.integers(0, len(data), 6):
            data[place] = generator.integers(0, 256)
        path.write_bytes(data)
        try:
            photo = read_photo(path)
        except ImageError:
            refused += 1
        else:
            assert photo.pixels.size <= 4 * HEIGHT * WIDTH * 4
    assert refused > 0
