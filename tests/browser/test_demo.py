"""The demo tab in a real Chromium, with the bundled model."""

from __future__ import annotations

import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from annexe_demo.ui.examples import load_examples
from annexe_demo.ui.texts import ENGLISH as TEXTS
from tests.browser.page import NARROW, WIDE, DemoPage
from tests.conftest import EXAMPLES

HANDS_AND_OBJECTS = "Please segment the hands and objects in interaction."
LOOKS = [(v, s) for v in (WIDE, NARROW) for s in ("light", "dark")]
LOOK_NAMES = [f"{v['width']}-{s}" for v, s in LOOKS]


@pytest.fixture(scope="module")
def examples(app_url):
    return load_examples(EXAMPLES)


def run_example(demo: DemoPage, number: int = 0) -> None:
    demo.click_example(number)
    demo.wait_done()


def test_the_page_opens_with_its_model_its_limits_and_all_examples(demo, examples):
    assert demo.page.title() == TEXTS.title
    assert demo.page.locator("#examples .thumbnail-item").count() == len(examples) > 0
    assert re.search(r"Model: \S", demo.page.inner_text(".model-name"))
    assert len(demo.page.inner_text("#limits")) > 60
    assert demo.page.locator("#intake").is_visible() and not demo.page.locator("#stage").is_visible()
    assert demo.page.is_disabled("#stop") and demo.page.is_disabled("#retry")


