"""Real runs in real processes: interrupted, killed, continued with other ranks, and compared."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.shards.sampler import SampleOrder
from pconv_hpc.training.checkpoint import read_checkpoint
from pconv_hpc.training.checkpoint_files import list_checkpoints
from pconv_hpc.training.run_folder import RunFolder
from tests.support.same_runs import assert_same_run, final_arrays, table_without_speed
from tests.support.training_runs import TOTAL_STEPS, WITH_EVENTS, RunTool, run_with_event

TRAIN = "tools/train.py"
RESUME = "tools/resume.py"
pytestmark = pytest.mark.mpi


@pytest.fixture(scope="module")
def references(
    config_path: Path, run_tool: RunTool, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, RunFolder]:
    """Uninterrupted runs, by number of ranks."""
    root = tmp_path_factory.mktemp("references")
    folders = {}
    for ranks in (1, 2):
        folders[ranks] = RunFolder(root / str(ranks))
        run_tool(TRAIN, config_path, "--run-dir", folders[ranks].path, ranks=ranks)
    return folders


def test_a_run_leaves_everything_a_user_looks_for(references: dict[int, RunFolder]) -> None:
    folder = references[1]
    rows = table_without_speed(folder.metrics_path)
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8, 10, 12]
    assert [int(row["epoch"]) for row in rows] == [1, 1, 1, 2, 2, 2]
    assert list(rows[0]) == ["step", "epoch", "loss", "valid", "hole", "total_variation"]
    assert [int(row["epoch"]) for row in table_without_speed(folder.validation_metrics_path)] == [
        1,
        2,
    ]
    for path in (folder.curves_path, folder.grid_path(1), folder.grid_path(2)):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert folder.weights_path.is_file()
    assert any(folder.tensorboard_dir.iterdir())
    log = folder.log_path.read_text()
    assert "perceptual and style loss are off" in log
    description = list_checkpoints(folder.checkpoints_dir)[-1].description
    assert {"config", "versions", "seed", "data_fingerprint", "progress"} <= description.keys()


def test_ranks_change_the_arithmetic_only_slightly(references: dict[int, RunFolder]) -> None:
    one, two = (float(table_without_speed(references[n].metrics_path)[0]["loss"]) for n in (1, 2))
    assert one == pytest.approx(two, rel=0.1)  # batch norm sees half as many images on each rank


@pytest.mark.parametrize("ranks", [1, 2])
def test_interrupted_and_resumed_equals_never_interrupted(
    references: dict[int, RunFolder],
    config_path: Path,
    run_tool: RunTool,
    tmp_path: Path,
    ranks: int,
) -> None:
    run_dir = tmp_path / "run"
    # mid-epoch on all ranks; on one rank at the end of an epoch, before its validation
    for signal_name, at_step, rank in (("SIGUSR2", 2, -1), ("SIGTERM", 5, 0)):
        code = run_with_event(
            run_tool, config_path, run_dir, ranks, signal=signal_name, at_step=at_step, rank=rank
        )
        assert code == 75
        state = RunFolder(run_dir).read_state()
        assert state.status == "interrupted"
        assert at_step <= state.step <= at_step + 1
    done = run_tool(RESUME, run_dir, *(("--ranks", ranks) if ranks > 1 else ("--local",)))
    assert "status      interrupted" in done.stdout
    assert_same_run(RunFolder(run_dir), references[ranks])


def test_killed_at_any_moment_it_continues_to_the_same_end(
    references: dict[int, RunFolder], config_path: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    rng = random.Random(7)
    run_with_event(run_tool, config_path, run_dir, signal="SIGKILL", at_step=6, during_save=True)
    assert list_checkpoints(run_dir / "checkpoints") == []
    run_with_event(run_tool, config_path, run_dir, signal="SIGKILL", at_step=rng.randint(7, 12))
    run_with_event(run_tool, config_path, run_dir, signal="SIGKILL", at_step=12, during_save=True)
    run_tool(RESUME, run_dir, "--local")
    assert_same_run(RunFolder(run_dir), references[1])
    leftovers = [p.name for p in (run_dir / "checkpoints").iterdir() if p.name.endswith(".tmp")]
    assert leftovers == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_the_save_that_notes_a_validation_it_is_told_once(
    references: dict[int, RunFolder],
    config_path: Path,
    run_tool: RunTool,
    tmp_path: Path,
    when: str,
) -> None:
    run_dir = tmp_path / "run"
    if when == "before":  # the step itself is saved already
        assert run_with_event(run_tool, config_path, run_dir, signal="SIGUSR2", at_step=6) == 75
    kill = {"signal": "SIGKILL", "at_step": 6, "around_validation_save": when}
    assert run_with_event(run_tool, config_path, run_dir, **kill) == -9
    folder = RunFolder(run_dir)
    assert len(table_without_speed(folder.validation_metrics_path)) == 1
    assert folder.weights_path.is_file()
    run_tool(RESUME, run_dir, "--local")
    assert_same_run(folder, references[1])


def test_another_number_of_ranks_sees_exactly_the_remaining_samples(
    config_path: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    run_dir, record = tmp_path / "run", tmp_path / "record"
    seen: dict[int, list[int]] = {}
    for part, (ranks, at_step) in enumerate([(2, 3), (1, 7), (3, 99)]):
        folder = record / str(part)
        folder.mkdir(parents=True)
        run_with_event(
            *(run_tool, config_path, run_dir, ranks),
            signal="SIGUSR2",
            at_step=at_step,
            record=str(folder),
        )
        for rank in range(ranks):
            for line in (folder / f"rank{rank}.jsonl").read_text().splitlines():
                step, samples = json.loads(line)
                seen.setdefault(step, []).extend(samples)
    order = SampleOrder(21, seed=0, block_images=4, window_blocks=2)
    expected = {step: order.batch(step, 4)[1].tolist() for step in range(TOTAL_STEPS)}
    assert {step: sorted(samples) for step, samples in seen.items()} == {
        step: sorted(samples) for step, samples in expected.items()
    }
    digests = {(record / "2" / f"rank{rank}.sha256").read_text() for rank in range(3)}
    assert len(digests) == 1, "the ranks' weights differ"


def test_a_finished_run_started_again_does_nothing(
    references: dict[int, RunFolder], config_path: Path, run_tool: RunTool
) -> None:
    folder = references[1]
    before = {p: p.read_bytes() for p in folder.checkpoints_dir.iterdir()}
    before[folder.metrics_path] = folder.metrics_path.read_bytes()
    done = run_tool(TRAIN, config_path, "--run-dir", folder.path)
    assert "nothing to do" in done.stderr
    assert {p: p.read_bytes() for p in before} == before


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(
    references: dict[int, RunFolder], config_path: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    assert run_with_event(run_tool, config_path, run_dir, signal="SIGUSR2", at_step=8, rank=0) == 75
    newest = list_checkpoints(run_dir / "checkpoints")[-1]
    data = bytearray(newest.path.read_bytes())
    data[len(data) // 2] ^= 1
    newest.path.write_bytes(data)
    shown = run_tool(RESUME, run_dir, "--local", "--dry-run").stdout
    assert f"damaged     {newest.path}" in shown
    assert "step 6 of 12" in shown
    assert newest.path.exists(), "a dry run changes nothing"
    done = run_tool(RESUME, run_dir, "--local")
    assert "falling back to the previous checkpoint" in done.stderr
    assert_same_run(RunFolder(run_dir), references[1])


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(
    config_path: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    huge = [
        word
        for part in ("hole", "valid", "total_variation")
        for word in ("--set", f"loss.{part}=1e+39")
    ]
    run_dir = tmp_path / "run"
    run_with_event(run_tool, config_path, run_dir, signal="SIGUSR2", at_step=3)
    before = [c.step for c in list_checkpoints(run_dir / "checkpoints")]
    done = run_tool(RESUME, run_dir, "--local", *huge, expect=(1,))
    assert f"step {before[-1] + 1}: the training loss is not finite" in done.stderr
    assert f"after step {before[-1]}, is intact" in done.stderr
    assert [c.step for c in list_checkpoints(run_dir / "checkpoints")] == before
    assert RunFolder(run_dir).read_state().status == "failed"
    back = [word.replace("1e+39", "1") for word in huge]
    assert run_tool(RESUME, run_dir, "--local", *back).returncode == 0


def test_a_network_that_validation_finds_useless_is_not_gone_on_with(
    references: dict[int, RunFolder], config_path: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    assert run_with_event(run_tool, config_path, run_dir, signal="SIGUSR2", at_step=3) == 75
    events = tmp_path / "useless.json"
    events.write_text(json.dumps({"useless_network": True}))
    done = run_tool(*(WITH_EVENTS, events, config_path, "--run-dir", run_dir), ranks=2, expect=(1,))
    assert "step 6: the validation loss is not finite (inf)" in done.stderr
    assert "after step 4, is intact" in done.stderr
    done = run_tool(RESUME, run_dir, "--local")
    assert "continuing after step 4" in done.stderr
    rows = table_without_speed(references[1].validation_metrics_path)
    assert len(table_without_speed(RunFolder(run_dir).validation_metrics_path)) == len(rows)


def test_what_a_run_must_keep_cannot_be_changed_half_way(
    references: dict[int, RunFolder], run_tool: RunTool
) -> None:
    done = run_tool(
        RESUME,
        references[1].path,
        "--local",
        "--set",
        "train.global_batch_size=8",
        "--dry-run",
        expect=(2,),
    )
    assert "train.global_batch_size cannot change during a run" in done.stderr
    done = run_tool(RESUME, references[1].path, "--local", "--set", "train.epochs=3", "--dry-run")
    assert "changes     train.epochs" in done.stdout


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.val_index=null"], "data.val_index is not set"),
        (["loss.vgg_weights=/nowhere/vgg.h5"], "/nowhere/vgg.h5"),
        (["train.require_gpu=true"], "sees no GPU"),
        (["train.speed=3"], "valid keys: epochs"),
    ],
)
def test_what_cannot_be_used_is_said_at_once(
    config_path: Path, run_tool: RunTool, tmp_path: Path, overrides: list[str], message: str
) -> None:
    words = [word for override in overrides for word in ("--set", override)]
    done = run_tool(TRAIN, config_path, "--run-dir", tmp_path / "run", *words, expect=(2,))
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_what_failed_is_not_what_a_run_goes_on_with(
    config_path: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    bad = ("--set", "data.train_index=/nowhere/index.json")
    run_tool(TRAIN, config_path, "--run-dir", run_dir, *bad, expect=(2,))
    code = run_with_event(run_tool, config_path, run_dir, signal="SIGUSR2", at_step=3)
    assert code == 75
    run_tool(RESUME, run_dir, "--local", *bad, expect=(2,))
    run_tool(RESUME, run_dir, "--local", "--set", "train.epochs=1")
    assert RunFolder(run_dir).read_state().status == "finished"
    # Nothing was trained: what never changes later may, and masks are drawn anew.
    unborn = tmp_path / "unborn"
    nowhere = ("--set", "loss.vgg_weights=/nowhere/vgg.h5")
    run_tool(TRAIN, config_path, "--run-dir", unborn, *nowhere, expect=(2,))
    smaller = [f"--set={key}" for key in ("data.image_size=24", "train.epochs=1")]
    run_tool(TRAIN, config_path, "--run-dir", unborn, *smaller)
    assert RunFolder(unborn).load_config().data.image_size == 24


def test_training_starts_from_given_weights(
    references: dict[int, RunFolder], config_path: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    run_dir = tmp_path / "finetune"
    run_tool(
        *(TRAIN, config_path, "--run-dir", run_dir),
        *("--set", f"train.initial_weights={references[1].path}"),
        *("--set", "train.freeze_encoder_batch_norm=true"),
        *("--set", "optimizer.learning_rate=1e-6"),
        *("--set", "train.epochs=1"),
    )
    before = {k: v for k, v in final_arrays(references[1]).items() if "encoder" in k}
    after = read_checkpoint(list_checkpoints(run_dir / "checkpoints")[-1].path)["model"]
    statistics = [k for k in after if k.startswith("pconv_unet/encoder") and "batch_norm" in k]
    assert statistics
    for name in statistics:
        np.testing.assert_array_equal(after[name], before[f"model/{name}"], err_msg=name)
    first = table_without_speed(RunFolder(run_dir).metrics_path)[0]
    assert float(first["loss"]) < float(table_without_speed(references[1].metrics_path)[0]["loss"])
