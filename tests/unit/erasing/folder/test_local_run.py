"""A folder that is erased on this machine, slice by slice."""

from pathlib import Path

import pytest

from pconv_hpc.erasing.folder import slice_stages
from pconv_hpc.erasing.folder.local_run import erase_here
from pconv_hpc.erasing.folder.slice_summary import read_done
from pconv_hpc.foundation.errors import UsageError
from tests.support.fake_stages import FakeFolder


def test_a_task_killed_behind_its_last_photo_is_cleared_up_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = FakeFolder(tmp_path, {"a.jpg": "star", "b.jpg": "star", "c.jpg": "empty"})
    monkeypatch.setattr(slice_stages, "PROGRAMS", folder.programs)
    slice_dir = folder.manifest.slice_dir(0)
    assert erase_here(folder.manifest).exit_code == 0
    done, calls, outputs = read_done(slice_dir), folder.calls(), folder.outputs()
    assert done is not None
    (slice_dir / "done.json").unlink()
    (slice_dir / "lock").write_text('{"host": "gone", "pid": 0}')
    torn = slice_dir / ".done.json.gone.1234.tmp"
    torn.touch()
    assert erase_here(folder.manifest).exit_code == 0
    assert not torn.exists()
    assert not (slice_dir / "lock").exists()
    assert read_done(slice_dir) is not None
    assert (folder.calls(), folder.outputs()) == (calls, outputs)
    attempts = sorted(slice_dir.glob("2*.jsonl"))
    assert erase_here(folder.manifest).exit_code == 0
    assert sorted(slice_dir.glob("2*.jsonl")) == attempts, "a finished slice was begun again"


def test_what_ends_the_run_is_told_and_not_a_photo_that_failed_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = FakeFolder(tmp_path, {"a.jpg": "fail", "b.jpg": "usage in inpaint"})
    for stage in ("segment", "inpaint"):
        program = folder.tools / f"{stage}.py"
        text = program.read_text().replace(
            "sys.exit(2 if", "print('error: no room') or sys.exit(2 if"
        )
        program.write_text(
            text.replace("failed = True", "failed = print(f'failed: {photo}: a reason') or True")
        )
    monkeypatch.setattr(slice_stages, "PROGRAMS", folder.programs)
    with pytest.raises(UsageError) as met:
        erase_here(folder.manifest)
    assert str(met.value) == "no room"


@pytest.mark.parametrize(
    ("death", "told"),
    [
        (
            "raise RuntimeError('no cache')",
            "exited with code 1; its last output: RuntimeError: no",
        ),
        (
            "print('so far'); sys.stdout.flush(); os.kill(os.getpid(), 9)",
            "was killed by SIGKILL; its last output: so far",
        ),
        ("os.kill(os.getpid(), 11)", "was killed by SIGSEGV; its last output: nothing"),
    ],
)
def test_a_stage_that_dies_is_quoted_with_its_log(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    death: str,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = FakeFolder(tmp_path, {"a.jpg": "star", "b.jpg": "star"})
    monkeypatch.setattr(slice_stages, "PROGRAMS", folder.programs)
    (folder.tools / "segment.py").write_text(f"import os, sys; {death}")
    assert erase_here(folder.manifest).exit_code == 1
    said = capsys.readouterr().err
    assert f"slice 0: segment {told}" in said
    assert f"(log: {folder.manifest.slice_dir(0)}/log.txt)" in said
