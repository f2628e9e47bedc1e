"""``tools/resume.py`` and ``tools/status.py`` where there is a Slurm, on runs made by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pconv_hpc.foundation.config import RunConfig
from pconv_hpc.jobs.requeue.chain import STARTS_NAME, Start, append_start
from pconv_hpc.training.run_folder import RunFolder
from tests.integration.cluster.login_node import call
from tests.integration.cluster.slurm_client import SlurmClient
from tests.support.paths import REPOSITORY

pytestmark = pytest.mark.cluster


def make_run(path: Path, job_id: int) -> RunFolder:
    """Write the folder of a run that was interrupted before its first checkpoint."""
    folder = RunFolder(path)
    folder.save_config(RunConfig())
    folder.write_state("interrupted", step=0, total_steps=50, reason="stopped by SIGUSR2")
    folder.metrics_path.write_text("step,epoch,loss,images_per_second\n20,1,2.5,64\n")
    options = {"nodes": "2", "ntasks-per-node": "4", "time": "12:00:00", "gres": "gpu:a100:4"}
    for restart_count in (0, 1):
        start = Start(
            chain=str(job_id),
            job_id=job_id,
            restart_count=restart_count,
            progress=0,
            time="",
            options=options,
        )
        append_start(folder.path / STARTS_NAME, start)
    return folder


_DRY_RUN = """\
run         my runs/first
status      interrupted
why         stopped by SIGUSR2
position    step 0 of 50, 0 epoch(s) validated
checkpoint  none: starts over
changes     train.epochs
command     source {site}; sbatch --parsable --job-name=pconv-train-first --nodes=8 \
--ntasks-per-node=4 --time=1-00:00:00 --gres=gpu:a100:4 --exclude=node7 \
{repository}/jobs/train_a100.sbatch '{cwd}/my runs/first/config.yaml' '{cwd}/my runs/first' \
--set train.epochs=64
"""


def test_resume_shows_exactly_what_it_would_submit(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    make_run(tmp_path / "my runs" / "first", 9999)
    slurm_cluster.environment["PCONV_SITE"] = "/sites/ours.sh"

    shown = call(
        slurm_cluster,
        *("resume.py", "my runs/first", "--dry-run", "--nodes", "8", "--time", "1-00:00:00"),
        *("--sbatch", "exclude=node7", "--set", "train.epochs=64"),
        cwd=tmp_path,
    )

    assert shown == _DRY_RUN.format(site="/sites/ours.sh", repository=REPOSITORY, cwd=tmp_path)
    assert slurm_cluster.squeue() == []


def test_resume_submits_once_with_the_sites_settings(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    folder = make_run(tmp_path / "run", 9999)
    (tmp_path / "site.sh").write_text("export SBATCH_PARTITION=long\n")
    slurm_cluster.environment["PCONV_SITE"] = str(tmp_path / "site.sh")

    told = call(slurm_cluster, "resume.py", "run", "--sbatch", "hold=", cwd=tmp_path, expect=1)
    assert "sbatch refused the job" in told
    told = call(slurm_cluster, "resume.py", "run", "--sbatch", "begin=now+1hour", cwd=tmp_path)

    (job,) = slurm_cluster.squeue()
    assert f"submitted   job {job['JobID']}" in told
    (record,) = slurm_cluster.jobs(int(job["JobID"]))
    assert record["Partition"] == "long"
    assert (record["TimeLimit"], record["NumNodes"]) == ("12:00:00", "2-2")

    append_start(
        folder.path / STARTS_NAME,
        Start(chain="1", job_id=int(job["JobID"]), restart_count=0, progress=0, time=""),
    )
    told = call(slurm_cluster, "resume.py", "run", cwd=tmp_path, expect=2)
    assert f"job {job['JobID']} waits in the queue to continue it" in told


def test_resume_with_options_of_a_job_does_not_run_here(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    make_run(tmp_path / "run", 9999)
    told = call(
        slurm_cluster, "resume.py", "run", "--local", "--nodes", "2", cwd=tmp_path, expect=2
    )
    assert "--nodes is for a Slurm job" in told
    shown = call(slurm_cluster, "resume.py", "run", "--local", "--dry-run", cwd=tmp_path)
    assert f"command     {sys.executable}" in shown


def test_status_tells_what_slurm_and_the_folder_know(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    job = slurm_cluster.submit("--hold", "--wrap=true", cwd=tmp_path)
    make_run(tmp_path / "runs" / "waits", job)
    failed = make_run(tmp_path / "runs" / "broken", 9999)
    failed.write_state("failed", step=20, total_steps=50, reason="the loss is not finite")
    silent = make_run(tmp_path / "runs" / "silent", 9999)
    silent.write_state("running", step=0, total_steps=50, reason="")
    silent.log_path.write_text("x INFO fine\nx ERROR disk full\nx INFO more\n")

    table = call(slurm_cluster, "status.py", cwd=tmp_path)

    assert [line.split("  ")[0].strip() for line in table.splitlines()] == [
        "run",
        "runs/broken",
        "",
        "runs/silent",
        "",
        "runs/waits",
    ]
    assert "  last error: the loss is not finite" in table.splitlines()
    assert "  last error: disk full" in table.splitlines()
    broken, quiet, waits = json.loads(call(slurm_cluster, "status.py", "--json", cwd=tmp_path))
    assert quiet["status"] == "exited without recording a status"
    assert (waits["slurm"], waits["job_id"], waits["requeues"]) == ("PENDING", job, 1)
    assert (broken["slurm"], broken["step"], broken["total_steps"]) == (None, 20, 50)
    assert broken["images_per_second"] == 64
    assert broken["checkpoint_step"] is broken["seconds_left"] is None


def test_status_watches_until_ctrl_c(slurm_cluster: SlurmClient, tmp_path: Path) -> None:
    make_run(tmp_path / "run", 9999)
    command = [sys.executable, str(REPOSITORY / "tools/status.py"), "run", "--watch", "1"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=slurm_cluster.environment, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        lines = [watching.stdout.readline() for _ in range(4)]
        os.kill(watching.pid, 2)
        assert watching.wait(timeout=30) == 0
    assert lines[0] == lines[2]
    assert lines[1] == lines[3] != lines[0]


def test_status_without_runs(slurm_cluster: SlurmClient, tmp_path: Path) -> None:
    assert "no run folders here" in call(slurm_cluster, "status.py", cwd=tmp_path, expect=2)
    told = call(slurm_cluster, "status.py", "nowhere", cwd=tmp_path, expect=2)
    assert "no training run here" in told
