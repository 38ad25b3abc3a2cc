"""The explorer tab in a real Chromium: on the examples with the bundled model, and on a larger folder without one."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from annexe_demo.data.catalogue import Catalogue
from annexe_demo.data.egoirgbench import EgoIRGBench
from annexe_demo.ui import build_interface, launch_options
from annexe_demo.ui.texts import ENGLISH
from annexe_demo.view.difference import DIFFERENCE_COLORS
from annexe_demo.view.palette import to_rgb
from tests.browser.page import NARROW, WIDE, ExplorerPage
from tests.conftest import EXAMPLES
from tests.drawn_scenes import write_drawn_dataset
from tests.ui.stand_in import StandIn

TEXTS = ENGLISH.explorer
LOOKS = [(v, s) for v in (WIDE, NARROW) for s in ("light", "dark")]


@pytest.fixture
def explorer(open_page) -> ExplorerPage:
    return ExplorerPage(open_page().page).open()


def query_number(explorer: ExplorerPage, kind: str) -> int:
    kinds = [text.split("\n")[0] for text in explorer.page.locator("#queries label").all_inner_texts()]
    return next(n for n, text in enumerate(kinds) if text.startswith(TEXTS.kinds[kind]))


@pytest.mark.parametrize(("viewport", "scheme"), LOOKS, ids=[f"{v['width']}-{s}" for v, s in LOOKS])
def test_a_picture_is_found_shown_with_its_truth_and_compared_with_the_model(open_page, viewport, scheme):
    page = open_page(viewport, scheme).page
    assert page.locator("#pictures").count() == 0  # nothing of the explorer is on the page before it is opened
    explorer = ExplorerPage(page).open()
    names = EgoIRGBench(EXAMPLES, "test").names
    assert explorer.names == names and explorer.status == f"{len(names)} pictures"
    boxes = [b.bounding_box() for b in page.locator("#pictures .thumbnail-item").all()[:6]]
    assert len({round(b["y"]) for b in boxes}) == (1 if viewport is WIDE else 3)
    assert no_overflow(page)

    explorer.open_picture(0)
    assert page.locator("#browse").is_hidden()
    explorer.choose_query(query_number(explorer, "multi"))
    page.wait_for_selector("#panel-truth img")
    assert explorer.page.locator("#head-prediction .blank").inner_text() == TEXTS.prediction_none
    assert explorer.scores == {}
    explorer.run()
    page.wait_for_selector("#panel-difference img")
    photo = explorer.panel("photo").astype(int)
    for name in ("truth", "prediction", "difference", "depth-truth", "depth-prediction"):
        assert explorer.panel(name).shape == photo.shape, name
    assert np.abs(explorer.panel("truth") - photo).max() > 40
    agreed = np.abs(explorer.panel("difference") - np.array(to_rgb(DIFFERENCE_COLORS["agreed"]))).max(axis=2) < 90
    assert agreed.mean() > 0.005
    assert {"iou", "indicator", "analysis_rouge_l", "answer_rouge_l", "depth_mae"} <= explorer.scores.keys()
    assert re.fullmatch(r"[01]\.\d{3}", explorer.scores["iou"])
    definition = page.locator("[data-measure=iou] p")
    assert not definition.is_visible()
    page.click("[data-measure=iou] summary")
    assert definition.inner_text() == TEXTS.definitions["iou"]
    assert no_overflow(page)
    panels, queries = page.locator("#panels").bounding_box(), page.locator("#queries").bounding_box()
    if viewport is WIDE:
        assert queries["x"] >= panels["x"] + panels["width"]
    else:
        assert queries["y"] >= panels["y"] + panels["height"]
    paper = page.evaluate("getComputedStyle(document.querySelector('.gradio-container')).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 150) == (scheme == "dark")


def no_overflow(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_filters_and_search_narrow_the_list_and_can_be_cleared(explorer):
    every = explorer.names
    dataset = EgoIRGBench(EXAMPLES, "test")
    explorer.choose("category", "Bowl")
    bowls = [s.name for s in dataset if s.facts.active and s.facts.active.category == "bowl"]
    assert explorer.names == bowls != []
    explorer.choose("hand", "Both")
    assert set(explorer.names) <= set(bowls)
    explorer.choose("hand", "Any")
    explorer.click_list("#reset-filters")
    assert explorer.names == every and explorer.page.input_value("#filter-category input") == "Any"
    explorer.search("stapl")
    assert 0 < len(explorer.names) < len(every)
    explorer.search("zeppelin")
    assert explorer.names == [] and explorer.status == TEXTS.nothing_found


def test_pictures_are_stepped_through_and_the_list_is_where_it_was(explorer):
    names = explorer.names
    explorer.open_picture(1)
    explorer.go("#next-picture", names[2])
    explorer.go("#previous-picture", names[1])
    explorer.go("#previous-picture", names[0])
    assert explorer.page.is_disabled("#previous-picture")
    explorer.page.click("#back")
    explorer.page.wait_for_selector("#browse", state="visible")
    assert explorer.names == names and explorer.page.locator("#sample").is_hidden()
    explorer.open_picture(0)  # the same one again


def test_each_query_brings_its_own_truth(explorer):
    explorer.open_picture(0)
    explorer.choose_query(query_number(explorer, "single"))
    explorer.page.wait_for_selector("#panel-truth img")
    explorer.choose_query(query_number(explorer, "no-target"))
    explorer.page.wait_for_selector("#panel-truth", state="hidden")
    assert explorer.page.inner_text("#head-truth .blank") == TEXTS.truth_none


def test_a_question_of_ones_own_is_run_and_has_no_truth(explorer):
    explorer.open_picture(2)
    explorer.run("What is the person doing?")
    assert explorer.page.inner_text("#head-truth .blank") == TEXTS.truth_unknown
    assert TEXTS.own_question in explorer.page.inner_text("#sayings")
    assert explorer.page.locator("#queries :checked").count() == 0
    assert "iou" not in explorer.scores
    explorer.run("<b>hand</b><img src=x onerror='window.hacked=1'>")
    assert explorer.page.evaluate("window.hacked === undefined")


def test_what_is_asked_in_the_demo_stays_there(open_page):
    demo = open_page()
    demo.click_example(0)
    demo.wait_done()
    before = demo.analysis
    ExplorerPage(demo.page).open().open_picture(3)
    demo.page.get_by_role("tab", name="Demo").click()
    assert demo.analysis == before and demo.page.locator("#stage").is_visible()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A page with 60 pictures and a slow stand-in for the model: (url, pipe)."""
    folder = tmp_path_factory.mktemp("large")
    root = write_drawn_dataset(folder / "data", {"train": 50, "val": 10}, (72, 128))
    catalogue = Catalogue(root, cache_dir=folder / "cache")
    pipe = StandIn(delay=0.2)
    page = build_interface(pipe, None, catalogue=catalogue)
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options(catalogue))
    yield url, pipe
    page.close()


