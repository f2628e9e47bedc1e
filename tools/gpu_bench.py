#!/usr/bin/env python
"""Measure the full training step on one CUDA GPU, through Keras' JAX or torch backend.

For each image size and precision: the rate of a large matrix product, then steps (PConvUNet forward
and backward, perceptual, style and total variation loss, Adam) of a batch that doubles until memory
is full. The table shows the fastest batch, its share of the matrix product's rate, the most memory
held, the largest batch, and which kernels take longest. Needs Keras, jax or torch, NumPy, h5py and
PyYAML; no TensorFlow, no Horovod, no network. What is in --out already is not measured again.
"""

import argparse
import os
from pathlib import Path

from pconv_hpc import cli
from pconv_hpc.bench.gpu import measure_all
from pconv_hpc.bench.gpu_report import progress, report
from pconv_hpc.bench.gpu_request import BACKENDS, MIN_IMAGE_SIZE, PRECISIONS, Request
from pconv_hpc.errors import EXIT_DONE, EXIT_FAILED

_EXAMPLES = """\
  python tools/gpu_bench.py
  python tools/gpu_bench.py --backend torch --sizes 512 --precisions bfloat16
  python tools/gpu_bench.py --device cpu --sizes 64 --batch 1 --max-batch 4 --out cpu.json
"""
_MATMUL_SIZES = {"gpu": 8192, "cpu": 1024}
_MAX_BATCHES = {"gpu": 4096, "cpu": 8}


def _image_size(text: str) -> int:
    value = int(text)
    if value < MIN_IMAGE_SIZE:
        raise argparse.ArgumentTypeError(f"{value} is not at least {MIN_IMAGE_SIZE}")
    return value


def main() -> int:
    """Parse, measure, print each finding and the table."""
    environment = os.environ.get("KERAS_BACKEND")
    default = environment if environment in BACKENDS else BACKENDS[0]
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("--backend", choices=BACKENDS, default=default, help="or $KERAS_BACKEND")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--sizes", type=_image_size, nargs="+", default=[256, 512], metavar="S")
    parser.add_argument("--precisions", choices=PRECISIONS, nargs="+", default=PRECISIONS)
    parser.add_argument("--batch", type=cli.positive_int, default=8, help="the first, then doubled")
    parser.add_argument(
        "--max-batch", type=cli.positive_int, help="end here even if more fits (GPU: 4096, CPU: 8)"
    )
    parser.add_argument(
        "--base-channels", type=cli.positive_int, default=64, help="width of the network"
    )
    parser.add_argument("--steps", type=cli.positive_int, default=10, help="of each timed round")
    parser.add_argument("--rounds", type=cli.positive_int, default=3, help="the median counts")
    parser.add_argument(
        "--matmul-size",
        type=cli.positive_int,
        help="side of the matrices whose product is the ceiling (GPU: 8192, CPU: 1024)",
    )
    parser.add_argument(
        "--vgg-weights", type=Path, help="VGG16's weights; without, random ones: equally fast"
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench/gpu.json"))
    arguments = parser.parse_args()
    max_batch = arguments.max_batch or _MAX_BATCHES[arguments.device]
    if arguments.batch > max_batch:
        parser.error(f"--batch {arguments.batch} is above --max-batch {max_batch}")

    requests = [
        Request(
            backend=arguments.backend,
            device=arguments.device,
            image_size=size,
            precision=precision,
            batch=arguments.batch,
            max_batch=max_batch,
            base_channels=arguments.base_channels,
            steps=arguments.steps,
            rounds=arguments.rounds,
            matmul_size=arguments.matmul_size or _MATMUL_SIZES[arguments.device],
            vgg_weights=arguments.vgg_weights and str(arguments.vgg_weights),
        )
        for size in arguments.sizes
        for precision in arguments.precisions
    ]
    records = {}
    for record, news in measure_all(requests, arguments.out):
        print(progress(record, news), flush=True)
        records[id(record)] = record
    print("\n" + "\n".join(report(list(records.values()))))
    print(f"\nresults: {arguments.out}")
    return EXIT_FAILED if any("error" in record for record in records.values()) else EXIT_DONE


if __name__ == "__main__":
    cli.run(main)
