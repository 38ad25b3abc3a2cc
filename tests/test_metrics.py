import shutil

import numpy as np
import pytest

from annexe_demo.metrics import (
    GroundingMetrics,
    TextMetrics,
    category_correct,
    color_correct,
    depth_mae,
    hands_correct,
    intersection_and_union,
    pair_targets,
    tokenize,
)


def strip(start, stop, length=10):
    mask = np.zeros((1, length), bool)
    mask[0, start:stop] = True
    return mask


def test_intersection_and_union():
    assert intersection_and_union(strip(0, 4), strip(2, 8)) == (2, 8)
    assert intersection_and_union(None, strip(2, 8)) == (0, 6)
    assert intersection_and_union(None, None) == (0, 0)
    with pytest.raises(ValueError, match=r"\(1, 10\) and \(1, 9\)"):
        intersection_and_union(strip(0, 4), strip(0, 4, 9))


def test_ciou_sums_over_the_split_and_giou_means_over_queries():
    m = GroundingMetrics()
    assert m.add(strip(0, 4), strip(2, 8), True) == pytest.approx(2 / 8)
    assert m.add(strip(5, 6), strip(5, 6), True) == 1.0
    assert m.add(None, strip(0, 3), True) == 0.0
    assert m.add(None, None, False) == 1.0
    assert m.add(strip(0, 2), None, False) == 0.0
    assert m.ciou == pytest.approx((2 + 1 + 0) / (8 + 1 + 3))
    assert m.giou == pytest.approx((0.25 + 1 + 0 + 1 + 0) / 5)
    assert m.no_target_accuracy == 0.5
    assert m.indicator_accuracy == pytest.approx(3 / 5)
    assert len(m) == 5


def test_indicator_decides_at_one_half():
    m = GroundingMetrics()
    assert m.add(None, None, False, indicator=0.49) == 1.0
    assert m.add(None, None, False, indicator=0.5) == 0.0
    m.add(strip(0, 1), strip(0, 1), True, indicator=0.9)
    assert m.no_target_accuracy == 0.5
    assert m.indicator_accuracy == pytest.approx(2 / 3)


def test_nothing_counted_is_none_not_zero():
    m = GroundingMetrics()
    assert m.summary() == {
        "ciou": None, "giou": None, "no_target_accuracy": None, "indicator_accuracy": None, "ciou_by_target": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("predicted", "truth", "pairs"),
    [
        (["mug", "right hand"], ["right hand", "mug"], [(1, 0), (0, 1)]),
        (["right hand", "bowl"], ["right hand", "mug"], [(0, 0), (1, 1)]),  # the object, wrongly named
        (["left hand"], ["right hand"], [(None, 0), (0, None)]),  # the wrong hand is not the right one
        ([], ["mug"], [(None, 0)]),
        (["mug"], [], [(0, None)]),
    ],
)
def test_pair_targets(predicted, truth, pairs):
    assert pair_targets(predicted, truth) == pairs


def test_ciou_by_target():
    m = GroundingMetrics()
    m.add_targets(
        [("left hand", strip(0, 4)), ("bowl", strip(5, 7))], [("mug", strip(5, 9)), ("left hand", strip(0, 4))]
    )
    m.add_targets([("right hand", strip(0, 2))], [("left hand", strip(0, 4))])
    assert m.ciou_by_target == {"left hand": 4 / 8, "object": 2 / 4, "right hand": 0.0}


def test_tokenize():
    assert tokenize("The person's Right-hand is <MSK_0>, a mug!") == "the person's right hand is msk0 a mug"


SENTENCES = [
    "The right hand of the person is holding a red mug.",
    "Both hands are opening a silver laptop on the table.",
    "A person's left hand is carrying a white kettle over the floor.",
]


