"""A folder of photos as nobody wants them: damaged, lying, enormous, oddly named, or no files."""

import io
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms

from pconv_hpc.photos.sample_photos import sample_photos
from tests.support.jpeg_files import jpeg_segment, with_jpeg_segments
from tests.support.png_files import png_chunk, png_with

BOMB_SIDE = 60_000  # 3.6 gigapixels, of which the file holds next to nothing


@dataclass(frozen=True)
class Item:
    """One entry of the corpus, by its name in the folder.

    Attributes:
        name: of the file; a reason given for it must hold its last part.
        decodes: whether its pixels can be read for packing.
        edits: whether it can be read to be written back.
        listed: whether a program that goes through a folder may see it at all.
    """

    name: str
    decodes: bool = True
    edits: bool = True
    listed: bool = True


def small_photo(height: int = 48, width: int = 64) -> np.ndarray:
    """Return a piece of a sample photo, uint8 (height, width, 3)."""
    return np.ascontiguousarray(sample_photos()["cat"][60 : 60 + height, 90 : 90 + width])


def encoded(pixels: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    """Return an image as the bytes of a file."""
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_bomb(side: int = BOMB_SIDE) -> bytes:
    """Return a PNG that claims side × side pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def tiff_bomb(side: int = BOMB_SIDE, tile: tuple[int, int] | None = None) -> bytes:
    """Return a TIFF of side × side pixels, or one whose single tile claims to be so large."""
    data = zlib.compress(bytes(1 << 20), 9)
    height = width = 64 if tile else side
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1),
    ]  # fmt: skip
    if tile:
        entries += [(322, 4, tile[0]), (323, 4, tile[1]), (324, 4, 8), (325, 4, len(data))]
    else:
        entries += [(273, 4, 8), (278, 4, height), (279, 4, len(data))]
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in sorted(entries):
        number = struct.pack("<H2x", value) if kind == 3 else struct.pack("<I", value)
        directory += struct.pack("<HHI", tag, kind, 1) + number
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + directory + bytes(4)


def _good_photos() -> dict[str, bytes]:
    """Return strange photos that are as they should be, by name."""
    photo = small_photo()
    image = Image.fromarray(photo)
    palette = image.quantize(16)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    tiff16 = io.BytesIO()
    tifffile.imwrite(tiff16, photo.astype(np.uint16) * 257, photometric="rgb")
    gray_alpha = io.BytesIO()
    tifffile.imwrite(
        gray_alpha, photo[..., :2].astype(np.uint16) * 257, photometric="minisblack",
        extrasamples=["unassalpha"],
    )  # fmt: skip
    files = {
        "plain.jpg": encoded(photo, "JPEG"),
        "one_pixel.png": encoded(photo[:1, :1], "PNG"),
        "thread.png": encoded(np.zeros((30_000, 1, 3), np.uint8), "PNG"),
        "thin.jpg": encoded(np.zeros((1, 30_000, 3), np.uint8), "JPEG"),
        "gray16.png": encoded(photo[..., 1].astype(np.uint16) * 257, "PNG"),
        "rgb16.tif": tiff16.getvalue(),
        "big.tif": encoded(photo, "TIFF", big_tiff=True),
        "jpeg.tif": encoded(photo, "TIFF", compression="jpeg"),
        "gray16_alpha.tif": gray_alpha.getvalue(),
        "cmyk.jpg": encoded(image.convert("CMYK"), "JPEG"),
        "photo.heic": encoded(photo, "HEIF", quality=50),
        "photo.avif": encoded(photo, "AVIF", quality=50),
        "photo.jxl": imagecodecs.jpegxl_encode(photo, lossless=True),
        "photo.jp2": imagecodecs.jpeg2k_encode(photo, codecformat="JP2"),
        "photo.bmp": encoded(palette, "BMP"),
        "photo.gif": encoded(palette, "GIF", transparency=3),
        "palette.png": encoded(palette, "PNG", transparency=3),
        "lossy.webp": encoded(photo, "WEBP"),
        "broken_exif.jpg": encoded(photo, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" * 9),
        "broken_icc.png": encoded(photo, "PNG", icc_profile=b"\0\0\1\0no profile" * 9),
        "broken_cmyk_icc.jpg": encoded(image.convert("CMYK"), "JPEG", icc_profile=b"none" * 40),
        "srgb_icc.jpg": encoded(photo, "JPEG", icc_profile=srgb.tobytes()),
        "really_a_png.jpg": encoded(photo, "PNG"),
        "Case.jpg": encoded(photo, "JPEG"),
        "case.JPG": encoded(photo[::-1], "JPEG"),
        "-rf.jpg": encoded(photo, "JPEG"),
        "a name  with blanks.jpg": encoded(photo, "JPEG"),
        "$(touch pwned);`touch pwned`'\".jpg": encoded(photo, "JPEG"),
        "no utf-8 \udce9.jpg": encoded(photo, "JPEG"),
        "ünïcödé 照片 \N{DESERT ISLAND}.jpg": encoded(photo, "JPEG"),
    }  # fmt: skip
    files |= _photos_with_odd_metadata(photo)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"orientation_{orientation}.jpg"] = encoded(photo, "JPEG", exif=exif.tobytes())
    return files


def _photos_with_odd_metadata(photo: np.ndarray) -> dict[str, bytes]:
    """Return photos whose metadata is large, damaged, or about further pictures, by name."""
    plain = encoded(photo, "JPEG", quality=60)
    gain_map = (
        b"http://ns.adobe.com/xap/1.0/\0<x xmlns:g='http://ns.adobe.com/hdr-gain-map/1.0/'"
        b" g:Version='1.0' xmpNote:HasExtendedXMP='%032d'><g:Max>2</g:Max></x>" % 7
    )
    long_xmp = b"http://ns.adobe.com/xmp/extension/\0%032d" % 7 + struct.pack(">II", 4, 0) + b"<x/>"
    more = [
        jpeg_segment(0xE1, gain_map),
        jpeg_segment(0xE1, long_xmp),
        jpeg_segment(0xE2, b"MPF\0II*\0\x08\0\0\0"),
        jpeg_segment(0xED, b"Photoshop 3.0\0008BIM\4\4\0\0\0\0\0\5\x1c\2\x78\0\0"),
    ]
    short = [jpeg_segment(marker, b"") for marker in (0xE0, 0xE1, 0xE2, 0xEE)]
    text = zlib.compress(bytes(2 << 20))
    return {
        "progressive.jpg": encoded(photo, "JPEG", progressive=True, subsampling=0),
        "gain_map.jpg": with_jpeg_segments(plain, *more)
        + with_jpeg_segments(encoded(photo[::4, ::4], "JPEG"), more[0]),
        "short_segments.jpg": with_jpeg_segments(plain, *short),
        "long_text.png": png_with(photo, png_chunk(b"zTXt", b"Comment\0\0" + text)),
        "wrong_check_sum.png": png_with(photo[:9, :9], png_chunk(b"pHYs", bytes(9), check=1)),
        "cut_profile.png": png_with(photo[:9, :9], png_chunk(b"iCCP", b"a\0\0" + text[:99])),
    }


def _damaged_photos() -> dict[str, bytes]:
    """Return files that hold no photo, whatever they are called, by name."""
    photo = small_photo()
    whole = {
        "jpg": encoded(photo, "JPEG"),
        "png": encoded(photo, "PNG"),
        "tif": encoded(photo, "TIFF", compression="tiff_lzw"),
        "webp": encoded(photo, "WEBP"),
        "heic": encoded(photo, "HEIF"),
        "avif": encoded(photo, "AVIF"),
        "jxl": imagecodecs.jpegxl_encode(photo, lossless=True),
        "jp2": imagecodecs.jpeg2k_encode(photo, codecformat="JP2"),
    }
    files = {f"truncated.{suffix}": data[: len(data) // 2] for suffix, data in whole.items()}
    files |= {f"header_only.{suffix}": data[:40] for suffix, data in whole.items()}
    return files | {
        "empty.jpg": b"",
        "one_byte.png": b"\x89",
        "page.jpg": b"<!DOCTYPE html><title>404 Not Found</title>" * 20,
        "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
        "bomb.png": png_bomb(),
        "bomb.tif": tiff_bomb(),
        "bomb_in_a_tile.tif": tiff_bomb(tile=(BOMB_SIDE, BOMB_SIDE)),
        "longest_tile.tif": tiff_bomb(tile=(64, (1 << 31) - 16)),
        "noise.webp": b"RIFF\xff\xff\xff\x7fWEBPVP8L" + np.random.default_rng(0).bytes(500),
    }


def photo_files() -> dict[str, bytes]:
    """Return the contents of the corpus, sound and damaged, by name."""
    return _good_photos() | _damaged_photos()


def write_photos(folder: Path) -> list[Item]:
    """Write the corpus into ``folder``, and return what is there, hostile names included."""
    folder.mkdir(parents=True)
    items = []
    for name, data in _good_photos().items():
        (folder / name).write_bytes(data)
        items.append(Item(name))
    for name, data in _damaged_photos().items():
        (folder / name).write_bytes(data)
        items.append(Item(name, decodes=False, edits=False))
    frames = [Image.fromarray(small_photo()), Image.fromarray(small_photo()[::-1])]
    for name, kind in (
        ("animated.webp", "WEBP"),
        ("animated.png", "PNG"),
        ("animated_gif.jpg", "GIF"),
    ):
        options = {"save_all": True, "append_images": frames[1:]}
        (folder / name).write_bytes(encoded(frames[0], kind, **options))
        items.append(Item(name, edits=False))  # one picture of it would be written back
    return [*items, *_write_special_files(folder)]


def _write_special_files(folder: Path) -> list[Item]:
    plain = encoded(small_photo(), "JPEG")
    (folder / "new\nline.jpg").write_bytes(plain)
    (folder / "unreadable.jpg").write_bytes(plain)
    (folder / "unreadable.jpg").chmod(0)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "zeros.png").symlink_to("/dev/zero")
    (folder / "nowhere.jpg").symlink_to("nothing here")
    (folder / "itself.jpg").symlink_to("itself.jpg")
    (folder / "loop").symlink_to(".")
    (folder / "folder.jpg").mkdir()
    return [
        Item("new\nline.jpg", listed=False),
        Item("unreadable.jpg", decodes=False, edits=False),
        *(
            Item(name, decodes=False, edits=False, listed=False)
            for name in ("pipe.jpg", "zeros.png", "nowhere.jpg", "itself.jpg", "folder.jpg")
        ),
    ]
