"""Read every file of a folder with every reader of photos, as one process that may be measured.

    python -m tests.integration.faults.read_photos FOLDER < NAMES.json

Prints JSON: ``{reader: {name: reason, or null where it was read}}`` and the most memory ever held.
"""

import json
import sys
from pathlib import Path

from benchmarks.memory import peak_bytes_of_process
from pconv_hpc.photos.decode import ImageError, decode_rgb, decode_square
from pconv_hpc.photos.formats.photo_files import read_mask, read_photo

READERS = {
    "decode_rgb": decode_rgb,
    "decode_square": lambda path: decode_square(path, 32),
    "read_photo": read_photo,
    "read_mask": read_mask,
}


def main() -> None:
    """Read, and print what became of each file."""
    folder, names = Path(sys.argv[1]), json.loads(sys.stdin.read())
    outcomes: dict[str, dict[str, str | None]] = {reader: {} for reader in READERS}
    for name in names:
        for reader, read in READERS.items():
            try:
                read(folder / name)
                outcomes[reader][name] = None
            except ImageError as error:
                outcomes[reader][name] = str(error)
    print(json.dumps({"outcomes": outcomes, "peak_mib": peak_bytes_of_process() >> 20}))


if __name__ == "__main__":
    main()
