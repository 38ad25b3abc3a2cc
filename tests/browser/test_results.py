"""Saved predictions at a glance and the results tab in a real Chromium, wide and narrow, light and dark."""

from __future__ import annotations

import pytest

from annexe_demo.data.published import PUBLISHED
from annexe_demo.data.reports import own_figures
from annexe_demo.ui import build_interface, launch_options
from annexe_demo.ui.texts import ENGLISH
from tests.browser.page import LOAD_MS, NARROW, WIDE, ExplorerPage
from tests.ui.measured import write_measured
from tests.ui.stand_in import StandIn

LOOKS = [(v, s) for v in (WIDE, NARROW) for s in ("light", "dark")]
looks = pytest.mark.parametrize(("viewport", "scheme"), LOOKS, ids=[f"{v['width']}-{s}" for v, s in LOOKS])
TEXTS = ENGLISH.results


def launched(catalogue, own):
    page = build_interface(StandIn(), None, catalogue=catalogue, own=own)
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options(catalogue))
    return page, url


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """(url, catalogue, own) of a page with saved predictions and their report."""
    catalogue, own = write_measured(tmp_path_factory.mktemp("measured"))
    page, url = launched(catalogue, own)
    yield url, catalogue, own
    page.close()


@pytest.fixture
def visit(browser):
    """``visit(url, viewport, scheme)`` gives a new visitor's page; console errors fail the test."""
    contexts, problems = [], []

    def visit(url, viewport=WIDE, scheme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        page.wait_for_selector("#ask", timeout=LOAD_MS)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert problems == []


def open_results(page):
    page.get_by_role("tab", name=TEXTS.tab).click()
    page.wait_for_selector(".results", timeout=LOAD_MS)
    return page


def no_overflow(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@looks
def test_results_show_the_charts_of_the_pages_look_each_with_its_source(measured, visit, viewport, scheme):
    page = open_results(visit(measured[0], viewport, scheme))
    assert "cannot be compared directly" in page.inner_text(".not-comparable")
    figures = page.locator(".results figure")
    assert figures.count() == 5 + len([d for d in measured[2].report["by"] if d])
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        shown, hidden = (
            figure.locator(f".for-{scheme}"),
            figure.locator("img").locator(f"xpath=self::*[not(contains(@class,'for-{scheme}'))]"),
        )
        assert shown.is_visible() and not hidden.is_visible()
        assert shown.evaluate("e => e.naturalWidth") > 0 and shown.get_attribute("alt")
        assert figure.locator("figcaption").inner_text().strip()
    ciou = page.locator("[data-chart=ciou] figcaption")
    assert ciou.locator("a").first.get_attribute("href") == PUBLISHED[0].source_url
    assert "weights/stand-in" in ciou.inner_text() and "report.json" in ciou.inner_text()
    rows = page.locator(".wide-table tbody tr").all_inner_texts()
    assert "ours" in rows[0] and any("EARL" in row and "65.48" in row for row in rows)
    assert no_overflow(page)


def test_a_model_that_was_never_measured_is_said_so_and_the_published_figures_stand_alone(measured, visit, tmp_path):
    server, url = launched(measured[1], own_figures(None, tmp_path))
    try:
        page = open_results(visit(url))
        assert "There is no report of a measurement" in page.inner_text(".results .notice.error")
        assert page.locator(".results figure").count() == 5
        assert page.locator(".wide-table tbody tr").count() == len(PUBLISHED)
    finally:
        server.close()


@looks
def test_the_glance_shows_worst_and_best_and_opens_them(measured, visit, viewport, scheme):
    page = visit(measured[0], viewport, scheme)
    explorer = ExplorerPage(page).open()
    page.wait_for_selector(".glances", timeout=LOAD_MS)
    page.wait_for_selector("#worst-pictures .thumbnail-item img", timeout=LOAD_MS)
    ious = measured[1].predictions.ious
    values = sorted(ious.values())
    shown = page.locator("#worst-pictures .caption-label").all_inner_texts()
    assert shown == [f"IoU {v:.2f}" for v in values[:6]]
    assert page.locator("#best-pictures .caption-label").all_inner_texts() == [f"IoU {v:.2f}" for v in values[::-1][:6]]
    cells = page.locator("[data-table=answers] td").all_inner_texts()
    assert sum(map(int, cells)) == measured[1].overview.queries
    color = page.locator("[data-table=answers] td.heat").evaluate_all(
        "all => all.filter(e => e.textContent !== '0').map(e => getComputedStyle(e).backgroundColor)"
    )
    assert color and all(c not in ("rgba(0, 0, 0, 0)", "transparent") for c in color)
    assert page.locator("[data-table=sizes] tbody tr").count() == len(measured[1].overview.sizes)
    assert no_overflow(page)

    worst = min(ious, key=lambda name: (ious[name], name))
    page.locator("#worst-pictures .thumbnail-item").first.click()
    explorer._wait_picture(worst)
    page.wait_for_selector("#panel-prediction img")
    page.click("#back")
    page.wait_for_selector("#browse", state="visible")
    assert explorer.names[0] == worst
    assert page.input_value("#filter-order input") == ENGLISH.explorer.orders["worst"]
