"""One photo in a real browser: objects, strokes, erasing, comparing, saving."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from pconv_hpc.photos.formats.photo_files import read_mask
from tests.support.assets.shape_photos import CLASSES, ShapePhotos
from tests.support.browser import Tab
from tests.support.inpainting_files import save_tiny_weights
from tests.support.page_server import NETWORK, PageServer, running_page
from tests.support.paths import REPOSITORY
from tests.support.waiting import wait_until

PHOTO = ShapePhotos(seed=501, held_out=True)[1]  # two squares and a star
NAME = "a photo.jpg"
NEXT = "b/next.png"


def middle_of(label: str) -> tuple[int, int]:
    mask = PHOTO.masks[list(PHOTO.labels).index(CLASSES.index(label))]
    rows, columns = np.nonzero(mask)
    return int(columns.mean()), int(rows.mean())


STAR = middle_of("star")
SQUARE = middle_of("square")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos and two networks."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "photos" / "b").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x010E] = "described"
    Image.fromarray(PHOTO.image).save(folder / "photos" / NAME, quality=95, exif=exif)
    Image.fromarray(PHOTO.image).save(folder / "photos" / NEXT)
    save_tiny_weights(folder / "one.h5", image_size=64)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[PageServer]:
    arguments = ("--out", folder / "out", "--weights", folder / "one.h5", "--weights", "shipped")
    secret = {"PCONV_PAGE_TOKEN": "secret of the tests"}
    with running_page(
        folder / "photos", "--port", 0, *arguments, *NETWORK, environment=secret
    ) as page:
        yield page


@pytest.fixture
def tab(browser: Browser, server: PageServer) -> Iterator[Tab]:
    tab = Tab(browser, f"http://{server.host}/?token=secret%20of%20the%20tests")
    tab.until("frame.state && frame.view")
    yield tab
    problems = list(tab.problems)
    tab.close()
    assert problems == []


def selected(tab: Tab) -> list[str]:
    return tab.page.evaluate(
        "frame.view.history.edit.selected.map((i) => frame.view.viewer.objects.all[i].class)"
    )


def test_a_click_selects_and_another_unselects(tab: Tab) -> None:
    tab.open_photo(NAME)
    tab.page.mouse.move(*tab.at(*STAR))
    tab.until("frame.view.viewer.pointed?.class === 'star'")
    assert tab.page.text_content(".stage .label").startswith("star ")
    tab.click(*STAR)
    assert selected(tab) == ["star"]
    tab.click(*SQUARE)
    assert selected(tab) == ["square"]
    tab.click(*STAR, "Shift")
    assert sorted(selected(tab)) == ["square", "star"]
    tab.click(*STAR, "Shift")
    tab.click(*SQUARE)
    assert selected(tab) == []
    tab.page.check(".objects label:has-text('star') input")
    tab.wait_for_mask()
    assert selected(tab) == ["star"]
    assert tab.page.evaluate("frame.view.viewer.mask.area") > 0


def test_a_clicked_object_is_erased_and_saved_as_the_command_does(
    tab: Tab, folder: Path, tmp_path: Path
) -> None:
    tab.open_photo(NAME)
    before = tab.color(*STAR)
    tab.click(*STAR)
    tab.erase()
    after = tab.color(*STAR)
    assert before != after
    tab.page.keyboard.down("c")
    assert np.allclose(tab.color(*STAR), before, atol=2)
    tab.page.keyboard.up("c")
    assert tab.color(*STAR) == after
    tab.page.click("button:text-is('Save')")
    tab.until("frame.view.result.saved")
    saved = folder / "out" / NAME

    command = [sys.executable, REPOSITORY / "tools" / "erase.py", folder / "photos" / NAME]
    options = ("--click", f"{STAR[0]},{STAR[1]}", "--weights", folder / "one.h5", *NETWORK)
    done = subprocess.run(
        [*map(str, (*command, tmp_path / NAME, *options))],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert saved.read_bytes() == (tmp_path / NAME).read_bytes()
    assert Image.open(saved).getexif()[0x010E] == "described"
    downloaded = tab.download("a:text-is('Download')", tmp_path / "downloaded.jpg")
    assert downloaded.read_bytes() == saved.read_bytes()

    tab.page.click("button:text-is('Save')")  # once more: it asks
    tab.page.click("#question >> text=Cancel")
    stamp = saved.stat().st_mtime_ns
    tab.page.click("button:text-is('Save')")
    tab.page.click("#question-yes")
    wait_until(lambda: saved.stat().st_mtime_ns != stamp)


def test_strokes_are_drawn_undone_and_done_again(tab: Tab, tmp_path: Path) -> None:
    tab.open_photo(NAME)
    tab.page.keyboard.press("b")
    tab.drag((30, 30), (60, 30))
    tab.page.keyboard.press("r")
    tab.drag((100, 20), (120, 50))
    tab.page.keyboard.press("l")
    tab.drag((20, 150), (60, 150), (60, 180), (20, 180))
    tab.page.keyboard.press("e")
    tab.drag((45, 30), (46, 30))
    mask = read_mask(tab.download("a:text-is('Download mask')", tmp_path / "mask.png")).hole
    assert mask[30, 30]
    assert not mask[30, 45]
    assert mask[21:49, 101:119].all()
    assert mask[155:175, 30:55].all()
    assert tab.color(110, 35)[0] > tab.color(130, 35)[0]

    areas = []
    for _ in range(4):
        areas.append(tab.page.evaluate("frame.view.viewer.mask.area"))
        tab.page.keyboard.press("Control+z")
        tab.wait_for_mask()
    assert tab.page.evaluate("frame.view.viewer.mask.area") == 0
    assert areas[0] == mask.sum()
    for area in reversed(areas):
        tab.page.keyboard.press("Control+Shift+z")
        tab.wait_for_mask()
        assert tab.page.evaluate("frame.view.viewer.mask.area") == area


def test_strokes_keep_to_the_photos_pixels_at_any_zoom(tab: Tab, tmp_path: Path) -> None:
    tab.open_photo(NAME)
    for _ in range(6):
        tab.page.mouse.move(*tab.at(*STAR))
        tab.page.mouse.wheel(0, -200)
    tab.page.keyboard.press("r")
    x, y = STAR
    tab.drag((x - 3, y - 2), (x + 4, y + 5))
    mask = read_mask(tab.download("a:text-is('Download mask')", tmp_path / "mask.png")).hole
    expected = np.zeros_like(mask)
    expected[y - 2 : y + 5, x - 3 : x + 4] = True
    assert np.array_equal(mask, expected)


def test_an_objects_mask_is_shaped_edited_and_grown(tab: Tab) -> None:
    tab.open_photo(NAME)
    tab.click(*STAR)

    def area() -> int:
        tab.wait_for_mask()
        return tab.page.evaluate("frame.view.viewer.mask.area")

    dilated = area()
    areas = {}
    for shape in ("Exact", "Hull", "Box"):
        tab.page.click(f".panel .segments button:has-text('{shape}')")
        areas[shape] = area()
    assert areas["Exact"] < dilated < areas["Hull"] < areas["Box"]
    tab.page.fill("[aria-label='Dilation of objects, pixels']", "0")
    tab.page.keyboard.press("Tab")
    assert area() < areas["Box"]
    tab.page.keyboard.press("e")
    before = area()
    tab.drag(STAR, (STAR[0] + 1, STAR[1]))
    erased = area()
    assert erased < before
    tab.page.focus("[aria-label='Grow or shrink the whole mask']")
    tab.page.keyboard.press("ArrowRight")
    assert area() > erased


def test_networks_and_details_are_compared_side_by_side(tab: Tab) -> None:
    tab.open_photo(NEXT)
    tab.click(*STAR)
    tab.page.click(".panel button:has-text('None')")
    tab.erase()
    tab.page.select_option("[aria-label='Network']", "1")
    tab.page.click(".panel button:has-text('Blended')")
    tab.page.keyboard.press("Enter")
    tab.until("frame.view.results.length === 2 && frame.view.result?.detail === 'blended'")
    assert tab.page.evaluate("frame.view.results.map((r) => r.weights)") == ["one", "photos"]
    tab.page.click("text=Side by side")
    tab.picture("page_photo")
    tab.page.select_option("[aria-label='Shown on the left']", label="1: one, none")
    tab.page.keyboard.press("Escape")
    assert tab.page.evaluate("frame.view.viewer.panes.length") == 2
    tab.page.evaluate("frame.view.viewer.zoom(2)")
    left, right = tab.page.evaluate("[frame.view.viewer.left, frame.view.viewer.right]")
    assert left != right
    tab.page.click("text=Slider")
    canvas = tab.page.locator(".stage canvas").bounding_box()
    assert canvas
    middle = canvas["y"] + canvas["height"] / 2
    tab.page.mouse.move(canvas["x"] + canvas["width"] / 2, middle)
    tab.page.mouse.down()
    tab.page.mouse.move(canvas["x"] + canvas["width"] / 4, middle, steps=3)
    tab.page.mouse.up()
    assert tab.page.evaluate("Math.abs(frame.view.viewer.slider - 0.25) < 0.02")
    tab.page.click("text=After")


def test_an_uploaded_mask_serves_every_photo(tab: Tab, tmp_path: Path) -> None:
    tab.open_photo(NAME)
    pixels = np.zeros((192, 192), dtype=np.uint8)
    pixels[40:60, 50:90] = 255
    Image.fromarray(pixels).save(tmp_path / "up.png")
    Image.fromarray(pixels[:100]).save(tmp_path / "small.png")
    tab.page.set_input_files("[aria-label='Mask file']", tmp_path / "small.png")
    tab.page.wait_for_selector(".notice.error:has-text('The mask is 192 × 100')")
    tab.page.set_input_files("[aria-label='Mask file']", tmp_path / "up.png")
    tab.until("frame.view.history.edit.upload")
    tab.wait_for_mask()
    assert tab.page.evaluate("frame.view.viewer.mask.area") == 800
    tab.page.check("text=Use the uploaded mask for every photo")
    tab.page.keyboard.press("Escape")
    tab.page.keyboard.press("PageDown")
    tab.until(f"frame.view?.photo?.name === {NEXT!r}")
    tab.wait_for_mask()
    assert tab.page.evaluate("frame.view.viewer.mask.area") == 800


def test_two_browsers_at_once(browser: Browser, server: PageServer, tab: Tab) -> None:
    other = Tab(browser, f"http://{server.host}/?token=secret%20of%20the%20tests")
    other.until("frame.state && frame.view")
    for one in (tab, other):
        one.open_photo(NAME)
    tab.click(*STAR)
    other.click(*SQUARE)
    assert (selected(tab), selected(other)) == (["star"], ["square"])
    other.close()


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_stands_in_anybodys_way(browser: Browser, server: PageServer, dark: bool) -> None:
    tab = Tab(browser, f"http://{server.host}/?token=secret%20of%20the%20tests", dark=dark)
    tab.until("frame.state && frame.view")
    tab.open_photo(NAME)
    assert tab.barriers() == []
    tab.page.keyboard.press("?")
    assert tab.barriers() == []
    tab.close()


def test_a_tablet_has_room_for_all(browser: Browser, server: PageServer) -> None:
    tab = Tab(browser, f"http://{server.host}/?token=secret%20of%20the%20tests")
    tab.until("frame.state && frame.view")
    for width, height in ((820, 1180), (1180, 820)):
        tab.page.set_viewport_size({"width": width, "height": height})
        sizes = tab.page.evaluate(
            "[document.documentElement.scrollWidth, frame.view.canvas.clientWidth]"
        )
        assert sizes[0] <= width
        assert sizes[1] > 400
    tab.close()
