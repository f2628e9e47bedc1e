"""What a task of the erase array is told, and how its slice is gone on with when it is stopped."""

import itertools
import os
import shutil
from pathlib import Path

import pytest

from pconv_hpc.cluster.slurm_queries import is_alive
from pconv_hpc.erasing.settings import EraseSettings, Resources
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.jobs.erase_array.array_jobs import noted_jobs
from pconv_hpc.jobs.erase_array.slice_task import note_array
from pconv_hpc.jobs.erase_array.task_arguments import open_work
from pconv_hpc.jobs.requeue.erase_continuation import (
    FRUITLESS_VARIABLE,
    continue_task,
    is_about_to_be_killed,
)
from pconv_hpc.jobs.requeue.succession import successor_command, successor_environment
from pconv_hpc.model.find_weights import SHIPPED_WEIGHTS
from pconv_hpc.segmentation.settings import SegmentSettings
from tests.support.fake_slurm import FakeSlurm
from tests.support.paths import REPOSITORY

JOB = REPOSITORY / "jobs" / "erase_array.sbatch"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    photos = tmp_path / "my photos"
    photos.mkdir()
    for index in range(9):
        (photos / f"{index}.jpg").touch()
    for name in ("w.h5", "w 1.h5"):
        shutil.copy(SHIPPED_WEIGHTS, tmp_path / name)
    (tmp_path / "n.pth").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def array(task: int = 0, *, count: int = 4, last: int = 3, **more: str) -> dict[str, str]:
    variables = {"ID": task, "COUNT": count, "MAX": last}
    slurm = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in variables.items()}
    return {"CHECKPOINT": "n.pth"} | slurm | more


def test_tasks_share_the_photos(folder: Path) -> None:
    names = []
    for task in range(4):
        manifest, number = open_work(
            ["my photos", "out", "--weights", "w.h5", "--all"], array(task)
        )
        assert number == task
        names.append([row.photo for row in manifest.photos(number)])
    assert sorted(itertools.chain(*names)) == [f"{index}.jpg" for index in range(9)]
    assert max(map(len, names)) - min(map(len, names)) <= 1


def test_options_are_recorded_by_stage(folder: Path) -> None:
    (folder / "net.py").touch()
    words = ["--weights", "w 1.h5", "--checkpoint=n.pth", "--config", "net.py", "--num-slices=2"]
    (folder / "table.csv").write_text("image,click\n")
    words += ["--classes", "person, car", "--largest", "--box", "1,2,3,4", "--choices=table.csv"]
    words += ["--segment-batch-size", "3", "--inpaint-batch-size=5", "--strategy", "full"]
    words += ["--threads", "2", "--empty", "skip"]
    manifest, number = open_work(["my photos", "out", *words], array(1))
    settings = manifest.settings
    assert settings == EraseSettings(
        segment=SegmentSettings(
            config=str(folder / "net.py"),
            checkpoint=folder / "n.pth",
            classes=("person", "car"),
            largest=1,
            box=(1, 2, 3, 4),
            choices=folder / "table.csv",
        ),
        inpaint=InpaintSettings(weights=folder / "w 1.h5", strategy="full"),
        resources=Resources(segment_batch_size=3, inpaint_batch_size=5, threads=2),
        empty="skip",
    )
    assert (manifest.num_slices, number) == (2, 1)


def test_everything_from_the_environment(folder: Path) -> None:
    names = {"IMAGES": "my photos", "OUT": "out", "WEIGHTS": "w.h5", "CHECKPOINT": "n.pth"}
    config = "mask-rcnn_r50_fpn_1x_coco"
    manifest, number = open_work(["--all"], array(1, CONFIG=config, **names))
    assert (manifest.images, manifest.out, number) == (folder / "my photos", folder / "out", 1)
    assert manifest.settings == EraseSettings(
        segment=SegmentSettings(config=config, checkpoint=folder / "n.pth", every=True),
        inpaint=InpaintSettings(weights=folder / "w.h5"),
    )


def test_what_is_recorded_needs_no_options(folder: Path) -> None:
    given = ["my photos", "out", "--weights", "w.h5", "--classes", "person"]
    manifest, _ = open_work(given, array(0))
    for arguments, environment in (
        (["out"], array(3, count=2, last=5)),  # --array=3,5
        ([], array(3, count=1, last=3, OUT="out")),
        (["my photos", "out"], array(3, count=1, last=3, CHECKPOINT="")),
        (given, array(3, count=1, last=3)),
    ):
        assert open_work(arguments, environment) == (manifest, 3)
    with pytest.raises(UsageError, match="slices: 4, now 8"):
        open_work([*given, "--num-slices=8"], array(3))
    with pytest.raises(UsageError, match="classes: person, now car"):
        open_work([*given[:-1], "car"], array(3))
    with pytest.raises(UsageError, match=r"task 4: .* has 4 slices"):
        open_work(["out"], array(4, count=1, last=4))


