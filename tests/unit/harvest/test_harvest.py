"""Harvests by the small real Mask R-CNN: what is found, stopped and continued, torn journals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.foundation.errors import Interrupted, PconvError, UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.harvest.collect import HarvestSettings, choose_photos, harvest
from pconv_hpc.harvest.outlines import Criteria
from pconv_hpc.harvest.parts import Parts, num_lines
from pconv_hpc.harvest.photo_blocks import BLOCK_PHOTOS
from pconv_hpc.masks.silhouette_file import SilhouetteFile
from pconv_hpc.masks.silhouettes import Silhouettes
from pconv_hpc.photos.sources.photo_source import Photos
from pconv_hpc.segmentation.segmenter import Prediction, Prepared, Segmenter
from pconv_hpc.shards.packed_photos import open_photos
from tests.support.assets.shape_photos import CLASSES, ShapePhotos
from tests.support.assets.small_network import small_segmenter

NUM_PHOTOS = 40  # two full blocks and a half
UNSEEN = ShapePhotos(seed=901, held_out=True)
EVERYTHING = HarvestSettings(criteria=Criteria(), max_objects=1000)
ALONE = World({})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in subfolders, two of which no network can use."""
    folder = tmp_path_factory.mktemp("photos")
    for index in range(NUM_PHOTOS - 2):
        path = folder / "abc"[index % 3] / f"{index:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(UNSEEN[index].image).save(path)
    (folder / "a" / "bad.jpg").write_bytes(b"no photo")
    Image.new("RGB", (3000, 1)).save(folder / "c" / "thin.png")
    return folder


