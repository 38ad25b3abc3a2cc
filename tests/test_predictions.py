"""The file of predictions, and the figures that come from its masks."""

from dataclasses import replace

import numpy as np
import pytest

from annexe_demo.predictions import (
    PREDICTIONS_FILE,
    PredictionError,
    PredictionLog,
    Settings,
    gather,
    read_predictions,
    write_predictions,
)
from annexe_demo.scoring import overlap, score, size_name
from annexe_demo.view.export import mask_to_rle

SETTINGS = Settings("m", None, "data", "test", "abc", None, 6, 2, 2)


def test_lines_are_on_the_disk_at_once_and_names_are_any_script(tmp_path):
    with PredictionLog(tmp_path, SETTINGS) as log:
        log.add({"name": "杯子"})
        assert read_predictions(tmp_path / PREDICTIONS_FILE) == (SETTINGS, {"杯子": {"name": "杯子"}})
    with PredictionLog(tmp_path, SETTINGS) as log:
        log.add({"name": "b"})
    assert list(read_predictions(tmp_path / PREDICTIONS_FILE)[1]) == ["杯子", "b"]


def test_every_cut_of_the_last_line_is_tolerated(tmp_path):
    path = tmp_path / PREDICTIONS_FILE
    write_predictions(path, SETTINGS, [{"name": "a"}, {"name": "é", "x": 1}])
    whole = path.read_bytes()
    start = whole.index(b'{"name": "\xc3')
    for end in range(start, len(whole) - 2):
        path.write_bytes(whole[:end])
        assert list(gather(tmp_path, SETTINGS)) == ["a"]
        assert path.read_bytes() == whole[:start]


@pytest.mark.parametrize(("text", "words"), [
    ("", "is empty"), ('{"name": "a"}\n', "line 1: expected the header"), ("[]\n", "line 1: expected the header"),
    ('{"format": 2, "settings": {}}\n', "line 1"), ("HEADER\nnonsense\n{}\n", "line 2: expected a picture's"),
    ('HEADER\n{"x": 1}\n', "line 2"),
])  # fmt: skip
def test_malformed_files(tmp_path, text, words):
    path = tmp_path / "p.jsonl"
    write_predictions(path, SETTINGS, [])
    path.write_text(text.replace("HEADER", path.read_text().strip()))
    with pytest.raises(PredictionError, match=words):
        read_predictions(path)


def test_settings_tell_what_was_asked_before_what_followed_from_it():
    assert SETTINGS.differences(SETTINGS) == ""
    assert SETTINGS.differences(replace(SETTINGS, limit=1, pictures=1, annotations="x")) == "limit is 1 and not all"
    assert SETTINGS.differences(replace(SETTINGS, weights="x")) == "the model's files have changed since"
    assert "split" in SETTINGS.differences(replace(SETTINGS, split_pictures=3))


def test_of_two_processes_the_one_that_could_read_a_picture_wins(tmp_path):
    write_predictions(tmp_path / PREDICTIONS_FILE, SETTINGS, [{"name": "b", "error": "old"}, {"name": "c"}])
    write_predictions(tmp_path / "predictions.1.jsonl", SETTINGS, [{"name": "b"}, {"name": "c", "error": "new"}])
    (tmp_path / "predictions.2.jsonl").touch()  # ended before its header
    assert gather(tmp_path, SETTINGS) == {"b": {"name": "b"}, "c": {"name": "c"}}
    assert not (tmp_path / "predictions.1.jsonl").exists()


def test_a_share_of_another_run_is_refused(tmp_path):
    write_predictions(tmp_path / "predictions.1.jsonl", replace(SETTINGS, model="n"), [])
    with pytest.raises(PredictionError, match="predictions.1.jsonl.*model is 'n' and not 'm'"):
        gather(tmp_path, SETTINGS)


def strip(start, stop):
    mask = np.zeros((2, 10), bool)
    mask[0, start:stop] = True
    return mask_to_rle(mask)


@pytest.mark.parametrize(("predicted", "truth", "expected"), [
    ([], [], (0, 0)), ([strip(0, 4)], [], (0, 4)), ([], [strip(0, 4), strip(2, 5)], (0, 5)),
    ([strip(0, 4)], [strip(2, 8)], (2, 8)), ([strip(0, 2), strip(1, 4)], [strip(3, 5), strip(0, 1)], (2, 5)),
])  # fmt: skip
def test_overlap(predicted, truth, expected):
    assert overlap(predicted, truth) == expected


def test_overlap_of_different_sizes():
    with pytest.raises(ValueError, match=r"\(2, 10\) and \(2, 11\)"):
        overlap([strip(0, 1)], [mask_to_rle(np.zeros((2, 11), bool))])


@pytest.mark.parametrize(("share", "name"), [
    (None, "none"), (0.0099, "small (< 1 %)"), (0.01, "medium (1 to 5 %)"), (0.05, "large (> 5 %)"), (1, "large (> 5 %)"),
])  # fmt: skip
def test_sizes(share, name):
    assert size_name(share) == name


def record(name, **changes):
    return {
        "name": name, "size": [2, 10], "analysis": "", "reference": "A left hand holds a mug.",
        "truth": {"hands": ["left"], "category": "mug", "color": None, "object_share": 0.1, "source": "facts"},
        "depth_mae": 0.1, "depth_note": None, "masks": {}, "queries": [],
    } | changes  # fmt: skip


def test_a_target_without_a_pixel_is_still_a_target(no_java):
    query = {"query": "q", "kind": "single", "answer": "a", "reference": "a", "indicator": 0.9, "iou": None}
    named = query | {
        "targets": [["mug", 0]],
        "groundings": [{"label": "mug", "score": 1, "span": [0, 1], "rle": strip(0, 4)}],
    }
    got = score([record("a", queries=[named])])["overall"]
    assert (got["ciou"], got["giou"], got["indicator_accuracy"], got["no_target_accuracy"]) == (0, 0, 1, None)


def test_no_indicator_claims_a_target(no_java):
    query = {"query": "q", "kind": "no-target", "answer": "a", "reference": "a", "indicator": None, "iou": None}
    got = score([record("a", queries=[query | {"targets": [], "groundings": []}])])["overall"]
    assert got["no_target_accuracy"] == got["giou"] == 0


def test_unfinished_evaluations_say_so(no_java):
    got = score([record("b"), record("a", depth_mae=None, depth_note="no depth file")], pictures=5)
    assert got["notes"]["unfinished"].startswith("the evaluation came to 2 of 5 pictures")
    assert got["notes"]["depth_mae"] == "not measured on 1 of 2 pictures: no depth file"
    assert got["overall"]["depth_mae"] == 0.1 and "truth" not in got["notes"]


def test_the_order_of_the_lines_does_not_matter(tmp_path, no_java):
    with pytest.raises(PredictionError, match="could be read, but got none: gone"):
        score([{"name": "b", "error": "lost"}, {"name": "a", "error": "gone"}])
    write_predictions(tmp_path / PREDICTIONS_FILE, SETTINGS, [{"name": "b"}, {"name": "a"}])
    assert list(gather(tmp_path, SETTINGS)) == ["a", "b"]


@pytest.fixture
def no_java(monkeypatch):
    monkeypatch.setattr("annexe_demo.metrics.shutil.which", lambda name: None)