def test_resource_options_are_each_arrays_own(folder: Path) -> None:
    given = ["my photos", "out", "--all", "--rim=2"]
    recorded, _ = open_work([*given, "--threads=8", "--device=cuda"], array(0))
    words = [*given, "--threads=2", "--inpaint-batch-size=1"]
    settings = open_work(words, array(1))[0].settings
    assert settings.resources == Resources(device="cuda", threads=2, inpaint_batch_size=1)
    default = open_work(["my photos", "out", "--threads=4"], array(2))[0].settings
    assert default.resources == Resources(device="cuda", threads=4)
    assert (default.segment.every, default.inpaint.rim) == (True, 2)
    assert open_work(["out"], array(2))[0] == recorded


def test_options_without_a_selection_are_held_against_those_recorded(folder: Path) -> None:
    begun = ["my photos", "out"]
    first = [*begun, "--all", "--mask=hull", "--weights=w.h5", "--rim=2"]
    manifest, _ = open_work(first, array(0))
    for words in (["--weights=w.h5"], ["--mask=hull"], ["--empty=copy"], ["--rim", "2.0"], []):
        assert open_work([*begun, *words], array(1)) == (manifest, 1)
    assert open_work(begun, array(1, WEIGHTS="w.h5")) == (manifest, 1)
    for words, difference in (
        (["--weights=w 1.h5"], "weights: .*/w.h5, now .*/w 1.h5"),
        (["--empty=skip"], "empty: copy, now skip"),
        (["--mask=dilate"], "mask: hull, now dilate\n"),  # by default so
        (["--rim=6"], "rim: 2, now 6"),
        (["--min-score=0.9"], "min-score: 0.5, now 0.9"),
        (["--all", "--rim=2"], "mask: hull, now dilate\n"),
    ):
        with pytest.raises(UsageError, match=difference):
            open_work([*begun, *words], array(1))


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["my photos"], array(), "expected the manifest of an OUT folder"),
        (["my photos", "--all"], array(), "expected IMAGES OUT"),
        ([], array(), "found nothing"),
        (["my photos", "out", "more"], array(), "expected IMAGES OUT"),
        (["none", "out", "--all"], array(), "none: no such folder"),
        (["my photos", "my photos", "--all"], array(), "a folder of their own"),
        (["my photos", "out", "--num-slices", "x"], array(), "--num-slices"),
        (["my photos", "out", "--num-slices", "3", "--all"], array(3), "expected 0 to 2"),
        (["my photos", "out", "--overwrite"], array(), "--overwrite is for one photo"),
        (["my photos", "out", "--all", "--local"], array(), "--local is for pconv-hpc erase"),
        (["my photos", "out", "--all", "--weights=gone.h5"], array(), "gone.h5"),
        (["my photos", "out", "--all", "--weights=n.pth"], array(), "n.pth: not a readable HDF5"),
        (["my photos", "out", "--all", "--checkpoint=gone.pth"], array(), "gone.pth"),
        (["my photos", "out", "--files-from=x"], array(), "--files-from"),
        (["my photos", "out", "--min-score=7"], array(), "must be between 0 and 1"),
        (["my photos", "out"], array(), "nothing is selected"),
        (["my photos", "out", "--all"], {"CHECKPOINT": "n.pth"}, "not a task of a job array"),
        # --array=3,5 to repeat two of 64 is no array of 6 slices
        (["my photos", "out", "--all"], array(3, count=2, last=5), "add --num-slices"),
    ],
)
def test_what_cannot_work_is_refused(
    folder: Path, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        open_work(arguments, environment | {"WEIGHTS": "w.h5"})


def test_without_weights_those_in_the_package_are_taken(folder: Path) -> None:
    manifest, _ = open_work(["my photos", "out", "--all"], array())
    assert manifest.settings.inpaint.weights == SHIPPED_WEIGHTS


def test_a_repeated_selection_keeps_the_weights_that_were_given(folder: Path) -> None:
    for words in (["--weights=w.h5"], []):
        manifest, _ = open_work(["my photos", "out", "--all", *words], array())
        assert manifest.settings.inpaint.weights == folder / "w.h5"


RECORD = {
    "JobId": "9",
    "JobName": "pconv-erase",
    "JobState": "RUNNING",
    "NumNodes": "1-1",
    "NtasksPerN:B:S:C": "1:0:*:*",
    "CPUs/Task": "8",
    "MinMemoryNode": "48G",
    "TimeLimit": "08:00:00",
    "Partition": "gpu",
    "TresPerNode": "gres:gpu:a100:1",
    "StdOut": "/a b/100%-7_3.out",
}


def test_a_successor_is_like_its_job_and_writes_on_in_its_log() -> None:
    options = {"array": "3", "dependency": "afterany:7_3"}
    assert successor_command(JOB, ["/an out"], RECORD, options) == [
        "sbatch",
        "--parsable",
        "--array=3",
        "--dependency=afterany:7_3",
        "--nodes=1",
        "--ntasks-per-node=1",
        "--cpus-per-task=8",
        "--mem=48G",
        "--time=08:00:00",
        "--partition=gpu",
        "--gres=gpu:a100:1",
        "--output=/a b/100%%-7_3.out",
        str(JOB),
        "/an out",
    ]


def test_a_successor_inherits_what_the_user_set_and_nothing_of_the_job() -> None:
    environment = {"SLURM_JOB_ID": "7", "SRUN_CPUS_PER_TASK": "1", "PMIX_RANK": "0"}
    environment |= {"PCONV_SITE": "site.sh", "SLURM_CONF": "slurm.conf"}
    assert successor_environment(environment) == {
        "PCONV_SITE": "site.sh",
        "SLURM_CONF": "slurm.conf",
    }


TASK = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "7"}