class Harvest:
    """The file, the photos, the network, and how many photos it was given."""

    def __init__(self, out: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out = out
        self.photos: Photos = open_photos(folder, out.parent, ALONE)
        self.segmenter: Segmenter = small_segmenter()
        self.num_predicted = 0
        real = type(self.segmenter).predict

        def predict(batch: Sequence[Prepared]) -> list[Prediction | PconvError]:
            self.num_predicted += len(batch)
            return real(self.segmenter, batch)

        monkeypatch.setattr(self.segmenter, "predict", predict)

    def run(
        self,
        settings: HarvestSettings = EVERYTHING,
        *,
        out: Path | None = None,
        stop_after: int = 10**9,
    ) -> list[tuple[str, str]]:
        return harvest(
            self.photos,
            self.segmenter,
            settings,
            out or self.out,
            world=ALONE,
            num_threads=2,
            should_stop=lambda: self.num_predicted >= stop_after,
        )


@pytest.fixture
def harvested(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Harvest:
    return Harvest(tmp_path / "objects.h5", folder, monkeypatch)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_silhouettes_are_the_shapes_of_the_photos(harvested: Harvest) -> None:
    failed = harvested.run()
    assert [photo for photo, _ in failed] == ["a/bad.jpg", "c/thin.png"]
    assert harvested.num_predicted == NUM_PHOTOS - 2
    file = SilhouetteFile(harvested.out)
    file.verify()
    assert file.class_names == CLASSES
    assert not Parts(harvested.out).folder.exists() or num_lines(Parts(harvested.out).folder) == 0

    good = 0
    for index in range(file.num_silhouettes):
        photo = UNSEEN[int(Path(file.photo(index)).stem)]
        x0, y0, x1, y1 = file.boxes[index].astype(int)
        mask = np.zeros((192, 192), np.bool_)
        mask[y0:y1, x0:x1] = file.shape(index)
        label = CLASSES.index(file.class_names[file.classes[index]])
        same_class = photo.masks[photo.labels == label]
        good += any(overlap(mask, truth) > 0.6 for truth in same_class)
        assert max(mask[0].sum(), mask[-1].sum(), mask[:, 0].sum(), mask[:, -1].sum()) <= 12
    assert good >= 0.9 * file.num_silhouettes
    num_whole = sum(
        not any(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
        for index in range(NUM_PHOTOS - 2)
        for mask in UNSEEN[index].masks
    )
    assert good >= 0.7 * num_whole
    assert len(Silhouettes.from_path(harvested.out, seed=0)) == file.num_silhouettes


def test_a_finished_harvest_is_left_alone_and_another_is_refused(harvested: Harvest) -> None:
    harvested.run()
    stamp, num_predicted = harvested.out.stat().st_mtime_ns, harvested.num_predicted
    assert harvested.run() == []
    assert (harvested.out.stat().st_mtime_ns, harvested.num_predicted) == (stamp, num_predicted)
    stars = HarvestSettings(criteria=Criteria(classes=("star",)), max_objects=1000)
    with pytest.raises(UsageError, match=r"objects\.h5: is of another harvest .criteria is"):
        harvested.run(stars)
    with pytest.raises(UsageError, match="max_objects is 1000, wanted 3"):
        harvested.run(HarvestSettings(criteria=Criteria(), max_objects=3))
    with pytest.raises(UsageError, match="unknown class person"):
        harvested.run(HarvestSettings(criteria=Criteria(classes=("person",)), max_objects=3))


@pytest.mark.parametrize("stop_after", [1, BLOCK_PHOTOS + 1])
def test_stopped_and_continued_gives_the_same_file(harvested: Harvest, stop_after: int) -> None:
    whole = harvested.out.with_name("whole.h5")
    harvested.run(out=whole)
    harvested.num_predicted = 0
    with pytest.raises(Interrupted, match="run the same command again"):
        harvested.run(stop_after=stop_after)
    assert not harvested.out.exists()
    before = harvested.num_predicted
    assert 0 < before < NUM_PHOTOS - 2
    parts = Parts(harvested.out)
    assert 1 <= num_lines(parts.folder) == len(list(parts.blocks())) <= 2
    failed = harvested.run()
    assert harvested.num_predicted == NUM_PHOTOS - 2  # none went through the network twice
    assert [photo for photo, _ in failed] == ["a/bad.jpg", "c/thin.png"]
    assert harvested.out.read_bytes() == whole.read_bytes()


def test_a_torn_journal_costs_its_last_block(harvested: Harvest) -> None:
    whole = harvested.out.with_name("whole.h5")
    harvested.run(out=whole)
    harvested.num_predicted = 0
    with pytest.raises(Interrupted):
        harvested.run(stop_after=BLOCK_PHOTOS + 1)
    (journal,) = [
        path for path in Parts(harvested.out).folder.glob("*.jsonl") if path.stat().st_size
    ]
    content = journal.read_bytes()
    journal.write_bytes(content[: len(content) - 40])
    journal.with_name("blocks-junk.jsonl").write_bytes(b'\xff\n[]\n{"block": 0}\n' + b"[" * 10**5)
    harvested.run()
    assert harvested.out.read_bytes() == whole.read_bytes()


def test_parts_of_another_harvest_are_refused(harvested: Harvest) -> None:
    with pytest.raises(Interrupted):
        harvested.run(stop_after=1)
    circles = HarvestSettings(criteria=Criteria(classes=("circle",)), max_objects=1000)
    with pytest.raises(UsageError, match=r"objects\.h5\.parts: is of another harvest .criteria"):
        harvested.run(circles)
    recipe = Parts(harvested.out).folder / "harvest.json"
    recipe.write_text("{")
    with pytest.raises(UsageError, match=r"harvest\.json: cannot be read"):
        harvested.run()
    recipe.unlink()
    with pytest.raises(UsageError, match=r"has parts but no harvest\.json"):
        harvested.run()


def test_fewer_objects_and_photos_are_a_random_sample(harvested: Harvest) -> None:
    harvested.run(out=harvested.out.with_name("whole.h5"))
    whole = SilhouetteFile(harvested.out.with_name("whole.h5"))
    harvested.run(HarvestSettings(criteria=Criteria(), max_objects=10))
    few = SilhouetteFile(harvested.out)
    assert few.num_silhouettes == 10

    def photos(file: SilhouetteFile) -> list[str]:
        return [file.photo(index) for index in range(file.num_silhouettes)]

    assert set(photos(few)) < set(photos(whole))
    assert photos(few) != photos(whole)[:10]
    harvested.num_predicted = 0
    harvested.run(
        HarvestSettings(criteria=Criteria(), max_objects=99, max_photos=5),
        out=few.path.parent / "5",
    )
    assert harvested.num_predicted <= 5
    np.testing.assert_array_equal(choose_photos(7, None), np.arange(7))
    some, more = choose_photos(1000, 100), choose_photos(1000, 200)
    assert set(some) < set(more)
    assert some[50] > 200  # not simply the first ones


def test_nothing_that_fits_is_an_error_and_no_file(harvested: Harvest, tmp_path: Path) -> None:
    with pytest.raises(PconvError, match=r"no object in any photo fits; delete .*2 photos cannot"):
        harvested.run(
            HarvestSettings(criteria=Criteria(min_area=0.9, max_area=0.95), max_objects=5)
        )
    assert not harvested.out.exists()


def test_a_network_that_fails_ends_the_harvest_and_not_the_photo(
    harvested: Harvest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(batch: Sequence[Prepared]) -> list[PconvError]:
        return [PconvError("the network failed on it (out of memory)")] * len(batch)

    with monkeypatch.context() as patched:
        patched.setattr(harvested.segmenter, "predict", predict)
        with pytest.raises(PconvError, match=r"\.png: the network failed on it"):
            harvested.run()
    assert list(Parts(harvested.out).blocks()) == []
    harvested.run()
    assert harvested.out.exists()
