"""The charts of the results tab."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from matplotlib.colors import to_hex

from annexe_demo.data.published import PUBLISHED
from annexe_demo.view.charts import LOOKS
from annexe_demo.view.result_charts import MEASURES, plot_dimension, plot_measure, to_svg

REPORT = {
    "model": "weights/annexe-mini", "data": "data/test", "split": "test", "notes": {},
    "overall": {"ciou": 0.25, "analysis_meteor": None},
    "by": {"hand": {"left": {"queries": 3, "ciou": 0.5}, "none": {"queries": 1}}, "size": {"small": {"queries": 1}}},
}  # fmt: skip


@pytest.mark.parametrize("look", LOOKS)
def test_ours_stands_apart_below_the_published_ones(look):
    figure = plot_measure(MEASURES[0], REPORT, look)
    (axes,) = figure.axes
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == [p.model for p in sorted(PUBLISHED, key=lambda p: -p.ciou_test)] + [
        "annexe-mini (ours,\ngenerated scenes)"
    ]
    assert [round(b.get_width(), 2) for b in axes.patches] == sorted((p.ciou_test for p in PUBLISHED), reverse=True) + [
        25
    ]
    assert to_hex(axes.patches[-1].get_facecolor()) == LOOKS[look].accent
    assert to_hex(figure.get_facecolor()) == LOOKS[look].paper
    ET.fromstring(to_svg(figure))


def test_what_was_not_measured_is_said_and_no_bar():
    axes = plot_measure(MEASURES[1], REPORT).axes[0]
    assert axes.patches[-1].get_width() == 0 and "not measured" in [t.get_text() for t in axes.texts]


def test_without_a_report_there_is_no_bar_of_ours():
    axes = plot_measure(MEASURES[0], None).axes[0]
    assert len(axes.patches) == len(PUBLISHED)


def test_a_report_on_the_val_split_stands_beside_figures_of_that_split():
    axes = plot_measure(MEASURES[0], REPORT | {"split": "val"}).axes[0]
    assert [round(b.get_width(), 2) for b in axes.patches[:-1]] == sorted((p.ciou_val for p in PUBLISHED), reverse=True)
    assert "val split" in axes.get_title(loc="left")


def test_a_dimension_has_its_measured_rows_alone():
    axes = plot_dimension("hand", REPORT).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["left (3)"] and axes.patches[0].get_width() == 50
    assert plot_dimension("size", REPORT) is None
