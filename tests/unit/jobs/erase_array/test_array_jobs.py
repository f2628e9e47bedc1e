"""Arrays for a folder: as lines, as notes, as Slurm lists them."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.shipped import JOBS_DIR
from pconv_hpc.jobs.erase_array.array_jobs import (
    array_line,
    compact_indices,
    max_array_tasks,
    note_job,
    noted_jobs,
    waiting_and_running,
)
from pconv_hpc.jobs.erase_array.submission import Submission, like_the_last

Program = Callable[[str, str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Put a shell script before all programs of its name."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")

    def write(name: str, body: str) -> None:
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    return write


@pytest.mark.parametrize(
    ("indices", "text"),
    [
        ([], ""),
        ([3], "3"),
        ([9, 7, 3, 8], "3,7-9"),
        (range(64), "0-63"),
        ([0, 1, 3, 4, 6], "0-1,3-4,6"),
        ([5, 5, 6], "5-6"),
    ],
)
def test_indices_as_slurm_writes_them(indices: list[int], text: str) -> None:
    assert compact_indices(indices) == text


def test_the_line_that_submits() -> None:
    line = array_line(
        Path("/data/100% mine"),
        [3, 7, 8, 9],
        max_running=16,
        options={"time": "02:00:00", "exclude": "node7"},
        site=Path("/sites/ours.sh"),
    )
    assert line == (
        "source /sites/ours.sh; sbatch --parsable '--job-name=pconv-erase-100% mine' "
        "--array=3,7-9%16 '--output=/data/100%% mine/logs/%A_%a.out' --time=02:00:00 "
        f"--exclude=node7 {JOBS_DIR}/erase_array.sbatch '/data/100% mine'"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gres": "none"}, "--cpus-per-task=4 --mem=16G --gres=none"),
        ({"gres": "none", "mem": "9G"}, "--cpus-per-task=4 --mem=9G --gres=none"),
        ({"mem-per-cpu": "2G", "gres": "none"}, "--cpus-per-task=4 --mem-per-cpu=2G --gres=none"),
        ({"gres": "gpu:1"}, "--gres=gpu:1"),
    ],
)
def test_tasks_without_gpus_ask_for_what_fits_them(options: dict[str, str], words: str) -> None:
    line = array_line(Path("/out"), [0], max_running=None, options=options, site=Path("/s.sh"))
    assert f"--output=/out/logs/%A_%a.out {words} {JOBS_DIR}" in line


def test_no_folder_passes_for_a_field_or_a_pattern_of_slurms() -> None:
    out = Path("/data/a\n Command=evil \udce9")
    line = array_line(out, [0], max_running=None, options={}, site=Path("/s.sh"))
    assert "'--job-name=pconv-erase-a? Command=evil ?'" in line
    assert shlex.split(line)[-1] == str(out)
    odd = Submission(out=Path("/a\\b/c"), indices=[0], max_running=None, site=Path("/s.sh"))
    for submit in (odd.require_room, odd.submit):
        with pytest.raises(UsageError, match="log paths that contain a backslash"):
            submit()


def test_another_array_is_like_the_last_one(tmp_path: Path) -> None:
    note_job(tmp_path, 20, indices="0-9", max_running=4, options={"time": "1:00"})
    note_job(tmp_path, 20, indices="0", options={})  # noted already: left as it is
    (tmp_path / "jobs" / "21.json").write_text("{torn")
    (tmp_path / "jobs" / "22.json").write_text('{"what": 1}')
    assert [(job.job_id, job.indices) for job in noted_jobs(tmp_path)] == [(20, "0-9")]

    again = like_the_last(
        tmp_path, [1], max_running=None, options={"mem": "9G"}, site=Path("/s.sh")
    )
    assert "--array=1%4 " in again.line
    assert "--time=1:00 --mem=9G" in again.line
    other = like_the_last(tmp_path, [1], max_running=2, options={"time": "9:00"}, site=Path("/s"))
    assert "--array=1%2 " in other.line
    assert "--time=9:00" in other.line


def test_what_waits_and_runs(program: Program, tmp_path: Path) -> None:
    program("squeue", f'echo "$@" > {tmp_path}/asked; echo "12|10|3|RUNNING"; echo "9|9|N/A|X"')
    (element,) = waiting_and_running([10, 11, 10])
    assert (element.job_id, element.array_id, element.index) == (12, 10, 3)
    assert element.state == "RUNNING"
    assert "--jobs=10,11" in (tmp_path / "asked").read_text()

    program("squeue", "echo slurm_load_jobs error: Invalid job id specified >&2; exit 1")
    assert waiting_and_running([10]) == []
    program("squeue", "echo no contact >&2; exit 1")
    with pytest.raises(PconvError, match="no contact"):
        waiting_and_running([10])
    assert waiting_and_running([]) == []


def test_how_large_an_array_may_be(program: Program) -> None:
    program("scontrol", "echo 'MaxArraySize            = 40'")
    assert max_array_tasks() == 40
    photos = Path("/photos")
    Submission(out=photos, indices=[39], max_running=None, site=photos).require_room()
    too_many = Submission(out=photos, indices=range(41), max_running=None, site=photos)
    with pytest.raises(UsageError, match=r"41 tasks: this Slurm allows 40 in an array"):
        too_many.require_room()
