"""A folder erased from the page: the dry run's own text, a confirmation, progress, going on."""

import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from pconv_hpc.erasing.folder.ledger import LedgerWriter, attempt_path
from pconv_hpc.erasing.folder.manifest import build_manifest, read_manifest
from pconv_hpc.erasing.folder.slice_summary import summarise
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.segmentation.settings import SegmentSettings
from tests.support.assets.shape_photos import ShapePhotos
from tests.support.browser import Tab
from tests.support.inpainting_files import save_tiny_weights
from tests.support.page_server import NETWORK, running_page
from tests.support.paths import ASSETS, REPOSITORY

# A Slurm that answers here is not found, and so not submitted to.
NO_SLURM = {"PATH": str(Path(sys.executable).parent)}


def write_shapes(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        image = Image.fromarray(ShapePhotos(seed=501, held_out=True)[number].image)
        image.save(folder / f"{number}.png")


def test_every_photo_of_a_folder_is_erased(browser: Browser, tmp_path: Path) -> None:
    write_shapes(tmp_path / "my photos", 3)
    (tmp_path / "my photos" / "broken.png").write_bytes(b"no photo")
    weights = save_tiny_weights(tmp_path / "w.h5", image_size=64)
    things = (tmp_path / "my photos", "--out", tmp_path / "results", "--weights", weights)
    with running_page(*things, "--port", 0, *NETWORK, environment=NO_SLURM) as page:
        tab = Tab(browser, page.url)
        tab.until("frame.view?.photo")
        tab.page.click("text=Erase all …")
        tab.page.fill("#work-fields input >> nth=0", "no such class")
        tab.page.click("text=Dry run")
        tab.until("byId('work-text').textContent")
        out = tmp_path / "results" / "my photos_erased"
        command = [sys.executable, REPOSITORY / "tools" / "erase.py"]
        options = ("--classes=square", "--mask=dilate", f"--weights={weights}")
        network = [f"{NETWORK[2]}={NETWORK[3]}", f"{NETWORK[0]}={NETWORK[1]}"]
        said = subprocess.run(
            [*map(str, (*command, *options, *network, "--dry-run", things[0], out))],
            capture_output=True,
            text=True,
        ).stdout.strip()
        assert said.startswith("photos      4 in")
        tab.page.fill("#work-fields input >> nth=0", "square")
        assert tab.page.is_disabled("#work-start")
        tab.page.click("text=Dry run")
        tab.until("!byId('work-start').disabled")
        assert tab.page.text_content("#work-text") == said
        assert not out.exists()
        assert tab.barriers() == []
        tab.page.click("#work-start")
        tab.until("frame.view?.kept && frame.view.thing.name === 'my photos_erased'")
        tab.until("frame.view.status?.done === 3")
        tab.until("frame.view.kept.rows.filter((row) => row.state === 'erased').length > 0")
        tab.until("frame.view.status.last_error?.includes('not an image')")
        summary = summarise(read_manifest(out), 0)
        assert summary.erased + summary.empty == 3
        assert summary.erased
        tab.picture("page_folder")
        assert tab.problems == []
        tab.close()


def test_a_folder_that_ended_early_goes_on(browser: Browser, tmp_path: Path) -> None:
    write_shapes(tmp_path / "photos", 2)
    weights = save_tiny_weights(tmp_path / "w.h5", image_size=64)
    settings = EraseSettings(
        segment=SegmentSettings(
            config=str(ASSETS / "small_mask_rcnn.py"),
            checkpoint=ASSETS / "small_mask_rcnn.pth",
            every=True,
        ),
        inpaint=InpaintSettings(weights=weights),
    )
    manifest = build_manifest(
        tmp_path / "photos", tmp_path / "out", num_slices=1, settings=settings
    )
    with LedgerWriter(attempt_path(manifest.slice_dir(0), {})) as ledger:
        ledger.write("0.png", "begun", stage="segment")
    with running_page(manifest.out, "--port", 0, environment=NO_SLURM) as page:
        tab = Tab(browser, page.url)
        tab.until("frame.view?.status?.state === 'ended early'")
        tab.page.click("text=Go on …")
        tab.until("!byId('work-start').disabled")
        assert "to do       0" in tab.page.text_content("#work-text")
        tab.page.click("#work-start")
        tab.until("frame.view.status.state === 'finished'")
        assert summarise(manifest, 0).erased == 2
        tab.close()


def test_what_a_browser_says_is_no_option(tmp_path: Path) -> None:
    write_shapes(tmp_path / "photos", 1)
    with running_page(
        *(tmp_path / "photos", "--out", tmp_path / "out", "--port", 0), environment=NO_SLURM
    ) as page:
        page.enter()
        (thing,) = page.get("/api/state")["things"]
        plans = f"/api/things/{thing['id']}/plans"
        answer = page.post(plans, {"classes": "--help", "mask": "exact --local"})
        assert answer["plan"] is None
        assert "invalid choice" in answer["text"]
        assert page.request("POST", f"{plans}/{'0' * 24}", b"{}").status == 404
        assert not (tmp_path / "out").exists()
