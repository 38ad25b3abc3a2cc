"""Scores of a single picture, by hand-made masks and sentences."""

import numpy as np
import pytest

from annexe_demo.comparison import compare_masks, normalize_depth, rouge_l, true_groundings
from annexe_demo.data.egoirgbench import DatasetError, Group, Question, Sample
from annexe_demo.events import Grounding


def strip(label: str, start: int, end: int, index: int = 0) -> Grounding:
    mask = np.zeros((1, 10), bool)
    mask[:, start:end] = True
    return Grounding(index, label, mask, 0.9, (0, 0))


def test_the_iou_is_of_the_unions_and_each_target_has_its_own():
    truth = [strip("right hand", 0, 4), strip("mug", 4, 8, 1)]
    scores = compare_masks([strip("right hand", 0, 2), strip("bowl", 4, 10, 1)], truth, 0.8)
    assert scores.iou == pytest.approx(6 / 10)
    assert scores.targets == (("right hand", 0.5), ("mug", pytest.approx(4 / 6)))
    assert scores.has_target and scores.claimed


def test_a_target_too_many_and_one_too_few_count_nothing():
    scores = compare_masks([strip("left hand", 0, 4)], [strip("right hand", 0, 4)])
    assert scores.iou == 1 and dict(scores.targets) == {"right hand": 0, "left hand": 0}


@pytest.mark.parametrize(("indicator", "iou"), [(0.1, 1.0), (0.9, 0.0), (None, 0.0)])
def test_without_a_target_the_indicator_decides(indicator, iou):
    assert compare_masks([], [], indicator).iou == iou


def test_below_the_threshold_masks_do_not_count():
    scores = compare_masks([strip("mug", 0, 4)], [strip("mug", 0, 4)], 0.2)
    assert scores.iou == 0 and not scores.claimed and scores.targets == (("mug", 0.0),)


def test_true_groundings_lie_where_the_index_map_says(tmp_path):
    index_map = np.array([[0, 2, 3, 3]], np.uint8)
    answer = "The right hand is <MSK_0>, the mug is <MSK_1>."
    group = Group(("right hand", "mug"), (2, 3), True, "", answer, (Question("q", True),), "multi")
    sample = Sample("s", tmp_path, None, tmp_path, [group])
    hand, mug = true_groundings(sample, group, index_map)
    assert (hand.mask == [[0, 1, 0, 0]]).all() and (mug.mask == [[0, 0, 1, 1]]).all()
    assert [answer[slice(*g.span)] for g in (hand, mug)] == ["right hand", "mug"]
    nothing = Group(("mug",), (0,), True, "", answer, (), "single")
    with pytest.raises(DatasetError, match="index of 'mug' must be 1 or more"):
        true_groundings(sample, nothing, index_map)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "score"),
    # Longest common subsequence of 3 words: precision 3/4, recall 3/3; F with beta 1.2.
    [("a red mug", "A red mug!", 1.0), ("a red mug", "a big red mug", 2.44 * 0.75 / (1 + 1.44 * 0.75)), ("a", "b", 0.0)]
    + [("a", "", 0.0), ("", "a", 0.0)],
)
def test_rouge_l(reference, hypothesis, score):
    assert rouge_l(reference, hypothesis) == pytest.approx(score)


def test_depth_is_normalised_over_what_is_known():
    depth = normalize_depth(np.array([[0, 500, 1000, 1500]], np.float32))
    assert np.isnan(depth[0, 0]) and depth[0, 1:].tolist() == [0, 0.5, 1]
    assert np.isnan(normalize_depth(np.zeros((2, 2)))).all()
    assert (normalize_depth(np.full((2, 2), 7)) == 0).all()
