"""Small photos for tests of packing, drawn and written as files or tar archives."""

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def photo_bytes(seed: int, *, height: int = 30, width: int = 40, kind: str = "JPEG") -> bytes:
    """Return an encoded photo of smooth random colours, a different one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(stream, kind)
    return stream.getvalue()


def write_photos(root: Path, count: int, *, classes: int = 3) -> dict[str, bytes]:
    """Write ``count`` photos into folders of classes; return their bytes by key."""
    photos = {
        f"n{number % classes:08d}/n{number % classes:08d}_{number}.JPEG": photo_bytes(number)
        for number in range(count)
    }
    for key, data in photos.items():
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return photos


def tar_bytes(files: dict[str, bytes]) -> bytes:
    """Return an uncompressed tar of regular files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def write_tar_of_tars(path: Path, photos: dict[str, bytes]) -> None:
    """Write photos as ImageNet's training tar holds them: one inner tar a class."""
    classes: dict[str, dict[str, bytes]] = {}
    for key, data in photos.items():
        folder, name = key.split("/")
        classes.setdefault(folder, {})[name] = data
    inner = {f"{folder}.tar": tar_bytes(files) for folder, files in classes.items()}
    path.write_bytes(tar_bytes(inner))
