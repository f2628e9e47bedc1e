"""Download trained weights of other projects over HTTPS and verify them.

lpips and pconv_* are then converted to what this project's programs read, which needs PyTorch.
"""

import argparse
import dataclasses
import re
from pathlib import Path

from pconv_hpc.evaluation.figures.lpips_weights import convert_lpips
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.find_weights import FETCHED
from pconv_hpc.model.importing.weights import describe, import_weights
from pconv_hpc.model.weights_catalog import CATALOG, WeightsFile, fetch
from pconv_hpc.options import cli

_EXAMPLES = """\
  pconv-hpc fetch-weights list
  pconv-hpc fetch-weights vgg16                     # into weights/
  pconv-hpc fetch-weights pconv_places2             # for --weights places2
  pconv-hpc fetch-weights lpips --out /scratch/me/weights --dry-run
  pconv-hpc fetch-weights vgg16 --url https://mirror.example.org/vgg16_notop.h5

Repeating the command continues an interrupted download. An existing file is only checked, so this
also checks one that was copied from another machine.
"""
_PCONV_IMAGE_SIZE = 256  # what MMEditing's networks were trained on


def main() -> None:
    """Parse, fetch, say what was checked."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("what", choices=[*CATALOG, "list"], help="which weights; list shows them")
    parser.add_argument("--out", type=Path, default=Path("weights"), help="folder to put them in")
    parser.add_argument(
        "--url", help="download from this address instead; the file is checked all the same"
    )
    parser.add_argument(
        "--sha256", type=_sha256, help="expect this SHA-256 instead of the known checks"
    )
    parser.add_argument("--ca-file", type=Path, help="trust these certificates (PEM)")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be fetched")
    arguments = parser.parse_args()

    if arguments.what == "list":
        for name, files in CATALOG.items():
            for file in files:
                print(f"{name}: {file.purpose}")
                _describe(file, arguments.out)
        return
    for file in _chosen_files(arguments.what, arguments.url, arguments.sha256):
        if arguments.dry_run:
            _describe(file, arguments.out)
            continue
        path, is_new = fetch(file, arguments.out, ca_file=arguments.ca_file)
        print(f"{path}: {'fetched' if is_new else 'already there'}, checked: {file.checks()}")
    if not arguments.dry_run:
        _convert(arguments.what, arguments.out)


def _convert(what: str, folder: Path) -> None:
    if what == "lpips":
        print(f"{convert_lpips(folder)}: made of both, for pconv-hpc evaluate --lpips")
    elif f"{what}.h5" in FETCHED.values():
        (file,), out = CATALOG[what], folder / f"{what}.h5"
        print(describe(out, import_weights(folder / file.name, out, image_size=_PCONV_IMAGE_SIZE)))


def _chosen_files(what: str, url: str | None, sha256: str | None) -> list[WeightsFile]:
    files = CATALOG[what]
    if (url or sha256) and len(files) > 1:
        raise UsageError(
            f"--url and --sha256 are for a single file, and {what} has {len(files)}; download them "
            "by hand, put them in --out under their names, and run this without the two options: "
            "it checks them"
        )
    if url:
        files = tuple(dataclasses.replace(file, url=url) for file in files)
    if sha256:
        files = tuple(
            dataclasses.replace(file, sha256=sha256, md5="", num_bytes=None) for file in files
        )
    return list(files)


def _describe(file: WeightsFile, out_dir: Path) -> None:
    path = out_dir / file.name
    print(f"  from   {file.url}")
    print(f"  to     {path}{' (already there, would only be checked)' if path.exists() else ''}")
    print(f"  check  {file.checks()}")


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError("expected 64 hexadecimal digits")
    return text.lower()


if __name__ == "__main__":
    cli.run(main)
