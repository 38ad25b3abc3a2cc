"""What happens to the work when a visitor leaves. With a slow stand-in for the model, which knows when it was closed."""

import time

from annexe_demo.ui import build_interface, launch_options
from tests.browser.page import DemoPage
from tests.drawn_scenes import write_drawn_dataset
from tests.ui.stand_in import StandIn


def test_closing_the_page_stops_the_model(browser, tmp_path):
    pipe = StandIn(delay=0.2)
    write_drawn_dataset(tmp_path, {"test": 1}, (72, 128))
    page = build_interface(pipe, tmp_path)
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    try:
        context = browser.new_context()
        demo = DemoPage(context.new_page(), url.rstrip("/")).open()
        demo.click_example(0)
        demo.page.wait_for_function("() => document.querySelector('.entry.analysis .text')?.textContent.length > 8")
        context.close()
        deadline = time.monotonic() + 5
        while not pipe.closed and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(pipe.closed) == 1 and pipe.running == 0
    finally:
        page.close()
