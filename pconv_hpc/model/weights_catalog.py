"""The trained weights of other projects that this one builds on: where they are, how to check them.

Each file is checked against what is publicly known of it. Where that is less than a whole SHA-256,
the one of the first good download is written beside the file (``NAME.sha256``, the format of
``sha256sum``) and holds from then on.
"""

import hashlib
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.model.download import download

_HASH_BLOCK_BYTES = 1 << 22
_MAX_UNKNOWN_BYTES = 1 << 30
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One file to fetch and everything publicly known to check it by."""

    name: str
    url: str
    purpose: str
    sha256: str = ""  # whole, or its first digits where only they are published
    md5: str = ""
    num_bytes: int | None = None

    def checks(self) -> str:
        """Return in words what a download is checked against."""
        known = []
        if self.num_bytes:
            known.append(f"{self.num_bytes:,} bytes")
        if self.md5:
            known.append(f"MD5 {self.md5}")
        if self.sha256:
            whole = len(self.sha256) == 64
            known.append(
                f"SHA-256 {self.sha256}" + ("" if whole else "… (only these are published)")
            )
        return ", ".join(known)


_MMEDITING = "https://download.openmmlab.com/mmediting/inpainting/pconv/"
CATALOG: dict[str, tuple[WeightsFile, ...]] = {
    "pconv_places2": (
        WeightsFile(
            name="pconv_256x256_stage2_4x2_places_20200619-1ffed0e8.pth",
            url=f"{_MMEDITING}pconv_256x256_stage2_4x2_places_20200619-1ffed0e8.pth",
            purpose="MMEditing's PConv, trained on Places365 (--weights places2)",
            sha256="1ffed0e8",  # the model zoo's file names end in it
        ),
    ),
    "pconv_celeba": (
        WeightsFile(
            name="pconv_256x256_stage2_4x2_celeba_20200619-860f8b95.pth",
            url=f"{_MMEDITING}pconv_256x256_stage2_4x2_celeba_20200619-860f8b95.pth",
            purpose="MMEditing's PConv, trained on the faces of CelebA-HQ (--weights celeba)",
            sha256="860f8b95",
        ),
    ),
    "vgg16": (
        WeightsFile(
            name="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            url="https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
            "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            purpose="perceptual and style loss (loss.vgg_weights)",
            md5="6d6bbae143d832006294945121d1f1fc",  # keras/src/applications/vgg16.py
            num_bytes=58_889_256,
        ),
    ),
    "mask_rcnn": (
        WeightsFile(
            name="mask_rcnn_r50_fpn_2x_coco_bbox_mAP-0.392__segm_mAP-0.354_"
            "20200505_003907-3e542a40.pth",
            url="https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/"
            "mask_rcnn_r50_fpn_2x_coco/mask_rcnn_r50_fpn_2x_coco_bbox_mAP-0.392__segm_mAP-0.354_"
            "20200505_003907-3e542a40.pth",
            purpose="finding people and things to erase",
            sha256="3e542a40",  # the model zoo's file names end in it
        ),
    ),
    "lpips": (
        WeightsFile(
            name="alexnet-owt-7be5be79.pth",
            url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
            purpose="LPIPS in evaluation: features",
            sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            num_bytes=244_408_911,
        ),
        WeightsFile(
            name="lpips_v0.1_alex.pth",
            url="https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/"
            "082bb24f84c091ea94de2867d34c4544f68e0963/lpips/weights/v0.1/alex.pth",
            purpose="LPIPS in evaluation: linear heads",
            sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
            num_bytes=6_009,
        ),
    ),
}


def fetch(
    file: WeightsFile, out_dir: Path, *, ca_file: Path | None = None, show_progress: bool = True
) -> tuple[Path, bool]:
    """Bring a file to ``out_dir``, checked; one that is there already is only checked.

    The download is written to ``.NAME.part``, continued from there after an interruption, checked,
    and only then given its name.

    Returns:
        The file's path, and whether it was downloaded now.

    Raises:
        UsageError: there can be no such folder.
        PconvError: the download failed (with what to do without internet), or a check did.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{out_dir}: cannot be created ({error.strerror}); expected a folder for the weights: "
            "choose another by --out, or check your permission"
        ) from error
    path = out_dir / file.name
    if path.exists():
        _record(path, _check(path, file, recorded_sha256(path)))
        return path, False
    partial = path.with_name(f".{path.name}.part")
    try:
        download(
            file.url,
            partial,
            max_bytes=file.num_bytes or _MAX_UNKNOWN_BYTES,
            ca_file=ca_file,
            show_progress=show_progress,
        )
    except UsageError:
        raise
    except PconvError as error:
        raise PconvError(
            f"{error}\nRun the same command again to continue. If this machine has no internet, "
            f"run this on one that has,\n  curl -fL -o {shlex.quote(file.name)} "
            f"{shlex.quote(file.url)}\ncopy the file to {path}\nand run the same command again: it "
            "checks what is there."
        ) from error
    try:
        sha256 = _check(partial, file, recorded_sha256(path))
    except PconvError:
        partial.unlink()  # continuing a wrong file would never make it right
        raise
    atomic.fsync_path(partial)
    os.replace(partial, path)
    _record(path, sha256)
    return path, True


def recorded_sha256(path: Path) -> str | None:
    """Return the SHA-256 that was written beside a file when it was first fetched, if any."""
    record = _record_path(path)
    if not record.exists():
        return None
    words = record.read_text(encoding="utf-8", errors="replace")[:200].split()
    if not words or not _SHA256.fullmatch(words[0]):
        raise PconvError(f"{record}: holds no SHA-256; remove it if you trust {path.name}")
    return words[0]


def _record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _record(path: Path, sha256: str) -> None:
    if not _record_path(path).exists():
        atomic.write_text(_record_path(path), f"{sha256}  {path.name}\n")


def _check(path: Path, file: WeightsFile, recorded: str | None) -> str:
    """Return the SHA-256 of ``path`` if it is the file described; ``recorded`` counts too."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as stream:
        while block := stream.read(_HASH_BLOCK_BYTES):
            sha256.update(block)
            md5.update(block)
    size, found = path.stat().st_size, sha256.hexdigest()
    problems = []
    if file.num_bytes and size != file.num_bytes:
        problems.append(f"{size:,} bytes, expected {file.num_bytes:,}")
    if not found.startswith(file.sha256):
        problems.append(f"SHA-256 {found}, expected {file.sha256}")
    if file.md5 and md5.hexdigest() != file.md5:
        problems.append(f"MD5 {md5.hexdigest()}, expected {file.md5}")
    if recorded and recorded != found:
        problems.append(f"SHA-256 {found}, at the first download it was {recorded}")
    if problems:
        raise PconvError(
            f"{path}: not the expected file: {'; '.join(problems)}. It may be damaged, or a "
            "proxy's error page, or not what its name says: remove it and fetch it again"
        )
    return found
