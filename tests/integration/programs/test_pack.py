"""tools/pack.py and tools/inspect_shards.py as people run them: ranks, signals, kills."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from pconv_hpc.cluster.folder_lock import TOKEN_VARIABLE, FolderLock
from pconv_hpc.foundation.arrays.hdf5 import h5py
from pconv_hpc.foundation.launchers import mpirun_command
from pconv_hpc.shards.shard_file import ShardReader, map_shard
from tests.support.paths import REPOSITORY
from tests.support.photo_folders import photo_bytes, write_photos, write_tar_of_tars

PACK = (sys.executable, str(REPOSITORY / "tools" / "pack.py"))
INSPECT = (sys.executable, str(REPOSITORY / "tools" / "inspect_shards.py"))


def command_line(command: Sequence[object], num_ranks: int) -> list[str]:
    words = [str(word) for word in command]
    return words if num_ranks == 1 else mpirun_command(num_ranks, words)


def start(*command: object, num_ranks: int = 1) -> subprocess.Popen:
    return subprocess.Popen(
        command_line(command, num_ranks),
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*command: object, num_ranks: int = 1) -> subprocess.CompletedProcess:
    process = start(*command, num_ranks=num_ranks)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


OPTIONS = ("--split", "train", "--size", "32", "--images-per-shard", "4", "--max-rejected", "0.2")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty photos, two of them unreadable."""
    root = tmp_path_factory.mktemp("source") / "photos"
    write_photos(root, 30)
    (root / "n00000001" / "n00000001_4.JPEG").write_bytes(b"no image")
    (root / "n00000002" / "n00000002_8.JPEG").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def packed(photos: Path) -> Path:
    """The photos packed by one process."""
    out = photos.parent / "packed"
    result = run(*PACK, photos, out, *OPTIONS)
    assert result.returncode == 0, result.stderr
    assert "packed 28 photos in 8 shards" in result.stdout
    assert "rejected 2" in result.stdout
    assert str(out / "index.json") in result.stdout
    return out


@pytest.mark.mpi
@pytest.mark.parametrize("num_ranks", [2, 3])
def test_any_number_of_ranks_makes_the_same_bytes(
    photos: Path, packed: Path, tmp_path: Path, num_ranks: int
) -> None:
    result = run(*PACK, photos, tmp_path / "out", *OPTIONS, num_ranks=num_ranks)
    assert result.returncode == 0, result.stderr
    assert files(tmp_path / "out") == files(packed)


@pytest.mark.mpi
def test_a_tar_of_tars_is_packed_in_place_by_ranks(photos: Path, tmp_path: Path) -> None:
    content = {
        path.relative_to(photos).as_posix(): path.read_bytes() for path in photos.rglob("*.JPEG")
    }
    tar = tmp_path / "ILSVRC2012_img_train.tar"
    write_tar_of_tars(tar, content)
    for num_ranks in (1, 2):
        result = run(*PACK, tar, tmp_path / str(num_ranks), *OPTIONS, num_ranks=num_ranks)
        assert result.returncode == 0, result.stderr
    assert files(tmp_path / "1") == files(tmp_path / "2")
    assert {path.name for path in tmp_path.iterdir()} == {tar.name, "1", "2"}
    with ShardReader(tmp_path / "1") as reader:
        assert reader.num_images == 28


@pytest.fixture(scope="module")
def slow_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight photos that take long enough to decode to be interrupted in between."""
    root = tmp_path_factory.mktemp("slow") / "photos"
    root.mkdir()
    for number in range(4):
        large = root / f"{number}.png"
        large.write_bytes(photo_bytes(number, height=1000, width=1300, kind="PNG"))
        for copy in range(11):
            (root / f"{number}_{copy}.png").hardlink_to(large)
    return root


@pytest.fixture(scope="module")
def slowly_packed(slow_photos: Path) -> Path:
    out = slow_photos.parent / "packed"
    result = run(*PACK, slow_photos, out, *OPTIONS)
    assert result.returncode == 0, result.stderr
    return out


def wait_for_shards(out: Path, count: int, process: subprocess.Popen) -> None:
    while len(list(out.glob("*.h5"))) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def kill(process: subprocess.Popen) -> None:
    """``kill -9`` the ranks that mpirun started, then the process itself."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    for pid in [*map(int, children.split()), process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.mpi
@pytest.mark.parametrize("num_ranks", [1, 2])
def test_killed_at_any_moment_and_continued(
    slow_photos: Path, slowly_packed: Path, tmp_path: Path, num_ranks: int
) -> None:
    out = tmp_path / "out"
    for shards in (2, 6):
        process = start(*PACK, slow_photos, out, *OPTIONS, num_ranks=num_ranks)
        wait_for_shards(out, shards, process)
        kill(process)
        assert not (out / "index.json").exists()
    result = run(*PACK, slow_photos, out, *OPTIONS, num_ranks=3 - num_ranks)
    assert result.returncode == 0, result.stderr
    assert "were there already" in result.stdout
    assert files(out) == files(slowly_packed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2])
