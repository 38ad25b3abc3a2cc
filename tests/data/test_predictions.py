"""Saved predictions: what is read of them, and that a broken line harms no other."""

from __future__ import annotations

import json

import numpy as np
import pytest

from annexe_demo.data.egoirgbench import DatasetError
from annexe_demo.data.predictions import Predictions
from annexe_demo.view.export import mask_to_rle

MASK = np.eye(6, 8, dtype=bool)


def line(name: str, *ious: float | None) -> str:
    masked = {"label": "mug", "score": 0.8, "span": [3, 6], "rle": mask_to_rle(MASK)}
    queries = [
        {"query": f"q{n}", "answer": "A mug <MSK_0>.", "indicator": 0.9, "iou": iou, "groundings": [masked]}
        for n, iou in enumerate(ious)
    ]
    return json.dumps({"name": name, "analysis": "A hand.", "queries": queries}) + "\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_text(line("a", 0.5, None, 1.0) + line("ü", 0.25) + line("plain", None) + "\n" + line("cut", 0.1)[:40])
    return path


def test_pictures_have_the_mean_iou_of_their_mask_queries(file):
    predictions = Predictions(file)
    assert predictions.ious == {"a": 0.75, "ü": 0.25}
    assert len(predictions) == 3


def test_a_folder_stands_for_the_file_in_it(file):
    assert Predictions(file.parent).path == file


def test_an_answer_comes_with_its_masks(file):
    picture = Predictions(file).load("ü")
    assert picture.analysis == "A hand."
    answer = picture.answer_to("q0")
    assert (answer.answer, answer.indicator, answer.iou) == ("A mug <MSK_0>.", 0.9, 0.25)
    (grounding,) = answer.groundings
    assert (grounding.label, grounding.score, grounding.span) == ("mug", 0.8, (3, 6))
    assert (grounding.mask == MASK).all()
    assert picture.answer_to("another") is None
    assert Predictions(file).load("nobody") is None


def test_a_file_that_changed_under_it_is_told(file):
    predictions = Predictions(file)
    file.write_text("x" * 400)
    with pytest.raises(DatasetError, match="the prediction of 'ü'"):
        predictions.load("ü")


@pytest.mark.parametrize("content", [None, "", "not json\n", "[1]\n", '{"name": "a"}\n'])
def test_what_holds_no_predictions_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "p.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DatasetError, match="expected .*p.jsonl"):
        Predictions(path)


def test_it_reads_what_evaluate_writes(tmp_path, caplog):
    from annexe_demo.data.egoirgbench import EgoIRGBench
    from annexe_demo.evaluate import predict, run_settings
    from annexe_demo.predictions import write_predictions
    from tests.drawn_scenes import write_drawn_dataset
    from tests.ui.stand_in import StandIn

    dataset = EgoIRGBench(write_drawn_dataset(tmp_path, {"test": 2}, (72, 128)), "test")
    samples = list(dataset)
    settings = run_settings("stand-in", dataset, [s.name for s in samples], None, 6)
    records = [predict(StandIn(), sample) for sample in samples]
    write_predictions(tmp_path / "predictions.jsonl", settings, [*records, {"name": "gone", "error": "unreadable"}])
    with caplog.at_level("WARNING"):
        predictions = Predictions(tmp_path)
    assert not caplog.records
    assert set(predictions.ious) == {s.name for s in samples}
    answers = predictions.load(samples[0].name).answers
    assert answers and any(g.mask.shape == (72, 128) for a in answers for g in a.groundings)
