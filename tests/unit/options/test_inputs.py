"""What the paths of a command line are: nothing that is there is taken for a name of a result."""

from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.options.inputs import Inputs, inputs_of

COMMAND = "pconv-hpc erase {} erased/"


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg", "in/c d.jpg", "x.tar", "out/z.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    Path("broken.jpg").symlink_to("nowhere")


def test_one_thing_is_taken_as_it_is() -> None:
    for word, out in (("a.jpg", None), ("a.jpg", "new.jpg"), ("in", "new"), ("x.tar", "new")):
        assert inputs_of([word], out, COMMAND) == Inputs(Path(word))


def test_several_photos_have_the_folder_that_holds_them_all(tmp_path: Path) -> None:
    for out in ("out", "new/"):
        found = inputs_of(["a.jpg", "in/../b.jpg", "in/c d.jpg", "./a.jpg"], out, COMMAND)
        assert found == Inputs(tmp_path.resolve(), ("a.jpg", "b.jpg", "in/c d.jpg"))


@pytest.mark.parametrize("words", [["a.jpg", "b.jpg"], ["a.jpg", "in/c d.jpg", "b.jpg"]])
def test_no_photo_is_taken_for_a_result(words: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        inputs_of(words[:-1], words[-1], COMMAND)
    assert "b.jpg: is a file that is there" in str(refused.value)
    assert "pconv-hpc erase a.jpg" in str(refused.value)
    assert "overwrite" not in str(refused.value)


@pytest.mark.parametrize(
    ("words", "out", "message"),
    [
        (["a.jpg"], "broken.jpg", "is a file that is there"),
        (["a.jpg", "b.jpg"], "new", "new: is no folder"),
        (["a.jpg", "none.jpg"], "out", "none.jpg: no such file"),
        (["a.jpg", "in"], "out", "in: no photo"),
        (["a.jpg", "x.tar"], "out", "x.tar: no photo"),
        (["a.jpg", "b.jpg"], ".", r"\.: the photos lie there"),
    ],
)
def test_what_is_refused(words: list[str], out: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        inputs_of(words, out, COMMAND)