def test_stopped_by_a_signal_and_continued(
    slow_photos: Path, slowly_packed: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    process = start(*PACK, slow_photos, out, *OPTIONS)
    wait_for_shards(out, 2, process)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 75
    assert "run the same command again to continue" in err
    assert "Traceback" not in err
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    assert run(*PACK, slow_photos, out, *OPTIONS).returncode == 0
    assert files(out) == files(slowly_packed)


@pytest.mark.parametrize("num_ranks", [1, pytest.param(2, marks=pytest.mark.mpi)])
def test_a_second_start_is_refused_and_does_not_disturb_the_first(
    slow_photos: Path, slowly_packed: Path, tmp_path: Path, num_ranks: int
) -> None:
    out = tmp_path / "out"
    first = start(*PACK, slow_photos, out, *OPTIONS)
    wait_for_shards(out, 2, first)
    first.send_signal(signal.SIGSTOP)
    half_written = out / ".train-00099-of-00100.h5.node.123.tmp"
    half_written.touch()
    second = run(*PACK, slow_photos, out, *OPTIONS, num_ranks=num_ranks)
    first.send_signal(signal.SIGCONT)
    _, err = first.communicate()
    assert (first.returncode, second.returncode) == (0, 2), err + second.stderr
    assert f"{out}: locked by process {first.pid} on" in second.stderr
    assert second.stderr.count("locked by process") == 1
    assert half_written.exists()
    half_written.unlink()
    assert files(out) == files(slowly_packed)


def test_ranks_share_the_lock_of_their_job(
    photos: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FolderLock(tmp_path / "out", {"SLURM_JOB_ID": "5"}) as lock:
        assert run(*PACK, photos, tmp_path / "out", *OPTIONS).returncode == 2
        monkeypatch.setenv(TOKEN_VARIABLE, lock.token)
        result = run(*PACK, photos, tmp_path / "out", *OPTIONS)
        assert result.returncode == 0, result.stderr
    assert files(tmp_path / "out") == files(packed)


def test_a_dry_run_writes_nothing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    result = run(*PACK, photos, out, *OPTIONS, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "30 photos" in result.stdout
    assert "8 shards of 4 images" in result.stdout
    assert "ms a photo" in result.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (["--size", "4"], 2, "--size 4"),
        (["--max-rejected", "2"], 2, "--max-rejected 2"),
        (["--max-rejected", "0"], 1, "2 of 30 photos could not be read"),
    ],
)
def test_bad_input_is_one_clear_message(
    photos: Path, tmp_path: Path, changes: list[str], code: int, message: str
) -> None:
    result = run(*PACK, photos, tmp_path / "out", *OPTIONS, *changes)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_source(tmp_path: Path) -> None:
    result = run(*PACK, tmp_path / "nowhere", tmp_path / "out", *OPTIONS)
    assert result.returncode == 2
    assert "nowhere: no such folder or file" in result.stderr


@pytest.mark.mpi
def test_bad_input_ends_all_ranks_with_one_message(tmp_path: Path) -> None:
    result = run(*PACK, tmp_path / "nowhere", tmp_path / "out", *OPTIONS, num_ranks=2)
    assert result.returncode == 2
    assert result.stderr.count("no such folder or file") == 1
    assert "Traceback" not in result.stderr


def test_inspect_shows_verifies_and_draws(packed: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    result = run(*INSPECT, packed, "--verify", "--contact-sheet", sheet, "--num-tiles", 9)
    assert result.returncode == 0, result.stderr
    assert "28 of 32 x 32 pixels" in result.stdout
    assert "train-00007-of-00008.h5" in result.stdout
    assert "verified: all 28 images and 8 files" in result.stdout
    with Image.open(sheet) as image:
        assert image.size == (3 * 132 + 4, 3 * 132 + 4)
        assert len(image.getcolors(1 << 20) or []) > 500


def test_inspect_names_the_damaged_image(photos: Path, packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(*PACK, photos, out, *OPTIONS).returncode == 0
    path = out / "train-00003-of-00008.h5"
    shard = map_shard(path)
    data = bytearray(path.read_bytes())
    with h5py.File(path, "r") as file:
        offset = file["images"].id.get_offset()
    data[offset + 32 * 32 * 3 + 5] ^= 1
    path.write_bytes(data)
    result = run(*INSPECT, out, "--verify")
    assert result.returncode == 1
    assert path.name in result.stderr
    assert shard.keys[1].decode() in result.stderr
    path.unlink()  # what the message says to do
    assert run(*PACK, photos, out, *OPTIONS).returncode == 0
    assert files(out) == files(packed)


def test_inspect_names_every_shard_that_is_missing_truncated_or_damaged(
    photos: Path, packed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(packed, out)
    missing, truncated, damaged = (out / f"train-{n:05d}-of-00008.h5" for n in (1, 4, 6))
    missing.unlink()
    os.truncate(truncated, 1000)
    data = bytearray(damaged.read_bytes())
    data[data.index(b"HEAP")] ^= 1
    damaged.write_bytes(data)
    sheet = tmp_path / "sheet.png"
    result = run(*INSPECT, out, "--verify", "--contact-sheet", sheet)
    assert result.returncode == 1
    assert f"{missing}: cannot read this shard (No such file" in result.stderr
    assert f"{truncated}: 1000 bytes" in result.stderr
    assert f"{damaged}: its SHA-256" in result.stderr
    assert "the pack is damaged, 4 finding(s) above" in result.stderr
    assert not sheet.exists()
    assert run(*INSPECT, out).returncode == 2
    for path in (truncated, damaged):
        path.unlink()
    assert run(*PACK, photos, out, *OPTIONS).returncode == 0
    assert files(out) == files(packed)


def test_inspect_of_something_else(tmp_path: Path) -> None:
    result = run(*INSPECT, tmp_path)
    assert result.returncode == 2
    assert "index.json" in result.stderr
