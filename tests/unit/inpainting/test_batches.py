"""Many photos: failures stay single, results are whole, stopping stops, everything is reported."""

import errno
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.foundation.disk_space import OutputError
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.inpainting import batches
from pconv_hpc.inpainting.batches import erase_all
from pconv_hpc.inpainting.inpainter import Inpainter
from pconv_hpc.inpainting.outside_in import Tile
from pconv_hpc.inpainting.photo_task import Job
from pconv_hpc.inpainting.settings import FillSettings
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.photos.formats.photo_files import read_photo
from pconv_hpc.photos.photo import Photo
from tests.support.inpainting_files import CONFIG, save_photo_and_mask


@pytest.fixture(scope="module")
def inpainter() -> Inpainter:
    settings = FillSettings(working_size=64)
    return Inpainter(build_pconv_unet(CONFIG), CONFIG, settings=settings, batch_size=4)


def make_jobs(folder: Path, count: int) -> list[Job]:
    jobs = []
    for index in range(count):
        job = Job(
            folder / "photos" / f"{index}.png",
            folder / "masks" / f"{index}.png",
            folder / "out" / "deep" / f"{index}.png",
        )
        save_photo_and_mask(job.photo, job.mask)
        jobs.append(job)
    return jobs


def assert_no_threads_left() -> None:
    assert not [t for t in threading.enumerate() if t.name.startswith("photos")]


def test_every_photo_is_erased_once_and_outside_its_mask_unchanged(
    tmp_path: Path, inpainter: Inpainter
) -> None:
    jobs = make_jobs(tmp_path, 7)
    results = list(erase_all(jobs, inpainter, num_threads=3))
    assert sorted(r.job.photo.name for r in results) == [f"{i}.png" for i in range(7)]
    assert {r.status for r in results} == {"erased"}
    hole = save_photo_and_mask(tmp_path / "p.png", tmp_path / "m.png")
    for job in jobs:
        before, after = read_photo(job.photo).pixels, read_photo(job.output).pixels
        np.testing.assert_array_equal(after[~hole], before[~hole])
        assert (after[hole] != before[hole]).any()
    assert sorted(p.name for p in jobs[0].output.parent.iterdir()) == [f"{i}.png" for i in range(7)]
    assert_no_threads_left()


def test_with_one_thread_photos_are_begun_one_after_the_other(
    tmp_path: Path, inpainter: Inpainter
) -> None:
    jobs = make_jobs(tmp_path, 3)
    begun: list[Job] = []
    for number, _ in enumerate(
        erase_all(jobs, inpainter, num_threads=1, on_begin=begun.append), start=1
    ):
        assert begun == jobs[:number]


def test_alone_or_in_a_batch_a_photo_comes_out_the_same(
    tmp_path: Path, inpainter: Inpainter
) -> None:
    jobs = make_jobs(tmp_path, 4)
    list(erase_all(jobs, inpainter, num_threads=4))
    together = [read_photo(job.output).pixels.astype(int) for job in jobs]
    list(erase_all(jobs, inpainter, num_threads=1, overwrite=True))
    for job, pixels in zip(jobs, together, strict=True):
        assert np.abs(read_photo(job.output).pixels - pixels).max() <= 1


def test_a_failing_photo_is_reported_and_the_others_go_on(
    tmp_path: Path, inpainter: Inpainter
) -> None:
    jobs = make_jobs(tmp_path, 6)
    jobs[0].photo.write_bytes(jobs[0].photo.read_bytes()[:2000])
    jobs[1].mask.unlink()
    white = np.full((240, 320), 255, np.uint8)
    Image.fromarray(white).save(jobs[2].mask)
    Image.fromarray(white[:-1]).save(jobs[3].mask)
    results = {int(r.job.photo.stem): r for r in erase_all(jobs, inpainter)}
    assert [results[i].status for i in range(6)] == ["failed"] * 4 + ["erased"] * 2
    assert "0.png" in results[0].reason
    assert "cannot be read" in results[1].reason
    assert "covers the whole photo" in results[2].reason
    assert "expected equal sizes" in results[3].reason
    assert str(jobs[3].photo) in results[3].reason
    assert sorted(p.name for p in jobs[4].output.parent.iterdir()) == ["4.png", "5.png"]


