import re
from functools import cache

import numpy as np
import pytest

from annexe_demo.data.egoirgbench import Group
from annexe_demo.data.facts import CATEGORIES, COLORS, HandFact, ObjectFact, SceneFacts
from annexe_demo.data.language import NO_TARGET_ANSWER, Interaction, annotate, mirror_text, parse_interaction

MASK_IDS = {"left hand": 1, "right hand": 2}


def random_facts(rng: np.random.Generator) -> SceneFacts:
    def thing(mask_id):
        category, color = str(rng.choice(CATEGORIES)), str(rng.choice(COLORS))
        return ObjectFact(
            category, color, mask_id, float(rng.random()), float(rng.random()), float(rng.uniform(0.002, 0.04))
        )

    def grasp():
        return str(rng.choice(["power", "pinch", "palm"]))

    clutter = tuple(thing(4 + n) for n in range(rng.integers(0, 6)))
    left, right = HandFact("left", None, 1), HandFact("right", None, 2)
    kind = rng.integers(8)
    if kind == 0:
        return SceneFacts(None, (), False, "table", clutter)
    if kind == 1:
        return SceneFacts(None, [(left,), (right,), (left, right)][rng.integers(3)], False, "table", clutter)
    busy_left, busy_right = HandFact("left", grasp(), 1), HandFact("right", grasp(), 2)
    hands = [(busy_left,), (busy_right,), (busy_left, busy_right), (left, busy_right), (busy_left, right)][
        rng.integers(5)
    ]
    return SceneFacts(thing(3), hands, bool(rng.random() < 0.5), str(rng.choice(["table", "floor"])), clutter)


