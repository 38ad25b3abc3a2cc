import numpy as np
import pytest
import torch

from annexe_demo.data.facts import HandFact, ObjectFact, SceneFacts
from annexe_demo.data.training import TrainingData, collate, make_example
from annexe_demo.model import AnnexeModel
from annexe_demo.model.interaction import FACTS, HAND_STATES, UNKNOWN, FactLayout, presence, region_places
from annexe_demo.train import TEXT_MODULES
from tests.drawn_scenes import write_drawn_dataset
from tests.tiny_model import TINY

LAYOUT = FactLayout(categories=3, colors=2)


@pytest.fixture(scope="module")
def batch(data, tokenizer):
    rng = np.random.default_rng(0)
    return collate([make_example(data, i, (96, 160), rng, TINY, tokenizer, 5, training=False) for i in range(4)])


def test_every_group_is_a_distribution_and_what_lies_about_is_not():
    p = LAYOUT.probabilities(torch.randn(5, LAYOUT.size))
    *groups, others = LAYOUT.split(p)
    assert len(groups) == len(FACTS) and others.shape == (5, 3)
    for group in groups:
        torch.testing.assert_close(group.sum(-1), torch.ones(5))


def facts_of(left, right, category, color):
    """(1, LAYOUT.size) from lists of probabilities; nothing is said of the other groups."""
    return torch.cat(
        [torch.tensor(p) for p in (left, right, [0.5, 0.5], [0.2] * LAYOUT.groups[3], category, color, [0.5] * 3)]
    )[None]


def test_facts_fit_together():
    """An object is held if, and only if, a hand holds it, however the groups were classified."""
    left, right, _, _, category, color, _ = LAYOUT.split(LAYOUT.probabilities(4 * torch.randn(50, LAYOUT.size)))
    rests = left[:, :2].sum(-1), right[:, :2].sum(-1)
    assert (category[:, -1] <= torch.minimum(*rests) + 1e-5).all()  # nothing is held: then both hands rest
    assert (category[:, :-1].sum(-1) <= 2 - rests[0] - rests[1] + 1e-5).all()
    torch.testing.assert_close(color[:, -1], category[:, -1])


def test_the_surer_of_two_contradicting_facts_wins():
    idle, bowl = [0.0, 0.7, 0.2, 0.1, 0.0], [0.98, 0.0, 0.0, 0.02]
    left, right, _, _, category, color, _ = LAYOUT.split(
        LAYOUT.consistent(facts_of(idle, [0.0, 0.9, 0.1, 0.0, 0.0], bowl, [0.3, 0.1, 0.6]))
    )
    assert left[0, 2:].sum() > 0.7 > 0.3 > right[0, 2:].sum()
    assert category.argmax() == 0 and color.argmax() == 0


def test_facts_that_fit_stay_as_they_are():
    gone, idle, grip = [1.0, 0, 0, 0, 0], [0.0, 1, 0, 0, 0], [0.0, 0, 0, 1, 0]
    for facts in (
        facts_of(gone, grip, [0.0, 1, 0, 0], [1.0, 0, 0]),
        facts_of(grip, idle, [0.2, 0.8, 0, 0], [0.7, 0.3, 0]),
        facts_of(idle, idle, [0.0, 0, 0, 1], [0.0, 0, 1]),
    ):
        torch.testing.assert_close(LAYOUT.consistent(facts), facts)


def test_pairs_tell_what_both_hands_do_at_once():
    gone, grip = [1.0, 0, 0, 0, 0], [0.0, 0, 0.5, 0.5, 0]
    facts = facts_of(gone, grip, [0.0, 1, 0, 0], [1.0, 0, 0])
    assert LAYOUT.pairs(facts)[0].reshape(3, 3).nonzero().tolist() == [[0, 2]]


def test_pixels_have_a_say_in_whether_a_hand_is_there():
    probabilities = torch.zeros(1, 4, 20, 50)
    probabilities[:, 0] = 1
    assert presence(probabilities).tolist() == [[-4, -4]]
    probabilities[:, 1, 0, :5] = 1  # 5 of 1,000 pixels
    probabilities[:, 2, :10] = 1
    torch.testing.assert_close(presence(probabilities), torch.tensor([[0.0, 4.0]]))


