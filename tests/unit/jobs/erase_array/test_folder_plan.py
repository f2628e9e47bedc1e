"""No more slices than can be filled, and the same command again means the same work."""

from pathlib import Path

import pytest

from pconv_hpc.jobs.erase_array.folder_plan import plan_new, plan_rest
from tests.support.erase_folders import SETTINGS, write_photos
from tests.support.tar_members import write_tar


@pytest.mark.parametrize("kind", ["photos", "tar files"])
def test_more_slices_than_can_be_filled(tmp_path: Path, kind: str) -> None:
    images, out = tmp_path / kind, tmp_path / "out"
    if kind == "photos":
        write_photos(images, 2)
    else:
        for name in ("a.tar", "b.tar"):
            write_tar(images / name, [("1.jpg", b"x"), ("2.jpg", b"x")])
    plan = plan_new(images, out, SETTINGS, 5000)
    assert (plan.num_slices, list(plan.to_do)) == (2, [0, 1])
    each = 1 if kind == "photos" else 2
    assert f"slices      2, about {each} photos each (5,000 cannot" in plan.describe("")
    manifest = plan.build()
    assert [part.num_photos for part in manifest.slices] == [each, each]
    assert plan_rest(manifest, images, SETTINGS, 5000, [1]).num_slices == 2
    assert "cannot" not in plan_new(images, out, SETTINGS, 2).describe("")
