"""Show what a folder of packed shards holds, verify every byte, and draw a contact sheet.

--verify reads everything and checks the CRC-32 of each image and the SHA-256 of each file. Shards
that are damaged, truncated or missing are listed with the images affected; to rebuild them, delete
those files and repeat the pconv-hpc pack command. With --verify, a contact sheet is only drawn if
the pack is undamaged.
"""

import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pconv_hpc.foundation.disk_space import writing
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.text import aligned
from pconv_hpc.options import cli
from pconv_hpc.photos.contact_sheet import save_contact_sheet
from pconv_hpc.shards.shard_file import ShardReader

_EXAMPLES = """\
  pconv-hpc inspect packed/train
  pconv-hpc inspect packed/train --verify --contact-sheet sheet.png

exit codes: 0 all is well, 1 something is damaged, 2 bad input
"""


def main() -> None:
    """Parse, summarise, verify, draw."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("out", type=Path, help="the folder pconv-hpc pack wrote, or its index.json")
    parser.add_argument("--verify", action="store_true", help="read and check every byte")
    parser.add_argument(
        "--contact-sheet",
        type=Path,
        metavar="PNG",
        help="write a picture of some images to this PNG",
    )
    parser.add_argument("--num-tiles", type=int, default=64, help="images on the contact sheet")
    arguments = parser.parse_args()
    if arguments.num_tiles < 1:
        raise UsageError(f"--num-tiles {arguments.num_tiles}: expected at least 1")
    with ShardReader(arguments.out, check_sizes=not arguments.verify) as reader:
        _summarise(reader)
        if arguments.verify:
            _verify(reader)
        if arguments.contact_sheet:
            _draw(reader, arguments.contact_sheet, arguments.num_tiles)


def _summarise(reader: ShardReader) -> None:
    index = reader.index
    rows = {
        "split": index.split,
        "images": f"{index.num_images:,} of {index.image_size} x {index.image_size} pixels",
        "rejected": f"{index.num_rejected:,}",
        "shards": f"{len(index.shards):,}, {sum(s.bytes for s in index.shards) / 1e9:.2f} GB",
        "command": index.command,
        "source": f"fingerprint {index.source_fingerprint}",
        "fingerprint": index.fingerprint,
    }
    for name, value in rows.items():
        print(f"{name:12} {value}")
    table = [["shard", "images", "MB", "sha256"]]
    for shard in index.shards:
        size = f"{shard.bytes / 1e6:,.1f}"
        table.append([shard.file, f"{shard.num_images:,}", size, f"{shard.sha256[:16]}…"])
    print("", *aligned(table, numbers=True), sep="\n")


def _draw(reader: ShardReader, path: Path, num_tiles: int) -> None:
    tiles = min(num_tiles, reader.num_images)
    indices = np.linspace(0, reader.num_images - 1, tiles).astype(np.int64)
    with writing(path):
        save_contact_sheet(path, reader.images(indices))
    print(f"\n{tiles} images from all over the pack: {path}")


def _verify(reader: ShardReader) -> None:
    num_findings = 0
    for number in tqdm(range(len(reader.index.shards)), "verifying", unit="shard"):
        for finding in reader.verify_shard(number):
            tqdm.write(finding, file=sys.stderr)  # at once: what follows may never end
            num_findings += 1
    if num_findings:
        raise PconvError(
            f"the pack is damaged, {num_findings:,} finding(s) above: delete the shards named "
            "there and run the same pconv-hpc pack command again"
        )
    print(f"\nverified: all {reader.num_images:,} images and {len(reader.index.shards)} files")


if __name__ == "__main__":
    cli.run(main)
