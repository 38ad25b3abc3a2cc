"""The state of one visitor of the explorer, without a page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from annexe_demo.data.catalogue import Catalogue
from annexe_demo.data.egoirgbench import DatasetError
from annexe_demo.data.index import Filters
from annexe_demo.ui.explorer_render import panel_html, query_choices, scores_html, texts_html
from annexe_demo.ui.texts import ENGLISH as TEXTS
from annexe_demo.ui.visit import Visit
from annexe_demo.view.export import mask_to_rle
from tests.drawn_scenes import write_drawn_dataset
from tests.ui.stand_in import ANALYSIS, NO_TARGET, StandIn

WORDS = TEXTS.explorer


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_drawn_dataset(tmp_path_factory.mktemp("data"), {"test": 30}, (36, 64))


@pytest.fixture
def catalogue(root, tmp_path):
    return Catalogue(root, cache_dir=tmp_path / "cache")


@pytest.fixture
def visit(catalogue):
    visit = Visit()
    visit.open_at(catalogue, 0)
    return visit


def query_of(visit: Visit, kind: str) -> str:
    return next(question.query for group, question in visit.picture.queries if group.kind == kind)


def run(visit: Visit, query: str) -> None:
    assert visit.request_run(query, TEXTS)
    list(visit.conversation.work(StandIn(), TEXTS))


def values(visit: Visit) -> dict[str, float | None]:
    return {s.key: s.value for s in visit.scores(WORDS)}


def test_pictures_are_stepped_through_across_pages_of_the_filtered_list(catalogue):
    visit = Visit()
    visit.find(catalogue, Filters(split="test"), "name")
    visit.open_at(catalogue, 23)
    assert visit.page.number == 0
    visit.open_at(catalogue, 24)
    assert (visit.page.number, visit.position, visit.picture.sample.name) == (1, 24, visit.page.rows[0].name)
    visit.open_at(catalogue, 99)
    assert visit.position == 29


def test_before_a_run_there_is_a_truth_and_no_prediction(visit):
    visit.query = query_of(visit, "multi")
    assert visit.truth and visit.predicted is None and visit.difference() is None
    assert visit.scores(WORDS) == [] and visit.depth_prediction() is None
    assert WORDS.prediction_none in panel_html(visit, "prediction", True, WORDS)
    assert visit.depth_truth().shape == visit.picture.image.shape


def test_a_run_is_compared_with_the_truth(visit):
    run(visit, query_of(visit, "multi"))
    found = values(visit)
    assert 0 <= found["iou"] <= 1 and 0 <= found["depth_mae"] <= 1
    assert 0 < found["analysis_rouge_l"] < 1 and "answer_rouge_l" in found
    assert found["analysis_meteor"] is None
    assert visit.analysis == (ANALYSIS, "model", True)
    assert visit.difference().shape == visit.depth_prediction().shape == visit.picture.image.shape


def test_without_a_target_only_the_claim_counts(visit):
    run(visit, query_of(visit, "no-target"))
    assert visit.truth == []
    claimed = visit.predicted.indicator >= 0.5
    assert values(visit)["no_target"] == (0 if claimed else 1) and "iou" not in values(visit)


def test_a_question_of_ones_own_has_no_truth_and_only_the_analysis_is_scored(visit):
    run(visit, "Where is the kettle?")
    assert visit.group is None and visit.truth is None
    assert visit.predicted.text == NO_TARGET
    assert set(values(visit)) == {"analysis_meteor", "analysis_rouge_l", "depth_mae"}
    assert WORDS.own_question in texts_html(visit, TEXTS)
    assert WORDS.truth_unknown in panel_html(visit, "truth", True, WORDS)


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query_is_not_run(visit, query):
    assert not visit.request_run(query, TEXTS)
    assert visit.conversation.notice.text == WORDS.need_question and not visit.conversation.busy


def test_a_stopped_answer_is_shown_and_not_scored(visit):
    visit.request_run(query_of(visit, "multi"), TEXTS)
    work = visit.conversation.work(StandIn(), TEXTS)
    while visit.predicted is None or not visit.predicted.text:
        next(work)
    visit.conversation.stop()
    list(work)
    assert not visit.predicted.complete and visit.mask_scores is None and visit.difference() is None
    assert TEXTS.stopped in texts_html(visit, TEXTS)
    assert "answer_rouge_l" not in values(visit)


def test_another_picture_starts_afresh(visit, catalogue):
    run(visit, query_of(visit, "multi"))
    visit.open_at(catalogue, 1)
    assert visit.predicted is None and visit.conversation.session is None and visit.depth_prediction() is None


def test_meteor_is_calculated_once(visit, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "annexe_demo.ui.visit.meteor", lambda pairs: calls.append(len(pairs)) or ([0.5] * len(pairs), None)
    )
    run(visit, query_of(visit, "multi"))
    assert visit.rate() and not visit.rate()
    assert calls == [2]
    assert values(visit)["answer_meteor"] == values(visit)["analysis_meteor"] == 0.5


def test_without_java_meteor_says_why(visit, monkeypatch):
    monkeypatch.setattr("annexe_demo.metrics.shutil.which", lambda _: None)
    run(visit, query_of(visit, "multi"))
    visit.rate()
    texts = {s.key: s.text for s in visit.scores(WORDS)}
    assert "Java" in texts["answer_meteor"]


def test_a_saved_prediction_is_shown_as_such_until_the_model_runs(root, tmp_path):
    catalogue = Catalogue(root, cache_dir=tmp_path / "cache")
    picture = catalogue.open(*[(r.split, r.name) for r in catalogue.index.query().rows][0])
    group, question = next(q for q in picture.queries if q[0].kind == "single")
    truth = picture.index_map == group.masks_idx[0]
    answer = {"query": question.query, "answer": "It is <MSK_0>.", "indicator": 0.9, "iou": 1.0,
              "groundings": [{"label": group.tokens[0], "score": 0.8, "span": [0, 2], "rle": mask_to_rle(truth)}]}  # fmt: skip
    path = tmp_path / "predictions.jsonl"
    path.write_text(json.dumps({"name": picture.sample.name, "analysis": "A hand.", "queries": [answer]}) + "\n")
    catalogue = Catalogue(root, path, tmp_path / "cache")
    visit = Visit()
    visit.find(catalogue, Filters(), "worst")
    visit.open_at(catalogue, 0)
    assert visit.query == question.query and visit.predicted.source == "saved"
    assert values(visit)["iou"] == 1 and WORDS.prediction_saved in panel_html(visit, "prediction", False, WORDS)
    assert any("predicted IoU 1.00" in label for label, _ in query_choices(visit, WORDS))
    run(visit, question.query)
    assert visit.predicted.source == "model" and WORDS.prediction_model in panel_html(visit, "prediction", False, WORDS)


def test_files_of_another_size_are_refused_and_the_visit_stays(tmp_path):
    import cv2

    root = write_drawn_dataset(tmp_path / "data", {"test": 2}, (36, 64))
    catalogue = Catalogue(root, cache_dir=tmp_path / "cache")
    visit = Visit()
    visit.open_at(catalogue, 0)
    cv2.imwrite(str(root / "mask" / "0001.png"), np.zeros((10, 10), np.uint8))
    with pytest.raises(
        DatasetError, match=r"index map of '0001' must be of the photo's size \(36, 64\) but is \(10, 10\)"
    ):
        visit.open_at(catalogue, 1)
    assert visit.position == 0 and visit.picture.sample.name == "0000"


def test_whatever_a_dataset_says_is_escaped(visit):
    evil = "<img src=x onerror=alert(1)>"
    visit.query = evil
    visit.conversation.analysis = None
    object.__setattr__(visit.picture.sample, "groups", [])
    object.__setattr__(visit.picture.sample, "name", evil)
    run(visit, evil)
    visit.conversation.entries[-1].text = evil
    for html in (texts_html(visit, TEXTS), scores_html(visit.scores(WORDS), WORDS)):
        assert "<img" not in html
