"""The configuration files of a Slurm cluster that lives in one folder of one machine.

Everything here is a pure function of a ``ClusterSpec``: no file, process or port is touched.
"""

from dataclasses import dataclass
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError

# Unix sockets below the folder, such as spool/node15/stepd.slurm.pmix.<job>.<step>, must stay
# under the kernel's 107 bytes.
MAX_FOLDER_BYTES = 55
MAX_NODES = 16
MAX_GPUS_PER_NODE = 16


def check_shape(num_nodes: int, gpus_per_node: int) -> None:
    """Raise ``UsageError`` where a local cluster cannot have that many nodes or GPUs."""
    if not 1 <= num_nodes <= MAX_NODES:
        raise UsageError(f"{num_nodes} nodes: a local cluster has 1 to {MAX_NODES}")
    if not 0 <= gpus_per_node <= MAX_GPUS_PER_NODE:
        raise UsageError(
            f"{gpus_per_node} GPUs a node: a local cluster has 0 to {MAX_GPUS_PER_NODE}"
        )


@dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """What a local cluster consists of, and where its files and ports are.

    The nodes claim a big A100 node's cores and memory whatever this machine has, so that job
    scripts written for a real cluster are accepted unchanged and never queue for cores.
    """

    folder: Path  # absolute
    hostname: str  # of this machine, without its domain
    controller_port: int
    node_ports: tuple[int, ...]  # one per node
    gpus_per_node: int = 4
    cpus_per_node: int = 64
    memory_mib_per_node: int = 368640

    def __post_init__(self) -> None:
        if len(bytes(self.folder)) > MAX_FOLDER_BYTES:
            raise UsageError(
                f"{self.folder}: the path is {len(bytes(self.folder))} bytes long and Slurm's "
                f"sockets below it would not work; choose a folder of at most "
                f"{MAX_FOLDER_BYTES} bytes"
            )
        if any(character in str(self.folder) for character in " \t\n\"'#=,%[]\\"):
            raise UsageError(
                f"{self.folder}: Slurm's configuration cannot hold this path; choose a folder "
                "without spaces, quotes, brackets or any of # = , % \\"
            )

    @property
    def node_names(self) -> tuple[str, ...]:
        return tuple(f"node{index}" for index in range(len(self.node_ports)))

    @property
    def slurm_conf(self) -> Path:
        return self.folder / "etc" / "slurm.conf"

    @property
    def gres_conf(self) -> Path:
        return self.folder / "etc" / "gres.conf"

    @property
    def task_prolog(self) -> Path:
        return self.folder / "etc" / "task_prolog"

    @property
    def munge_key(self) -> Path:
        return self.folder / "etc" / "munge.key"

    @property
    def munge_socket(self) -> Path:
        return self.folder / "run" / "munge.socket"

    def gpu_devices(self, node_name: str) -> tuple[Path, ...]:
        """Return the device files that stand for the GPUs of one node."""
        return tuple(
            self.folder / "dev" / f"{node_name}-gpu{index}" for index in range(self.gpus_per_node)
        )


_SLURM_CONF = """\
# Written by pconv-hpc local-slurm: a cluster of virtual nodes on one machine, for trying jobs.
ClusterName=local
SlurmctldHost={hostname}(127.0.0.1)
SlurmctldPort={controller_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits until its credential has expired; the default would be two minutes.
AuthInfo=socket={folder}/run/munge.socket,cred_expire=5

StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
TmpFS={folder}/tmp/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log

# Nothing needs cgroups or systemd; nodes may claim more than the machine has.
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/etc/task_prolog
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
# What `sacct --completion` reads: the fate of jobs that squeue no longer shows.
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/jobs.txt

SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,bf_continue,sched_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
EnforcePartLimits=ALL
# A preempted job gets the signal that it asked for with --signal.
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
ReturnToService=2
SlurmdTimeout=60
KillWait=10
OverTimeLimit=0
MinJobAge=3600
MaxArraySize=10001
MaxJobCount=20000

GresTypes=gpu
{nodes}

PartitionName=DEFAULT Nodes=ALL State=UP DefaultTime=1:00:00 PriorityTier=10 PreemptMode=OFF
PartitionName=gpu Default=YES MaxTime=4-00:00:00
PartitionName=short MaxTime=2:00:00
PartitionName=medium MaxTime=1-00:00:00
PartitionName=long MaxTime=7-00:00:00
PartitionName=preemptible MaxTime=4-00:00:00 PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
"""

# Open MPI names its shared memory after the host, which all virtual nodes share: ranks of two nodes
# would take each other's and crash. Over TCP they cannot meet by mistake.
TASK_PROLOG = """\
#!/bin/sh
echo "export OMPI_MCA_btl=^vader"
"""


def render_slurm_conf(spec: ClusterSpec) -> str:
    """Return the text of ``slurm.conf``."""
    cores_per_socket = spec.cpus_per_node // 2
    gres = f" Gres=gpu:a100:{spec.gpus_per_node}" if spec.gpus_per_node else ""
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={spec.hostname} NodeAddr=127.0.0.1 Port={port} "
        f"CPUs={spec.cpus_per_node} Boards=1 SocketsPerBoard=2 "
        f"CoresPerSocket={cores_per_socket} ThreadsPerCore=1 "
        f"RealMemory={spec.memory_mib_per_node}{gres}"
        for name, port in zip(spec.node_names, spec.node_ports, strict=True)
    )
    return _SLURM_CONF.format(
        hostname=spec.hostname,
        controller_port=spec.controller_port,
        folder=spec.folder,
        nodes=nodes,
    )


def render_gres_conf(spec: ClusterSpec) -> str:
    """Return the text of ``gres.conf``: one line per GPU.

    Only GPUs with a device file of their own make Slurm set ``CUDA_VISIBLE_DEVICES``.
    """
    return "".join(
        f"NodeName={name} Name=gpu Type=a100 File={device}\n"
        for name in spec.node_names
        for device in spec.gpu_devices(name)
    )


def munged_command(spec: ClusterSpec) -> list[str]:
    """Return munged's command line, with a socket and a key that only this cluster uses.

    ``--force`` turns its refusal of folders that other users cannot reach into a warning: only
    root uses the cluster.
    """
    run = spec.folder / "run"
    return [
        "munged",
        "--foreground",
        "--force",
        f"--socket={spec.munge_socket}",
        f"--key-file={spec.munge_key}",
        f"--pid-file={run}/munged.pid",
        f"--seed-file={run}/munged.seed",
    ]


def slurm_daemon_commands(spec: ClusterSpec) -> dict[str, list[str]]:
    """Return each Slurm daemon's command line by its name, in the order they are started."""
    conf = str(spec.slurm_conf)
    commands = {"slurmctld": ["slurmctld", "-D", "-c", "-f", conf]}
    for name in spec.node_names:
        commands[name] = ["slurmd", "-D", "-N", name, "-f", conf]
    return commands
