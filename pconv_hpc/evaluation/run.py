"""An evaluation from beginning to end: opened, measured on all ranks, written by the first."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from pconv_hpc.evaluation.figures.lpips_weights import NPZ_NAME
from pconv_hpc.evaluation.measuring.baselines import BASELINES, Fill, absent_baselines
from pconv_hpc.evaluation.measuring.composites import write_figures
from pconv_hpc.evaluation.measuring.contact_sheet import write_pages
from pconv_hpc.evaluation.measuring.mask_kinds import MaskKind, open_mask_kinds
from pconv_hpc.evaluation.measuring.measure import Measurement, PhotoErrors
from pconv_hpc.evaluation.measuring.photos import MIN_SIDE, Photos, open_photos
from pconv_hpc.evaluation.measuring.results import RESULTS_NAME, Results
from pconv_hpc.evaluation.reports.evaluation_report import write_report
from pconv_hpc.evaluation.reports.tables import MARKDOWN_NAME, write_markdown
from pconv_hpc.foundation.disk_space import writing
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.inpainting.detail import DETAILS, Detail
from pconv_hpc.masks.mask_drawing import MAX_SIZE
from pconv_hpc.masks.silhouettes import Silhouettes
from pconv_hpc.shards.sampler import rank_slice

if TYPE_CHECKING:
    from pconv_hpc.evaluation.figures.lpips import LPIPS
    from pconv_hpc.evaluation.measuring.network_fill import FillMode, Network

REPORT_NAME = "report.html"
DEFAULT_MAX_SIDE = 4096
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
        size: side of the squares that photos are cut to, pixels; None leaves them at their own
            size, but for the fill ``one-pass``, which takes what the first network was trained at.
        max_side: of photos at their own size, pixels; larger ones are scaled down.
        working_size: what networks are given by the fill ``erase``; None takes what each was
            trained at.
        fill: ``erase`` as ``pconv-hpc inpaint`` does, or ``one-pass`` as in training.
        detail: of the fill ``erase``, each compared with the others; None takes all.
        lpips: see ``lpips_weights.read_lpips_arrays``; empty takes ``weights/lpips_alexnet.npz``
            where it is.
        num_photos: at most.
        masks_per_photo: of each kind.
        num_ghost_photos: photos on which an object is pasted and erased, at most.
        num_sheet_photos: of the first photos, on the contact sheet.
        seed: of all choices.
        batch_size: parts of a photo that networks are given at once.
    """

    images: Path
    out: Path
    weights: Sequence[Path] = ()
    baselines: Sequence[str] = tuple(BASELINES)
    masks: Sequence[str]
    objects_from: Path | None = None
    size: int | None = None
    max_side: int = DEFAULT_MAX_SIDE
    working_size: int | None = None
    fill: "FillMode" = "erase"
    detail: "Sequence[Detail] | None" = None
    lpips: Sequence[Path] = ()
    num_photos: int = 100
    masks_per_photo: int = 1
    num_ghost_photos: int = 20
    num_sheet_photos: int = 16
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
        Interrupted: ``should_stop`` said so between two holes.
    """
    _check(settings)
    networks = _load_networks(settings)
    size = settings.size
    if settings.fill == "one-pass" and networks:
        size = size or networks[0].working_size
    absent = absent_baselines(settings.baselines)
    methods = _methods(settings, networks, absent)
    if world.is_first:
        for name, reason in absent.items():
            _say(f"{name}: left out, {reason}")
    lpips = _load_lpips(settings, world)
    photos = open_photos(
        settings.images,
        size=size,
        max_side=settings.max_side,
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
    silhouettes = Silhouettes.from_path(objects_from, seed=settings.seed)
    kinds = open_mask_kinds(settings.masks, seed=settings.seed, silhouettes=silhouettes)
    measurement = Measurement(
        photos,
        methods,
        kinds,
        masks_per_photo=settings.masks_per_photo,
        silhouettes=silhouettes,
        num_ghost_photos=settings.num_ghost_photos,
        num_sheet_photos=settings.num_sheet_photos,
        lpips=lpips,
        seed=settings.seed,
        should_stop=should_stop,
    )
    if world.is_first:  # an older one would say that this evaluation is complete
        with writing(settings.out / RESULTS_NAME):
            (settings.out / RESULTS_NAME).unlink(missing_ok=True)
    parts = world.gather(_measure_part(measurement, world))
    if parts is None:
        return None
    found = [errors for part in parts for errors in part]
    conditions = {
        **_conditions(settings, photos, kinds, [*methods], has_lpips=lpips is not None),
        "image_size": size,
        "networks": {network.name: network.describe() for network in networks},
        "absent": absent,
        "objects_sha256": silhouettes.fingerprint(),
    }
    results = Results.of(found, conditions)
    with writing(settings.out):
        rows = [errors.sheet for errors in found if errors.sheet is not None]
        sheets = write_pages(settings.out, rows)
        write_report(settings.out / REPORT_NAME, results, measurement, sheets)
        write_markdown(settings.out / MARKDOWN_NAME, results)
        results.write(settings.out)
    return results


def _check(settings: EvaluationSettings) -> None:
    """Raise ``UsageError`` if settings contradict each other or are out of range."""
    if settings.fill == "one-pass":
        for name, value in (("working-size", settings.working_size), ("detail", settings.detail)):
            if value is not None:
                raise UsageError(
                    f"--{name} {value}: --fill one-pass gives networks whole photos and takes what "
                    "they return; leave it out"
                )
    if (settings.size or MIN_SIDE) < MIN_SIDE or not 0 <= settings.seed < 2**63:
        raise UsageError(
            f"size {settings.size}, seed {settings.seed}: expected at least {MIN_SIDE} pixels, and "
            "a seed that is not negative"
        )
    if not MIN_SIDE <= settings.max_side <= MAX_SIZE:
        raise UsageError(
            f"--max-side {settings.max_side}: expected {MIN_SIDE} to {MAX_SIZE} pixels, for which "
            "masks can be drawn"
        )


def _measure_part(measurement: Measurement, world: World) -> list[PhotoErrors]:
    own = rank_slice(measurement.photos.num_photos, world.rank, world.size)
    numbers = tqdm(range(own.start, own.stop), "measuring photos", disable=not world.is_first)
    return [measurement.measure(number) for number in numbers]


def _load_networks(settings: EvaluationSettings) -> "list[Network]":
    if not settings.weights:
        return []
    from pconv_hpc.evaluation.measuring.network_fill import load_networks

    return load_networks(
        settings.weights, working_size=settings.working_size, batch_size=settings.batch_size
    )


def _methods(
    settings: EvaluationSettings, networks: "Sequence[Network]", absent: Mapping[str, str]
) -> dict[str, Fill]:
    methods: dict[str, Fill] = {}
    for network in networks:
        methods |= network.methods(settings.fill, settings.detail or DETAILS)
    methods |= {name: BASELINES[name] for name in settings.baselines if name not in absent}
    if not methods:
        raise UsageError("nothing to evaluate: name --weights, or at least one of --baselines")
    return methods


def _load_lpips(settings: EvaluationSettings, world: World) -> "LPIPS | None":
    paths = settings.lpips or ([DEFAULT_LPIPS] if DEFAULT_LPIPS.is_file() else [])
    if not paths:
        if world.is_first:
            _say(
                f"LPIPS: left out, {DEFAULT_LPIPS} is not there. Once, where there is internet: "
                "pconv-hpc fetch-weights lpips (or name other files: --lpips)"
            )
        return None
    from pconv_hpc.evaluation.figures.lpips import load_lpips

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
        "order": photos.order,
        "max_side": settings.max_side,
        "seed": settings.seed,
        "methods": list(methods),
        "fill": settings.fill,
        "masks": {kind.name: {"from": kind.source, "sha256": kind.fingerprint} for kind in kinds},
        "masks_per_photo": settings.masks_per_photo,
        "objects_from": str(settings.objects_from or "drawn figures"),
        "has_lpips": has_lpips,
    }
