"""An erase folder in a real browser: the grid, marks by keyboard, a result redone, the table."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from pconv_hpc.erasing.folder.ledger import LedgerWriter, attempt_path, read_slice
from pconv_hpc.erasing.folder.manifest import Manifest, build_manifest
from pconv_hpc.erasing.folder.slice_summary import summarise
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.masks.mask_growing import mask_pixels
from pconv_hpc.segmentation.instances import PhotoInstances, write_instances
from pconv_hpc.segmentation.settings import SegmentSettings
from tests.support.browser import Tab
from tests.support.drawn_instances import instance, rectangle
from tests.support.inpainting_files import save_tiny_weights
from tests.support.page_server import NETWORK, PageServer, running_page
from tests.support.waiting import wait_until

NUM_PHOTOS = 300
SECRET = "secret of the tests"
OBJECTS = (
    instance(rectangle((10, 40), (10, 40), 96, 128), "dog", 0.9),
    instance(rectangle((50, 80), (70, 110), 96, 128), "person", 0.8),
)


def make_folder(folder: Path) -> Manifest:
    """Make an erase folder as the commands do; every 10th photo failed, every 7th is empty."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 60, (96, 128, 3), dtype=np.uint8)
    for number in range(NUM_PHOTOS):
        pixels = noise + np.uint8(number % 150)
        pixels[10:40, 10:40] = (250, 40, 40)
        Image.fromarray(pixels).save(photos / f"{number:03d}.png")
    weights = save_tiny_weights(folder / "w.h5", image_size=64)
    settings = EraseSettings(
        inpaint=InpaintSettings(weights=weights),
        segment=SegmentSettings(classes=("dog",), mask="exact"),
    )
    manifest = build_manifest(photos, folder / "out", num_slices=3, settings=settings)
    for number in range(3):
        with LedgerWriter(attempt_path(manifest.slice_dir(number), {})) as ledger:
            for row in manifest.photos(number):
                _account(manifest, ledger, row.photo)
    return manifest


def _account(manifest: Manifest, ledger: LedgerWriter, photo: str) -> None:
    number = int(photo[:3])
    if number % 10 == 3:
        ledger.write(photo, "failed", stage="segment", reason="damaged")
        return
    selected = () if number % 7 == 5 else (0,)
    found = PhotoInstances(
        image=photo,
        width=128,
        height=96,
        num_bytes=1,
        model="m",
        min_score=0.3,
        instances=OBJECTS,
        selected=selected,
    )
    for kind in ("instances", "masks"):
        (manifest.found / kind).mkdir(parents=True, exist_ok=True)
    manifest.erased.mkdir(exist_ok=True)
    write_instances(manifest.found / "instances" / f"{photo}.json", found)
    pixels = np.array(Image.open(manifest.root / photo))
    ledger.write(photo, "found", stage="segment", classes={"dog": 1} if selected else {})
    if selected:
        mask = mask_pixels(OBJECTS, selected, height=96, width=128, shape="exact")
        Image.fromarray(mask).save(manifest.found / "masks" / f"{photo}.png")
        pixels[10:40, 10:40] = 90
    Image.fromarray(pixels).save(manifest.erased / photo)
    ledger.write(photo, "erased" if selected else "empty", stage="inpaint")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return make_folder(tmp_path_factory.mktemp("folder"))


@pytest.fixture(scope="module")
def server(manifest: Manifest) -> Iterator[PageServer]:
    environment = {"PCONV_PAGE_TOKEN": SECRET}
    with running_page(manifest.out, "--port", 0, *NETWORK, environment=environment) as page:
        yield page


def open_tab(browser: Browser, server: PageServer, **options: bool) -> Tab:
    tab = Tab(browser, f"http://{server.host}/?token=secret%20of%20the%20tests", **options)
    tab.until("frame.view?.overview?.read === 3 && document.querySelectorAll('.card').length")
    return tab


@pytest.fixture
def tab(browser: Browser, server: PageServer) -> Iterator[Tab]:
    tab = open_tab(browser, server)
    yield tab
    problems = list(tab.problems)
    tab.close()
    assert problems == []


def names(tab: Tab) -> list[str]:
    return tab.page.locator(".card .name").all_text_contents()


def choose(tab: Tab, text: str) -> None:
    tab.page.click(f".choices button:has-text('{text}')")


def test_the_grid_is_paged_filtered_and_sorted(tab: Tab) -> None:
    assert names(tab) == [f"{number:03d}.png" for number in range(60)]
    tab.page.click("text=Next page")
    tab.until("frame.view.kept.first === 60")
    assert names(tab)[0] == "060.png"
    choose(tab, "Failed")
    tab.until("frame.view.kept.total === 30")
    assert names(tab)[:2] == ["003.png", "013.png"]
    assert tab.page.text_content(".card .said") == "damaged"
    choose(tab, "Nothing found")
    tab.until("frame.view.kept.rows[0]?.state === 'empty'")
    choose(tab, "All")
    tab.page.select_option("[aria-label='Class']", "dog")
    tab.until("frame.view.kept.rows[0]?.objects.dog && frame.view.kept.total < 270")
    tab.page.select_option("[aria-label='Class']", "")
    tab.page.select_option("[aria-label='Order']", "hole")
    tab.until("frame.view.kept.order === 'hole' && frame.view.kept.rows[0]?.objects.dog")
    tab.page.select_option("[aria-label='Order']", "newest")
    tab.until("frame.view.kept.rows[0]?.name[0] !== '0'")
    tab.until("document.querySelector('.card .pictures img')?.naturalWidth > 0")