def test_cider_of_perfect_sentences_is_ten_and_of_unrelated_ones_zero():
    perfect, unrelated = TextMetrics(), TextMetrics()
    for text in SENTENCES:
        perfect.add(text, text.lower())
        unrelated.add(text, "zebras run quickly")
    assert perfect.cider() == pytest.approx(10.0)
    assert unrelated.cider() == 0.0


def test_cider_takes_the_reference_first():
    """Document frequencies come from the references: swapped arguments give another score."""
    one, other = TextMetrics(), TextMetrics()
    for a, b in zip(SENTENCES, [SENTENCES[0]] * 3, strict=True):
        one.add(a, b)
        other.add(b, a)
    assert one.cider() == pytest.approx(10 / 3, abs=0.5)
    assert other.cider() == 0.0  # one sentence as reference of all: every word is in every document


def test_text_metrics_without_a_pair():
    m = TextMetrics()
    assert m.cider() is None
    assert m.meteor() == (None, "there is no sentence to score")


def test_meteor_without_java_says_why(monkeypatch):
    monkeypatch.setattr("annexe_demo.metrics.shutil.which", lambda _: None)
    m = TextMetrics()
    m.add("a mug", "a mug")
    score, reason = m.meteor()
    assert score is None and "Java" in reason


@pytest.mark.skipif(shutil.which("java") is None, reason="METEOR needs Java")
def test_meteor_scores_and_leaves_no_process(monkeypatch):
    meteor = pytest.importorskip("pycocoevalcap.meteor.meteor")
    started = []
    init = meteor.Meteor.__init__
    monkeypatch.setattr(meteor.Meteor, "__init__", lambda self: (init(self), started.append(self.meteor_p))[0])
    m = TextMetrics()
    for text in SENTENCES:
        m.add(text, text)
    m.add("the left hand is empty", "")
    m.add("the left hand is empty", "zebras ||| run\nquickly")
    score, reason = m.meteor()
    assert reason is None and 0.5 < score < 1.0
    assert len(started) == 1 and started[0].poll() is not None


@pytest.mark.skipif(shutil.which("java") is None, reason="METEOR needs Java")
def test_meteor_reports_a_java_that_fails(monkeypatch):
    monkeypatch.setattr("pycocoevalcap.meteor.meteor.METEOR_JAR", "missing.jar")
    m = TextMetrics()
    m.add("a mug", "a mug")
    score, reason = m.meteor()
    assert score is None and reason.startswith("METEOR failed")


def test_analysis_facts():
    truth = "In this image, the right hand of the person is holding a red mug over the table."
    said = "The picture shows a person's right hand lifting a red bottle, while the left hand is empty."
    assert hands_correct(said, truth) and color_correct(said, truth) and not category_correct(said, truth)
    assert not hands_correct("Both hands are holding a red mug.", truth)
    assert color_correct(said, "The right hand grasps a mug.") is None
    nobody = "No hand can be seen in this image; only the table is visible."
    assert category_correct(nobody, "The left hand of the person is empty.")
    assert not category_correct(said, nobody)


def test_depth_mae():
    truth = np.array([[1000.0, 2000.0], [3000.0, 0.0]])  # 0: no measurement
    assert depth_mae(np.array([[0.0, 0.5], [1.0, 9.0]]), truth) == pytest.approx(0.0)
    # Normalised 0, 1, 0.5 against 0, 0.5, 1.
    assert depth_mae(np.array([[2.0, 4.0], [3.0, 9.0]]), truth) == pytest.approx(1 / 3)
    assert depth_mae(np.array([[0.0, 1.0], [7.0, 7.0]]), truth, np.array([[1, 1], [0, 0]])) == pytest.approx(0.0)
    assert depth_mae(np.ones((2, 2)), truth) == pytest.approx(0.5)  # a flat map is 0 everywhere
    assert depth_mae(np.ones((2, 2)), np.zeros((2, 2))) is None
    with pytest.raises(ValueError, match="equally large"):
        depth_mae(np.ones((2, 3)), truth)
