"""The rendered configuration of a local cluster; tests/integration proves that Slurm accepts it."""

from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.local_slurm.slurm_conf import (
    MAX_FOLDER_BYTES,
    ClusterSpec,
    check_shape,
    munged_command,
    render_gres_conf,
    render_slurm_conf,
    slurm_daemon_commands,
)


def build_spec(folder: str = "/tmp/c", gpus_per_node: int = 2) -> ClusterSpec:
    return ClusterSpec(
        folder=Path(folder),
        hostname="host",
        controller_port=20001,
        node_ports=(20002, 20003),
        gpus_per_node=gpus_per_node,
    )


def test_each_node_has_its_own_port_and_claims_a_big_node() -> None:
    lines = render_slurm_conf(build_spec()).splitlines()

    shape = "CPUs=64 Boards=1 SocketsPerBoard=2 CoresPerSocket=32 ThreadsPerCore=1"
    assert [line for line in lines if line.startswith("NodeName=")] == [
        f"NodeName=node0 NodeHostname=host NodeAddr=127.0.0.1 Port=20002 {shape} "
        "RealMemory=368640 Gres=gpu:a100:2",
        f"NodeName=node1 NodeHostname=host NodeAddr=127.0.0.1 Port=20003 {shape} "
        "RealMemory=368640 Gres=gpu:a100:2",
    ]
    assert "SlurmctldHost=host(127.0.0.1)" in lines
    assert "SlurmctldPort=20001" in lines
    assert "AuthInfo=socket=/tmp/c/run/munge.socket,cred_expire=5" in lines


def test_every_path_lies_in_the_folder() -> None:
    text = render_slurm_conf(build_spec("/srv/c7"))

    values = [line.partition("=")[2] for line in text.splitlines() if not line.startswith("#")]
    paths = [value.removeprefix("socket=") for value in values if "/srv" in value]
    assert len(paths) == 10
    assert all(path.startswith("/srv/c7/") for path in paths)


def test_each_gpu_has_its_own_device_file() -> None:
    assert render_gres_conf(build_spec()) == (
        "NodeName=node0 Name=gpu Type=a100 File=/tmp/c/dev/node0-gpu0\n"
        "NodeName=node0 Name=gpu Type=a100 File=/tmp/c/dev/node0-gpu1\n"
        "NodeName=node1 Name=gpu Type=a100 File=/tmp/c/dev/node1-gpu0\n"
        "NodeName=node1 Name=gpu Type=a100 File=/tmp/c/dev/node1-gpu1\n"
    )


def test_nodes_without_gpus_declare_none() -> None:
    spec = build_spec(gpus_per_node=0)

    assert render_gres_conf(spec) == ""
    assert " Gres=" not in render_slurm_conf(spec)


def test_commands_use_the_folder_alone() -> None:
    spec = build_spec()

    assert munged_command(spec) == [
        "munged",
        "--foreground",
        "--force",
        "--socket=/tmp/c/run/munge.socket",
        "--key-file=/tmp/c/etc/munge.key",
        "--pid-file=/tmp/c/run/munged.pid",
        "--seed-file=/tmp/c/run/munged.seed",
    ]
    assert slurm_daemon_commands(spec) == {
        "slurmctld": ["slurmctld", "-D", "-c", "-f", "/tmp/c/etc/slurm.conf"],
        "node0": ["slurmd", "-D", "-N", "node0", "-f", "/tmp/c/etc/slurm.conf"],
        "node1": ["slurmd", "-D", "-N", "node1", "-f", "/tmp/c/etc/slurm.conf"],
    }


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("/tmp/" + "x" * MAX_FOLDER_BYTES, "at most"),
        ("/tmp/a b", "without spaces"),
        ("/tmp/a%n", "without spaces"),
    ],
)
def test_folders_that_slurm_cannot_use_are_refused(folder: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_spec(folder)


@pytest.mark.parametrize("shape", [(0, 4), (-1, 4), (17, 4), (2, -1), (2, 17)])
def test_shapes_out_of_range_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="a local cluster has"):
        check_shape(*shape)
