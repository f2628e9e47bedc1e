"""Folders of photos: files written, continued, selected anew, bad photos, stopping."""

import errno
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.foundation.disk_space import OutputError
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.masks.mask_growing import erase_mask
from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.formats.photo_files import read_mask
from pconv_hpc.photos.sources.photo_source import Photos
from pconv_hpc.segmentation import batches
from pconv_hpc.segmentation.batches import Result, Wish, segment_all
from pconv_hpc.segmentation.choices import Choices
from pconv_hpc.segmentation.instances import read_instances
from pconv_hpc.segmentation.photo_places import Places, PlacesList, places
from pconv_hpc.segmentation.segmenter import Prediction, Prepared, Segmenter
from pconv_hpc.segmentation.selection import Selection
from tests.support.assets.shape_photos import CLASSES, ShapePhoto, ShapePhotos
from tests.support.assets.small_network import small_segmenter

NUM_PHOTOS = 6
UNSEEN = ShapePhotos(seed=77, held_out=True)
EVERYTHING = Wish(choices=Choices(Selection(every=True)))


class Scene:
    """A folder of photos, the network, and how many photos it was given."""

    def __init__(self, folder: Path, segmenter: Segmenter) -> None:
        self.photos = [UNSEEN[index] for index in range(NUM_PHOTOS)]
        self.folder = folder
        self.segmenter = segmenter
        self.num_predicted = 0
        for index, photo in enumerate(self.photos):
            path = folder / "photos" / self.image(index)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo.image).save(path)

    def image(self, index: int) -> str:
        return f"{'abc'[index % 3]}/{index}.png"

    def places(self, image: str) -> Places:
        return places(self.folder / "photos", image, self.folder / "out")

    def run(self, wish: Wish, images: Sequence[str] | None = None) -> dict[str, Result]:
        images = images or [self.image(index) for index in range(NUM_PHOTOS)]
        results = list(segment_all(map(self.places, images), self.segmenter, wish))
        assert len(results) == len(images)
        return {result.image: result for result in results}

    def statuses(self, wish: Wish) -> set[str]:
        return {result.status for result in self.run(wish).values()}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    segmenter = small_segmenter()
    built = Scene(tmp_path, segmenter)
    real = segmenter.predict

    def predict(batch: Sequence[Prepared]) -> list[Prediction | PconvError]:
        built.num_predicted += len(batch)
        return real(batch)

    monkeypatch.setattr(segmenter, "predict", predict)
    return built


def _classes(photo: ShapePhoto) -> set[str]:
    return {CLASSES[label] for label in photo.labels}


def test_every_photo_gets_its_instances_and_mask(scene: Scene) -> None:
    results = scene.run(EVERYTHING)
    assert scene.num_predicted == NUM_PHOTOS
    for index, photo in enumerate(scene.photos):
        where = scene.places(scene.image(index))
        found = read_instances(where.instances)
        assert found.image == scene.image(index)
        assert (found.height, found.width) == photo.image.shape[:2]
        result = results[scene.image(index)]
        assert result.status == "segmented"
        assert result.num_found == len(found.instances)
        assert result.num_selected == len(found.selected)
        chosen = [found.instances[i] for i in found.selected]
        assert {one.class_name for one in chosen} >= _classes(photo)
        erased = read_mask(where.mask).hole
        np.testing.assert_array_equal(erased, erase_mask(chosen, height=192, width=192))
        truth = photo.masks.any(axis=0)
        assert (erased & truth).sum() / truth.sum() > 0.95  # grown masks leave no rim behind
        assert not where.overlay.exists()


@pytest.mark.parametrize("num_threads", [1, 4])
def test_whoever_asks_is_told_of_every_photo_that_is_begun(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, num_threads: int
) -> None:
    monkeypatch.setattr(scene.segmenter, "batch_size", num_threads)
    images = [scene.image(index) for index in range(NUM_PHOTOS)]
    begun: list[str] = []
    ended = []
    for result in segment_all(
        map(scene.places, images),
        scene.segmenter,
        EVERYTHING,
        num_threads=num_threads,
        on_begin=begun.append,
    ):
        ended.append(result.image)
        if num_threads == 1:  # and batches of 1: one after the other
            assert begun == ended
    assert sorted(begun) == sorted(ended) == sorted(images)


def test_finished_photos_are_skipped(scene: Scene) -> None:
    scene.run(EVERYTHING)
    stamps = {path: path.stat().st_mtime_ns for path in scene.folder.rglob("out/**/*.*")}
    results = scene.run(EVERYTHING)
    assert {result.status for result in results.values()} == {"skipped"}
    assert all(result.num_selected > 0 for result in results.values())
    assert scene.num_predicted == NUM_PHOTOS
    assert stamps == {path: path.stat().st_mtime_ns for path in scene.folder.rglob("out/**/*.*")}


