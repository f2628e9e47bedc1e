"""A real browser, without a window, and what tests look for in the page."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page, sync_playwright

_WAIT_MS = int(os.environ.get("PCONV_BROWSER_WAIT_MS", "240000"))  # other tests share the cores
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    path = shutil.which("chromium")
    assert path, "chromium is not installed; tools/install.py --profile test does it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


class Tab:
    """A tab of a browser with the page open in it.

    Attributes:
        page: Playwright's.
        problems: errors of scripts, and answers of the server that no script expected.
    """

    def __init__(self, browser: Browser, url: str, *, dark: bool = False, **options: Any) -> None:
        self._context = browser.new_context(
            viewport={"width": 1280, "height": 800},
            color_scheme="dark" if dark else "light",
            **options,
        )
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(_WAIT_MS)
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on(
            "response",
            lambda answer: answer.status >= 500 and self.problems.append(str(answer.status)),
        )
        self.page.goto(url)

    def close(self) -> None:
        self._context.close()

    def until(self, expression: str) -> Any:
        """Wait until an expression of the page's script is true; return its value.

        The page's policy forbids what Playwright's own waiting does.
        """
        deadline = time.monotonic() + _WAIT_MS / 1000
        last: object = None
        while time.monotonic() < deadline:
            try:
                if last := self.page.evaluate(expression):
                    return last
            except Error as error:  # the page is just being loaded
                last = error
            time.sleep(0.05)
        raise AssertionError((expression, last, self.problems))

    def open_photo(self, name: str) -> None:
        """Open a photo of the folder, and wait until it is shown and its objects are found."""
        self.page.click(f'.strip a[title="{name}"]')
        self.until(f"frame.view?.photo?.name === {name!r}")
        self.wait_for_photo()

    def wait_for_photo(self) -> None:
        """Wait until a photo is shown and its objects are found."""
        self.until("frame.view?.viewer?.objects")
        self._wait_for_tiles()

    def _wait_for_tiles(self) -> None:
        tiles = "frame.view.viewer.source(frame.view.shown).loaded"
        self.until(f"{tiles}.size > 0 && [...{tiles}.values()].every(Boolean)")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where in the tab a pixel of the photo is."""
        place = self.page.evaluate(
            "([x, y]) => { const v = frame.view.viewer, b = v.canvas.getBoundingClientRect();"
            "const r = v.canvas.width / b.width; return [b.left + ((x - v.x) * v.scale +"
            "v.canvas.width / 2) / r, b.top + ((y - v.y) * v.scale + v.canvas.height / 2) / r] }",
            [x, y],
        )
        return place[0], place[1]

    def click(self, x: float, y: float, *modifiers: str) -> None:
        """Click on a pixel of the photo, with keys held down, and wait for the mask."""
        self.page.mouse.move(*self.at(x, y))
        for key in modifiers:
            self.page.keyboard.down(key)
        before = self.page.evaluate("frame.view.history.position")
        self.page.mouse.click(*self.at(x, y))
        self.until(f"frame.view.history.position !== {before}")
        for key in modifiers:
            self.page.keyboard.up(key)
        self.wait_for_mask()

    def drag(self, *points: tuple[float, float]) -> None:
        """Move the pointer along pixels of the photo, held down, and wait for the mask."""
        self.page.mouse.move(*self.at(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(*point), steps=5)
        self.page.mouse.up()
        self.wait_for_mask()

    def wait_for_mask(self) -> None:
        """Wait until the server has made the mask of the edit."""
        newest = "(frame.view.viewer.mask.coming || frame.view.viewer.mask.shown)"
        self.until(f"{newest}?.edit === frame.view.history.edit")

    def erase(self) -> None:
        """Erase, and wait until the result is shown."""
        self.page.keyboard.press("Enter")
        self.until("frame.view.result?.state === 'done'")
        self._wait_for_tiles()

    def color(self, x: float, y: float) -> list[int]:
        """Return the colour that the canvas shows at a pixel of the photo, once it is drawn."""
        left, top = self.at(x, y)
        return self.page.evaluate(
            "async ([x, y]) => { const v = frame.view.viewer; v.draw();"
            "const b = v.canvas.getBoundingClientRect(), r = v.canvas.width / b.width;"
            "return [...v.context.getImageData((x - b.left) * r, (y - b.top) * r, 1, 1).data]"
            ".slice(0, 3) }",
            [left, top],
        )

    def download(self, selector: str, target: Path) -> Path:
        """Click on what downloads a file, and keep it."""
        with self.page.expect_download() as caught:
            self.page.click(selector)
        caught.value.save_as(target)
        return target

    def picture(self, name: str) -> None:
        """Keep a picture of the tab for the documents, where ``PCONV_PICTURES`` names a folder."""
        if folder := os.environ.get("PCONV_PICTURES"):
            self.page.wait_for_timeout(1000)
            self.page.screenshot(path=Path(folder) / f"{name}.png")

    def barriers(self) -> list[str]:
        """Return what axe-core calls serious or critical about the page as it is shown."""
        self.page.wait_for_load_state()
        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {[node['html'] for node in one['nodes']][:3]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
