"""Decoding: every kind of pixel to upright RGB, and every kind of damage to a reason."""

import io
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pconv_hpc.photos.decode import ImageError, decode_rgb, decode_square


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def gradient(height: int = 24, width: int = 40) -> np.ndarray:
    """A smooth photo whose corners all differ."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack(
        [x * 255 // (width - 1), y * 255 // (height - 1), np.full_like(x, 90)], axis=2
    ).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_rgb_is_exact(kind: str) -> None:
    photo = decode_rgb(encode(Image.fromarray(gradient()), kind))
    assert photo.flags.writeable
    np.testing.assert_array_equal(photo, gradient())


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "WEBP", "AVIF", "JPEG2000"])
def test_lossy_rgb_is_close(kind: str) -> None:
    photo = decode_rgb(encode(Image.fromarray(gradient()), kind, quality=95))
    assert np.abs(photo.astype(int) - gradient()).mean() < 6


def test_paths_and_bytes_are_equal(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encode(Image.fromarray(gradient())))
    np.testing.assert_array_equal(decode_rgb(path), decode_rgb(path.read_bytes()))


def test_gray_and_bilevel() -> None:
    gray = gradient()[..., 0]
    photo = decode_rgb(encode(Image.fromarray(gray)))
    np.testing.assert_array_equal(photo, np.repeat(gray[..., None], 3, axis=2))
    photo = decode_rgb(encode(Image.fromarray(gray > 128)))
    np.testing.assert_array_equal(photo[..., 0], np.where(gray > 128, 255, 0))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_gray_is_scaled_not_clipped(kind: str) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    photo = decode_rgb(encode(Image.fromarray(values), kind))
    np.testing.assert_array_equal(photo[0, :, 0], [0, 0, 1, 1, 128, 255])
    np.testing.assert_array_equal(photo[..., 0], photo[..., 2])


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_file(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def test_16_bit_rgb() -> None:
    pixels = struct.pack(">6H", 0, 32768, 65535, 65535, 0, 256)
    photo = decode_rgb(png_file(2, 1, 16, 2, b"\0" + pixels))
    np.testing.assert_array_equal(photo, [[[0, 128, 255], [255, 0, 1]]])


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_of_unknown_range_are_refused(dtype: type) -> None:
    values = np.array([[0, 70000, 10**6]], dtype=dtype)
    with pytest.raises(ImageError, match="expected 8 or 16 bits per channel"):
        decode_rgb(encode(Image.fromarray(values), "TIFF"))


def test_palette_and_its_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert decode_rgb(encode(image)).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    for transparency in (0, b"\x00\xff"):
        photo = decode_rgb(encode(image, transparency=transparency))
        assert photo.tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_alpha_is_flattened_over_white() -> None:
    rgba = np.array([[[9, 8, 7, 0], [9, 8, 7, 255], [0, 100, 200, 128]]], dtype=np.uint8)
    photo = decode_rgb(encode(Image.fromarray(rgba)))
    assert photo[0, :2].tolist() == [[255, 255, 255], [9, 8, 7]]
    np.testing.assert_allclose(photo[0, 2], [127, 177, 227], atol=1)
    gray_alpha = np.array([[[50, 0], [50, 255]]], dtype=np.uint8)
    photo = decode_rgb(encode(Image.fromarray(gray_alpha, "LA")))
    assert photo.tolist() == [[[255] * 3, [50] * 3]]


def test_transparent_colour_of_an_rgb_image() -> None:
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8))
    photo = decode_rgb(encode(image, transparency=(1, 2, 3)))
    assert photo.tolist() == [[[255, 255, 255], [4, 5, 6]]]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])  # Pillow writes JPEG as Adobe does: inverted
def test_cmyk(kind: str) -> None:
    inks = np.zeros((16, 16, 4), dtype=np.uint8)
    inks[..., 0] = 255  # full cyan
    options = {"quality": 100} if kind == "JPEG" else {}
    photo = decode_rgb(encode(Image.fromarray(inks, "CMYK"), kind, **options))
    np.testing.assert_allclose(photo.mean(axis=(0, 1)), [0, 255, 255], atol=3)


def test_a_broken_cmyk_profile_changes_nothing() -> None:
    image = Image.fromarray(np.full((16, 16, 4), 60, dtype=np.uint8), "CMYK")
    np.testing.assert_array_equal(
        decode_rgb(encode(image, "TIFF", icc_profile=b"not a profile")),
        decode_rgb(encode(image, "TIFF")),
    )


def test_rgb_values_do_not_follow_a_profile() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = decode_rgb(encode(Image.fromarray(gradient()), icc_profile=profile))
    np.testing.assert_array_equal(photo, gradient())


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(kind: str, orientation: int) -> None:
    upright = gradient(32, 48)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],  # to be turned 90° clockwise
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: upright.transpose(1, 0, 2)[:, ::-1],  # to be turned 90° counter-clockwise
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    data = encode(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **options)
    photo = decode_rgb(data)
    assert photo.shape == upright.shape
    assert np.abs(photo.astype(int) - upright).max() <= (12 if kind == "JPEG" else 0)
    assert decode_square(data, 8).shape == (8, 8, 3)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0six\0",  # orientation as text
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0",  # orientation 99
    ],
)
def test_broken_exif_never_fails_a_photo(exif: bytes) -> None:
    photo = decode_rgb(encode(Image.fromarray(gradient()), "JPEG", exif=exif))
    assert photo.shape == gradient().shape


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_give_their_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(decode_rgb(data), np.full((6, 6, 3), [255, 0, 0]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "JPEG2000", "AVIF"])
def test_truncated_files_are_errors(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind)
    for share in (0.02, 0.5, 0.9):
        with pytest.raises(ImageError):
            decode_rgb(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty file"),
        (b"hello", "not an image in a supported format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "supported format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "supported format"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "supported format"),
    ],
)
def test_other_files_are_errors(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        decode_rgb(data)


def test_the_reason_is_the_same_every_time() -> None:
    data = encode(Image.fromarray(gradient()))[:60]
    reasons = set()
    for _ in range(2):
        with pytest.raises(ImageError) as raised:
            decode_rgb(bytes(bytearray(data)))
        reasons.add(str(raised.value))
    assert len(reasons) == 1
    assert "0x" not in reasons.pop()


def test_the_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    with pytest.raises(ImageError, match=r"photo\.jpg: cannot be read \(No such file"):
        decode_rgb(path)
    path.write_bytes(b"x")
    with pytest.raises(ImageError, match=r"photo\.jpg: not an image"):
        decode_rgb(path)


@pytest.mark.parametrize("side", [10_001, 60_000])
def test_bombs_are_refused_before_they_are_decoded(side: int) -> None:
    bomb = png_file(side, side, 8, 2, b"")  # no pixels: decoding it could only say "truncated"
    with pytest.raises(ImageError, match="more than 100000000 pixels"):
        decode_rgb(bomb, max_pixels=100_000_000)


def test_the_limit_is_the_callers() -> None:
    data = encode(Image.fromarray(gradient(20, 20)))
    assert decode_rgb(data, max_pixels=400).shape == (20, 20, 3)
    with pytest.raises(ImageError, match="more than 399 pixels"):
        decode_rgb(data, max_pixels=399)
    before = Image.MAX_IMAGE_PIXELS
    threads = [
        threading.Thread(target=decode_rgb, args=(data,), kwargs={"max_pixels": limit})
        for limit in range(400, 440)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert before == Image.MAX_IMAGE_PIXELS


def test_square_is_the_centre() -> None:
    wide = np.zeros((20, 60, 3), dtype=np.uint8)
    wide[:, 20:40] = 200
    np.testing.assert_array_equal(decode_square(encode(Image.fromarray(wide)), 20), 200)
    tall = np.ascontiguousarray(wide.transpose(1, 0, 2))
    np.testing.assert_array_equal(decode_square(encode(Image.fromarray(tall)), 20), 200)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (7, 5), (41, 40)])
def test_square_of_any_shape(shape: tuple[int, int]) -> None:
    photo = np.full((*shape, 3), 77, dtype=np.uint8)
    np.testing.assert_array_equal(decode_square(encode(Image.fromarray(photo)), 40), 77)


def test_square_is_antialiased() -> None:
    stripes = np.zeros((256, 256, 3), dtype=np.uint8)
    stripes[:, ::2] = 255  # above what 64 columns can hold: must become even gray, not a pattern
    small = decode_square(encode(Image.fromarray(stripes)), 64)
    np.testing.assert_allclose(small[:, 2:-2], 127.5, atol=2)


def test_large_jpegs_are_shrunk_as_they_are_decoded_without_harm() -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    photo = coarse.resize((1600, 1200), Image.Resampling.BICUBIC)
    from_jpeg = decode_square(encode(photo, "JPEG", quality=97, subsampling=0), 128)
    from_png = decode_square(encode(photo), 128)
    assert np.abs(from_jpeg.astype(int) - from_png).mean() < 1.5


@pytest.mark.parametrize(
    "start",
    [
        b"FUJIFILMCCD-RAW 0201",
        b"\0\0\0\x18ftypcrx \0\0\0\1",
        b"II*\0\x10\0\0\0CR\2\0",
        b"IIU\0\x18\0\0\0",
        b"IIRO\x08\0\0\0",
    ],
)
def test_raw_photos_are_named(start: bytes) -> None:
    with pytest.raises(ImageError, match="a raw photo; develop it to TIFF or JPEG first"):
        decode_rgb(start + bytes(500))