@pytest.mark.parametrize(("viewport", "scheme"), LOOKS, ids=LOOK_NAMES)
def test_an_example_runs_at_once_its_text_grows_and_masks_appear(open_page, examples, viewport, scheme):
    demo = open_page(viewport, scheme)
    demo.watch_growth(".entry.analysis .text")
    run_example(demo)
    growth = demo.growth()
    assert len(growth) > 5 and growth == sorted(growth)
    assert "hand" in demo.analysis.lower()
    assert demo.questions == [examples[0].query]

    demo.watch_growth(".entry.turn:last-child .text")
    demo.ask(HANDS_AND_OBJECTS)
    demo.wait_done()
    assert len(demo.growth()) > 5
    labels = demo.page.locator("#legend .label").all_inner_texts()
    assert labels
    with_masks, photo = demo.with_and_without_masks()
    assert 0.002 < (np.abs(with_masks - photo).max(axis=2) > 40).mean() < 0.9
    for look, selector in (("phrase", "mark.phrase"), ("legend", "#legend li")):
        colors = demo.page.locator(selector if look == "legend" else f".entry.turn:last-child {selector}").evaluate_all(
            "all => all.map(e => e.style.getPropertyValue('--target'))"
        )
        assert len(colors) == len(labels), look
    assert all(re.fullmatch(r"\d+%", s) for s in demo.page.locator("#legend .score").all_inner_texts())

    overflow = demo.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    photo, chat = demo.page.locator("#stage").bounding_box(), demo.page.locator("#chat").bounding_box()
    if viewport is WIDE:
        assert chat["x"] >= photo["x"] + photo["width"]
    else:
        assert chat["y"] >= photo["y"] + photo["height"]
    paper = demo.page.evaluate("getComputedStyle(document.querySelector('.gradio-container')).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 150) == (scheme == "dark")


def test_the_mask_has_the_colour_of_its_legend(demo):
    run_example(demo)
    demo.ask(HANDS_AND_OBJECTS)
    demo.wait_done()
    hex_color = demo.page.locator("#legend li").first.evaluate("e => e.style.getPropertyValue('--target')")
    color = np.array([int(hex_color[i : i + 2], 16) for i in (1, 3, 5)])
    with_masks, photo = demo.with_and_without_masks()
    tinted = photo * 0.55 + color * 0.45
    painted = (np.abs(with_masks - tinted).max(axis=2) < 30) & (np.abs(with_masks - photo).max(axis=2) > 30)
    assert painted.mean() > 0.001


def test_a_follow_up_stays_in_the_conversation(demo):
    run_example(demo)
    first = demo.analysis
    demo.ask("What is the person doing?")
    demo.wait_done()
    assert demo.questions[-1] == "What is the person doing?" and len(demo.questions) == 2
    assert demo.answers[-1].strip()
    assert demo.analysis == first
    assert demo.page.input_value("#question textarea") == ""


@pytest.mark.parametrize("kind", ["single", "multi", "no-target"])
def test_each_suggestion_asks_its_question(demo, kind):
    run_example(demo)
    button = demo.page.locator(f"#suggest-{kind}")
    query = button.inner_text().split("\n", 1)[1]
    demo.click(f"#suggest-{kind}")
    demo.wait_done()
    assert demo.questions[-1] == query and len(demo.questions) == 2


def test_no_target_is_said_in_words_with_the_indicator(demo, examples):
    for number in [n for n, e in enumerate(examples) if "no-target" in e.suggestions][:3]:
        run_example(demo, number)
        demo.click("#suggest-no-target")
        demo.wait_done()
        if demo.page.locator(".entry.turn:last-child .note.no-target").count():
            break
    assert TEXTS.no_target in demo.page.inner_text(".entry.turn:last-child .notes")
    assert re.search(r"mask indicator 0\.\d\d", demo.page.inner_text(".entry.turn:last-child .notes"))
    assert demo.page.locator("#legend li").count() == 0
    source = Image.open(examples[number].path).convert("RGB")
    assert np.abs(demo.picture().astype(int) - np.asarray(source)).mean() < 4


def test_retry_repeats_the_last_question(demo):
    run_example(demo)
    demo.ask(HANDS_AND_OBJECTS)
    demo.wait_done()
    before = demo.answers
    demo.click("#retry")
    demo.wait_done()
    assert demo.answers == before
    assert len(demo.questions) == 2


def test_clear_goes_back_to_the_start(demo):
    run_example(demo)
    demo.page.click("#clear")
    demo.page.wait_for_selector(".conversation.empty")
    assert demo.page.locator("#intake").is_visible() and not demo.page.locator("#stage").is_visible()
    assert demo.page.locator("#suggestions").count() == 0 or not demo.page.locator("#suggestions").is_visible()


def test_another_example_takes_the_place_of_a_running_one(demo, examples):
    demo.click_example(0)
    demo.page.wait_for_selector(".entry.analysis .text")
    demo.click_example(1)
    demo.page.wait_for_function("(q) => document.querySelector('#chat').textContent.includes(q)", arg=examples[1].query)
    demo.wait_done()
    assert demo.questions == [examples[1].query]


@pytest.mark.parametrize(
    ("name", "content"),
    [("notes.jpg", b"not a picture"), ("empty.png", b""), ("cut.jpg", None), ("photo.heic", b"\0\0\0\x18ftypheic" * 9)],
)
def test_a_bad_upload_is_told_in_a_sentence_and_the_conversation_stays(demo, examples, tmp_path, name, content):
    run_example(demo)
    before = demo.analysis
    path = tmp_path / name
    path.write_bytes(examples[0].path.read_bytes()[:900] if content is None else content)
    demo.upload(path)
    message = demo.wait_error()
    assert message.endswith(".") and "Traceback" not in message and "Error" not in message
    assert demo.analysis == before and len(demo.questions) == 1
    assert demo.page.locator("#stage").is_visible()


def test_an_uploaded_photo_is_upright_and_starts_afresh(demo, examples, tmp_path):
    run_example(demo)
    photo = Image.open(examples[1].path)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "portrait.jpg"
    photo.save(path, exif=exif)
    demo.upload(path)
    demo.page.wait_for_function("() => !document.querySelector('.entry.turn')")
    demo.wait_done()
    assert demo.analysis and demo.questions == []
    assert demo.picture().shape == (photo.width, photo.height, 3)
    assert demo.page.locator("button.suggestion:visible").count() == 3


def test_a_photo_comes_from_the_clipboard(demo):
    demo.page.evaluate(
        """async () => {
            const canvas = Object.assign(document.createElement('canvas'), {width: 320, height: 180});
            canvas.getContext('2d').fillRect(40, 40, 90, 90);
            const blob = await new Promise(done => canvas.toBlob(done, 'image/png'));
            await navigator.clipboard.write([new ClipboardItem({'image/png': blob})]);
        }"""
    )
    demo.click("#new-photo [aria-label='Paste from clipboard']")
    demo.wait_done()
    assert demo.analysis
    assert demo.picture().shape == (180, 320, 3)


def test_a_photo_comes_from_the_camera(demo):
    demo.page.click("#new-photo [aria-label='Capture from camera']")
    demo.page.click("#new-photo [title='grant webcam access']")
    demo.page.wait_for_function("() => document.querySelector('#new-photo video')?.readyState >= 2")
    demo.click("#new-photo [aria-label='capture photo']")
    demo.wait_done()
    assert demo.analysis


def test_the_depth_of_the_photo_is_shown(demo):
    run_example(demo)
    size = demo.picture().shape
    demo.show("Depth")
    depth = demo.picture()
    assert depth.shape == size
    assert depth.std() > 5
    assert TEXTS.depth_near in demo.page.inner_text("#legend")
    demo.ask(HANDS_AND_OBJECTS)
    demo.wait_done()
    assert demo.page.get_by_role("radio", name="Masks").is_checked()


def test_what_a_visitor_types_is_text_and_nothing_else(demo):
    run_example(demo)
    query = '<img src=x onerror="window.hacked=1"><MSK_0> {{1+1}} ${window.hacked=1} <b>bold</b> **md** $$x$$'
    demo.ask(query)
    demo.wait_done()
    assert demo.questions[-1] == query
    assert demo.page.evaluate("window.hacked === undefined")
    assert demo.page.locator("#chat b, #chat img").count() == 0


@pytest.mark.parametrize(("query", "notice"), [("   ", TEXTS.need_question), ("x" * 2001, "2,000 characters")])
def test_a_question_that_cannot_be_asked_is_told_in_a_sentence(demo, query, notice):
    run_example(demo)
    demo.ask(query)
    assert notice in demo.wait_error()
    assert len(demo.questions) == 1
    if query.strip():
        assert demo.page.input_value("#question textarea") == query


def test_a_question_without_a_photo_is_told_in_a_sentence(demo):
    demo.ask("hand")
    assert demo.wait_error() == TEXTS.need_photo


def test_two_visitors_do_not_mix(open_page, examples):
    first, second = open_page(), open_page()
    first.click_example(0)
    second.click_example(1)
    first.wait_done()
    second.wait_done()
    assert first.questions == [examples[0].query] and second.questions == [examples[1].query]
    assert first.picture().shape == second.picture().shape
    assert np.abs(first.picture().astype(int) - second.picture().astype(int)).mean() > 5


def test_the_page_works_from_the_keyboard(demo, examples):
    demo.page.locator("#examples .thumbnail-item").nth(1).focus()
    demo.page.keyboard.press("Enter")
    demo.page.wait_for_selector(".entry.turn")
    demo.wait_done()
    assert demo.questions == [examples[1].query]


def test_the_conversation_is_downloaded_with_its_masks(demo, tmp_path):
    assert demo.page.is_disabled("#download")
    run_example(demo)
    demo.ask(HANDS_AND_OBJECTS)
    demo.wait_done()
    for number in (1, 2):  # again: the file is made anew each time
        with demo.page.expect_download(timeout=30_000) as coming:
            demo.page.click("#download")
        assert coming.value.suggested_filename == "annexe.zip"
        coming.value.save_as(tmp_path / f"{number}.zip")
    with zipfile.ZipFile(tmp_path / "2.zip") as archive:
        names = archive.namelist()
        text = archive.read("conversation.md").decode()
        result = json.loads(archive.read("query_2/result.json"))
    assert demo.analysis in text.replace("\\", "") and HANDS_AND_OBJECTS in text
    assert "query_1/overlay.png" in names and result["query"] == HANDS_AND_OBJECTS
    masks = [n for n in names if n.startswith("query_2/mask_")]
    assert len(masks) == len(result["groundings"]) >= 1
