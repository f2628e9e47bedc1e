"""An evaluation from beginning to end: opened, measured on all ranks, written by the first."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from pconv_hpc.atomic import sha256_of
from pconv_hpc.data.disk import writing
from pconv_hpc.data.sampler import rank_slice
from pconv_hpc.data.silhouettes import Silhouettes
from pconv_hpc.errors import Interrupted, UsageError
from pconv_hpc.evaluation.baselines import (
    BASELINES,
    BaselineFill,
    Fill,
)
from pconv_hpc.evaluation.composites import write_figures
from pconv_hpc.evaluation.evaluation_report import write_report
from pconv_hpc.evaluation.lpips_weights import NPZ_NAME
from pconv_hpc.evaluation.mask_kinds import MaskKind, open_mask_kinds
from pconv_hpc.evaluation.measure import Measurement, PhotoErrors
from pconv_hpc.evaluation.photos import Photos, open_photos
from pconv_hpc.evaluation.results import RESULTS_NAME, Results
from pconv_hpc.mpi import World

if TYPE_CHECKING:
    from pconv_hpc.evaluation.lpips import LPIPS
    from pconv_hpc.evaluation.network_fill import FillMode, NetworkFill

REPORT_NAME = "report.html"
MIN_SIZE = 32  # LPIPS and SSIM need that much
DEFAULT_SIZE = 256
DEFAULT_LPIPS = Path("weights") / NPZ_NAME


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What to evaluate.

    Attributes:
        images: a pack's ``index.json``, or a folder of photos.
        out: folder for the results.
        weights: of networks; none evaluates the baselines alone.
        baselines: names of ``baselines.BASELINES``.
        masks: see ``mask_kinds.open_mask_kinds``.
        objects_from: silhouette file or folder of mask PNGs; None draws figures.
        size: side that photos are brought to, pixels; None takes what the first network was
            trained at.
        working_size: what networks are given by the fill ``erase``; None takes ``size``.
        fill: see ``network_fill.NetworkFill``.
        lpips: see ``lpips_weights.read_lpips_arrays``; empty takes ``weights/lpips_alexnet.npz``
            where it is.
        num_photos: at most.
        masks_per_photo: of each kind.
        num_ghost_photos: photos on which an object is pasted and erased, at most.
        seed: of all choices.
        batch_size: pictures that networks are given at once.
    """

    images: Path
    out: Path
    weights: Sequence[Path] = ()
    baselines: Sequence[str] = tuple(BASELINES)
    masks: Sequence[str]
    objects_from: Path | None = None
    size: int | None = None
    working_size: int | None = None
    fill: "FillMode" = "erase"
    lpips: Sequence[Path] = ()
    num_photos: int = 1000
    masks_per_photo: int = 1
    num_ghost_photos: int = 100
    seed: int = 0
    batch_size: int = 8


def evaluate(
    settings: EvaluationSettings, world: World, *, should_stop: Callable[[], bool] = lambda: False
) -> Results | None:
    """Measure on all ranks, and write the results and a report to ``settings.out``.

    ``results.json`` is written last: where it is, the evaluation is complete.

    Returns:
        On the first rank the results; None on the others.

    Raises:
        UsageError: something cannot be used as it is.
        PconvError: something cannot be written.
        Interrupted: ``should_stop`` said so between two photos.
    """
    if settings.working_size and settings.fill == "one-pass":
        raise UsageError(
            f"--working-size {settings.working_size}: --fill one-pass gives networks whole photos; "
            "leave it out, or name --size"
        )
    networks = _load_networks(settings)
    size = settings.size or _trained_size(networks) or DEFAULT_SIZE
    if size < MIN_SIZE or not 0 <= settings.seed < 2**63:
        raise UsageError(
            f"size {size}, seed {settings.seed}: expected at least {MIN_SIZE} pixels, and a seed "
            "that is not negative"
        )
    for network in networks.values():
        network.work_at(settings.working_size or size)
    methods = _methods(settings, networks)
    lpips = _load_lpips(settings, world)
    photos = open_photos(
        settings.images,
        size=size,
        num_photos=settings.num_photos,
        seed=settings.seed,
        world=world,
    )
    objects_from = settings.objects_from or settings.out / "figures"
    if world.is_first:
        with writing(settings.out):
            settings.out.mkdir(parents=True, exist_ok=True)
            if settings.objects_from is None:
                write_figures(objects_from, seed=settings.seed)
    world.barrier()
    kinds = open_mask_kinds(
        settings.masks,
        settings.out,
        size=size,
        seed=settings.seed,
        objects_from=objects_from,
        world=world,
    )
    measurement = Measurement(
        photos,
        methods,
        kinds,
        masks_per_photo=settings.masks_per_photo,
        silhouettes=Silhouettes.from_path(objects_from, seed=settings.seed),
        num_ghost_photos=settings.num_ghost_photos,
        lpips=lpips,
        seed=settings.seed,
        batch_size=settings.batch_size,
    )
    if world.is_first:  # an older one would say that this evaluation is complete
        with writing(settings.out / RESULTS_NAME):
            (settings.out / RESULTS_NAME).unlink(missing_ok=True)
    parts = world.gather(_measure_part(measurement, world, should_stop))
    if parts is None:
        return None
    conditions = _conditions(settings, photos, kinds, [*methods], has_lpips=lpips is not None)
    results = Results.of([errors for part in parts for errors in part], conditions)
    write_report(settings.out / REPORT_NAME, results, measurement)
    with writing(settings.out):
        results.write(settings.out)
    return results