@pytest.fixture
def paged(browser, large):
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    page.goto(large[0])
    yield ExplorerPage(page).open()
    context.close()


def test_pages_are_turned_and_typed(paged):
    assert len(paged.names) == 24 and paged.page.is_disabled("#previous-page")
    paged.click_list("#next-page")
    assert paged.names[0] == "0024"
    paged.type_page(3)
    assert paged.names == [f"{n:04d}" for n in range(48, 60)] and paged.page.is_disabled("#next-page")
    paged.open_picture(0)
    paged.go("#previous-picture", "0047")
    paged.page.click("#back")
    paged.page.wait_for_selector("#browse", state="visible")
    assert paged.names[-1] == "0047"
    paged.choose("split", "Validation")
    assert len(paged.names) == 10 and paged.page.locator("#pager").is_hidden()


@pytest.mark.parametrize("leave", ["#stop-run", "#next-picture", "#back"])
def test_stopping_and_leaving_stop_the_model(paged, large, leave):
    pipe = large[1]
    pipe.closed.clear()
    paged.open_picture(0)
    paged.page.click("#run")
    wait_until(paged, lambda: pipe.running)
    paged.page.click(leave)
    wait_until(paged, lambda: pipe.closed)
    assert len(pipe.closed) == 1 and pipe.running == 0


def wait_until(explorer: ExplorerPage, happened) -> None:
    deadline = time.monotonic() + 10
    while not happened() and time.monotonic() < deadline:
        explorer.page.wait_for_timeout(30)


def test_two_visitors_do_not_mix(browser, large):
    visitors = []
    for number in (3, 7):
        page = browser.new_context(viewport=WIDE).new_page()
        page.goto(large[0])
        explorer = ExplorerPage(page).open()
        explorer.open_picture(number)
        visitors.append(explorer)
    titles = [v.page.inner_text("#sample-title h2") for v in visitors]
    assert titles == ["0003", "0007"]
    for visitor in visitors:
        visitor.page.context.close()
