"""JSON files become dataclasses, or errors that name the file, the key and what was expected."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from pconv_hpc.foundation import json_files
from pconv_hpc.foundation.atomic import write_json
from pconv_hpc.foundation.errors import UsageError, require
from pconv_hpc.foundation.json_files import parse_json, read_json


@dataclass(frozen=True)
class Part:
    first: int
    num_photos: int

    def __post_init__(self) -> None:
        require(self.num_photos >= 0, "num_photos is below 0")


@dataclass(frozen=True, kw_only=True)
class Note:
    version: int
    inputs: Literal["folder", "tar"]
    images: str
    weights: str | None = None
    status: Literal["running", "failed"] | None = None
    parts: tuple[Part, ...] = ()
    classes: dict[str, int] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0


NOTE = Note(
    version=1,
    inputs="tar",
    images="a\udcff",
    status="failed",
    parts=(Part(0, 3), Part(3, 1)),
    classes={"dog": 2},
    seconds=1.5,
)


def read(path: Path) -> Note:
    return read_json(path, Note, kind="a note", advice="write it again")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_json(tmp_path / "note.json", dataclasses.asdict(NOTE))
    assert read(tmp_path / "note.json") == NOTE
    path = tmp_path / "pids.json"
    write_json(path, {"a": 1, "b": None})
    assert read_json(path, dict[str, int | None], kind="pids") == {"a": 1, "b": None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "1"}, r"version is '1'; expected a whole number"),
        ({"version": True}, r"version is True"),
        ({"inputs": "zip"}, r"inputs is 'zip'; expected one of folder, tar"),
        ({"status": 5}, r"status is 5; expected one of running, failed or null"),
        ({"weights": []}, r"weights is \[\]; expected text or null"),
        ({"parts": {}}, r"parts is \{\}; expected a list of keys and values"),
        ({"parts": [{"first": 0}]}, r"parts\[0\] lacks num_photos"),
        ({"parts": [{"first": 0, "num_photos": -1}]}, r"num_photos is below 0"),
        ({"parts": [{"first": 0, "num_photos": 10**30}]}, r"parts\[0\].num_photos is a huge"),
        ({"classes": {"dog": "two"}}, r"classes.dog is 'two'; expected a whole number"),
        ({"seconds": float("inf")}, r"seconds is inf; expected a number"),
        ({"extra": 1}, r"has no key 'extra'; valid keys: version, inputs"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "note.json"
    path.write_text(json.dumps(dataclasses.asdict(NOTE) | changes))
    with pytest.raises(UsageError, match=rf"note\.json: not a note: .*{message}.*; write it again"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a note: it is not valid JSON"),
        (b"\xff{}", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "not a note: it is not a JSON object"),
        (b"{}", "lacks version, inputs, images"),
        (b" " * 2000, "larger than 0 MiB; expected a note"),
    ],
)
def test_a_damaged_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    if content.isspace():
        monkeypatch.setattr(json_files, "_MAX_BYTES", 1000)
    path = tmp_path / "note.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=rf"note\.json: .*{message}"):
        read(path)


def test_a_missing_file_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read .*; expected a note") as raised:
        read(tmp_path / "note.json")
    assert isinstance(raised.value.__cause__, FileNotFoundError)


def test_a_line_is_read_alone() -> None:
    assert parse_json('{"first": 1, "num_photos": 2}', Part) == Part(1, 2)
    with pytest.raises(UsageError, match="line 3 lacks first"):
        parse_json("{}", Part, "line 3")