def scenes(count=300, split="train", seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        facts = random_facts(rng)
        yield facts, annotate(facts, rng, split)


def truth(facts: SceneFacts) -> Interaction:
    hands = frozenset(h.side for h in facts.hands if h.grasp)
    return Interaction(hands, facts.active and facts.active.category, facts.active and facts.active.color)


def facts_with(hands, active=("mug", "red"), clutter=(), lifted=True):
    grasps = {"left": None, "right": None} | hands
    return SceneFacts(
        active=ObjectFact(*active, 3, 0.5, 0.5, 0.02) if active else None,
        hands=tuple(HandFact(s, grasps[s], i) for i, s in enumerate(("left", "right"), 1) if s in hands),
        lifted=lifted,
        surface="table",
        clutter=tuple(ObjectFact(c, k, 4 + n, 0.2, 0.2, 0.01) for n, (c, k) in enumerate(clutter)),
    )


@cache
def groups_of(facts, count=60, split="train"):
    return [g for seed in range(count) for g in annotate(facts, np.random.default_rng(seed), split)]


def answers_to(facts, query):
    return {g["answer"] for g in groups_of(facts, 400) for q in g["questions"] if q["query"] == query}


# --- groups


def test_analysis_says_what_the_facts_say():
    for facts, groups in scenes():
        caption = groups[0]["caption"]
        assert {g["caption"] for g in groups} == {caption}
        assert parse_interaction(caption) == truth(facts), caption
        assert caption[0].isupper() and caption.endswith(".") and "  " not in caption and "{" not in caption


def test_groups_keep_to_the_layout():
    kinds = set()
    for facts, groups in scenes():
        assert 7 <= len(groups) <= 16
        ids = [q["id"] for g in groups for q in g["questions"]]
        assert ids == list(range(len(ids)))
        for d in groups:
            g = Group.from_dict(d)
            kinds.add(g.kind)
            assert g.to_dict() == d
            assert 1 <= len(g.questions) <= 4 and all(q.query and "{" not in q.query for q in g.questions)
            assert len(g.tokens) == {"single": 1, "no-target": 0, "chat": 0}.get(g.kind, len(g.tokens))
            assert g.kind != "multi" or len(g.tokens) >= 2
            assert re.findall(r"<MSK_\d>", g.answer) == [f"<MSK_{k}>" for k in range(len(g.tokens))]
            order = {"left hand": 0, "right hand": 1}
            assert [order.get(t, 2) for t in g.tokens] == sorted(order.get(t, 2) for t in g.tokens)
            for k, (token, index) in enumerate(zip(g.tokens, g.masks_idx, strict=True)):
                before = g.answer.split(f"<MSK_{k}>")[0]
                assert re.search(rf"\b{token}( is| are)? $", before), g.answer
                assert index == MASK_IDS.get(token, 3)
                assert token in MASK_IDS or token == facts.active.category
            if g.kind == "no-target":
                assert g.answer == NO_TARGET_ANSWER
    assert kinds == {"single", "multi", "no-target", "chat"}


def test_the_same_generator_state_gives_the_same_groups():
    facts = random_facts(np.random.default_rng(5))
    assert annotate(facts, np.random.default_rng(1), "val") == annotate(facts, np.random.default_rng(1), "val")
    assert annotate(facts, np.random.default_rng(1), "val") != annotate(facts, np.random.default_rng(2), "val")


def test_one_query_never_means_two_things_in_a_scene():
    """A query that has a mask under one wording must not be a no-target query under another draw."""
    rng = np.random.default_rng(3)
    for _ in range(12):
        facts = random_facts(rng)
        meaning = {}
        for g in groups_of(facts, 40):
            for q in g["questions"]:
                key = q["query"].lower().rstrip(".?")
                tokens = (g["kind"] == "chat", *g["tokens"])
                assert meaning.setdefault(key, tokens) == tokens, (facts, key)


def test_test_split_has_wordings_of_its_own():
    train, test = (
        {q["query"] for _, groups in scenes(200, s) for g in groups for q in g["questions"]} for s in ("train", "test")
    )
    unseen = re.compile(r"\b(outline|point out|which pixels|cut .* out)\b", re.IGNORECASE)
    assert not [q for q in train if unseen.search(q)]
    assert len([q for q in test if unseen.search(q)]) > 100


def test_unknown_split_is_refused():
    with pytest.raises(ValueError, match="but got 'dev'"):
        annotate(random_facts(np.random.default_rng(0)), np.random.default_rng(0), "dev")


# --- truth of single queries


def test_negation_means_the_other_hand():
    facts = facts_with({"left": None, "right": "power"})
    query = "Please segment the hand that is not the right hand."
    answers = answers_to(facts, query)
    assert answers and all("left hand" in a and "right" not in a for a in answers)
    assert answers_to(facts_with({"right": "power"}), query) == {NO_TARGET_ANSWER}


def test_object_in_the_other_hand_and_clutter_are_no_targets():
    facts = facts_with({"left": None, "right": "power"}, clutter=[("bowl", "white")])
    assert answers_to(facts, "Please segment the mug in the left hand.") == {NO_TARGET_ANSWER}
    assert answers_to(facts, "Please segment the active bowl.") == {NO_TARGET_ANSWER}
    assert NO_TARGET_ANSWER not in answers_to(facts, "Please segment the active mug.")
    # Merely named, what lies about is neither promised nor denied.
    assert answers_to(facts, "Please segment the bowl.") == set()


def test_a_second_mug_on_the_table_makes_the_bare_name_ambiguous():
    assert answers_to(facts_with({"right": "power"}), "Please segment the mug.")
    assert not answers_to(facts_with({"right": "power"}, clutter=[("mug", "blue")]), "Please segment the mug.")


def test_hands_and_objects_in_interaction_leave_out_an_idle_hand():
    query = "Please segment the hands and objects in interaction."
    for g in groups_of(facts_with({"left": None, "right": "pinch"}), 100):
        if any(q["query"] == query for q in g["questions"]):
            assert g["tokens"] == ["right hand", "mug", "", ""]
    for g in groups_of(facts_with({"left": "palm", "right": "pinch"})):
        if any(q["query"] == query for q in g["questions"]):
            assert g["tokens"] == ["left hand", "right hand", "mug", ""] and g["masks_idx"] == [1, 2, 3, 0]


def test_chat_answers():
    facts = facts_with({"left": None, "right": "power"}, clutter=[("bowl", "white"), ("scissors", "red")])
    assert answers_to(facts, "What is the right hand holding?") == {"The right hand is holding a red mug."}
    assert answers_to(facts, "What is the left hand holding?") == {"The left hand is not holding anything."}
    assert answers_to(facts, "Which hand is holding the mug?") == {"The right hand is holding the mug."}
    assert answers_to(facts, "What color is the mug?") == {"The mug is red."}
    assert answers_to(facts, "How many hands are visible?") == {"Two hands are visible."}
    assert answers_to(facts, "Is the left hand visible?") == {"Yes, the left hand is visible."}
    assert answers_to(facts, "What else is on the table?") == {"A bowl and a pair of scissors are also on the table."}
    assert answers_to(facts, "Where is the mug?") == {
        "The mug is in the center of the picture, lifted above the table."
    }
    alone = facts_with({"right": "power"})
    assert answers_to(alone, "How many hands are visible?") == {"One hand is visible, the right hand."}
    assert answers_to(alone, "Is the left hand visible?") == {"No, the left hand is not visible."}
    assert answers_to(alone, "What is the left hand holding?") == {"The left hand is not visible."}


def test_verbs_follow_grasp_and_lift():
    def captions(**k):
        return {g["caption"] for g in groups_of(facts_with(**k), 80)}

    typed = captions(hands={"left": "palm", "right": "palm"}, active=("laptop", "silver"), lifted=False)
    assert any("typing on" in c for c in typed) and not any("holding" in c or "over the" in c for c in typed)
    poured = captions(hands={"right": "power"}, active=("kettle", "white"))
    assert any("pouring from" in c for c in poured) and not any(" on the table" in c for c in poured)
    both = captions(hands={"left": "power", "right": "power"}, active=("knife", "black"))
    assert not any("cutting" in c for c in both)


def test_no_visible_hand():
    facts = facts_with({}, active=None, clutter=[("bowl", "white")])
    groups = groups_of(facts, 20)
    assert not [g for g in groups if g["with_mask"]]
    assert all("no hand" in g["caption"].lower() for g in groups)
    assert answers_to(facts, "Please segment the hands and objects in interaction.") == {NO_TARGET_ANSWER}


def test_object_whose_hand_is_out_of_the_picture_is_not_active():
    facts = facts_with({}, active=("mug", "red"))
    groups = annotate(facts, np.random.default_rng(0), "train")
    assert parse_interaction(groups[0]["caption"]) == Interaction(frozenset(), None, None)
    assert not any(g["with_mask"] for g in groups)


# --- reading back


@pytest.mark.parametrize(
    ("text", "hands", "category", "color"),
    [
        ("In this image, the right hand of the person is holding a white trash can over the table.", "right", "trash can", "white"),
        ("The picture shows a person's right hand grasping a mug.", "right", "mug", None),
        ("This image captures a person wielding a chair with both hands.", "left right", "chair", None),
        ("The left hand and the right hand are opening a light blue laptop.", "left right", "laptop", "light blue"),
        ("A left hand holds a grey kettle, while the right hand rests on the table.", "left", "kettle", "gray"),
        ("The left hand is holding a red bowl and the right hand is free.", "left", "bowl", "red"),
        ("Two hands of a person hold an orange stapler.", "left right", "stapler", "orange"),
        ("The right hand is holding an empty bottle.", "right", "bottle", None),
        ("His left hand rests on the black laptop.", "left", "laptop", "black"),
        ("A yellow toy car on the table is touched by the right hand; the left hand is not visible.", "right", "toy car", "yellow"),
        ("Both hands are visible; neither touches anything.", "", None, None),
        ("The person's hands are empty.", "", None, None),
        ("No hand can be seen in this image; a red mug is on the table.", "", None, None),
        ("", "", None, None),
    ],
)  # fmt: skip
def test_parse_interaction(text, hands, category, color):
    assert parse_interaction(text) == Interaction(frozenset(hands.split()), category, color)


def test_mirror_text():
    assert mirror_text("The LEFT hand, Right-hand side; leftover bright copyright.") == (
        "The RIGHT hand, Left-hand side; leftover bright copyright."
    )
    for facts, groups in scenes(50):
        caption = groups[0]["caption"]
        assert mirror_text(mirror_text(caption)) == caption
        sides = {"left": "right", "right": "left"}
        assert parse_interaction(mirror_text(caption)).hands == {sides[s] for s in truth(facts).hands}
