"""``jobs/in_image.sh``: a command in an image, and Slurm's commands outside it."""

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.fake_apptainer import FakeApptainer, write_program
from tests.support.paths import REPOSITORY

IN_IMAGE = REPOSITORY / "jobs" / "in_image.sh"
# What it was called with, where, and what it knows; an answer on both streams; an exit code.
_SCONTROL = """\
#!/bin/bash
printf '<%s>' "$@"
echo " in ${PWD##*/}, $SAID, image: ${APPTAINER_CONTAINER:-none}"
echo "and an error" >&2
exit 7
"""


@pytest.fixture
def apptainer(tmp_path: Path) -> FakeApptainer:
    return FakeApptainer(tmp_path / "apptainer")


def in_image(
    apptainer: FakeApptainer, *command: str, cwd: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", IN_IMAGE, *command],
        env=apptainer.environment() | variables,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_command_runs_in_the_image_with_the_package_of_the_checkout(
    apptainer: FakeApptainer, tmp_path: Path
) -> None:
    shown = 'echo "$APPTAINER_CONTAINER $PYTHONPATH $1 $(pwd)"; exit 5'
    done = in_image(
        apptainer, "bash", "-c", shown, "sh", "a  b",
        cwd=tmp_path, PYTHONPATH="/modules", PMIX_SERVER_TMPDIR=str(tmp_path),
    )  # fmt: skip

    assert done.stdout == f"1 {REPOSITORY} a  b {tmp_path}\n", done.stderr
    assert done.returncode == 5
    (call,) = apptainer.calls
    assert f"--bind {REPOSITORY} --bind {tmp_path} {apptainer.image} " in call.replace(" --nv", "")


def test_slurms_commands_run_outside_with_all_they_were_given(
    apptainer: FakeApptainer, tmp_path: Path
) -> None:
    write_program(apptainer.bin / "scontrol", _SCONTROL)
    folder = tmp_path / "it's a\nfolder"
    folder.mkdir()
    asked = "export SAID='a = b'; scontrol show 'two words' ''"

    done = in_image(apptainer, "bash", "-c", asked, cwd=folder)

    assert done.stdout == "<show><two words><> in it's a\nfolder, a = b, image: none\n", done.stderr
    assert done.stderr == "and an error\n"
    assert done.returncode == 7


def test_the_ranks_of_srun_are_in_the_image_again(apptainer: FakeApptainer, tmp_path: Path) -> None:
    srun = '#!/bin/bash\nwhile [[ $1 == --* ]]; do echo "$1"; shift; done\nexec "$@"\n'
    write_program(apptainer.bin / "srun", srun)
    rank = ("bash", "-c", 'echo "$APPTAINER_CONTAINER: $0"; squeue', "--not=an option of srun")
    command = shlex.join(["srun", "--ntasks=1", "--mpi=pmix", *rank])
    write_program(apptainer.bin / "squeue", "#!/bin/sh\necho outside\n")

    done = in_image(apptainer, "bash", "-c", command, cwd=tmp_path)

    expected = "--ntasks=1\n--mpi=pmix\n1: --not=an option of srun\noutside\n"
    assert done.stdout == expected, done.stderr
    assert len(apptainer.calls) == 2


def test_a_command_that_the_machine_lacks_is_not_pretended(
    apptainer: FakeApptainer, tmp_path: Path
) -> None:
    machine = tmp_path / "machine"
    machine.mkdir()
    for name in (
        "bash",
        "cp",
        "dirname",
        "env",
        "grep",
        "install",
        "mkdir",
        "mkfifo",
        "mktemp",
        "realpath",
        "rm",
    ):
        (machine / name).symlink_to(f"/usr/bin/{name}")
    path = f"{apptainer.bin}:{machine}"
    done = in_image(apptainer, "sbatch", "--version", cwd=tmp_path, PATH=path)
    assert (done.returncode, done.stderr) == (127, "sbatch is not in the image\n")


def test_signals_reach_the_command_and_nothing_stays(
    apptainer: FakeApptainer, tmp_path: Path
) -> None:
    waits = 'trap "exit 75" USR2; touch ready; while :; do sleep 0.1; done'
    environment = apptainer.environment() | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(["true"]) as ended:
        pass
    (tmp_path / f"pconv-relay.{ended.pid}.killed").mkdir()
    command = ["bash", IN_IMAGE, "bash", "-c", waits]
    with subprocess.Popen(command, env=environment, cwd=tmp_path) as process:
        while not (tmp_path / "ready").exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGUSR2)
        assert process.wait(timeout=30) == 75
    deadline = time.monotonic() + 30
    while list(tmp_path.glob("pconv-relay.*")):
        assert time.monotonic() < deadline, "the folder of requests is still there"
        time.sleep(0.1)


def test_what_is_missing_is_named(apptainer: FakeApptainer, tmp_path: Path) -> None:
    done = in_image(apptainer, "true", cwd=tmp_path, PCONV_IMAGE="/nowhere.sif")
    assert done.returncode == 2
    assert "PCONV_IMAGE=/nowhere.sif: there is no such image" in done.stderr
    (apptainer.bin / "apptainer").unlink()
    done = in_image(apptainer, "true", cwd=tmp_path)
    assert done.returncode == 2
    assert "needs apptainer or singularity on the PATH" in done.stderr
