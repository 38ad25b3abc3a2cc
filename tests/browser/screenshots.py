"""Take the pictures of the page that the README shows: python tests/browser/screenshots.py --out docs/images

Starts the page with the bundled model, unless --url names one that runs already.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.browser.page import NARROW, WIDE, DemoPage, chromium  # noqa: E402
from tests.serve import serve_app  # noqa: E402

QUESTION = "Please segment the hands and objects in interaction."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--url", help="address of a page that runs already")
    parser.add_argument("--example", type=int, default=0, help="number of the example to show, from 0")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with page_at(arguments.url) as url, chromium() as browser:
        for name, viewport in (("1440", WIDE), ("390", NARROW)):
            for scheme in ("light", "dark"):
                context = browser.new_context(viewport=viewport, color_scheme=scheme)
                demo = DemoPage(context.new_page(), url).open()
                demo.click_example(arguments.example)
                demo.wait_done()
                demo.ask(QUESTION)
                demo.wait_done()
                save(demo, arguments.out / f"page-{name}-{scheme}.png")
                context.close()


@contextmanager
def page_at(url: str | None):
    if url:
        yield url
    else:
        with serve_app() as url:
            yield url


def save(demo: DemoPage, path: Path) -> None:
    """The whole page, with pointer and focus out of the way and all pictures there."""
    demo.page.mouse.move(0, 0)
    demo.page.evaluate("document.activeElement.blur()")
    demo.page.evaluate("window.scrollTo(0, 0)")
    demo.page.wait_for_function("() => [...document.images].every(i => i.complete || i.loading === 'lazy')")
    demo.page.wait_for_timeout(400)
    demo.page.screenshot(path=path, full_page=True)
    print(path)


if __name__ == "__main__":
    main()