def test_another_selection_needs_no_network(scene: Scene) -> None:
    scene.run(EVERYTHING)
    stars = Wish(choices=Choices(Selection(classes=("star",))))
    assert scene.statuses(stars) == {"selected anew"}
    assert scene.num_predicted == NUM_PHOTOS
    with_mask = 0
    for index, photo in enumerate(scene.photos):
        where = scene.places(scene.image(index))
        found = read_instances(where.instances)
        assert {found.instances[i].class_name for i in found.selected} <= {"star"}
        assert where.mask.exists() == bool(found.selected)
        assert bool(found.selected) == ("star" in _classes(photo))
        with_mask += where.mask.exists()
    assert 0 < with_mask < NUM_PHOTOS
    assert scene.statuses(stars) == {"skipped"}


@pytest.mark.parametrize(
    "wish",
    [
        Wish(choices=EVERYTHING.choices, dilation=20),
        Wish(choices=EVERYTHING.choices, shape="box"),
        Wish(choices=EVERYTHING.choices, with_overlay=True),
        Wish(choices=Choices(Selection())),
    ],
)
def test_another_mask_or_an_overlay_needs_no_network(scene: Scene, wish: Wish) -> None:
    scene.run(EVERYTHING)
    before = scene.places(scene.image(0)).mask.read_bytes()
    assert scene.statuses(wish) == {"selected anew"}
    assert scene.num_predicted == NUM_PHOTOS
    where = scene.places(scene.image(0))
    assert where.overlay.exists() == wish.with_overlay
    assert where.mask.exists() == (not wish.choices.general.is_empty)
    if wish.dilation or wish.shape == "box":
        assert where.mask.read_bytes() != before
    assert scene.statuses(wish) == {"skipped"}