def test_three_hundred_results_are_reviewed_by_keyboard(tab: Tab, manifest: Manifest) -> None:
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("ArrowLeft")
    for number in range(NUM_PHOTOS):
        tab.page.keyboard.press("x" if number % 5 == 0 else "a")
        tab.until(f"frame.view.kept.first + frame.view.kept.focus >= {min(number + 1, 299)}")
    tab.until("frame.view.kept.rows.every((row) => row.mark)")
    choose(tab, "Rejected")
    tab.until("frame.view.kept.total === 60 && frame.view.kept.rows[1].name === '005.png'")
    assert len(list((manifest.out / "marks").iterdir())) == 1


def test_marks_are_exported(tab: Tab, tmp_path: Path) -> None:
    target = tab.download("text=Export CSV", tmp_path / "marks.csv")
    with open(target, newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == NUM_PHOTOS
    assert rows[3]["state"] == "failed"
    assert rows[3]["reason"] == "damaged"
    assert rows[0]["objects"] == "1 dog"


def test_two_people_see_each_others_marks(browser: Browser, server: PageServer, tab: Tab) -> None:
    other = open_tab(browser, server)
    tab.page.locator(".card").nth(7).focus()
    tab.page.evaluate("frame.view.focus(7)")
    tab.page.keyboard.press("x")
    choose(other, "Rejected")
    other.until("frame.view.kept.rows.some((row) => row.name === '007.png')")
    other.close()


def test_a_result_is_redone_from_the_grid(tab: Tab, manifest: Manifest) -> None:
    before = summarise(manifest, 0)
    tab.page.locator(".card").first.click()
    tab.until("frame.view?.photo?.name === '000.png'")
    tab.wait_for_photo()
    assert tab.page.text_content(".panel section p").startswith("Erased")
    tab.wait_for_mask()
    assert tab.page.evaluate("frame.view.history.edit.selected") == [0]
    old = (manifest.erased / "000.png").read_bytes()
    tab.click(90, 65, "Shift")
    assert tab.page.evaluate("frame.view.history.edit.selected") == [0, 1]
    tab.page.keyboard.press("b")
    tab.drag((20, 80), (40, 80))
    tab.page.keyboard.press("Enter")
    tab.until("frame.view.result?.state === 'done' && frame.view.result.detail")
    tab.page.click("text=Replace result")
    tab.until("frame.view.result?.weights === 'in the folder' && frame.view.result.saved")
    new = np.asarray(Image.open(manifest.erased / "000.png"))
    assert (manifest.erased / "000.png").read_bytes() != old
    photo = np.asarray(Image.open(manifest.root / "000.png"))
    assert (new[55:75, 75:105] != photo[55:75, 75:105]).any()
    assert (new[79:81, 20:40] != photo[79:81, 20:40]).any()
    assert (new[:8] == photo[:8]).all()
    outcome = read_slice(manifest.slice_dir(0)).outcomes["000.png"]
    assert (outcome.status, outcome.classes) == ("erased", {"dog": 1, "person": 1})
    assert summarise(manifest, 0).erased == before.erased

    tab.page.keyboard.press("g")
    tab.until("frame.view.kept?.rows[0]?.objects.person === 1")


def test_a_failed_photo_is_erased_by_hand(tab: Tab, manifest: Manifest) -> None:
    choose(tab, "Failed")
    tab.until("frame.view.kept.total && frame.view.kept.rows[0].state === 'failed'")
    name = names(tab)[0]
    tab.page.locator(".card").first.click()
    tab.until(f"frame.view?.photo?.name === {name!r}")
    tab.wait_for_photo()
    tab.page.keyboard.press("r")
    tab.drag((8, 8), (42, 42))
    tab.erase()
    tab.page.click("text=Replace result")
    tab.until("frame.view.photo.row.state === 'erased'")
    assert (manifest.erased / name).exists()
    tab.page.keyboard.press("j")
    tab.until(f"frame.view?.photo?.name !== {name!r}")
    tab.page.keyboard.press("k")
    wait_until(lambda: read_slice(manifest.slice_dir(0)).outcomes[name].status == "erased")


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_stands_in_anybodys_way(browser: Browser, server: PageServer, dark: bool) -> None:
    tab = open_tab(browser, server, dark=dark)
    assert tab.barriers() == []
    tab.page.locator(".card").first.click()
    tab.until("frame.view?.photo")
    tab.wait_for_photo()
    assert tab.barriers() == []
    tab.close()


def test_for_looking_alone_nothing_is_written(browser: Browser, manifest: Manifest) -> None:
    before = sorted(path for path in manifest.out.rglob("*"))
    environment = {"PCONV_PAGE_TOKEN": SECRET}
    with running_page(manifest.out, "--port", 0, "--read-only", environment=environment) as server:
        tab = open_tab(browser, server)
        tab.page.keyboard.press("a")
        server.enter(SECRET.replace(" ", "%20"))
        rows = server.get(f"/api/things/{server.get('/api/state')['things'][0]['id']}/rows")
        answer = server.request("POST", f"/api/photos/{rows['rows'][0]['id']}/mark", b"{}")
        assert answer.status == 422
        assert "read-only" in answer.json["error"]
        tab.close()
    assert sorted(path for path in manifest.out.rglob("*")) == before
