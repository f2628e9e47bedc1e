"""Change bits of an HDF5 file, drawn at random, and read each result in a process of its own.

    python -m tests.integration.faults.flip_bits READER FILE NUM_FLIPS SEED

Prints JSON: how often the file was ``read``, ``refused``, ended the HDF5 library by a ``signal``
(that of a time limit included), or gave ``another error``, which is on standard error.
"""

import collections
import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pconv_hpc.foundation.arrays.hdf5 import open_for_reading
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_bank import MaskBank
from pconv_hpc.masks.silhouette_file import SilhouetteFile
from pconv_hpc.shards.shard_file import damaged_images, read_rejected, shard_attributes

_CPU_SECONDS = 2.0


def read_shard(path: Path) -> None:
    """Read all that is in a shard."""
    shard_attributes(path)
    read_rejected(path)
    damaged_images(path)


def read_weights(path: Path) -> None:
    """Read what ``load_model`` reads, and build no network."""
    from pconv_hpc.model.weights import read_arrays  # slow to import: Keras

    with open_for_reading(path) as file:
        dict(file.attrs)
        read_arrays(file, "model")


READERS: dict[str, Callable[[Path], Any]] = {
    "shard": read_shard,
    "bank": MaskBank,
    "silhouettes": SilhouetteFile,
    "weights": read_weights,
}


def outcome_of(read: Callable[[Path], Any], path: Path) -> str:
    """Read a file in a child, which a library that never returns cannot keep alive."""
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_VIRTUAL, _CPU_SECONDS)
        try:
            read(path)
            os._exit(0)
        except UsageError as error:
            os._exit(1 if str(path) in str(error) else 2)
        except BaseException:
            traceback.print_exc()
            os._exit(2)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "signal" if code < 0 else ("read", "refused", "another error")[code]


def main() -> None:
    """Flip, read, count."""
    reader, name, num_flips, seed = sys.argv[1:]
    whole = Path(name).read_bytes()
    READERS[reader](Path(name))
    rng = random.Random(int(seed))
    outcomes: collections.Counter[str] = collections.Counter()
    for _ in range(int(num_flips)):
        bit = rng.randrange(8 * len(whole))
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path = Path(f"{name}.changed")
        path.write_bytes(changed)
        outcomes[outcome_of(READERS[reader], path)] += 1
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
