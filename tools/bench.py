#!/usr/bin/env python
"""Measure speed as ratios, ours against a reference, side by side in one run."""

import dataclasses
import os
import tempfile
from pathlib import Path

from pconv_hpc import atomic, cli

_EXAMPLES = """\
  make bench
  python tools/bench.py --rounds 15 --out bench/results.json
  python tools/bench.py --threads 1
"""


def main() -> None:
    """Parse, measure, print the table and write results.json."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("--rounds", type=cli.positive_int, default=7, help="counted repetitions")
    parser.add_argument("--threads", type=cli.positive_int, help="TensorFlow's threads (all cores)")
    parser.add_argument("--out", type=Path, default=Path("build/bench/results.json"))
    arguments = parser.parse_args()

    import tensorflow as tf

    cores = len(os.sched_getaffinity(0))
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads or cores)
    from pconv_hpc.bench.compare import HEADER, compare
    from pconv_hpc.bench.loading import loading_comparisons
    from pconv_hpc.bench.network import network_comparisons
    from pconv_hpc.config import ModelConfig

    results = []
    print(f"{cores} core(s), TensorFlow {tf.__version__}, {arguments.rounds} rounds")
    print("  ".join(HEADER[:-1]))
    with tempfile.TemporaryDirectory() as folder:
        for comparisons in (network_comparisons(ModelConfig()), loading_comparisons(Path(folder))):
            for comparison in comparisons:
                result = compare(comparison, rounds=arguments.rounds)
                results.append(result)
                print("  ".join(result.row()), flush=True)
    described = {
        "cores": cores,
        "tensorflow": tf.__version__,
        "rounds": arguments.rounds,
        "results": [dataclasses.asdict(r) | {"reached": r.reached} for r in results],
    }
    atomic.write_json(arguments.out, described)
    print(f"results: {arguments.out}")


if __name__ == "__main__":
    cli.run(main)
