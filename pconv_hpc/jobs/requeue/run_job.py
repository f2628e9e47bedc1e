"""What a batch script runs: parse, check the environment, hand over to the supervisor.

    python -m pconv_hpc.jobs.requeue.run_job train [CONFIG] [RUN_DIR] [--set …]
    python -m pconv_hpc.jobs.requeue.run_job pack SOURCE OUT SPLIT [--size …]
    python -m pconv_hpc.jobs.requeue.run_job evaluate INDEX OUT --weights …
    python -m pconv_hpc.jobs.requeue.run_job harvest PHOTOS OUT [--classes …]

Paths are relative to where the job was submitted. Exit codes: 0 done or continued by the next
start, 1 failed, 2 bad input, 75 ended by Slurm before the work was done.
"""

import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pconv_hpc.cluster.job_environment import JobEnvironment, require_packages
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.shipped import CONFIGS_DIR
from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.options import cli

if TYPE_CHECKING:
    from pconv_hpc.jobs.requeue.work import Work

PACKAGES = {
    "train": ("yaml", "h5py", "numpy", "PIL", "tqdm", "cv2", "matplotlib", "keras", "tensorflow"),
    "pack": ("yaml", "h5py", "numpy", "PIL", "tqdm"),
    "evaluate": (
        "yaml",
        "h5py",
        "numpy",
        "PIL",
        "cv2",
        "matplotlib",
        "skimage",
        "keras",
        "tensorflow",
    ),
    "harvest": ("yaml", "h5py", "numpy", "PIL", "tqdm", "torch", "mmdet", "pycocotools"),
}
# Beside these, where a job has more than one rank:
RANK_PACKAGES = {
    "train": ("horovod",),
    "pack": ("mpi4py",),
    "evaluate": ("mpi4py",),
    "harvest": ("mpi4py",),
}
DEFAULT_CONFIG = CONFIGS_DIR / "imagenet_256.yaml"


def main() -> int:
    """Run one start of a job."""
    stop = StopRequest().install()  # a signal may come during the imports
    kind, *arguments = sys.argv[1:]
    if kind not in PACKAGES:
        raise UsageError(f"{kind}: expected one of {', '.join(PACKAGES)}")
    job = JobEnvironment.read(os.environ)
    require_packages([*PACKAGES[kind], *(RANK_PACKAGES[kind] if job.num_tasks > 1 else ())])

    from pconv_hpc.jobs.requeue.supervisor import (  # imports those packages
        CHAIN_VARIABLE,
        Supervisor,
    )

    continues = job.restart_count > 0 or CHAIN_VARIABLE in os.environ
    work = parse_work(kind, arguments, continues=continues)
    supervisor = Supervisor(
        work, arguments=arguments, job=job, environment=os.environ, earlier=stop
    )
    return supervisor.run()


def parse_work(kind: str, arguments: Sequence[str], *, continues: bool) -> "Work":
    """Return the work that a batch script's arguments name.

    ``continues`` says that this is not the first start of its chain: training then takes the
    configuration it noted in its run folder, so that a file edited since changes nothing.

    Raises:
        UsageError: too few or too many arguments.
    """
    from pconv_hpc.jobs.requeue.work import EvaluateWork, HarvestWork, PackWork, TrainWork

    names = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
    options = arguments[len(names) :]
    if kind == "pack":
        if len(names) != 3:
            raise UsageError("expected SOURCE OUT SPLIT: sbatch jobs/pack_imagenet.sbatch a.tar …")
        return PackWork(Path(names[0]), Path(names[1]), names[2], options)
    if kind == "evaluate":
        if len(names) != 2:
            raise UsageError("expected INDEX OUT: sbatch jobs/evaluate.sbatch val/index.json out …")
        return EvaluateWork(Path(names[0]), Path(names[1]), options)
    if kind == "harvest":
        if len(names) != 2:
            raise UsageError("expected PHOTOS OUT: sbatch jobs/harvest_masks.sbatch photos o.h5 …")
        return HarvestWork(Path(names[0]), Path(names[1]), options)
    if len(names) > 2:
        raise UsageError(f"expected [CONFIG] [RUN_DIR] [--set …], found {' '.join(names)}")
    config = Path(names[0]) if names else DEFAULT_CONFIG
    run_dir = Path(names[1]) if len(names) == 2 else Path("runs") / config.stem
    is_noted = continues and (run_dir / "config.yaml").is_file()
    return TrainWork(None if is_noted else config, run_dir, options)


if __name__ == "__main__":
    cli.run(main)
