"""Saved predictions at a glance: counted from records whose outcome is known."""

from __future__ import annotations

import pytest

from annexe_demo.overview import Overview, overview_json, summarize


def record(name="a", hands=("right",), said="The right hand is holding a mug.", share=0.03, queries=()):
    return {"name": name, "truth": {"hands": list(hands), "object_share": share}, "analysis": said, "queries": list(queries)}  # fmt: skip


def query(targets, masked, iou, kind="multi", indicator=0.9):
    return {
        "kind": kind,
        "targets": [[label, n + 1] for n, label in enumerate(targets)],
        "groundings": [{"label": label} for label in masked],
        "indicator": indicator,
        "iou": iou,
    }


def test_hands_of_the_truth_are_counted_against_those_of_analysis_and_answer():
    overview = summarize(
        [
            record("a", ["right"], "The left hand is holding a mug.", queries=[
                query(["right hand", "mug"], ["left hand", "mug"], 0.4),
                query(["mug"], ["mug"], 0.9),
            ]),
            record("b", ["left", "right"], "Both hands are holding a mug.", queries=[
                query(["left hand", "right hand"], ["right hand"], 0.5),
            ]),
        ]
    )  # fmt: skip
    assert (overview.pictures, overview.queries) == (2, 3)
    assert overview.analyses["right"] == {"left": 1, "right": 0, "both": 0, "none": 0}
    assert overview.analyses["both"]["both"] == 1
    assert (
        overview.answers["right"]["left"] == overview.answers["none"]["none"] == overview.answers["both"]["right"] == 1
    )


def test_sizes_have_the_mean_of_their_queries_with_a_target_and_the_share_that_fits():
    overview = summarize(
        [
            record("small", share=0.004, queries=[query(["mug"], ["mug"], 0.2), query(["mug"], ["mug"], 0.5)]),
            record("large", share=0.2, queries=[query(["mug"], ["mug"], 1.0)]),
            record("nothing", share=None, queries=[query(["left hand"], [], 0.0)]),
        ]
    )
    rows = {r.name.split(" ")[0]: (r.queries, r.mean_iou, r.found) for r in overview.sizes}
    assert rows == {"small": (2, pytest.approx(0.35), 0.5), "large": (1, 1.0, 1.0), "none": (1, 0.0, 0.0)}
    assert [r.name.split(" ")[0] for r in overview.sizes] == ["small", "large", "none"]


def test_questions_without_a_target_count_neither_for_hands_nor_for_sizes():
    overview = summarize(
        [record(queries=[query([], ["mug"], 0.0, "no-target"), query([], [], None, "chat", None)])]
    )  # fmt: skip
    assert overview.queries == 0 and overview.sizes == ()
    assert not any(sum(row.values()) for row in overview.answers.values())


def test_what_was_masked_below_the_indicators_threshold_does_not_count():
    overview = summarize([record(queries=[query(["left hand"], ["left hand"], 0.0, indicator=0.2)])])
    assert overview.answers["left"] == {"left": 0, "right": 0, "both": 0, "none": 1}


def test_records_of_another_form_are_left_out_and_counted():
    overview = summarize([{"name": "x"}, record(), {"name": "y", "truth": None, "analysis": "", "queries": []}])
    assert (overview.pictures, overview.left_out) == (1, 2)


def test_the_json_says_the_same():
    found = overview_json(summarize([record(queries=[query(["mug"], ["mug"], 2 / 3)])]))
    assert found["by_object_size"] == [{"size": "medium (1 to 5 %)", "queries": 1, "mean_iou": 0.66667, "found": 1.0}]
    assert found["hands_in_analyses"]["right"]["right"] == 1
    assert overview_json(Overview())["pictures"] == 0
