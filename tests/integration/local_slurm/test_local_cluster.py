"""Starting and stopping a real Slurm: twice, half, by force, side by side."""

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.local_slurm import local_cluster
from pconv_hpc.local_slurm.local_cluster import LocalCluster, check_requirements, free_ports
from tests.support.paths import REPOSITORY
from tests.support.waiting import end_of, wait_until

TOOL = [sys.executable, str(REPOSITORY / "tools" / "local_slurm.py")]


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TOOL, *arguments], capture_output=True, text=True)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def put_daemon_on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, text: str) -> None:
    """Make ``name`` a shell script that comes before the real daemon."""
    folder.mkdir()
    script = folder / name
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.cluster
def test_start_status_stop(cluster_folder: Path) -> None:
    at = ("--dir", str(cluster_folder))
    export = f"export SLURM_CONF={cluster_folder}/etc/slurm.conf"

    assert run_tool("status", *at).returncode == 1
    started = run_tool("start", *at, "--nodes", "2", "--gpus-per-node", "3")
    assert (started.returncode, started.stdout) == (0, export + "\n"), started.stderr
    assert "2 nodes × 3 GPUs" in started.stderr

    # The printed line is all that a shell needs.
    sinfo = f"{started.stdout}sinfo --noheader --partition=gpu --Node --format='%N %T %G'"
    answer = subprocess.run(["bash", "-c", sinfo], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == ["node0 idle gpu:a100:3", "node1 idle gpu:a100:3"]

    again = run_tool("start", *at)
    assert again.returncode == 0
    assert again.stdout == export + "\n"
    assert "already running" in again.stderr
    assert "2 nodes × 3 GPUs" in again.stderr

    status = run_tool("status", *at)
    assert status.returncode == 0
    assert export in status.stdout
    assert "slurmctld" in status.stdout

    stopped = run_tool("stop", *at)
    assert (stopped.returncode, stopped.stdout) == (0, f"stopped {cluster_folder}\n")
    names = sorted(entry.name for entry in cluster_folder.iterdir())
    assert names == ["cluster.json", "local_slurm.lock", "log"]
    assert "no cluster ran" in run_tool("stop", *at).stdout
    assert run_tool("status", *at).returncode == 1


@pytest.mark.cluster
def test_stop_ends_jobs_and_what_they_detached(cluster_folder: Path, tmp_path: Path) -> None:
    cluster = LocalCluster(cluster_folder)
    cluster.start(num_nodes=1)
    pid_file = tmp_path / "pid"
    script = f"setsid sleep 600 & echo $! > {shlex.quote(str(pid_file))}; wait"
    command = ["sbatch", f"--output={tmp_path}/job.log", "--wrap", script]
    subprocess.run(command, env=cluster.environment(), check=True)
    wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
    pid = int(pid_file.read_text())
    assert is_alive(pid)

    assert cluster.stop()

    assert not is_alive(pid)


@pytest.mark.cluster
def test_two_clusters_run_at_once_and_do_not_mix(cluster_folder: Path) -> None:
    first = LocalCluster(cluster_folder / "a")
    second = LocalCluster(cluster_folder / "b")
    try:
        assert first.start(num_nodes=1)
        assert second.start(num_nodes=2, gpus_per_node=0)
        counts = [
            subprocess.run(
                ["sinfo", "--noheader", "--partition=gpu", "--format=%D"],
                env=cluster.environment(),
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for cluster in (first, second)
        ]
        assert counts == ["1", "2"]
        first.stop()
        assert second.is_running()
    finally:
        first.stop()
        second.stop()


@pytest.mark.cluster
def test_simultaneous_starts_make_one_cluster(cluster_folder: Path) -> None:
    command = [*TOOL, "start", "--nodes", "1", "--dir", str(cluster_folder)]
    starts = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [start.communicate()[1] for start in starts]

    assert LocalCluster(cluster_folder).is_running()
    assert sum("error" not in text and "already running" not in text for text in said) == 1


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("command", "process"),
    [("munged", "munged"), ("slurmctld", "slurmctld"), ("slurmd", "node0")],
)
def test_a_daemon_that_fails_is_named_with_its_log(
    cluster_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    process: str,
) -> None:
    text = "echo no disk left, says the daemon >&2; exit 3"
    put_daemon_on_path(monkeypatch, tmp_path / "bin", command, text)
    cluster = LocalCluster(cluster_folder)

    with pytest.raises(PconvError, match=f"{process} ended[^~]*no disk left, says the daemon"):
        cluster.start()

    assert not cluster.is_running()
    assert not (cluster_folder / "etc").exists()
    log = (cluster_folder / "log" / "supervisor.err").read_text()
    assert f"{process} (pid " in log
    assert "ended with exit status 3" in log


@pytest.mark.cluster
def test_an_interrupted_start_leaves_nothing(
    cluster_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_daemon_on_path(monkeypatch, tmp_path / "bin", "slurmctld", "exec sleep 600")
    start = subprocess.Popen(
        [*TOOL, "start", "--dir", str(cluster_folder)], stderr=subprocess.PIPE, text=True
    )
    wait_until((cluster_folder / "log" / "node1.err").exists, start)

    start.send_signal(signal.SIGINT)

    end_of(start)
    assert start.returncode == 75
    assert not LocalCluster(cluster_folder).is_running()
    assert not (cluster_folder / "etc").exists()


@pytest.mark.cluster
def test_a_killed_supervisor_takes_the_daemons_along(cluster_folder: Path) -> None:
    cluster = LocalCluster(cluster_folder)
    cluster.start(num_nodes=1)
    status = cluster.status()
    assert status is not None
    pids = [pid for pid in status.pids.values() if pid is not None]
    supervisor = status.pids["supervisor"]
    assert supervisor is not None

    os.kill(supervisor, signal.SIGKILL)

    wait_until(lambda: not any(map(is_alive, pids)))
    assert cluster.status() is None
    assert cluster.start(num_nodes=1)  # over what the first one left


@pytest.mark.cluster
def test_status_names_a_daemon_that_ended(cluster_folder: Path) -> None:
    cluster = LocalCluster(cluster_folder)
    cluster.start(num_nodes=1)
    status = cluster.status()
    assert status is not None
    node = status.pids["node0"]
    assert node is not None

    os.kill(node, signal.SIGKILL)

    def node_is_reported() -> bool:
        now = cluster.status()
        return now is not None and "node0       ended" in now.describe()

    wait_until(node_is_reported)


@pytest.mark.cluster
def test_folders_with_other_files_are_left_alone(cluster_folder: Path) -> None:
    cluster_folder.mkdir()
    (cluster_folder / "etc").write_text("precious")

    refused = run_tool("start", "--dir", str(cluster_folder))
    stopped = run_tool("stop", "--dir", str(cluster_folder))

    assert refused.returncode == 2
    assert "holds other files" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert stopped.returncode == 0
    assert (cluster_folder / "etc").read_text() == "precious"


@pytest.mark.cluster
@pytest.mark.parametrize(("owner", "mode"), [(65534, 0o755), (0, 0o777)])
def test_what_others_could_have_written_is_not_obeyed(
    tmp_path: Path, owner: int, mode: int
) -> None:
    folder = tmp_path / "cluster"
    (folder / "run").mkdir(parents=True)
    (folder / "local_slurm.lock").touch()
    with (
        subprocess.Popen(["sleep", "60"]) as victim,
        open(folder / "local_slurm.lock") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "run/pids.json").write_text(json.dumps({"supervisor": victim.pid}))
        os.chown(folder, owner, 0)
        folder.chmod(mode)
        for command in ("status", "stop"):
            done = run_tool(command, "--dir", str(folder))
            assert done.returncode == 2
            assert "expected a folder that root owns" in done.stderr
            assert "SLURM_CONF" not in done.stdout
        assert victim.poll() is None
        victim.kill()


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_cluster, "_search_path", lambda: str(tmp_path))

    with pytest.raises(
        UsageError, match=r"munged.*munge, slurm-client, slurmctld, slurmd"
    ) as error:
        check_requirements()

    assert "apt-get install slurm-wlm" in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.cluster
def test_a_user_who_is_not_root_is_told_so(
    cluster_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(UsageError, match="must be started by root"):
        LocalCluster(cluster_folder).start()

    assert not cluster_folder.exists()


def test_commands_of_a_surrounding_job_reach_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/slurm.conf")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SBATCH_PARTITION", "elsewhere")

    environment = LocalCluster(tmp_path).environment()

    assert environment["SLURM_CONF"] == f"{tmp_path}/etc/slurm.conf"
    assert {"SLURM_JOB_ID", "SBATCH_PARTITION"}.isdisjoint(environment)


def test_free_ports_are_different_and_below_the_ephemeral_range() -> None:
    ports = free_ports(17)

    assert len(set(ports)) == 17
    assert all(1024 < port < 32768 for port in ports)
