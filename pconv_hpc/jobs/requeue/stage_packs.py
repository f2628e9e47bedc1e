"""Copy packs to this node's own disk.

    python -m pconv_hpc.jobs.requeue.stage_packs STAGE_DIR INDEX …

A job runs it once on each of its nodes. A pack that does not fit, or cannot be copied, is read in
place: the run goes on, and the log says so.
"""

from pconv_hpc.foundation.stop_request import StopRequest

STOP_REQUEST = StopRequest().install()  # before all else: a signal may come during the imports

import os  # noqa: E402 (after the line above)
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from pconv_hpc.foundation.errors import Interrupted, PconvError  # noqa: E402
from pconv_hpc.options import cli  # noqa: E402
from pconv_hpc.shards.staging import stage_pack  # noqa: E402


def main() -> None:
    """Stage every pack that is named."""
    node = os.environ.get("SLURMD_NODENAME", "this node")
    stage_dir, *indexes = map(Path, sys.argv[1:])
    for index in indexes:
        try:
            copy = stage_pack(index, stage_dir, should_stop=lambda: STOP_REQUEST.is_set)
        except Interrupted:
            raise
        except (PconvError, OSError) as error:
            print(f"{node}: {error}; reading {index} in place", flush=True)
        else:
            where = f"copied to {copy}" if copy else "too large for this node, read in place"
            print(f"{node}: {index}: {where}", flush=True)


if __name__ == "__main__":
    cli.run(main)
