"""Tar files in place of the photos of ``fake_stages``."""

from pathlib import Path

from pconv_hpc.erasing.folder.manifest import Manifest, build_manifest
from pconv_hpc.erasing.settings import EraseSettings
from tests.support.fake_stages import FakeFolder
from tests.support.tar_members import read_tar, write_tar


class FakeTars(FakeFolder):
    """Tar files with what is to become of their photos, and a manifest of them."""

    def __init__(
        self, folder: Path, tars: dict[str, list[tuple[str, str]]], num_slices: int = 1
    ) -> None:
        super().__init__(folder, {"unused.jpg": "star"})
        for tar, wishes in tars.items():
            write_tar(folder / "tars" / tar, [(name, wish.encode()) for name, wish in wishes])
        self.manifest: Manifest = build_manifest(
            folder / "tars", folder / "tar out", num_slices=num_slices, settings=EraseSettings()
        )

    def erased(self, tar: str) -> list[tuple[str, str]]:
        return [(name, content.decode()) for name, content in read_tar(self.manifest.erased / tar)]

    def unpacked(self) -> list[Path]:
        return [path for path in (self.manifest.out / "unpacked").rglob("*") if path.is_file()]
