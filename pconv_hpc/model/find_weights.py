"""From what a person names, a weights file or a training run's folder, to the file to load."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pconv_hpc.foundation.config import load_config
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.json_files import read_json

# A network of this project, trained on photos; docs/reference/model_card.md describes it.
SHIPPED_WEIGHTS = Path(__file__).parents[1] / "weights" / "photos.h5"
# Networks that others trained, by what --weights calls them: what pconv-hpc fetch-weights makes.
FETCHED = {name: f"pconv_{name}.h5" for name in ("places2", "celeba")}
_FETCHED_FOLDER = Path("weights")
_CHECKPOINT = re.compile(r"step_(\d{8,})\.json")


@dataclass(frozen=True)
class FoundWeights:
    """A weights file, or a checkpoint, and the size of the photos its network was trained on.

    ``image_size`` is ``None`` where nothing beside the file tells; the file's own metadata may.
    """

    path: Path
    image_size: int | None


def find_weights(path: Path) -> FoundWeights:
    """Return the file that ``path`` stands for.

    Args:
        path: a weights file; a checkpoint; or a run folder, where ``weights.h5`` (the best by
            validation) is taken, or before there is one the newest finished checkpoint. Where there
            is none of these, a name in ``FETCHED`` stands for its file in ``weights/`` beside it:
            paths may have been made absolute on the way here.

    Raises:
        UsageError: there is nothing of the kind.
    """
    path = Path(path)
    if path.is_file():
        return FoundWeights(path, _image_size_of_checkpoint(path.with_suffix(".json")))
    if path.name in FETCHED and not _is_run_folder(path):
        return FoundWeights(_fetched_file(path), None)
    if not path.is_dir():
        raise UsageError(f"{path}: no such weights file or run folder")
    config_path = path / "config.yaml"
    image_size = load_config(config_path).data.image_size if config_path.is_file() else None
    best = path / "weights.h5"
    if best.is_file():
        return FoundWeights(best, image_size)
    descriptions = sorted(
        (int(match.group(1)), file)
        for file in (path / "checkpoints").glob("step_*.json")
        if (match := _CHECKPOINT.fullmatch(file.name)) and file.with_suffix(".h5").is_file()
    )
    if not descriptions:
        raise UsageError(
            f"{path}: holds neither weights.h5 nor a finished checkpoint; is it a run folder of "
            "pconv-hpc train, and has it trained long enough to save one?"
        )
    return FoundWeights(descriptions[-1][1].with_suffix(".h5"), image_size)


def _is_run_folder(path: Path) -> bool:
    return any((path / name).exists() for name in ("config.yaml", "weights.h5", "checkpoints"))


def _fetched_file(path: Path) -> Path:
    file = path.parent / _FETCHED_FOLDER / FETCHED[path.name]
    if not file.is_file():
        here = file.parent.absolute() == _FETCHED_FOLDER.absolute()
        folder = "" if here else f" --out {shlex.quote(str(file.parent))}"
        raise UsageError(
            f"{path}: neither a weights file nor a run folder, and the network of that name is not "
            f"at {file}. Once, where there is internet: pconv-hpc fetch-weights "
            f"pconv_{path.name}{folder}"
        )
    return file


def _image_size_of_checkpoint(description_path: Path) -> int | None:
    if not _CHECKPOINT.fullmatch(description_path.name):
        return None
    try:
        description = read_json(description_path, dict[str, Any], kind="a description")
        return int(description["config"]["data"]["image_size"])
    except (UsageError, ValueError, KeyError, TypeError):
        return None