def _measure_part(
    measurement: Measurement, world: World, should_stop: Callable[[], bool]
) -> list[PhotoErrors]:
    own = rank_slice(measurement.photos.num_photos, world.rank, world.size)
    found = []
    numbers = range(own.start, own.stop)
    for number in tqdm(numbers, "measuring photos", disable=not world.is_first):
        if should_stop():
            raise Interrupted("stopped before the end; the same command starts over")
        found.append(measurement.measure(number))
    return found


def _load_networks(settings: EvaluationSettings) -> "dict[str, NetworkFill]":
    """Return the networks by name: ``network`` if there is one, else what tells them apart."""
    if not settings.weights:
        return {}
    from pconv_hpc.evaluation.network_fill import NetworkFill

    names = ["network"]
    if len(settings.weights) > 1:
        names = [path.parent.name if path.is_file() else path.name for path in settings.weights]
    if len(set(names)) < len(names) or not set(names).isdisjoint(BASELINES):
        names = [str(path) for path in settings.weights]
    if len(set(names)) < len(names):
        raise UsageError(f"--weights {' '.join(names)}: names the same network twice")
    return {
        name: NetworkFill(path, batch_size=settings.batch_size, mode=settings.fill)
        for name, path in zip(names, settings.weights, strict=True)
    }


def _trained_size(networks: "dict[str, NetworkFill]") -> int | None:
    return next((network.trained_size for network in networks.values()), None)


def _methods(settings: EvaluationSettings, networks: "dict[str, NetworkFill]") -> dict[str, Fill]:
    methods: dict[str, Fill] = {
        **networks,
        **{name: BaselineFill(BASELINES[name]) for name in settings.baselines},
    }
    if not methods:
        raise UsageError("nothing to evaluate: name --weights, or at least one of --baselines")
    return methods


def _load_lpips(settings: EvaluationSettings, world: World) -> "LPIPS | None":
    paths = settings.lpips or ([DEFAULT_LPIPS] if DEFAULT_LPIPS.is_file() else [])
    if not paths:
        if world.is_first:
            _say(
                f"LPIPS: left out, {DEFAULT_LPIPS} is not there. Once, where there is internet: "
                "python tools/fetch_weights.py lpips (or name other files: --lpips)"
            )
        return None
    from pconv_hpc.evaluation.lpips import load_lpips

    return load_lpips(paths)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _conditions(
    settings: EvaluationSettings,
    photos: Photos,
    kinds: Sequence[MaskKind],
    methods: Sequence[str],
    *,
    has_lpips: bool,
) -> dict[str, Any]:
    return {
        "images": str(settings.images),
        "image_size": photos.size,
        "order": photos.order,
        "seed": settings.seed,
        "methods": list(methods),
        "networks": _describe_networks(settings, methods),
        "fill": settings.fill,
        "working_size": settings.working_size or photos.size,
        "masks": {
            kind.name: {"bank": kind.source, "sha256": kind.bank.fingerprint} for kind in kinds
        },
        "masks_per_photo": settings.masks_per_photo,
        "objects_from": str(settings.objects_from or "drawn figures"),
        "has_lpips": has_lpips,
    }


def _describe_networks(settings: EvaluationSettings, methods: Sequence[str]) -> dict[str, Any]:
    """Return the file of each network, and which it was: files of that name may be replaced."""
    if not settings.weights:
        return {}
    from pconv_hpc.model.find_weights import find_weights

    names = list(methods)[: len(settings.weights)]
    files = [find_weights(path).path for path in settings.weights]
    return {
        name: {"weights": str(file), "sha256": sha256_of(file)}
        for name, file in zip(names, files, strict=True)
    }