def test_missing_mask_changed_photo_and_damaged_file_are_made_again(scene: Scene) -> None:
    scene.run(EVERYTHING)
    without_mask, changed, damaged, cut = (scene.places(scene.image(i)) for i in range(4))
    without_mask.mask.unlink()
    Image.fromarray(scene.photos[5].image).save(changed.photo)
    damaged.instances.write_text("{}")
    content = cut.instances.read_bytes()
    cut.instances.write_bytes(content[: len(content) // 2])
    results = scene.run(EVERYTHING)
    assert results[without_mask.image].status == "selected anew"
    assert {results[p.image].status for p in (changed, damaged, cut)} == {"segmented"}
    assert scene.num_predicted == NUM_PHOTOS + 3
    assert without_mask.mask.exists()
    assert cut.instances.read_bytes() == content
    assert scene.statuses(EVERYTHING) == {"skipped"}


def test_what_was_found_in_another_precision_is_found_again_if_one_is_named(scene: Scene) -> None:
    image = scene.image(0)
    scene.run(EVERYTHING, [image])
    path = scene.places(image).instances
    assert read_instances(path).precision == "float32"
    path.write_text(path.read_text().replace('"precision": "float32"', '"precision": "float16"'))
    assert scene.run(EVERYTHING, [image])[image].status == "segmented"
    path.write_text(path.read_text().replace('"precision": "float32"', '"precision": "float16"'))
    scene.segmenter = small_segmenter("auto")
    assert scene.run(EVERYTHING, [image])[image].status == "skipped"


def test_overwrite_makes_everything_again(scene: Scene) -> None:
    scene.run(EVERYTHING)
    assert scene.statuses(Wish(choices=EVERYTHING.choices, overwrite=True)) == {"segmented"}
    assert scene.num_predicted == 2 * NUM_PHOTOS


def test_bad_photos_fail_alone_and_again_until_they_are_good(scene: Scene) -> None:
    broken = scene.places("a/broken.jpg")
    broken.photo.write_bytes(scene.places(scene.image(0)).photo.read_bytes()[:500])
    images = [scene.image(0), "a/broken.jpg", "a/missing.jpg", scene.image(1)]
    for _ in range(2):
        results = scene.run(EVERYTHING, images)
        assert [results[image].status == "failed" for image in images] == [0, 1, 1, 0]
        for image in images[1:3]:
            assert results[image].reason.startswith(str(scene.places(image).photo))
    assert not broken.instances.exists()
    Image.fromarray(scene.photos[0].image).save(broken.photo)
    assert scene.run(EVERYTHING, ["a/broken.jpg"])["a/broken.jpg"].status == "segmented"


def test_photos_that_could_not_be_written_back_fail_before_the_network(scene: Scene) -> None:
    frames = [Image.fromarray(photo.image) for photo in scene.photos[:2]]
    path = scene.folder / "photos" / scene.image(0)
    frames[0].save(path, save_all=True, append_images=frames[1:])
    results = scene.run(replace(EVERYTHING, for_erasing=True))
    assert "animated" in results.pop(scene.image(0)).reason
    assert {result.status for result in results.values()} == {"segmented"}
    assert scene.num_predicted == NUM_PHOTOS - 1
    assert scene.run(EVERYTHING)[scene.image(0)].status == "segmented"


@pytest.mark.parametrize("writer", ["write_bytes", "write_instances"])
def test_a_full_disk_stops_the_batch_and_is_no_photos_failure(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    def write(*_: object, **__: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with monkeypatch.context() as patched:
        patched.setattr(batches, writer, write)
        with pytest.raises(OutputError, match=r"cannot be written \(Disk quota exceeded\)"):
            scene.run(EVERYTHING)
    assert scene.statuses(EVERYTHING) == {"segmented"}


def test_click_that_means_nothing_fails_but_keeps_what_was_found(scene: Scene) -> None:
    rows, columns = np.nonzero(scene.photos[0].masks[0])
    middle = len(rows) // 2
    click = (float(columns[middle]), float(rows[middle]))
    outside = Selection(clicks=((500, 500),))
    clicks = Choices(
        Selection(), {scene.image(0): (Selection(clicks=(click,)),), scene.image(1): (outside,)}
    )
    results = scene.run(Wish(choices=clicks))
    assert results[scene.image(0)].num_selected == 1
    assert results[scene.image(1)].status == "failed"
    assert "outside the photo of 192 x 192" in results[scene.image(1)].reason
    where = scene.places(scene.image(1))
    assert read_instances(where.instances).selection is None
    assert not where.mask.exists()
    assert results[scene.image(2)].num_selected == 0
    assert scene.run(Wish(choices=clicks))[scene.image(1)].status == "failed"
    assert scene.num_predicted == NUM_PHOTOS


def test_a_packed_photo_is_segmented_again_when_its_checksum_differs(scene: Scene) -> None:
    class Pack(Photos):
        keys = ("a/0.png", "b/1.png")
        fingerprint = ""
        checksums: ClassVar = [3, 4]

        def version(self, index: int) -> int:
            return self.checksums[index]

        def image(self, index: int, *, max_pixels: int = 0) -> np.ndarray:
            if index:
                raise ImageError("damaged")
            return scene.photos[0].image

    def statuses() -> list[str]:
        listed = PlacesList(Path("pack"), Pack.keys, scene.folder / "out", Pack())
        results = list(segment_all(listed, scene.segmenter, with_overlay, num_threads=1))
        by_image = {result.image: result for result in results}
        assert by_image["b/1.png"].reason == "pack/b/1.png: damaged"
        return [by_image[image].status for image in Pack.keys]

    with_overlay = Wish(choices=EVERYTHING.choices, with_overlay=True)
    assert statuses() == ["segmented", "failed"]
    assert statuses() == ["skipped", "failed"]
    Pack.checksums[0] += 1
    assert statuses() == ["segmented", "failed"]


def test_rotated_photo_has_an_upright_mask(scene: Scene) -> None:
    where = scene.places("a/turned.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    wide = np.ascontiguousarray(np.rot90(scene.photos[0].image)[:, :150])
    Image.fromarray(wide).save(where.photo, quality=95, exif=exif)
    assert scene.run(EVERYTHING, ["a/turned.jpg"])["a/turned.jpg"].status == "segmented"
    erased = read_mask(where.mask).hole
    assert erased.shape == (150, 192)
    truth = scene.photos[0].masks.any(axis=0)[:150]
    assert (erased & truth).sum() / truth.sum() > 0.9


def test_stopping_finishes_what_was_begun_and_leaves_the_rest(scene: Scene) -> None:
    images = [f"many/{index}.png" for index in range(40)]
    for index, image in enumerate(images):
        where = scene.places(image)
        where.photo.parent.mkdir(exist_ok=True)
        Image.fromarray(scene.photos[index % NUM_PHOTOS].image).save(where.photo)
    results = list(
        segment_all(
            map(scene.places, images),
            scene.segmenter,
            EVERYTHING,
            should_stop=lambda: scene.num_predicted >= 8,
        )
    )
    assert 8 <= len(results) == scene.num_predicted < 40
    done = {result.image for result in results}
    for image in images:
        where = scene.places(image)
        assert where.instances.exists() == where.mask.exists() == (image in done)
    assert not list(scene.folder.rglob("*.tmp"))
    continued = scene.run(EVERYTHING, images)
    assert {image for image in images if continued[image].status == "skipped"} == done
    assert scene.num_predicted == 40


def test_photos_are_read_only_as_they_are_needed(scene: Scene) -> None:
    taken = 0

    def endless() -> Iterator[Places]:
        nonlocal taken
        while True:
            taken += 1
            yield scene.places(scene.image(taken % NUM_PHOTOS))

    results = segment_all(
        endless(), scene.segmenter, Wish(choices=EVERYTHING.choices, overwrite=True), num_threads=2
    )
    for _ in range(5):
        next(results)
    results.close()
    assert taken < 40
