"""The page's parts, its examples and its colours."""

import subprocess
import sys

import gradio as gr
import numpy as np
import pytest

from annexe_demo.data.catalogue import Catalogue
from annexe_demo.events import Grounding
from annexe_demo.ui import build_interface, launch_options
from annexe_demo.ui.demo import SHOWN_SIDE, overlay, shown
from annexe_demo.ui.examples import load_examples
from annexe_demo.ui.theme import PALETTE
from annexe_demo.view.overlay import OverlayAnnotator
from annexe_demo.view.palette import luminance
from tests.conftest import ROOT
from tests.drawn_scenes import write_drawn_dataset
from tests.ui.stand_in import StandIn


def test_importing_the_page_builds_no_model_and_brings_no_torch():
    code = "import sys, annexe_demo.ui; sys.exit('torch' in sys.modules or 'annexe_demo.pipeline' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_examples_are_the_test_split_with_a_question_of_each_kind(tmp_path):
    write_drawn_dataset(tmp_path, {"train": 1, "test": 3}, (72, 128))
    examples = load_examples(tmp_path)
    assert len(examples) == 3
    for example in examples:
        assert example.path.is_file() and example.query
        assert {"single", "no-target"} <= set(example.suggestions)


def test_a_broken_example_is_left_out_and_a_missing_folder_means_none(tmp_path):
    write_drawn_dataset(tmp_path, {"test": 2}, (72, 128))
    next((tmp_path / "dataset_split/test").glob("*.json")).write_text("{")
    assert len(load_examples(tmp_path)) == 1
    assert load_examples(tmp_path / "nowhere") == []


@pytest.fixture
def catalogue(tmp_path):
    return Catalogue(write_drawn_dataset(tmp_path / "data", {"test": 1}, (36, 64)), cache_dir=tmp_path / "cache")


def public_endpoints(page: gr.Blocks) -> dict[str, str]:
    return {f.api_name: f.api_description or f.fn.__doc__ for f in page.fns.values() if f.api_visibility == "public"}


def test_only_the_documented_endpoints_are_public(catalogue):
    page = build_interface(StandIn(), None)
    assert public_endpoints(page).keys() == {"analyze", "ask"}
    page = build_interface(StandIn(), None, catalogue=catalogue)
    assert public_endpoints(page).keys() == {"analyze", "ask", "samples", "sample", "run_sample", "overview"}
    assert all(len(text) > 60 for text in public_endpoints(page).values())
    assert page.get_api_info()["named_endpoints"].keys() == {f"/{name}" for name in public_endpoints(page)}


def test_all_that_needs_the_model_waits_in_one_line(catalogue):
    page = build_interface(StandIn(), None, catalogue=catalogue)
    lines = {f.name: (f.concurrency_id, f.concurrency_limit) for f in page.fns.values() if f.queue}
    assert {name for name, line in lines.items() if line == ("model", 1)} == {"work", "analyze", "ask", "run_sample"}
    assert {line for line in lines.values() if line[0] != "model"} == {("explorer", 8), ("meteor", 1), ("overview", 1)}


def test_the_explorer_reads_nothing_before_it_is_opened(catalogue):
    build_interface(StandIn(), None, catalogue=catalogue)
    assert catalogue.index.progress.total == 0 and not list(catalogue.index.cache_dir.glob("index-*"))


def test_the_page_is_served_with_limits_and_without_fonts_from_elsewhere():
    options = launch_options()
    assert options["max_file_size"] and options["enable_monitoring"] is False
    assert not any(isinstance(f, gr.themes.GoogleFont) for f in options["theme"]._font)
    assert "http" not in options["css_paths"][0].read_text()


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize(
    ("text", "background"),
    [(t, b) for t in ("ink", "muted", "accent", "danger") for b in ("paper", "surface", "sunken")]
    + [("on-accent", "accent"), ("on-accent", "accent-strong")],
)
def test_text_contrast_is_aa(mode, text, background):
    a, b = sorted((luminance(PALETTE[text][mode]), luminance(PALETTE[background][mode])), reverse=True)
    assert (a + 0.05) / (b + 0.05) >= 4.5


def test_a_long_photo_is_shown_smaller_and_its_masks_with_it():
    image = np.full((2400, 3200, 3), 100, np.uint8)
    mask = np.zeros((2400, 3200), bool)
    mask[:, :1600] = True
    picture = overlay(image, [Grounding(0, "mug", mask, 0.9, (0, 3))], OverlayAnnotator(outline=False))
    assert picture.shape == (1200, SHOWN_SIDE, 3)
    assert (picture[:, 700] != 100).any() and (picture[:, 900] == 100).all()


def test_a_small_photo_is_shown_as_it_is():
    image = np.zeros((10, 20, 3), np.uint8)
    assert shown(image) is image
