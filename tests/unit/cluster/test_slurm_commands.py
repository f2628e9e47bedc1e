"""Command lines as whole texts, and job records as Slurm prints them."""

import shlex
from pathlib import Path

import pytest

from pconv_hpc.cluster.gloo_rank import horovod_variables
from pconv_hpc.cluster.job_environment import JobEnvironment, require_one_gpu_per_task
from pconv_hpc.cluster.slurm_commands import (
    launch_command,
    once_per_node_command,
    options_of_job,
    sbatch_command,
    sbatch_line,
)
from pconv_hpc.cluster.slurm_queries import parse_job_record
from pconv_hpc.foundation.errors import UsageError

PROGRAM = ["/env/bin/python", "/home/me/tools/train.py", "my config.yaml"]
RECORD = """\
JobId=12 JobName=night run JobState=FAILED
   UserId=me(1000) GroupId=me(1000) MCS_label=N/A
   Priority=4294901759 Nice=0 Account=lab QOS=(null)
   JobState=RUNNING Reason=None Dependency=(null)
   Requeue=1 Restarts=3 BatchFlag=1 Reboot=0 ExitCode=0:0
   RunTime=00:00:00 TimeLimit=1-12:00:00 TimeMin=N/A
   StartTime=2026-01-23T21:28:36 EndTime=2026-01-25T09:28:36 Deadline=N/A
   Partition=gpu AllocNode:Sid=login1:17858
   NodeList=g[01-02]
   NumNodes=2-2 NumCPUs=64 NumTasks=4 CPUs/Task=16 ReqB:S:C:T=0:0:*:*
   Socks/Node=* NtasksPerN:B:S:C=2:0:*:* CoreSpec=*
   MinCPUsNode=32 MinMemoryNode=160G MinTmpDiskNode=0
   Features=(null) DelayBoot=00:00:00
   Command=/home/me/p q/train_a100.sbatch a.yaml JobState=PENDING
   WorkDir=/scratch/me/Partition=none
   StdOut=/scratch/me/50%.out
   TresPerNode=gres:gpu:a100:2
"""


@pytest.mark.parametrize(
    ("launcher", "line"),
    [
        (
            "srun-pmix",
            "srun --ntasks=4 --kill-on-bad-exit=1 --mpi=pmix /env/bin/python "
            "/home/me/tools/train.py 'my config.yaml'",
        ),
        (
            "srun-pmi2",
            "srun --ntasks=4 --kill-on-bad-exit=1 --mpi=pmi2 /env/bin/python "
            "/home/me/tools/train.py 'my config.yaml'",
        ),
        (
            "gloo",
            "srun --ntasks=4 --kill-on-bad-exit=1 --mpi=none /env/bin/python -m "
            "pconv_hpc.cluster.gloo_rank /env/bin/python /home/me/tools/train.py 'my config.yaml'",
        ),
        (
            "mpirun",
            "mpirun -np 4 --bind-to none env -u SLURM_NTASKS -u SLURM_NPROCS -u SLURM_PROCID "
            "-u SLURM_LOCALID /env/bin/python /home/me/tools/train.py 'my config.yaml'",
        ),
    ],
)
def test_launch_commands(launcher: str, line: str) -> None:
    assert shlex.join(launch_command(launcher, num_tasks=4, program=PROGRAM)) == line


def test_an_unknown_launcher_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(UsageError, match="LAUNCHER=ssh: expected one of srun-pmix"):
        launch_command("ssh", num_tasks=1, program=PROGRAM)


def test_once_per_node() -> None:
    line = shlex.join(once_per_node_command(3, ["hostname"]))
    assert line == "srun --nodes=3 --ntasks=3 --ntasks-per-node=1 --mpi=none hostname"


def test_submitting_quotes_every_name() -> None:
    command = sbatch_command(
        Path("/home/me/it's/train_a100.sbatch"), ["a b.yaml"], options={"nodes": "2"}
    )

    assert sbatch_line(Path("/home/me/my site.sh"), command) == (
        "source '/home/me/my site.sh'; sbatch --parsable --nodes=2 "
        "'/home/me/it'\"'\"'s/train_a100.sbatch' 'a b.yaml'"
    )


