"""The page as a visitor's hands and eyes: what the browser tests and the screenshots do with it."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A camera that shows a test picture, and no question whether it may be used.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}
DONE_MS = 90_000
LOAD_MS = 60_000

QUESTION = "#question textarea"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class DemoPage:
    """The demo tab."""

    def __init__(self, page: Page, url: str):
        self.page = page
        self.url = url

    def open(self) -> DemoPage:
        self.page.goto(self.url)
        self.page.wait_for_selector("#ask", timeout=LOAD_MS)
        return self

    # ---- what a visitor does

    def click_example(self, number: int) -> None:
        """Click the example with this number, from 0."""
        self._mark()
        self.page.locator("#examples .thumbnail-item").nth(number).click()

    def ask(self, query: str) -> None:
        self._mark()
        self.page.fill(QUESTION, query)
        self.page.press(QUESTION, "Enter")

    def click(self, selector: str) -> None:
        self._mark()
        self.page.click(selector)

    def _mark(self) -> None:
        """Mark the present status line: only a later one, which replaces it, can say that the model has finished."""
        self.page.evaluate("document.querySelector('#notice .notice').setAttribute('data-old', '')")

    def upload(self, path: Path) -> None:
        self._mark()
        if self.page.locator("#change-photo").is_visible():
            self.page.click("#change-photo")
            self.page.wait_for_selector("#intake", state="visible")
        self.page.set_input_files("#new-photo input[type=file]", path)

    # ---- what a visitor sees

    def wait_done(self) -> None:
        """Wait until the model has finished, successfully or not, and nothing runs any more."""
        self.page.wait_for_function(
            """() => document.querySelector('#stop').disabled
                && /Done in|Stopped/.test(document.querySelector('#notice .notice:not([data-old])')?.textContent)""",
            timeout=DONE_MS,
        )

    def wait_error(self) -> str:
        return self.page.wait_for_selector("#notice .notice.error:not([data-old])", timeout=DONE_MS).inner_text()

    @property
    def analysis(self) -> str:
        return self.page.locator(".entry.analysis .text").inner_text()

    @property
    def questions(self) -> list[str]:
        return [q.removeprefix("You: ") for q in self.page.locator(".entry.turn .question").all_text_contents()]

    @property
    def answers(self) -> list[str]:
        return self.page.locator(".entry.turn .text").all_inner_texts()

    def show(self, view: str) -> None:
        """Choose a view by its name, and wait for its picture."""
        before = self.page.get_attribute("#picture img", "src")
        self.page.locator("#view label", has_text=view).click()
        self.page.wait_for_function("(old) => document.querySelector('#picture img')?.src !== old", arg=before)

    def picture(self) -> np.ndarray:
        """The pixels of the picture, (H, W, 3) uint8, in their own size."""
        source = self.page.get_attribute("#picture img", "src")
        return np.asarray(Image.open(io.BytesIO(self.page.request.get(source).body())).convert("RGB"))

    def with_and_without_masks(self) -> tuple[np.ndarray, np.ndarray]:
        """The photo with its masks, and the photo, as signed integers."""
        with_masks = self.picture()
        self.show("Photo")
        photo = self.picture()
        self.show("Masks")
        return with_masks.astype(int), photo.astype(int)

    def watch_growth(self, selector: str) -> None:
        """Note from now on each length of the text of `selector`."""
        self.page.wait_for_selector("#chat", state="attached")
        self.page.evaluate(
            """(selector) => {
                window.lengths = [];
                const note = () => {
                    const e = document.querySelector(selector);
                    const n = e ? e.textContent.length : 0;
                    if (n && n !== window.lengths.at(-1)) window.lengths.push(n);
                };
                new MutationObserver(note).observe(document.querySelector('#chat'),
                    {childList: true, subtree: true, characterData: true});
            }""",
            selector,
        )

    def growth(self) -> list[int]:
        return self.page.evaluate("window.lengths")


class ExplorerPage:
    """The explorer tab."""

    def __init__(self, page: Page):
        self.page = page

    def open(self) -> ExplorerPage:
        """Open the tab and wait until its filters can be used."""
        self.page.get_by_role("tab", name="Explorer").click()
        self.page.wait_for_selector("#pictures .thumbnail-item img", timeout=LOAD_MS)
        self.page.wait_for_function("() => !document.querySelector('#filter-text textarea').disabled")
        return self

    # ---- what a visitor does

    def choose(self, name: str, value: str) -> None:
        """Set a filter to one of its choices, and wait for the list."""
        self.page.click(f"#filter-{name} input")
        with self._new_list():
            self.page.get_by_role("option", name=value, exact=True).click()

    def search(self, text: str) -> None:
        """Type into the search box, and wait for the list."""
        with self._new_list():
            self.page.fill("#filter-text textarea", text)

    def type_page(self, number: int) -> None:
        """Go to the page with this number, from 1."""
        with self._new_list():
            self.page.fill("#page-number input", str(number))
            self.page.press("#page-number input", "Enter")

    def click_list(self, selector: str) -> None:
        """Click what changes the list, and wait for it."""
        with self._new_list():
            self.page.click(selector)

    @contextmanager
    def _new_list(self) -> Iterator[None]:
        # By the answer of the server: a list may well be the same as before, and then nothing on the page changes.
        with self.page.expect_response(lambda r: "/run/predict" in r.url, timeout=LOAD_MS):
            yield
        self.page.wait_for_timeout(200)

    def open_picture(self, number: int) -> None:
        """Open the picture with this number on the page, from 0."""
        name = self.names[number]
        self.page.locator("#pictures .thumbnail-item").nth(number).click()
        self._wait_picture(name)

    def go(self, selector: str, name: str) -> None:
        """Go to another picture by a button, and wait for the picture of that name."""
        self.page.click(selector)
        self._wait_picture(name)

    def _wait_picture(self, name: str) -> None:
        self.page.wait_for_function(
            "(name) => document.querySelector('#sample-title h2')?.textContent === name", arg=name, timeout=LOAD_MS
        )
        self.page.wait_for_function("() => document.querySelector('#panel-photo img')?.naturalWidth")

    def choose_query(self, number: int) -> str:
        """Choose a query of the picture, from 0, and wait until it is the one to run."""
        choice = self.page.locator("#queries label").nth(number)
        query = choice.locator("input").get_attribute("value")
        choice.click()
        self.page.wait_for_function("(q) => document.querySelector('#sample-question textarea').value === q", arg=query)
        return query

    def run(self, query: str | None = None) -> None:
        """Run the model on the chosen query, or on another one, and wait until it has finished."""
        if query is not None:
            self.page.fill("#sample-question textarea", query)
        self.page.evaluate("document.querySelector('#run-notice .notice').setAttribute('data-old', '')")
        self.page.click("#run")
        self.page.wait_for_function(
            """() => document.querySelector('#stop-run').disabled
                && /Done in/.test(document.querySelector('#run-notice .notice:not([data-old])')?.textContent)""",
            timeout=DONE_MS,
        )

    # ---- what a visitor sees

    @property
    def names(self) -> list[str]:
        return [c.split(" · ")[0] for c in self.page.locator("#pictures .caption-label").all_inner_texts()]

    @property
    def status(self) -> str:
        return self.page.inner_text("#status")

    @property
    def scores(self) -> dict[str, str]:
        """The text of each score by its measure, as far as it is there."""
        return dict(
            self.page.locator("#scores .score").evaluate_all(
                "all => all.map(e => [e.dataset.measure, e.querySelector('b').textContent])"
            )
        )

    def panel(self, name: str) -> np.ndarray:
        """The pixels of a panel's picture, (H, W, 3) uint8."""
        source = self.page.get_attribute(f"#panel-{name} img", "src")
        return np.asarray(Image.open(io.BytesIO(self.page.request.get(source).body())).convert("RGB"))
