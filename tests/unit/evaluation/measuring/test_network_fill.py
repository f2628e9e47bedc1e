"""Networks in evaluations: filled as tools/inpaint.py does, and called what tells them apart."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.evaluation.measuring.network_fill import load_networks
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.inpainting.batches import erase_all
from pconv_hpc.inpainting.detail import DETAILS
from pconv_hpc.inpainting.inpainter import load_inpainter
from pconv_hpc.inpainting.photo_task import Job
from pconv_hpc.inpainting.settings import FillSettings
from pconv_hpc.photos.sample_photos import sample_photos
from tests.support.evaluation_files import write_network


def test_holes_are_filled_as_the_eraser_fills_them(tmp_path: Path) -> None:
    weights = write_network(tmp_path / "weights.h5")
    photo = np.ascontiguousarray(sample_photos()["cat"][40:180, 60:271])
    hole = np.zeros(photo.shape[:2], bool)
    hole[30:70, 40:60] = hole[100:, 180:] = True
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(hole).save(tmp_path / "mask.png")
    [network] = load_networks([weights], working_size=None, batch_size=8)
    methods = network.methods("erase", DETAILS)
    assert list(methods) == ["pconv, patches", "pconv, blended", "network alone"]
    for detail, fill in zip(DETAILS, methods.values(), strict=True):
        job = Job(tmp_path / "photo.png", tmp_path / "mask.png", tmp_path / f"{detail}.png")
        inpainter = load_inpainter(weights, settings=FillSettings(detail=detail))
        assert [result.status for result in erase_all([job], inpainter)] == ["erased"]
        found = fill(photo, hole)
        assert found is not None
        erased = np.asarray(Image.open(job.output)).astype(int)
        assert np.abs(found - erased).max() <= 1  # TensorFlow rounds by how it traced the network
        np.testing.assert_array_equal(found[~hole], photo[~hole])


def test_one_pass_gives_whole_photos_and_takes_what_comes_back(tmp_path: Path) -> None:
    weights = write_network(tmp_path / "weights.h5")
    [network] = load_networks([weights], working_size=None, batch_size=8)
    [(name, fill)] = network.methods("one-pass", DETAILS).items()
    assert name == "pconv, one pass"
    photo = np.ascontiguousarray(sample_photos()["cat"][:64, :64])
    hole = np.zeros((64, 64), bool)
    hole[10:20, 30:50] = True
    found = fill(photo, hole)
    assert found is not None
    np.testing.assert_array_equal(found[~hole], photo[~hole])
    assert (found[hole] != photo[hole]).any()


def test_networks_work_at_the_size_they_were_trained_at_unless_told(tmp_path: Path) -> None:
    weights = [write_network(tmp_path / f"{s}" / "w.h5", image_size=s) for s in (32, 64)]
    for told, expected in ((None, [32, 64]), (40, [40, 40])):
        networks = load_networks(weights, working_size=told, batch_size=8)
        assert [network.working_size for network in networks] == expected
        assert [network.describe()["working_size"] for network in networks] == expected


def test_networks_have_names_of_their_own(tmp_path: Path) -> None:
    weights = [write_network(tmp_path / name / "weights.h5") for name in ("a/x", "b/x", "b/y")]
    for chosen, names in (
        (weights[1:], ["x", "y"]),
        (weights[:2], [*map(str, weights[:2])]),
        (weights[:1], ["pconv"]),
    ):
        networks = load_networks(chosen, working_size=None, batch_size=8)
        assert [network.name for network in networks] == names
    networks = load_networks(weights[1:], working_size=None, batch_size=8)
    assert [*networks[1].methods("erase", ["none", "blended"])] == ["y alone", "y, blended"]
    with pytest.raises(UsageError, match="the same network twice"):
        load_networks(weights[:1] * 2, working_size=None, batch_size=8)
