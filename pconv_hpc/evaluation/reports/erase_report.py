"""The gallery of a folder that is being erased: a sample of it, its failures, its counts."""

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.erasing.folder.ledger import MAX_FAILURES, Outcome, read_slice
from pconv_hpc.erasing.folder.manifest import Manifest, read_manifest
from pconv_hpc.erasing.folder.slice_summary import SliceSummary, summarise
from pconv_hpc.evaluation.reports.html_page import Report
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.foundation.text import printable
from pconv_hpc.photos.decode import decode_rgb
from pconv_hpc.photos.formats.photo_files import read_mask
from pconv_hpc.photos.sources.sorted_listing import PhotoRow
from pconv_hpc.photos.sources.tar_files import unpack
from pconv_hpc.segmentation.photo_places import places

REPORT_NAME = "report.html"
_NUM_ERASED = 24
_NUM_EMPTY = 8
_NUM_FAILURES = 100
_SIDE = 480
_PICTURES_IN_ROW = 4


def write_erase_report(out: Path, *, seed: int = 0) -> Path:
    """Write ``OUT/report.html``, a page that holds its pictures; return its path.

    Ledgers are read one slice at a time, and only those that the sample or a failure is in.

    Args:
        out: the folder of the results.
        seed: of the sample; the same shows the same photos of a finished folder.

    Raises:
        UsageError: the folder has no manifest.
    """
    manifest = read_manifest(out)
    summaries = [summarise(manifest, number) for number in range(manifest.num_slices)]
    report = Report(f"Erased: {printable(str(manifest.out))}")
    _add_settings(report, manifest)
    _add_counts(report, summaries)
    with tempfile.TemporaryDirectory() as folder:
        pictures = _Pictures(manifest, Path(folder))
        _add_erased(report, pictures, _sample(manifest, summaries, "erased", _NUM_ERASED, seed))
        _add_empty(report, pictures, _sample(manifest, summaries, "empty", _NUM_EMPTY, seed))
        _add_failures(report, manifest, summaries)
        path = manifest.out / REPORT_NAME
        report.save(path)
    return path


def _add_settings(report: Report, manifest: Manifest) -> None:
    options = {"photos": str(manifest.images), **manifest.settings.summary}
    report.table(["", ""], [[name, printable(value)] for name, value in options.items()])


def _add_counts(report: Report, summaries: Sequence[SliceSummary]) -> None:
    counts, classes = Counter[str](), Counter[str]()
    names = {
        "erased": "erased",
        "empty": "nothing to erase",
        "failed": "failed, to be tried again",
        "set_aside": f"set aside after {MAX_FAILURES} failures",
        "remaining": "remaining, with those to be tried again",
        "photos": "all",
    }
    for summary in summaries:
        counts.update({name: getattr(summary, name) for name in names})
        classes.update(summary.classes)
    report.heading("Counts")
    rows = [[text, f"{counts[name]:,}"] for name, text in names.items()]
    report.table(["photos", "number"], rows)
    if classes:
        report.table(
            ["objects erased", "number"],
            [[printable(name), f"{number:,}"] for name, number in classes.most_common()],
        )


def _sample(
    manifest: Manifest, summaries: Sequence[SliceSummary], status: str, count: int, seed: int
) -> list[PhotoRow]:
    """Return some photos of a status, each as likely as any other, in the folder's order."""
    totals = [int(getattr(summary, status)) for summary in summaries]
    chosen = sorted(random.Random(seed).sample(range(sum(totals)), min(count, sum(totals))))
    photos: list[PhotoRow] = []
    first = 0
    for number, total in enumerate(totals):
        ranks = {position - first for position in chosen if first <= position < first + total}
        first += total
        if ranks:
            matching = _photos_of(manifest, number, lambda outcome: outcome.status == status)
            photos += [photo for rank, (photo, _) in enumerate(matching) if rank in ranks]
    return photos


def _photos_of(
    manifest: Manifest, number: int, wanted: Callable[[Outcome], bool]
) -> Iterator[tuple[PhotoRow, Outcome]]:
    """Yield the photos of a slice whose outcomes are wanted, in the folder's order."""
    outcomes = read_slice(manifest.slice_dir(number)).outcomes
    for row in manifest.photos(number):
        outcome = outcomes.get(row.photo)
        if outcome is not None and wanted(outcome):
            yield row, outcome


