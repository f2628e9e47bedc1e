"""Whole files: nothing half-written is ever seen under the final name."""

import json
import os
import stat
from pathlib import Path

import pytest

from pconv_hpc.foundation import atomic


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    atomic.write_text(path, "old")

    def fail_half_way() -> None:
        with atomic.atomic_path(path) as temporary:
            temporary.write_text("half of the ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_seen_before_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic.atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = [tmp_path / name for name in (".a.jpg.host.1.tmp", ".a.jpg.png.host.1.tmp")]
    others = [tmp_path / name for name in ("a.jpg", ".ab.jpg.host.1.tmp", ".a.jpg.host.1.part")]
    for path in (*left, *others):
        path.touch()
    atomic.remove_unfinished([tmp_path / "a.jpg", tmp_path / "no such folder" / "a.jpg"])
    assert sorted(tmp_path.iterdir()) == sorted(others)


@pytest.mark.parametrize("name", ["a" * 251 + ".jpg", "é" * 125 + ".jpg", "b" * 180 + ".jpg"])
@pytest.mark.parametrize("host", ["node", "h" * 64, "é" * 127, "a/b"])
def test_the_longest_name_is_written_and_swept_on_any_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, host: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    path, other = tmp_path / name, tmp_path / f"{name[:-5]}x.jpg"
    atomic.write_text(path, "whole")
    left, of_other = atomic.temporary_path(path), atomic.temporary_path(other)
    for temporary in (left, of_other):
        temporary.touch()
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    atomic.remove_unfinished([path])
    assert sorted(tmp_path.iterdir()) == sorted([path, of_other])


def test_files_follow_the_users_umask(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    old = os.umask(0o027)
    try:
        atomic.write_json(path, {"b": 1, "a": [2]})
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(json.loads(path.read_text())) == ["b", "a"]


def test_csv_and_checksum(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    atomic.write_csv(path, ["key", "reason"], [["a,b", 'says "no"'], ["ü\nx", 3]])
    assert path.read_bytes() == 'key,reason\n"a,b","says ""no"""\n"ü\nx",3\n'.encode()
    empty = tmp_path / "empty"
    empty.touch()
    assert atomic.sha256_of(empty).startswith("e3b0c44298fc1c14")