def test_a_mirror_image_has_the_same_facts_with_left_as_right(batch):
    torch.manual_seed(3)
    model = AnnexeModel(TINY).eval()
    with torch.no_grad():
        facts, mirrored = (model.encode_image(pixels)[2] for pixels in (batch.pixels, batch.pixels.flip(-1)))
    torch.testing.assert_close(model.layout.mirror(mirrored), facts, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(mirrored, facts, atol=1e-3)


def test_true_facts_are_certain_and_unknown_ones_evenly_spread():
    interaction = torch.tensor([[0, 2, 1, 0, 3, UNKNOWN]])
    left, right, lifted, surface, category, color, others = LAYOUT.split(
        LAYOUT.true(interaction, torch.tensor([[1, UNKNOWN, 0]]))
    )
    assert left[0, 0] == 1 and right[0, 2] == 1 and lifted[0, 1] == 1 and surface[0, 0] == 1 and category[0, 3] == 1
    assert color.tolist() == [[pytest.approx(1 / 3)] * 3]
    assert others.tolist() == [[1, 0.5, 0]]


def test_the_loss_falls_with_the_truth_and_ignores_what_is_unknown():
    interaction, others = torch.tensor([[0, 2, 1, 0, 3, 1]]), torch.tensor([[1, 0, 0]])
    true = LAYOUT.true(interaction, others)
    right, wrong = LAYOUT.loss(20 * true - 10, interaction, others), LAYOUT.loss(10 - 20 * true, interaction, others)
    assert right < 0.1 < 10 < wrong
    nothing = torch.full_like(interaction, UNKNOWN), torch.full_like(others, UNKNOWN)
    assert LAYOUT.loss(torch.randn(1, LAYOUT.size), *nothing) == 0


def test_places_are_those_of_the_regions():
    regions = torch.zeros(1, 4, 40, 40)
    regions[:, 0] = 1
    regions[:, 0, 20:, :20], regions[:, 1, 20:, :20] = 0, 1  # the left hand fills the lower left quarter
    left, right, active = region_places(regions)[0].reshape(3, 4)
    assert left[:2].tolist() == [pytest.approx(0.25, abs=0.02), pytest.approx(0.75, abs=0.02)]
    assert left[3] == 1 and right[3] == active[3] == 0 and left[2] > right[2]


def test_examples_carry_the_facts_of_their_scene(data, batch):
    for k in range(4):
        facts = data[k].facts
        values = dict(zip(FACTS, batch.interaction[k].tolist(), strict=True))
        assert TINY.categories[values["category"]] == facts.active.category
        assert TINY.colors[values["color"]] == facts.active.color and values["lifted"] == facts.lifted
        hands = {hand.side: hand.grasp for hand in facts.hands}
        for side in ("left", "right"):
            assert HAND_STATES[values[side]] == hands.get(side, "absent")


def test_an_idle_hand_a_missing_object_and_what_lies_about():
    from annexe_demo.data.training import _interaction, _others

    mug = ObjectFact("mug", "red", 4, 0.5, 0.5, 0.02)
    facts = SceneFacts(None, (HandFact("left", None, 1),), False, "floor", (mug,))
    values = dict(zip(FACTS, _interaction(facts, TINY).tolist(), strict=True))
    assert HAND_STATES[values["left"]] == "idle" and HAND_STATES[values["right"]] == "absent"
    assert values["surface"] == 1 and values["lifted"] == UNKNOWN
    assert values["category"] == len(TINY.categories) and values["color"] == len(TINY.colors)
    assert np.flatnonzero(_others(facts, TINY)).tolist() == [TINY.categories.index("mug")]


def test_without_facts_the_description_tells_category_and_colour_alone(tokenizer, tmp_path):
    plain = TrainingData(write_drawn_dataset(tmp_path, {"train": 1}, with_facts=False), "train")
    example = make_example(plain, 0, (96, 160), np.random.default_rng(0), TINY, tokenizer, 3, training=False)
    values = dict(zip(FACTS, example.interaction.tolist(), strict=True))
    caption = plain[0].groups[0].caption
    assert f"{TINY.colors[values['color']]} {TINY.categories[values['category']]}" in caption
    assert {values[name] for name in FACTS[:4]} == set(example.others) == {UNKNOWN}


def test_texts_written_from_true_facts_train_the_text_modules_alone(batch):
    torch.manual_seed(0)
    model = AnnexeModel(TINY).train()
    losses = model(batch, told=True)
    assert set(losses) == {"des", "ans", "cls"}
    sum(losses.values()).backward()
    learning = {n for n, p in model.named_parameters() if p.grad is not None}
    assert all(name.startswith(TEXT_MODULES) for name in learning)
    assert all(any(n.startswith(part) for n in learning) for part in TEXT_MODULES)


def test_told_facts_change_what_is_written(batch):
    torch.manual_seed(0)
    model = AnnexeModel(TINY).eval()
    one = model(batch, told=True)["des"]
    batch.interaction = batch.interaction.flip(0)
    assert not torch.isclose(one, model(batch, told=True)["des"])
