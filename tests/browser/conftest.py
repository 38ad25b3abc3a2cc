"""A real Chromium for the tests of this folder. In CI a missing browser is a failure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.page import CHROMIUM, WIDE, DemoPage, chromium


@pytest.fixture(scope="session")
def browser():
    if not Path(CHROMIUM).exists() and not os.environ.get("CI"):
        pytest.skip(f"needs Chromium at {CHROMIUM}")
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser, app_url):
    """``open_page(viewport, scheme)`` gives a new visitor's page; console errors and requests elsewhere fail the test."""
    contexts, problems = [], []

    def note_error(message) -> None:
        # Gradio asks for the progress of an upload without an id when the camera's picture is sent, and logs the reply.
        ours = "upload_progress" not in message.location["url"] and message.text != "Response"
        if message.type == "error" and ours:
            problems.append(f"console: {message.text}")

    def open_page(viewport=WIDE, scheme="light") -> DemoPage:
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        context.grant_permissions(["clipboard-read", "clipboard-write", "camera"], origin=app_url)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("console", note_error)
        page.on(
            "request",
            lambda r: None if r.url.startswith((app_url, "data:", "blob:")) else problems.append(f"request: {r.url}"),
        )
        return DemoPage(page, app_url).open()

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def demo(open_page) -> DemoPage:
    return open_page()
