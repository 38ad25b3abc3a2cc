"""What the gallery offers: the bundled examples cover the task."""

from annexe_demo.data.egoirgbench import KINDS, EgoIRGBench
from annexe_demo.data.facts import CATEGORIES
from tests.conftest import EXAMPLES


def test_the_examples_cover_categories_hands_and_kinds_of_query():
    samples = list(EgoIRGBench(EXAMPLES, "test"))
    assert len(samples) == 24
    assert {s.facts.active.category for s in samples if s.facts.active} == set(CATEGORIES)
    holding = [tuple(h.side for h in s.facts.hands if h.grasp) for s in samples]
    assert {("left",), ("right",), ("left", "right"), ()} <= set(holding)
    assert {g.kind for s in samples for g in s.groups} == set(KINDS)
    for sample in samples:
        assert sample.load_image().shape[:2] == sample.load_mask().shape == sample.load_depth().shape