def test_a_result_that_has_no_place_fails_alone(tmp_path: Path, inpainter: Inpainter) -> None:
    jobs = make_jobs(tmp_path, 1)
    jobs[0].output.parent.parent.mkdir()
    jobs[0].output.parent.write_text("a file where a folder is needed")
    (result,) = erase_all(jobs, inpainter)
    assert result.status == "failed"
    assert "0.png" in result.reason


def test_a_full_disk_stops_the_batch_and_is_no_photos_failure(
    tmp_path: Path, inpainter: Inpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(photo: Photo, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(batches, "write_photo", write)
    jobs, begun = make_jobs(tmp_path, 5), []
    with pytest.raises(OutputError, match=r"\.png: cannot be written \(No space left on device\)"):
        list(erase_all(jobs, inpainter, num_threads=2, on_begin=begun.append))
    assert len(begun) < 5
    assert_no_threads_left()


def test_an_empty_mask_copies_the_file(tmp_path: Path, inpainter: Inpainter) -> None:
    (job,) = make_jobs(tmp_path, 1)
    Image.fromarray(np.zeros((240, 320), np.uint8)).save(job.mask)
    (result,) = erase_all([job], inpainter)
    assert result.status == "unchanged"
    assert job.output.read_bytes() == job.photo.read_bytes()


def test_what_is_there_is_skipped_unless_it_is_to_be_overwritten(
    tmp_path: Path, inpainter: Inpainter
) -> None:
    jobs = make_jobs(tmp_path, 3)
    jobs[1].output.parent.mkdir(parents=True)
    jobs[1].output.write_bytes(b"here already")
    assert Counter(r.status for r in erase_all(jobs, inpainter)) == {"erased": 2, "skipped": 1}
    assert jobs[1].output.read_bytes() == b"here already"
    assert Counter(r.status for r in erase_all(jobs, inpainter, overwrite=True)) == {"erased": 3}
    assert jobs[1].output.read_bytes() != b"here already"


def test_stopping_finishes_what_was_begun_and_begins_nothing(
    tmp_path: Path, inpainter: Inpainter
) -> None:
    jobs = make_jobs(tmp_path, 12)
    done: list[str] = []
    for result in erase_all(jobs, inpainter, num_threads=2, should_stop=lambda: len(done) >= 3):
        assert result.status == "erased"
        done.append(result.job.photo.name)
    assert 3 <= len(done) <= 5
    assert sorted(p.name for p in jobs[0].output.parent.iterdir()) == sorted(done)
    rest = Counter(r.status for r in erase_all(jobs, inpainter))
    assert rest == {"erased": 12 - len(done), "skipped": len(done)}
    assert_no_threads_left()


def test_few_photos_are_in_memory_at_once(tmp_path: Path, inpainter: Inpainter) -> None:
    jobs = make_jobs(tmp_path, 8)
    taken = 0

    def counted() -> Iterator[Job]:
        nonlocal taken
        for job in jobs:
            taken += 1
            yield job

    finished = 0
    for _ in erase_all(counted(), inpainter, num_threads=2):
        assert taken <= finished + 2 + 1
        finished += 1
    assert finished == 8


def test_leaving_early_ends_the_threads(tmp_path: Path, inpainter: Inpainter) -> None:
    results = erase_all(make_jobs(tmp_path, 6), inpainter, num_threads=2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert_no_threads_left()


def test_a_network_that_fails_fails_the_batch(tmp_path: Path) -> None:
    class Broken(Inpainter):
        def predict(self, tiles: object) -> list[np.ndarray]:
            raise PconvError("out of memory")

    broken = Broken(build_pconv_unet(CONFIG), CONFIG, settings=FillSettings(working_size=64))
    with pytest.raises(PconvError, match="out of memory"):
        list(erase_all(make_jobs(tmp_path, 3), broken))
    assert_no_threads_left()


def test_crops_of_several_photos_share_a_batch(tmp_path: Path) -> None:
    sizes = []

    class Counting(Inpainter):
        def predict(self, tiles: list[Tile]) -> list[np.ndarray]:  # type: ignore[override]
            sizes.append(len(tiles))
            return super().predict(tiles)

    counting = Counting(
        build_pconv_unet(CONFIG), CONFIG, settings=FillSettings(working_size=64), batch_size=8
    )
    list(erase_all(make_jobs(tmp_path, 4), counting, num_threads=4))
    assert sizes == [8]  # four photos of two holes
