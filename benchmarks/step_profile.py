"""A program that profiles training steps with TensorFlow's own profiler, operation by operation.

    python -m benchmarks.step_profile [--image-size S] [--batch B] [--base-channels C] …

Prints one JSON object: seconds_per_step, and ``operations``: for each part of the step, direction
and type of operation the seconds it took a step. Operations run one after the other here, so that
their seconds add up; each still uses all cores.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

from benchmarks.steps import prepare
from pconv_hpc.training.distributed import Ranks

_WARM_UP_STEPS = 2
_PICOSECONDS = 1e12
_OPERATION = re.compile(r"(?P<scope>[^:]+):_?(?:MklNative|Mkl)?(?:Fused)?(?P<type>\w+)")


class Operation(NamedTuple):
    """Operations of a kind.

    Attributes:
        part: of the step: ``network``, ``VGG16``, ``Adam`` or ``losses and the rest``.
        direction: ``forward``, ``backward`` or ``update``.
        type: TensorFlow's; a fused convolution counts as the convolution.
    """

    part: str
    direction: str
    type: str


def seconds_by_operation(trace: Any) -> dict[Operation, float]:
    """Return the seconds of each kind of operation in a profiler's ``XSpace``."""
    found: Counter[Operation] = Counter()
    for plane in trace.planes:
        for line in plane.lines:
            for event in line.events:
                name = _OPERATION.fullmatch(plane.event_metadata[event.metadata_id].name)
                if name is not None:
                    kind = Operation(*_place(name["scope"]), name["type"])
                    found[kind] += event.duration_ps / _PICOSECONDS
    return dict(found)


def _place(scope: str) -> tuple[str, str]:
    direction = "backward" if "gradient_tape/" in scope else "forward"
    if "vgg16" in scope:
        return "VGG16", direction
    if "pconv_unet" in scope:
        return "network", direction
    if "adam" in scope:
        return "Adam", "update"
    return "losses and the rest", direction


def main() -> None:
    """Take the steps and print what the profiler saw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--base-channels", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()
    tf.config.threading.set_inter_op_parallelism_threads(1)
    step = prepare(
        Ranks(),
        image_size=arguments.image_size,
        batch=arguments.batch,
        base_channels=arguments.base_channels,
        plain=False,
        vgg=True,
    )
    for _ in range(_WARM_UP_STEPS):
        step()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            began = time.perf_counter()
            for _ in range(arguments.steps):
                step()
            seconds = time.perf_counter() - began
        (path,) = Path(folder).rglob("*.xplane.pb")
        trace = XSpace.FromString(path.read_bytes())
    operations = [
        [*kind, value / arguments.steps] for kind, value in seconds_by_operation(trace).items()
    ]
    json.dump({"seconds_per_step": seconds / arguments.steps, "operations": operations}, sys.stdout)
    print(flush=True)


if __name__ == "__main__":
    main()
