"""Profiles: what is read out of traces and flame graphs, and what is drawn of it."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import REPOSITORY, flame, profiles
from benchmarks.processes import measured
from pconv_hpc.foundation.errors import PconvError, UsageError

# Frames as py-spy 0.4 writes them.
SVG = """<svg>
<title>all (1,178 samples, 100%)</title>
<title>&lt;module&gt; (tools/inpaint.py:1) (50 samples, 4.2%)</title>
<title>Inpainter.predict (pconv_hpc/inpainting/inpainter.py:76) (600 samples, 50.9%)</title>
<title>write_photo (pconv_hpc/photos/formats/photo_files.py:53) (250 samples, 21.2%)</title>
<title>write_photo (pconv_hpc/photos/formats/photo_files.py:53) (50 samples, 4.2%)</title>
<title>fill_photo (pconv_hpc/inpainting/fill.py:71) (60 samples, 5.1%)</title>
<title>read_mask (pconv_hpc/photos/formats/photo_files.py:58) (40 samples, 3.4%)</title>
</svg>
"""


def test_the_step_is_divided_into_operations(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "benchmarks.step_profile"]
    tiny = ["--image-size", "32", "--batch", "1", "--base-channels", "2", "--steps", "1"]
    found = measured([*program, *tiny])
    seconds = {tuple(kind): value for *kind, value in found["operations"]}
    assert all(value > 0 for value in seconds.values())
    for part in ("network", "VGG16"):
        for direction, kind in (
            ("forward", "Conv2D"),
            ("backward", "Conv2DBackpropInput"),
        ):
            assert (part, direction, kind) in seconds
    assert ("network", "backward", "Conv2DBackpropFilter") in seconds
    assert ("VGG16", "backward", "Conv2DBackpropFilter") not in seconds
    # one operation at a time
    assert sum(seconds.values()) <= found["seconds_per_step"]

    picture = tmp_path / "operations.png"
    profiles.draw_operations(picture, found["operations"])
    with Image.open(picture) as image:
        assert image.width > 500


def test_samples_are_summed_by_function() -> None:
    found = flame.samples_by_function(SVG)
    assert found == {
        "<module>": 50,
        "Inpainter.predict": 600,
        "write_photo": 300,
        "fill_photo": 60,
        "read_mask": 40,
    }
    assert profiles.stage_lines(found) == [
        "    4.0%  reading photos and masks",
        "    6.0%  cutting tiles and pasting",
        "   60.0%  the network",
        "   30.0%  encoding and writing photos",
    ]


def test_the_functions_of_the_stages_exist() -> None:
    sources = [path.read_text() for path in (REPOSITORY / "pconv_hpc").rglob("*.py")]
    for functions in profiles._STAGES.values():
        for name in functions:
            definition = f"def {name.rpartition('.')[2]}("
            assert any(definition in source for source in sources), name


def write_py_spy(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "py-spy"
    program.write_text(f"#!{sys.executable}\n{script}")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))  # looked for beside it first


def test_py_spy_is_given_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_py_spy(
        tmp_path,
        "import json, sys\n"
        "path = sys.argv[sys.argv.index('--output') + 1]\n"
        "drawn = '<text id=\"title\" x=\"0\">' + path + '</text>'\n"
        "open(path, 'w').write(drawn + '\\n' + json.dumps(sys.argv[1:]))\n",
        monkeypatch,
    )
    command = ["python", "tools/inpaint.py", "--help"]
    flame.record(command, tmp_path / "a.svg", title="a & b")
    drawn, words_drawn = (tmp_path / "a.svg").read_text().splitlines()
    assert drawn == '<text id="title" x="0">a &amp; b</text>'
    words = json.loads(words_drawn)
    assert words[0] == "record"
    assert "--idle" in words  # while the network computes, Python waits for it
    assert words[words.index("--") + 1 :] == ["python", "tools/inpaint.py", "--help"]


def test_py_spy_that_draws_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_py_spy(tmp_path, "raise SystemExit('Permission denied')", monkeypatch)
    with pytest.raises(PconvError, match=r"py-spy ended with 1 .*Permission denied"):
        flame.record(["python"], tmp_path / "a.svg", title="")
    assert not (tmp_path / "a.svg").exists()


def test_a_missing_py_spy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="pip install py-spy"):
        list(profiles.profile_everything(tmp_path))
