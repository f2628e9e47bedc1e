"""Collecting silhouettes from what was found before, without the network."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm import tqdm

from pconv_hpc.foundation.disk_space import writing
from pconv_hpc.foundation.errors import Interrupted, PconvError, UsageError
from pconv_hpc.harvest.collect import HarvestSettings, choose_photos, is_harvested
from pconv_hpc.harvest.outlines import outlines
from pconv_hpc.masks.silhouette_file import Silhouette, distinct, write_silhouettes
from pconv_hpc.segmentation.instances import PhotoInstances, read_instances


def find_instances(folder: Path, settings: HarvestSettings) -> list[Path]:
    """Return the JSON files that ``pconv-hpc segment`` wrote into a folder, or a random sample.

    Raises:
        UsageError: there are none.
    """
    paths = sorted(folder.rglob("*.json")) if folder.is_dir() else []
    if not paths:
        raise UsageError(
            f"{folder}: no JSON files; expected the folder OUT/instances of pconv-hpc segment"
        )
    return [paths[number] for number in choose_photos(len(paths), settings.max_photos)]


def harvest_instances(
    folder: Path,
    settings: HarvestSettings,
    out: Path,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Collect the silhouettes of the objects in JSON files, and write them to the file ``out``.

    If ``out`` is the result of the same harvest, nothing is done.

    Raises:
        UsageError: there are no such files or a damaged one, the objects asked for were not
            recorded, or ``out`` is another harvest.
        PconvError: no object fits.
        Interrupted: ``should_stop`` said so.
    """
    networks: set[str] = set()
    digest = hashlib.sha256()

    def silhouettes() -> Iterator[Silhouette]:
        for path in tqdm(find_instances(folder, settings), "reading", unit="photo"):
            if should_stop():
                raise Interrupted("stopped; run the same command again")
            found = read_instances(path)
            _check_min_score(path, found, settings)
            networks.add(found.model)
            digest.update(f"{found.image}\0{found.num_bytes}\n".encode())
            yield from outlines(found.image, found.instances, settings.criteria)

    collected = distinct(silhouettes(), settings.max_objects)
    recipe = {
        "photos": digest.hexdigest(),
        "max_photos": settings.max_photos,
        "network": ", ".join(sorted(networks)),
        "criteria": settings.criteria.as_json(),
        "max_objects": settings.max_objects,
    }
    if is_harvested(out, recipe):
        return
    if not collected:
        raise PconvError(f"{folder}: no object in it fits; try other --classes or --keep-cut-off")
    with writing(out):
        write_silhouettes(out, collected, recipe)


def _check_min_score(path: Path, found: PhotoInstances, settings: HarvestSettings) -> None:
    if found.min_score > settings.criteria.min_score:
        raise UsageError(
            f"{path}: objects below a score of {found.min_score:g} were not recorded; ask for "
            f"--min-score {found.min_score:g} or more, or run pconv-hpc segment again with less"
        )