class _Pictures:
    """Small JPEG pictures of photos, masks and results, in files for the report to take in."""

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        self._manifest = manifest
        self._folder = folder
        self._count = 0

    def before(self, photo: PhotoRow) -> Path:
        """Return a small picture of the photo."""
        return self._write(_small(decode_rgb(self._photo_file(photo))))

    def marked(self, photo: PhotoRow) -> Path:
        """Return a small picture of the photo, red where it was erased."""
        image = _small(decode_rgb(self._photo_file(photo)))
        mask = Image.fromarray(read_mask(self._mask_file(photo)).hole)
        size = (image.shape[1], image.shape[0])
        share = np.asarray(mask.convert("L").resize(size, Image.Resampling.BOX)) / 255
        opacity = 0.6 * share[..., None]
        red = image * (1 - opacity) + np.array([255, 0, 0]) * opacity
        return self._write(red.astype(np.uint8))

    def after(self, photo: PhotoRow) -> Path:
        """Return a small picture of the result."""
        erased = self._manifest.erased
        if photo.tar is None:
            return self._write(_small(decode_rgb(erased / photo.photo)))
        unpacked = self._manifest.out / "unpacked" / "erased" / photo.photo
        is_tarred = (erased / photo.tar).is_file()  # not before all of its photos are accounted for
        path = self._unpacked(erased / photo.tar, _key(photo)) if is_tarred else unpacked
        return self._write(_small(decode_rgb(path)))

    def _photo_file(self, photo: PhotoRow) -> Path:
        root = self._manifest.root
        if photo.tar is None:
            return root / photo.photo
        return self._unpacked(root / photo.tar, _key(photo))

    def _mask_file(self, photo: PhotoRow) -> Path:
        found = self._manifest.found
        if photo.tar is None:
            return places(self._manifest.images, photo.photo, found).mask
        if not (found / photo.tar).is_file():
            unpacked = self._manifest.out / "unpacked"
            return places(unpacked / "images", photo.photo, unpacked / "found").mask
        return self._unpacked(found / photo.tar, str(places(Path(), _key(photo), Path()).mask))

    def _unpacked(self, tar: Path, key: str) -> Path:
        self._count += 1
        folder = self._folder / f"unpacked {self._count}"
        unpack(tar, [key], folder)
        return folder / key

    def _write(self, pixels: np.ndarray) -> Path:
        self._count += 1
        path = self._folder / f"{self._count}.jpg"
        Image.fromarray(pixels).save(path, quality=88)
        return path


def _key(photo: PhotoRow) -> str:
    """Return the name that a photo has inside its tar file."""
    return photo.photo.removeprefix(f"{photo.tar}/")


def _small(image: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(image)
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _add_erased(report: Report, pictures: _Pictures, photos: Sequence[PhotoRow]) -> None:
    if not photos:
        return
    report.heading(f"Erased: a random sample of {len(photos)}")
    for photo in photos:
        try:
            row = {
                printable(photo.photo): pictures.before(photo),
                "to erase": pictures.marked(photo),
                "after": pictures.after(photo),
            }
        except PconvError as error:  # moved or deleted since
            report.paragraph(printable(str(error)))
        else:
            report.row(row)


def _add_empty(report: Report, pictures: _Pictures, photos: Sequence[PhotoRow]) -> None:
    if not photos:
        return
    report.heading(f"Nothing to erase: a random sample of {len(photos)}")
    shown = {}
    for photo in photos:
        try:
            shown[printable(photo.photo)] = pictures.before(photo)
        except PconvError as error:  # moved or deleted since
            report.paragraph(printable(str(error)))
    items = list(shown.items())
    for first in range(0, len(items), _PICTURES_IN_ROW):
        report.row(dict(items[first : first + _PICTURES_IN_ROW]))


def _add_failures(report: Report, manifest: Manifest, summaries: Sequence[SliceSummary]) -> None:
    reasons = Counter[str]()
    for summary in summaries:
        reasons.update(summary.reasons)
    if not reasons:
        return
    report.heading("Failed")
    report.table(
        ["reason", "photos"],
        [[printable(reason), f"{number:,}"] for reason, number in reasons.most_common()],
    )
    rows: list[list[object]] = []
    for number, summary in enumerate(summaries):
        if (summary.failed or summary.set_aside) and len(rows) < _NUM_FAILURES:
            failed = _photos_of(manifest, number, lambda o: o.failures > 0 and not o.is_done)
            for photo, outcome in failed:
                aside = "set aside" if outcome.is_set_aside else "to be tried again"
                rows.append([printable(photo.photo), printable(outcome.reason), aside])
    report.table(["photo", "reason", ""], rows[:_NUM_FAILURES])
    if reasons.total() > _NUM_FAILURES:
        report.paragraph(f"… the first {_NUM_FAILURES} of {reasons.total():,}")
