"""The file that a weights file's or a run folder's name stands for."""

import json
from pathlib import Path

import pytest

from pconv_hpc.foundation.config import RunConfig, config_to_yaml
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.find_weights import FoundWeights, find_weights


def add_checkpoint(run_dir: Path, step: int, *, finished: bool = True) -> Path:
    folder = run_dir / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step_{step:08d}.h5"
    path.touch()
    if finished:
        description = {"config": {"data": {"image_size": 192}}}
        path.with_suffix(".json").write_text(json.dumps(description))
    return path


def test_a_file_stands_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    path.touch()
    assert find_weights(path) == FoundWeights(path, None)


def test_a_checkpoint_knows_its_image_size(tmp_path: Path) -> None:
    path = add_checkpoint(tmp_path, 5)
    assert find_weights(path) == FoundWeights(path, 192)
    path.with_suffix(".json").write_text("no JSON")
    assert find_weights(path) == FoundWeights(path, None)


def test_a_run_folder_stands_for_its_best_weights_else_its_newest_checkpoint(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.yaml").write_text(config_to_yaml(RunConfig()))
    add_checkpoint(tmp_path, 900)
    newest = add_checkpoint(tmp_path, 100_000_000)  # one digit more
    add_checkpoint(tmp_path, 200_000_000, finished=False)
    assert find_weights(tmp_path) == FoundWeights(newest, 256)
    best = tmp_path / "weights.h5"
    best.touch()
    assert find_weights(tmp_path) == FoundWeights(best, 256)


def test_nothing_to_find(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such weights file or run folder$"):
        find_weights(tmp_path / "none")
    add_checkpoint(tmp_path, 5, finished=False)
    with pytest.raises(UsageError, match="nor a finished checkpoint"):
        find_weights(tmp_path)


def test_fetched_networks_go_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"^places2: neither .* not at weights/pconv_pl") as caught:
        find_weights(Path("places2"))
    assert str(caught.value).endswith("pconv-hpc fetch-weights pconv_places2")
    with pytest.raises(UsageError, match=r"fetch-weights pconv_celeba --out '?a b/weights"):
        find_weights(Path("a b/celeba"))

    (tmp_path / "weights").mkdir()
    for name in ("places2", "celeba"):
        file = Path(f"weights/pconv_{name}.h5")
        file.touch()
        assert find_weights(Path(name)) == FoundWeights(file, None)
        assert find_weights(tmp_path / name) == FoundWeights(tmp_path / file, None)  # made absolute

    (tmp_path / "places2").mkdir()  # photos, perhaps
    assert find_weights(Path("places2")) == FoundWeights(Path("weights/pconv_places2.h5"), None)
    (tmp_path / "places2" / "weights.h5").touch()  # a run of that name
    assert find_weights(Path("places2")).path == Path("places2/weights.h5")