def say(
    environment: dict[str, str], *, has_progress: bool = True, is_told_to_end: bool = False
) -> str:
    return continue_task(
        Path("/out"),
        {**os.environ, **environment},
        has_progress=has_progress,
        is_told_to_end=is_told_to_end,
    )


def test_only_this_task_is_requeued(slurm: FakeSlurm) -> None:
    slurm.answer()
    assert "next start continues" in say(TASK | {"SLURM_RESTART_COUNT": "1"})
    assert "next start continues" in say(TASK, has_progress=False)
    assert slurm.calls() == ["scontrol requeue 7_3", "scontrol requeue 7_3"]


def test_what_was_cancelled_or_comes_to_nothing_is_not_continued(slurm: FakeSlurm) -> None:
    slurm.answer(state="CANCELLED")
    assert "somebody has ended it" in say(TASK)
    slurm.answer(fields="PreemptTime=None")
    assert "somebody has ended it" in say(TASK, is_told_to_end=True)
    slurm.answer(state="COMPLETING", fields="Restarts=1")
    assert "back into the queue" in say(TASK)
    slurm.answer()
    for again in ({"SLURM_RESTART_COUNT": "1"}, {FRUITLESS_VARIABLE: "1"}):
        assert "finished nothing" in say(TASK | again, has_progress=False)
    assert slurm.calls() == []


def test_a_preempted_task_goes_on_whatever_it_has_done(slurm: FakeSlurm) -> None:
    slurm.answer(fields="PreemptTime=2026-11-29T12:00:00")
    again = TASK | {"SLURM_RESTART_COUNT": "1"}
    assert "next start continues" in say(again, has_progress=False, is_told_to_end=True)
    slurm.answer(fields="PreemptTime=2026-11-29T12:00:00", refusal="Requeue is disabled")
    assert "job 12 continues" in say(TASK, has_progress=False, is_told_to_end=True)
    assert slurm.calls()[-1] == "fruitless "


def test_a_task_whose_grace_is_over_is_about_to_be_killed(slurm: FakeSlurm) -> None:
    environment = {**os.environ, **TASK}
    slurm.answer(fields="PreemptTime=2020-11-29T12:00:00 EndTime=2126-11-29T12:00:00")
    assert not is_about_to_be_killed(environment)
    slurm.answer(state="COMPLETING", fields="PreemptTime=2020-11-29T12:00:00")
    assert is_about_to_be_killed(environment)
    slurm.answer(silent_calls=1)
    assert not is_about_to_be_killed(environment)


def test_a_controller_that_restarts_is_waited_for_and_one_that_is_gone_loses_nothing(
    slurm: FakeSlurm,
) -> None:
    slurm.answer(silent_calls=2)
    assert "next start continues" in say(TASK)
    slurm.answer(silent_calls=99)
    said = say(TASK)
    assert said.startswith("not continued: Slurm does not answer: ")
    assert "--resubmit" in said


def test_where_requeue_is_forbidden_a_successor_goes_on(slurm: FakeSlurm) -> None:
    slurm.answer(refusal="Requeue is disabled")
    assert say(TASK) == "not requeued (Requeue is disabled); job 12 continues"
    requeue, sbatch, fruitless = slurm.calls()
    assert requeue == "scontrol requeue 7_3"
    options = "--array=3 --dependency=afterany:7_3 --job-name=x"
    assert sbatch.startswith(f"sbatch --parsable {options} ")
    assert sbatch.endswith(f" {JOB} /out")
    assert fruitless == "fruitless "

    assert "(PCONV_REQUEUE=no); job 12" in say(TASK | {"PCONV_REQUEUE": "no"}, has_progress=False)
    _, fruitless = slurm.calls()
    assert fruitless == "fruitless 1"

    slurm.answer(refusal="no", sbatch="Access denied")
    assert "Access denied" in say(TASK)


def test_an_array_that_somebody_submitted_by_hand_is_noted(
    tmp_path: Path, slurm: FakeSlurm
) -> None:
    slurm.answer()
    for task in (3, 5):
        note_array(tmp_path, TASK | array(task, count=3, last=5, SLURM_ARRAY_TASK_MIN="3"))
    (job,) = noted_jobs(tmp_path)
    assert (job.job_id, job.indices, job.max_running) == (7, "3-5", None)


def test_the_record_of_an_arrays_last_task_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [f"JobId={job} JobName=x\n   JobState={state}" for job, state in
               ((9, "RUNNING"), (7, "COMPLETED"), (8, "RUNNING"))]  # fmt: skip
    (tmp_path / "scontrol").write_text("#!/bin/sh\ncat <<END\n" + "\n\n".join(records) + "\nEND\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert not is_alive(7)
    assert is_alive(8)
