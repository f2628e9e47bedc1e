"""A coverage-guided fuzzer of the readers of images and configurations.

    python -m tests.faults.fuzz images|configurations FOLDER RUNS SEED

FOLDER holds the corpus, which grows by each input that reached new code. Whatever is raised beside
the error that a user sees ends the process, and so do a crash, a hang and 2 GiB of memory; the
input is then kept in FOLDER as ``crash-…``.
"""

import contextlib
import resource
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pconv_hpc", "PIL", "tifffile", "yaml"]):
    from pconv_hpc.config import config_to_yaml, load_config
    from pconv_hpc.data.decode import ImageError, decode_rgb, decode_square
    from pconv_hpc.erasing.images import read_mask, read_photo, write_photo
    from pconv_hpc.errors import UsageError

from tests.faults.hostile_corpus import photo_files
from tests.faults.hostile_yaml import HOSTILE_YAML

ROOT = Path(__file__).parents[2]
MAX_PIXELS = 1 << 18
_LIMITS = ["-timeout=120", "-print_final_stats=1"]
_MEMORY_MIB = 2048


class Images:
    """Every reader of images on one file; a photo that is read is written back and read again."""

    max_bytes = 4096

    def __init__(self, scratch: Path) -> None:
        self._path = scratch / "image"
        self._copy = scratch / "copy"

    def seeds(self) -> list[bytes]:
        """Return small files of every format, whole and damaged."""
        return [data for data in photo_files().values() if len(data) <= self.max_bytes]

    def __call__(self, data: bytes) -> None:
        """Read ``data`` in every way."""
        self._path.write_bytes(data)
        for read in (
            lambda: decode_rgb(data, max_pixels=MAX_PIXELS),
            lambda: decode_square(data, 16, max_pixels=MAX_PIXELS),
            lambda: read_mask(self._path, max_pixels=MAX_PIXELS),
        ):
            with contextlib.suppress(ImageError):
                read()
        with contextlib.suppress(ImageError):
            photo = read_photo(self._path, max_pixels=MAX_PIXELS)
            write_photo(photo, self._copy)
            again = read_photo(self._copy, max_pixels=MAX_PIXELS)
            same = again.pixels.shape == photo.pixels.shape and (
                photo.format == "JPEG" or (again.pixels == photo.pixels).all()
            )
            assert same, "written back, it is another photo"


class Configurations:
    """The reader of configurations; what it accepts is written out and must read back the same."""

    max_bytes = 2048

    def __init__(self, scratch: Path) -> None:
        self._path = scratch / "config.yaml"
        self._copy = scratch / "copy.yaml"

    def seeds(self) -> list[bytes]:
        """Return the shipped configurations, and hostile ones."""
        files = [path.read_bytes() for path in sorted((ROOT / "configs").glob("*.yaml"))]
        files += [text.format(trap="/nowhere").encode() for text in HOSTILE_YAML.values()]
        return [data for data in files if len(data) <= self.max_bytes]

    def __call__(self, data: bytes) -> None:
        """Read ``data`` as a configuration."""
        self._path.write_bytes(data)
        with contextlib.suppress(UsageError):
            config = load_config(self._path)
            self._copy.write_text(config_to_yaml(config))
            assert load_config(self._copy) == config, "written out, it is another configuration"


TARGETS = {"images": Images, "configurations": Configurations}


def main() -> None:
    """Fuzz one target for a number of runs."""
    name, folder, runs, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    corpus, scratch = folder / "corpus", folder / "scratch"
    target = TARGETS[name](scratch)
    for path in (corpus, scratch):
        path.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (corpus / f"seed-{number:02d}").write_bytes(data)
    options = [f"-runs={runs}", f"-seed={seed}", f"-max_len={target.max_bytes}"]
    # The kernel counts the memory of the process that started this one, too.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    memory = f"-rss_limit_mb={before + _MEMORY_MIB}"
    options += [f"-artifact_prefix={folder}/", memory, *_LIMITS]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
