"""What happens to the work when a visitor stops it or leaves. With a slow stand-in for the model, which knows when it was
closed: the bundled model may have finished before a click arrives."""

import time
from contextlib import contextmanager

from annexe_demo.ui import build_interface, launch_options
from annexe_demo.ui.texts import ENGLISH
from tests.browser.page import DemoPage
from tests.drawn_scenes import write_drawn_dataset
from tests.ui.stand_in import ANALYSIS, StandIn


@contextmanager
def working(browser, pipe, folder):
    """A visitor's page and its context, while the analysis is being written."""
    write_drawn_dataset(folder, {"test": 1}, (72, 128))
    page = build_interface(pipe, folder)
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    context = browser.new_context()
    try:
        demo = DemoPage(context.new_page(), url.rstrip("/")).open()
        demo.click_example(0)
        demo.page.wait_for_function("() => document.querySelector('.entry.analysis .text')?.textContent.length > 8")
        yield demo, context
    finally:
        context.close()
        page.close()


def closed_once(pipe):
    deadline = time.monotonic() + 5
    while not pipe.closed and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(pipe.closed) == 1 and pipe.running == 0


def test_stop_ends_the_text_and_the_next_question_works(browser, tmp_path):
    pipe = StandIn(delay=0.3)
    with working(browser, pipe, tmp_path) as (demo, _):
        demo.click("#stop")
        demo.page.wait_for_selector("#notice >> text=Stopped", timeout=30_000)
        assert closed_once(pipe)
        stopped = demo.analysis
        demo.page.wait_for_timeout(1000)
        assert demo.analysis == stopped and ANALYSIS.startswith(stopped) and stopped != ANALYSIS
        assert demo.questions == []
        assert ENGLISH.stopped in demo.page.inner_text(".entry.analysis .notes")
        assert demo.page.is_disabled("#stop")
        pipe.delay = 0.01
        demo.ask("Please segment the hands and objects in interaction.")
        demo.wait_done()
        assert demo.answers[-1].strip()


def test_closing_the_page_stops_the_model(browser, tmp_path):
    pipe = StandIn(delay=0.2)
    with working(browser, pipe, tmp_path) as (_, context):
        context.close()
        assert closed_once(pipe)