def test_a_job_record_gives_its_fields_and_no_text_passes_for_one() -> None:
    record = parse_job_record(RECORD)

    assert record["JobName"] == "night run JobState=FAILED"
    assert record["JobState"] == "RUNNING"
    assert record["Partition"] == "gpu"
    assert record["Command"] == "/home/me/p q/train_a100.sbatch a.yaml JobState=PENDING"


def test_the_options_of_a_job_are_found_again() -> None:
    assert options_of_job(parse_job_record(RECORD)) == {
        "nodes": "2",
        "ntasks-per-node": "2",
        "cpus-per-task": "16",
        "mem": "160G",
        "time": "1-12:00:00",
        "partition": "gpu",
        "account": "lab",
        "gres": "gpu:a100:2",
    }


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"TresPerTask": "gres:gpu:a100:1"}, {"gres": "none", "gpus-per-task": "a100:1"}),
        ({"TresPerNode": "gres/gpu:a100=2"}, {"gres": "gpu:a100:2"}),  # as newer Slurms write it
        # as newer Slurms write it with --cpus-per-task, and with --gpus
        ({"TresPerTask": "cpu=16,gres/gpu=1"}, {"gres": "none", "gpus-per-task": "1"}),
        ({"TresPerJob": "gres/gpu:a100=4"}, {"gres": "none", "gpus": "a100:4"}),
        ({"TresPerNode": "gres/gpu:a100:4,gres/lscratch:200"}, {"gres": "gpu:a100:4,lscratch:200"}),
        ({"TresPerNode": "gres/shard:1"}, {"gres": "shard:1"}),
        ({"TresPerTask": "cpu=8", "TresPerNode": "gres/gpu:4"}, {"gres": "gpu:4"}),
        ({"MinMemoryNode": "0"}, {"gres": "none", "mem": "0"}),  # the whole node's
        ({}, {"gres": "none"}),  # else the script's own request would come back
    ],
)
def test_gpus_are_asked_for_as_they_were(fields: dict[str, str], options: dict[str, str]) -> None:
    assert options_of_job(fields) == options


def test_a_rank_of_gloo_is_told_what_horovodrun_would_tell_it() -> None:
    # three nodes with 2, 2 and 1 tasks: the last node has no rank of local rank 1
    slurm = {"SLURM_STEP_TASKS_PER_NODE": "2(x2),1", "SLURM_NTASKS": "5"}
    ranks = [("0", "0", "0"), ("1", "0", "1"), ("2", "1", "0"), ("3", "1", "1"), ("4", "2", "0")]

    found = [
        horovod_variables(
            slurm
            | {
                "SLURM_PROCID": rank,
                "SLURM_NODEID": node,
                "SLURM_LOCALID": local,
                "SLURMD_NODENAME": f"n{node}",
            }
        )
        for rank, node, local in ranks
    ]

    names = ("HOSTNAME", "RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE", "CROSS_RANK", "CROSS_SIZE")
    rows = [" ".join(variables[f"HOROVOD_{name}"] for name in names) for variables in found]
    assert rows == [
        "n0 0 5 0 2 0 3",
        "n0 1 5 1 2 0 2",
        "n1 2 5 0 2 1 3",
        "n1 3 5 1 2 1 2",
        "n2 4 5 0 1 2 3",
    ]


def test_the_job_is_read_from_its_variables() -> None:
    job = JobEnvironment.read(
        {
            "SLURM_JOB_ID": "7",
            "SLURM_RESTART_COUNT": "2",
            "SLURM_JOB_NUM_NODES": "3",
            "SLURM_TASKS_PER_NODE": "2(x2),1",
            "SLURM_NTASKS": "5",
            "SLURM_GPUS_ON_NODE": "2",
        }
    )

    assert (job.job_id, job.restart_count, job.num_tasks, job.tasks_per_node) == (7, 2, 5, 2)
    require_one_gpu_per_task(job)
    with pytest.raises(UsageError, match="inside a Slurm job"):
        JobEnvironment.read({})


@pytest.mark.parametrize("gpus", ["0", "1", "4"])
def test_tasks_and_gpus_must_match(gpus: str) -> None:
    variables = {"SLURM_JOB_ID": "7", "SLURM_TASKS_PER_NODE": "2", "SLURM_GPUS_ON_NODE": gpus}

    with pytest.raises(UsageError, match=rf"{gpus} GPU\(s\) and 2 task\(s\)"):
        require_one_gpu_per_task(JobEnvironment.read(variables))
