"""What is said of a picture: analyses, queries and answers made from scene facts, and facts read back out of sentences.

`annotate` writes the query groups of one generated scene in the wording of Ego-IRGBench. Everything it says follows from
the `SceneFacts`; only the wording is drawn at random. Hands, colour and category always stand in a form that
`parse_interaction` reads back. The test split has query wordings of its own, so that a model cannot have learnt them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from annexe_demo.data.egoirgbench import MAX_TARGETS, SPLITS
from annexe_demo.data.facts import CATEGORIES, COLORS, HandFact, ObjectFact, SceneFacts

NO_TARGET_ANSWER = "There is no suitable results of your query."  # the benchmark's own sentence, spelt as it spells it

# --------------------------------------------------------------------------------------------------------------------
# Words

_PLURAL_ONLY = frozenset({"scissors", "pliers"})
_UNCOUNTABLE = frozenset({"storage furniture"})
_OTHER_SIDE = {"left": "right", "right": "left"}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# Things that a table may well hold and the generator never makes: asked for, they have no mask.
_ABSENT_THINGS = (
    "spoon", "fork", "hammer", "screwdriver", "camera", "umbrella", "wallet", "headphones", "candle", "brush", "sponge",
    "game controller", "flashlight", "teddy bear", "wrench",
)  # fmt: skip
# Things that may lie about without being listed in the facts, but are never in a hand.
_UNTOUCHED_THINGS = ("book", "phone", "banana", "pen", "apple", "ball", "plate", "remote", "box", "cloth")

# Colours that one lighting or another makes look alike: never told apart in a question that expects "no".
_ALIKE = (
    {"blue", "light blue", "cyan", "purple"}, {"gray", "silver", "white", "black"}, {"white", "beige"},
    {"red", "orange", "pink"}, {"yellow", "orange", "beige"}, {"brown", "orange", "beige", "black", "red"},
    {"green", "cyan", "light blue"}, {"pink", "purple"},
)  # fmt: skip

_PARTICIPLES = {
    "holding": "held", "carrying": "carried", "lifting": "lifted", "picking up": "picked up", "grasping": "grasped",
    "touching": "touched", "pushing": "pushed", "opening": "opened", "pressing": "pressed", "adjusting": "adjusted",
    "moving": "moved", "pulling": "pulled", "using": "used",
}  # fmt: skip

# What a grasp alone supports, by (lifted, grasp).
_VERBS = {
    (True, "power"): ("holding", "carrying", "lifting"),
    (True, "pinch"): ("holding", "picking up", "lifting"),
    (True, "palm"): ("holding", "carrying"),
    (False, "power"): ("holding", "grasping"),
    (False, "pinch"): ("grasping", "holding"),
    (False, "palm"): ("touching",),
}

# What the category adds, by (category, lifted, grasp): the verbs to use in place of those above.
_CATEGORY_VERBS = {
    ("kettle", True, "power"): ("pouring from", "carrying", "holding"),
    ("knife", True, "power"): ("cutting with", "holding"),
    ("scissors", True, "power"): ("cutting with", "holding"),
    ("scissors", True, "pinch"): ("cutting with", "holding"),
    ("pliers", True, "power"): ("using", "holding"),
    ("pliers", True, "pinch"): ("using", "holding"),
    ("laptop", False, "palm"): ("typing on", "touching"),
    ("laptop", False, "pinch"): ("opening", "grasping"),
    ("laptop", False, "power"): ("opening", "grasping"),
    ("storage furniture", False, "pinch"): ("opening", "pulling"),
    ("storage furniture", False, "power"): ("opening", "pulling"),
    ("storage furniture", False, "palm"): ("pushing", "touching"),
    ("safe", False, "pinch"): ("opening", "grasping"),
    ("safe", False, "power"): ("opening", "grasping"),
    ("safe", False, "palm"): ("pushing", "touching"),
    ("lamp", False, "pinch"): ("adjusting", "grasping"),
    ("lamp", False, "power"): ("adjusting", "holding"),
    ("stapler", False, "palm"): ("pressing", "touching"),
    ("stapler", False, "power"): ("pressing", "holding"),
    ("toy car", False, "palm"): ("pushing", "touching"),
    ("toy car", False, "pinch"): ("pushing", "playing with", "grasping"),
    ("toy car", False, "power"): ("pushing", "playing with", "holding"),
    ("chair", False, "palm"): ("pushing", "touching"),
    ("chair", False, "pinch"): ("moving", "pulling", "grasping"),
    ("chair", False, "power"): ("moving", "pulling", "holding"),
}
# Too large or too fixed to be held, unless lifted: a hand touches them.
_STATIONARY = frozenset({"storage furniture", "safe", "laptop"})
_ONE_HANDED = frozenset({"cutting with", "pouring from"})


def _is_plural(noun: str) -> bool:
    return noun in _PLURAL_ONLY or (noun.endswith("s") and not noun.endswith("ss"))


def _be(noun: str) -> str:
    return "are" if _is_plural(noun) else "is"


def _article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _indefinite(noun: str, color: str | None = None) -> str:
    """``mug`` -> ``a red mug``, ``scissors`` -> ``a pair of red scissors``: the colour right before the noun."""
    words = f"{color} {noun}" if color else noun
    if noun in _UNCOUNTABLE:
        return f"a piece of {words}"
    return f"a pair of {words}" if _is_plural(noun) else _article(words)


def _counted(noun: str, count: int) -> str:
    if count == 1:
        return _indefinite(noun)
    number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    if noun in _UNCOUNTABLE:
        return f"{number} pieces of {noun}"
    if _is_plural(noun):
        return f"{number} pairs of {noun}"
    ending = noun[:-2] + "ves" if noun.endswith("fe") and noun != "safe" else noun + "s"
    return f"{number} {noun + 'es' if noun.endswith(('ch', 'sh', 'x', 'ss')) else ending}"


def _listing(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _look_alike(a: str, b: str) -> bool:
    return a == b or any(a in group and b in group for group in _ALIKE)


# --------------------------------------------------------------------------------------------------------------------
# Random choice


def _pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


def _draw(rng: np.random.Generator, options: Sequence[Any], count: int) -> list[Any]:
    """Up to ``count`` different options, in random order."""
    order = rng.permutation(len(options))[:count]
    return [options[int(i)] for i in order]


# --------------------------------------------------------------------------------------------------------------------
# A scene as sentences need it


@dataclass(frozen=True)
class _Scene:
    """Facts sorted by role. Without a visible hand on it, an object is no active object, and the other way round."""

    active: ObjectFact | None
    hands: dict[str, HandFact]
    interacting: tuple[str, ...]  # sides, left first
    idle: tuple[str, ...]
    absent: tuple[str, ...]
    lifted: bool
    surface: str
    clutter: tuple[ObjectFact, ...]

    @classmethod
    def of(cls, facts: SceneFacts) -> _Scene:
        hands = {h.side: h for side in ("left", "right") for h in facts.hands if h.side == side}
        interacting = tuple(s for s, h in hands.items() if h.grasp is not None) if facts.active else ()
        active = facts.active if interacting else None
        clutter = facts.clutter if active or not facts.active else (facts.active, *facts.clutter)
        return cls(
            active=active,
            hands=hands,
            interacting=interacting,
            idle=tuple(s for s in hands if s not in interacting),
            absent=tuple(s for s in ("left", "right") if s not in hands),
            lifted=bool(active) and facts.lifted,
            surface=facts.surface,
            clutter=tuple(sorted(clutter, key=lambda o: -o.area)),
        )

    @property
    def held(self) -> bool:
        """The active object is in a hand, and not merely under a palm."""
        if self.lifted or self.active is None:
            return self.lifted
        return self.active.category not in _STATIONARY and any(self.hands[s].grasp != "palm" for s in self.interacting)

    @property
    def contact(self) -> str:
        return "holding" if self.held else "touching"

    @property
    def visible(self) -> tuple[str, ...]:
        return tuple(self.hands)

    @property
    def nouns(self) -> set[str]:
        return {o.category for o in self.clutter} | ({self.active.category} if self.active else set())

    @property
    def twin(self) -> bool:
        """An object of the active one's category lies about: its name alone does not single it out."""
        return self.active is not None and any(o.category == self.active.category for o in self.clutter)

    def verbs(self) -> tuple[str, ...]:
        """Verbs that are true of every interacting hand."""
        assert self.active is not None
        choices = []
        for side in self.interacting:
            grasp = self.hands[side].grasp
            special = _CATEGORY_VERBS.get((self.active.category, self.lifted, grasp))
            choices.append(special or _VERBS[self.lifted, grasp])
        common = tuple(v for v in choices[0] if all(v in c for c in choices))
        if len(choices) > 1:
            common = tuple(v for v in common if v not in _ONE_HANDED)
        return common or (("holding",) if self.held and self.lifted else ("touching",))


def _hands_phrase(sides: Sequence[str], owner: str, rng: np.random.Generator) -> str:
    """``owner`` "of": "the right hand of the person"; "a" or "the": "a person's right hand"; "": "the right hand"."""
    if len(sides) == 2:
        number = _pick(rng, ("both", "two"))
        if owner == "of":
            return "both hands of the person" if number == "both" else "two hands of the person"
        return f"{owner} person's {'two' if owner == 'a' else number} hands" if owner else "both hands"
    side = sides[0]
    if owner == "of":
        return f"the {side} hand of the person"
    return f"{owner} person's {side} hand" if owner else f"the {side} hand"


# --------------------------------------------------------------------------------------------------------------------
# Analysis

# {hands}: of the person; {a_hands}, {the_hands}: a/the person's; {with_}: the right hand, both hands.
_ANALYSES = (
    "In this image, {hands} {be} {verb} {object} {place}",
    "The picture shows {a_hands} {verb} {object} {place}",
    "In the picture, {the_hands} {be} {verb} {object} {place}",
    "From the first-person view, {the_hands} can be seen {verb} {object} {place}",
    "The image depicts {hands} {verb} {object} {place}",
)
_ANALYSES_PLACE_FIRST = ("{Place}, {hands} {be} {verb} {object}",)
_ANALYSES_TOOL = (  # not for verbs that already end in "with"
    "This image captures a person {verb} {object} {place} with {with_}",
    "In this image, the person is {verb} {object} {place} with {with_}",
)
_ANALYSES_PASSIVE = ("{Object} is being {participle} {place} by {hands}",)

_IDLE_CLAUSES = (
    ", while {the_hand} is empty", ", while {the_hand} is resting", ", while {the_hand} is idle",
    ". {The_hand} does not touch anything", ". {The_hand} is empty",
)  # fmt: skip

_IDLE_ANALYSES = (
    "In this image, {hands} {be} empty.",
    "The picture shows {a_hands}, not holding anything.",
    "In the picture, {the_hands} {be} resting and {be} not in contact with any object.",
    "From the first-person view, {the_hands} {be} idle and {be} not touching anything.",
    "This image captures a person whose {whose} {be} empty.",
    "In this image, the person is not holding anything; {hands} {be} resting.",
)

_NO_HAND_ANALYSES = (
    "No hand can be seen in this image; {rest}.",
    "In this image, no hand of the person is visible; {rest}.",
    "There is no hand in the picture; {rest}.",
    "The picture shows no hand of the person; {rest}.",
)


def _place(scene: _Scene, verb: str, rng: np.random.Generator) -> str:
    if verb == "picking up":
        return f"from the {scene.surface}"
    return f"{_pick(rng, ('over', 'over', 'above')) if scene.lifted else 'on'} the {scene.surface}"


def _analyse(scene: _Scene, verb: str | None, rng: np.random.Generator) -> str:
    """The scene's description, independent of any query."""
    if not scene.hands:
        things = [_indefinite(o.category, o.color) for o in scene.clutter[:2]]
        if things:
            be = "are" if len(things) > 1 else "is"
            rest = f"{_listing(things)} {be} on the {scene.surface}"
        else:
            rest = f"only the {scene.surface} is visible"
        return _pick(rng, _NO_HAND_ANALYSES).format(rest=rest)

    sides = scene.interacting or scene.idle
    words = {
        "hands": _hands_phrase(sides, "of", rng),
        "a_hands": _hands_phrase(sides, "a", rng),
        "the_hands": _hands_phrase(sides, "the", rng),
        "with_": _hands_phrase(sides, "", rng),
        "whose": "hands" if len(sides) == 2 else f"{sides[0]} hand",
        "be": "are" if len(sides) == 2 else "is",
    }
    if not scene.interacting:
        return _pick(rng, _IDLE_ANALYSES).format(**words)

    assert scene.active is not None and verb is not None
    patterns = list(_ANALYSES)
    if verb != "picking up":
        patterns += _ANALYSES_PLACE_FIRST
    if not verb.endswith(" with"):
        patterns += _ANALYSES_TOOL
    if verb in _PARTICIPLES:
        patterns += _ANALYSES_PASSIVE
    place = _place(scene, verb, rng)
    thing = _indefinite(scene.active.category, scene.active.color)
    words |= {"verb": verb, "object": thing, "Object": _capital(thing), "place": place, "Place": _capital(place)}
    words["participle"] = _PARTICIPLES.get(verb, "")
    text = _pick(rng, patterns).format(**words)
    if scene.idle:
        hand = f"the {scene.idle[0]} hand"
        text += _pick(rng, _IDLE_CLAUSES).format(the_hand=hand, The_hand=_capital(hand))
    return text + "."


# --------------------------------------------------------------------------------------------------------------------
# Queries for masks: a frame and a description of the target, or the description alone

_FRAMES = (
    "Please segment {x}.", "Please segment {x}.", "Please segment {x}.", "Please segment {x} in the image.",
    "Segment {x}.", "Segment {x} in the picture.", "Can you segment {x}?", "Show me {x}.", "Highlight {x}.",
    "Find {x} in the picture.", "Please mark {x}.", "Give me the mask of {x}.", "I want to see {x}.",
    "Please provide the segmentation of {x}.", "Please locate and segment {x}.", "Can you show {x} in this image?",
)  # fmt: skip
_TEST_FRAMES = (
    "Could you outline {x}?", "Please point out {x}.", "Draw the mask of {x} in this photo.",
    "I need a segmentation mask for {x}.", "Which pixels belong to {x}?", "Please cut {x} out of the photo.",
)  # fmt: skip

# "all the hands in the image" says already where to look.
_PLACED = frozenset({"all the hands in the image"})
_PLAIN_FRAMES = tuple(f for f in _FRAMES if not f.endswith(("image.", "image?", "picture.")))
_PLAIN_TEST_FRAMES = tuple(f for f in _TEST_FRAMES if "photo" not in f)


@dataclass(frozen=True)
class _Target:
    """A set of targets with the ways to ask for it; ``sides`` and ``object`` empty: there is none of it."""

    descriptions: tuple[str, ...]
    sides: tuple[str, ...] = ()
    object: bool = False
    test_descriptions: tuple[str, ...] = ()  # kept for the test split


def _unpunctuated(query: str, rng: np.random.Generator) -> str:
    """As people type: now and then without capitals or the final stop."""
    if rng.random() < 0.15:
        query = query.lower() if rng.random() < 0.7 else query
        query = query.rstrip(".?")
    return query


def _mask_queries(target: _Target, split: str, rng: np.random.Generator) -> list[tuple[str, bool]]:
    """Two to four wordings, each with whether it is a sentence."""
    queries: dict[str, bool] = {}
    count = int(rng.integers(2, 5))
    for n in range(count):
        # Every test group has one wording that training never saw.
        unseen = split == "test" and n == 0
        description = _pick(rng, target.descriptions)
        frame = _pick(rng, _PLAIN_FRAMES if description in _PLACED else _FRAMES)
        if unseen and target.test_descriptions and rng.random() < 0.5:
            description = _pick(rng, target.test_descriptions)
        elif unseen:
            frame = _pick(rng, _PLAIN_TEST_FRAMES if description in _PLACED else _TEST_FRAMES)
        if n and rng.random() < 0.35:
            phrase = description
            if rng.random() < 0.6:
                phrase = description.removeprefix("the ")
            query, is_sentence = _capital(phrase) + _pick(rng, (".", ".", ".", "?", "")), False
        else:
            query, is_sentence = frame.format(x=description), True
        queries.setdefault(_unpunctuated(query, rng), is_sentence)
    return list(queries.items())


def _hand_descriptions(side: str) -> tuple[str, ...]:
    return (
        f"the {side} hand", f"the {side} hand", f"the {side} hand of the person", f"the person's {side} hand",
        f"my {side} hand", f"{side} hand",
    )  # fmt: skip


def _other_hand_descriptions(side: str) -> tuple[str, ...]:
    other = _OTHER_SIDE[side]
    return f"the hand that is not the {other} hand", f"the hand other than the {other} hand"


_INTERACTING_HAND = (
    "the hand that is in interaction", "the hand in interaction", "the hand related to interaction", "the active hand",
    "the hand that interacts with an object", "the hand that touches an object",
)  # fmt: skip
_INTERACTING_HANDS = ("the hands in interaction", "the hands that are in interaction", "hands related to interaction")
_IDLE_HAND = (
    "the idle hand", "the hand that is not in interaction", "the empty hand", "the hand that touches nothing",
    "the hand that does not hold anything",
)  # fmt: skip
_ALL_HANDS = ("all the hands in the image", "all hands", "the hands", "all the hands", "every hand of the person")
_INTERACTING_OBJECT = (
    "the object in interaction", "the objects in interaction", "the active object", "objects related to interaction",
    "the object that is in interaction", "the object that the person is interacting with",
    "the object touched by the hand",
)  # fmt: skip
_HANDS_AND_OBJECTS = (
    "the hands and objects in interaction", "the hands and objects in interaction",
    "hands and objects related to interaction", "the hand and the object in interaction",
    "the hands and the object that are in interaction", "all hands and objects involved in the interaction",
)  # fmt: skip


def _active_descriptions(noun: str, sides: Sequence[str], held: bool) -> tuple[str, ...]:
    """Ways to ask for an object of this name that the named hands touch."""
    words = [f"the active {noun}", f"the {noun} in interaction", f"the {noun} that is in interaction"]
    for side in sides:
        words += [
            f"active {noun} interacting with the {side} hand",
            f"the {noun} interacting with the {side} hand",
            f"the {noun} touched by the {side} hand",
        ]
        if held:
            words += [f"the {noun} in the {side} hand", f"the {noun} held by the {side} hand"]
    if len(sides) == 2:
        words += [f"{noun} interacting with left hand and right hand", f"the {noun} interacting with both hands"]
    return tuple(words)


def _hand_on_descriptions(noun: str, plural: bool, held: bool) -> tuple[str, ...]:
    hand = "hands" if plural else "hand"
    words = [f"the {hand} interacting with the {noun}", f"the {hand} touching the {noun}"]
    if held:
        words += [f"the {hand} holding the {noun}"]
    return tuple(words)


def _present_targets(scene: _Scene, rng: np.random.Generator) -> list[_Target]:
    """Targets that the picture has: a handful of those that could be asked for."""
    core: list[_Target] = []
    extra: list[_Target] = []
    for side in scene.visible:
        core.append(
            _Target(
                _hand_descriptions(side),
                (side,),
                test_descriptions=(f"the wearer's {side} hand", f"the {side} one of my hands"),
            )
        )
        extra.append(_Target(_other_hand_descriptions(side), (side,)))
    if scene.visible:
        both = ("both hands", "the two hands", "the left hand and the right hand") if len(scene.visible) == 2 else ()
        extra.append(_Target(_ALL_HANDS + both, scene.visible, test_descriptions=("any hand that can be seen",)))
    if len(scene.idle) == 1:
        extra.append(_Target(_IDLE_HAND, scene.idle, test_descriptions=("the hand at rest",)))

    if scene.active:
        noun, color, sides = scene.active.category, scene.active.color, scene.interacting
        two = len(sides) == 2
        holder = _INTERACTING_HANDS if two else _INTERACTING_HAND + _INTERACTING_HANDS
        extra.append(_Target(holder, sides, test_descriptions=("whichever hand is busy",) if not two else ()))
        extra.append(_Target(_hand_on_descriptions(noun, two, scene.held), sides))

        named = _active_descriptions(noun, sides, scene.held)
        if not scene.twin:
            named += (f"the {noun}",) * 4 + (noun, f"the {color} {noun}", f"the {color} {noun}")
        elif not any(o.category == noun and _look_alike(o.color, color) for o in scene.clutter):
            named += (f"the {color} {noun}",) * 3
        core.append(_Target(named, (), True, test_descriptions=(f"the {noun} that the person has a hand on",)))
        role = _INTERACTING_OBJECT
        if not two:
            role += (
                f"the object that the {sides[0]} hand is {scene.contact}",
                f"the object in contact with the {sides[0]} hand",
            )
        core.append(_Target(role, (), True, test_descriptions=("whatever the person is dealing with",)))

        core.append(
            _Target(
                _HANDS_AND_OBJECTS, sides, True, test_descriptions=("everything that takes part in the interaction",)
            )
        )
        it = "hands" if two else "hand"
        pair = [f"the {noun} and the {it} {scene.contact} {'them' if _is_plural(noun) else 'it'}"]
        pair.append(f"the active {noun} and the {it} interacting with {'them' if _is_plural(noun) else 'it'}")
        if not scene.twin:
            pair += [f"{'both hands' if two else f'the {sides[0]} hand'} and the {noun}"]
        extra.append(_Target(tuple(pair), sides, True))
        if scene.idle and not scene.twin:
            extra.append(
                _Target(
                    (f"the {scene.idle[0]} hand and the {noun}", f"the {noun} and the {scene.idle[0]} hand"),
                    scene.idle,
                    True,
                )
            )
    chosen = [t for t in core if rng.random() < 0.85] + _draw(rng, extra, int(rng.integers(1, 4)))
    return _draw(rng, chosen or core, 7)


def _absent_targets(scene: _Scene, rng: np.random.Generator) -> list[_Target]:
    """Targets that the picture could have had and has not."""
    held = bool(rng.random() < 0.7)
    missing = [c for c in CATEGORIES if c not in scene.nouns]
    side = _pick(rng, ("left", "right"))
    options: list[_Target] = []
    for s in scene.absent:
        options += [
            _Target(_hand_descriptions(s), test_descriptions=(f"the wearer's {s} hand", f"the {s} one of my hands"))
        ] * 2
        if len(scene.absent) == 1:
            options.append(_Target(_other_hand_descriptions(s)))
    if len(scene.absent) == 2:
        options.append(_Target((*_ALL_HANDS, "both hands"), test_descriptions=("any hand that can be seen",)))
    if not scene.idle:
        options.append(_Target(_IDLE_HAND, test_descriptions=("the hand at rest",)))
    if not scene.interacting:
        options += [
            _Target(_INTERACTING_HAND + _INTERACTING_HANDS, test_descriptions=("whichever hand is busy",)),
            _Target(_INTERACTING_OBJECT, test_descriptions=("whatever the person is dealing with",)),
            _Target(_HANDS_AND_OBJECTS, test_descriptions=("everything that takes part in the interaction",)),
        ]
    if len(scene.interacting) == 1 and scene.active:
        other = _OTHER_SIDE[scene.interacting[0]]
        noun = scene.active.category
        words = _active_descriptions(noun, (other,), scene.held)[3:]  # those that name the hand
        words += (
            f"the object that the {other} hand is {scene.contact}",
            f"the object in contact with the {other} hand",
        )
        options += [_Target(words)] * 2
    if missing:
        a, b, c, d = (_pick(rng, missing) for _ in range(4))
        options += [
            _Target(
                (f"the {a}",) * 3 + (a, f"the {_pick(rng, COLORS)} {a}"),
                test_descriptions=(f"the {a} that the person has a hand on",),
            ),
            _Target(_active_descriptions(b, (side,), held)),
            _Target((f"the {c} and the hand {'holding' if held else 'touching'} {'them' if _is_plural(c) else 'it'}",)),
            _Target(_hand_on_descriptions(d, False, held)),
        ]
    lying = sorted(n for n in scene.nouns if scene.active is None or n != scene.active.category)
    if lying:  # there, but in no hand: the queries that ask for more than a name
        a, b = _pick(rng, lying), _pick(rng, lying)
        sides = (side,) if rng.random() < 0.7 else ()
        options += [_Target(_active_descriptions(a, sides, held))] * 2 + [
            _Target(_hand_on_descriptions(b, False, held))
        ]
    if scene.active:
        noun = scene.active.category
        colors = [
            c
            for c in COLORS
            if not any(o.category == noun and _look_alike(c, o.color) for o in (scene.active, *scene.clutter))
        ]
        if colors and rng.random() < 0.5:
            options.append(_Target((f"the {_pick(rng, colors)} {noun}",)))
    thing = _pick(rng, [t for t in _ABSENT_THINGS if t not in scene.nouns])
    options.append(_Target((f"the {thing}", f"the {thing}", f"the {thing} in the {side} hand", f"the active {thing}")))
    active_noun = scene.active.category if scene.active else None
    thing = _pick(rng, [t for t in _UNTOUCHED_THINGS if t != active_noun])
    options.append(_Target(_active_descriptions(thing, (side,), held)))

    chosen: list[_Target] = []
    for option in _draw(rng, options, len(options)):
        if option not in chosen:
            chosen.append(option)
    return chosen[: int(rng.integers(3, 5))]


def _mask_answer(names: Sequence[str], rng: np.random.Generator) -> str:
    """The sentence that names each target right before its ``<MSK_k>``."""
    last = len(names) - 1
    style = rng.random()
    if style < 0.7:  # the benchmark's own: an article for hands, none for things
        parts = [f"the mask of {'the ' if n.endswith(' hand') else ''}{n} is <MSK_{k}>" for k, n in enumerate(names)]
        return _capital(", ".join(parts)) + "."
    if style < 0.85:
        be = "are" if last or _is_plural(names[0]) else "is"
        return f"Here {be} {_listing([f'the {n} <MSK_{k}>' for k, n in enumerate(names)])}."
    return _capital(_listing([f"the {n} {_be(n)} <MSK_{k}>" for k, n in enumerate(names)])) + "."


# --------------------------------------------------------------------------------------------------------------------
# Questions with a plain answer


@dataclass(frozen=True)
class _Chat:
    answer: str
    questions: tuple[str, ...]
    test_questions: tuple[str, ...] = ()


def _chats(scene: _Scene, verb: str | None, rng: np.random.Generator) -> list[_Chat]:
    """Every question that this scene can answer, one wording set each."""
    chats: list[_Chat] = []
    sides = scene.interacting
    surface = scene.surface
    thing = _indefinite(scene.active.category, scene.active.color) if scene.active else ""
    with_ = "both hands" if len(sides) == 2 else f"the {sides[0]} hand" if sides else ""

    for side in ("left", "right"):
        if side in sides:
            answer = f"The {side} hand is {scene.contact} {thing}."
            doing = f"The {side} hand is {verb} {thing}."
        elif side in scene.idle:
            answer, doing = f"The {side} hand is not holding anything.", f"The {side} hand is idle."
        else:
            answer = doing = f"The {side} hand is not visible."
        chats.append(
            _Chat(
                answer,
                (f"What is the {side} hand holding?", f"What is in the {side} hand?", f"What is the {side} hand touching?",
                 f"What am I holding in my {side} hand?", f"What does the {side} hand hold?"),
                (f"Which object does the {side} hand have?",),
            )
        )  # fmt: skip
        chats.append(_Chat(doing, (f"What is the {side} hand doing?", f"What is my {side} hand doing?")))
        seen = side in scene.hands
        chats.append(
            _Chat(
                f"Yes, the {side} hand is visible." if seen else f"No, the {side} hand is not visible.",
                (
                    f"Is the {side} hand visible?",
                    f"Can you see the {side} hand?",
                    f"Is there a {side} hand in the image?",
                ),
                (f"Does the photo show the {side} hand?",),
            )
        )
        if seen:
            chats.append(
                _Chat(
                    f"Yes, the {side} hand is {scene.contact} {thing}."
                    if side in sides
                    else f"No, the {side} hand is empty.",
                    (
                        f"Is the {side} hand holding anything?",
                        f"Is the {side} hand in use?",
                        f"Is the {side} hand touching something?",
                    ),
                    (f"Is the {side} hand busy?",),
                )
            )

    what = ("What is the person holding?", "What am I holding?", "What object is in interaction?",
            "What is the object in the hand?", "Which object is the person touching?")  # fmt: skip
    if scene.active:
        answer = f"The person is {scene.contact} {thing} with {with_}."
    else:
        answer = "The person is not holding anything."
    chats += [_Chat(answer, what, ("Name the object that is being used.",))] * 2

    happening = ("What is happening in this image?", "What is happening?", "What is the person doing?", "What am I doing?",
                 "Describe the interaction.", "Describe the image.")  # fmt: skip
    if scene.active and verb:
        place = f"{'over' if scene.lifted else 'on'} the {surface}" if verb != "picking up" else f"from the {surface}"
        subject = "both hands are" if len(sides) == 2 else f"the {sides[0]} hand is"
        answer = f"{_capital(subject)} {verb} {thing} {place}."
    elif scene.hands:
        subject = "both hands are" if len(scene.hands) == 2 else f"the {scene.idle[0]} hand is"
        answer = f"Nothing is happening, {subject} empty."
    else:
        answer = "Nothing is happening, no hand is visible."
    chats += [_Chat(answer, happening, ("Tell me what is going on here.",))] * 2

    count = len(scene.hands)
    if count == 2:
        answer = "Two hands are visible."
    elif count:
        answer = f"One hand is visible, the {scene.visible[0]} hand."
    else:
        answer = "No hand is visible."
    chats.append(
        _Chat(
            answer,
            ("How many hands are visible?", "How many hands are there?", "How many hands can you see?"),
            ("Count the hands.",),
        )
    )

    if scene.hands:
        both = len(sides) == 2
        if both:
            answer = f"Yes, both hands are {scene.contact} {thing}."
        elif sides:
            answer = f"No, only the {sides[0]} hand is {scene.contact} {thing}."
        else:
            answer = "No, no hand is holding anything."
        chats.append(
            _Chat(
                answer,
                ("Are both hands in use?", "Is the person using both hands?", "Are both hands holding something?"),
            )
        )

    missing = [c for c in CATEGORIES if c not in scene.nouns]
    if scene.active:
        chats += _chats_on_active(scene, rng)
    not_held = sorted(n for n in scene.nouns if scene.active is None or n != scene.active.category)
    wrong = _pick(rng, not_held) if not_held and rng.random() < 0.5 else _pick(rng, missing) if missing else None
    if wrong:
        a_wrong = _indefinite(wrong)
        chats.append(
            _Chat(
                f"No, the person is {scene.contact} {thing}."
                if scene.active
                else "No, the person is not holding anything.",
                (f"Is the person holding {a_wrong}?", f"Am I holding {a_wrong}?", f"Is {a_wrong} in the hand?"),
            )
        )
        chats.append(
            _Chat(
                f"No hand is holding {a_wrong}.",
                (f"Which hand is holding the {wrong}?", f"Which hand holds the {wrong}?"),
            )
        )
    chats += _chats_on_clutter(scene, missing, rng)
    return chats


def _chats_on_active(scene: _Scene, rng: np.random.Generator) -> list[_Chat]:
    obj, sides, surface = scene.active, scene.interacting, scene.surface
    assert obj is not None
    noun, color = obj.category, obj.color
    be, the = _be(noun), f"the {noun}"
    # With a second one on the table, questions say which one is meant.
    asked = f"the {noun} in interaction" if scene.twin else the
    hand = "both hands" if len(sides) == 2 else f"the {sides[0]} hand"
    hold = "are" if len(sides) == 2 else "is"
    chats = [
        _Chat(
            f"{_capital(hand)} {hold} {scene.contact} {the}.",
            (f"Which hand is holding the {noun}?", f"Which hand is touching the {noun}?", f"Which hand holds the {noun}?",
             "Which hand is holding the object?", "Which hand is in interaction?", "Which hand is used?"),
            (f"With which hand does the person touch the {noun}?",),
        ),
        _Chat(
            f"{_capital(the)} {be} {color}.",
            (f"What color {be} {asked}?", f"What colour {be} {asked}?", f"Which color does {asked} have?" if be == "is" else f"Which color do {asked} have?",
             "What color is the object in the hand?", "What color is the active object?"),
            (f"Tell me the color of {asked}.",),
        ),
        _Chat(
            f"Yes, the person is {scene.contact} {_indefinite(noun, color)}.",
            (f"Is the person holding {_indefinite(noun)}?", f"Am I holding {_indefinite(noun)}?",
             f"Is {_indefinite(noun)} in the hand?"),
        ),
    ]  # fmt: skip
    others = [c for c in COLORS if not _look_alike(c, color)]
    tint = color if rng.random() < 0.5 else _pick(rng, others)
    chats.append(
        _Chat(
            f"{'Yes' if tint == color else 'No'}, {the} {be} {color}.",
            (f"{_capital(be)} {asked} {tint}?", f"Is the color of {asked} {tint}?"),
        )
    )
    across = "left part" if obj.x < 0.38 else "right part" if obj.x > 0.62 else "center"
    where = f"lifted above the {surface}" if scene.lifted else f"on the {surface}"
    chats.append(
        _Chat(
            f"{_capital(the)} {be} in the {across} of the picture, {where}.",
            (f"Where {be} {asked}?", f"Where in the picture {be} {asked}?", "Where is the active object?"),
            (f"In which part of the photo {be} {asked}?",),
        )
    )
    chats.append(
        _Chat(
            f"No, {the} {be} lifted above the {surface}." if scene.lifted else f"Yes, {the} {be} on the {surface}.",
            (f"{_capital(be)} {asked} on the {surface}?", f"{_capital(be)} {asked} standing on the {surface}?"),
        )
    )
    chats.append(
        _Chat(
            f"Yes, {the} {be} lifted above the {surface}." if scene.lifted else f"No, {the} {be} on the {surface}.",
            (f"{_capital(be)} {asked} lifted?", f"{_capital(be)} {asked} in the air?"),
        )
    )
    return chats


# Below this share of the picture an object is a speck: neither listed nor denied.
_SPECK = 0.0006
_LISTED = 4


def _chats_on_clutter(scene: _Scene, missing: Sequence[str], rng: np.random.Generator) -> list[_Chat]:
    surface = scene.surface
    chats: list[_Chat] = []
    clear = [o for o in scene.clutter if o.area >= _SPECK]
    else_ = (f"What else is on the {surface}?", "What other objects are there?", f"What other things are on the {surface}?",
             "What else can you see?")  # fmt: skip
    plain = (f"What is on the {surface}?", "What objects are there?", f"Which objects are on the {surface}?")
    if clear or not scene.clutter:
        counts: dict[str, int] = {}
        for o in clear:  # the largest first
            counts[o.category] = counts.get(o.category, 0) + 1
        names = [_counted(noun, n) for noun, n in counts.items()]
        if len(names) > _LISTED:
            names = [*names[:_LISTED], "some other things"]
        if names:
            be = "are" if sum(counts.values()) > 1 else "is"
            listing = f"{_capital(_listing(names))} {be} {'also ' if scene.active else ''}on the {surface}."
        else:
            # Not "nothing": the facts may leave out things that have no name in them.
            listing = f"I can name nothing {'else ' if scene.active else ''}on the {surface}."
        questions = else_ if scene.active else plain + else_[1:2]
        chats += [
            _Chat(listing, questions, ("List the remaining objects.",) if scene.active else ("List the objects.",))
        ] * 2
    named = sorted({o.category for o in clear if scene.active is None or o.category != scene.active.category})
    if named:
        noun = _pick(rng, named)
        chats.append(_yes_no(noun, True, surface))
        mine = [o for o in clear if o.category == noun]
        if len(mine) == 1 and mine[0].color in COLORS and mine[0].area > 4 * _SPECK:
            color = mine[0].color
            chats.append(
                _Chat(
                    f"The {noun} {_be(noun)} {color}.",
                    (f"What color {_be(noun)} the {noun}?", f"What colour {_be(noun)} the {noun}?"),
                )
            )
    if missing:
        chats.append(_yes_no(_pick(rng, missing), False, surface))
    return chats


def _yes_no(noun: str, there: bool, surface: str) -> _Chat:
    a_noun = _indefinite(noun)
    answer = f"Yes, there is {a_noun} on the {surface}." if there else f"No, there is no {noun} on the {surface}."
    if not there and _is_plural(noun):
        answer = f"No, there are no {noun} on the {surface}."
    return _Chat(
        answer, (f"Is there {a_noun} on the {surface}?", f"Is there {a_noun} in the image?", f"Can you see {a_noun}?")
    )


# --------------------------------------------------------------------------------------------------------------------
# Groups


def annotate(facts: SceneFacts, rng: np.random.Generator, split: str) -> list[dict[str, Any]]:
    """Write the query groups of one scene, in the layout of `egoirgbench`.

    Args:
        facts: what is true of the scene.
        rng: draws the wording; the same state gives the same groups.
        split: "train", "val" or "test". Test queries use wordings that the other two never do.

    Returns:
        8 to 16 groups of kinds "single", "multi", "no-target" and "chat", each with two to four queries. All have the same
        ``caption``. Targets are ordered left hand, right hand, object.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)} but got {split!r}")
    scene = _Scene.of(facts)
    verb = _pick(rng, scene.verbs()) if scene.active else None
    caption = _analyse(scene, verb, rng)

    groups: list[dict[str, Any]] = []
    for target in _present_targets(scene, rng):
        names = [f"{s} hand" for s in target.sides]
        ids = [scene.hands[s].mask_id for s in target.sides]
        if target.object and scene.active:
            names.append(scene.active.category)
            ids.append(scene.active.mask_id)
        kind = "single" if len(names) == 1 else "multi"
        groups.append(_group(kind, caption, _mask_answer(names, rng), _mask_queries(target, split, rng), names, ids))
    for target in _absent_targets(scene, rng):
        groups.append(_group("no-target", caption, NO_TARGET_ANSWER, _mask_queries(target, split, rng)))

    chosen: list[_Chat] = []
    chats = _chats(scene, verb, rng)
    for chat in _draw(rng, chats, len(chats)):
        if chat not in chosen:
            chosen.append(chat)
    for chat in chosen[: int(rng.integers(4, 6)) + (not scene.hands)]:
        questions = _draw(rng, chat.questions, int(rng.integers(2, 5)))
        if split == "test" and chat.test_questions:
            questions = [_pick(rng, chat.test_questions), *questions[:3]]
        queries = {_unpunctuated(q, rng): q.endswith(("?", ".")) for q in questions}
        groups.append(_group("chat", caption, chat.answer, list(queries.items())))

    number = 0
    for group in groups:
        for question in group["questions"]:
            question["id"] = number
            number += 1
    return groups


def _group(
    kind: str,
    caption: str,
    answer: str,
    queries: Sequence[tuple[str, bool]],
    names: Sequence[str] = (),
    ids: Sequence[int] = (),
) -> dict[str, Any]:
    unused = MAX_TARGETS - len(names)
    return {
        "masks_idx": [*map(int, ids), *[0] * unused],
        "with_mask": int(bool(names)),
        "caption": caption,
        "answer": answer,
        "tokens": [*names, *[""] * unused],
        "questions": [{"query": q, "is_sentence": int(s), "id": 0} for q, s in queries],
        "kind": kind,
    }


# --------------------------------------------------------------------------------------------------------------------
# Reading facts back out of a sentence


@dataclass(frozen=True)
class Interaction:
    """What an analysis says: the sides of the interacting hands, and the category and colour of the active object."""

    hands: frozenset[str]
    category: str | None
    color: str | None


_ALIASES = {
    "cup": "mug", "trash bin": "trash can", "garbage can": "trash can", "garbage bin": "trash can", "dustbin": "trash can",
    "notebook computer": "laptop", "cabinet": "storage furniture", "drawer": "storage furniture", "desk lamp": "lamp",
    "scissor": "scissors", "plier": "pliers", "knives": "knife", "toy vehicle": "toy car", "pail": "bucket",
}  # fmt: skip
_NOUNS = {**{c: c for c in CATEGORIES}, **_ALIASES}
_NOUN_RE = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _NOUNS), key=len, reverse=True)) + r")s?\b")
_COLOR_RE = re.compile(r"\b(" + "|".join(sorted([*COLORS, "grey"], key=len, reverse=True)) + r")[\s-]+$")

_BOTH_RE = re.compile(
    r"\b(?:both|two|the two)(?: of)?(?: his| her| their| my| the| your)? hands\b"
    r"|\bleft and (?:the )?right hands?\b|\bright and (?:the )?left hands?\b"
    r"|\b(?:person's|his|her|their|my|whose) hands\b|\bhands of (?:a|the) person\b"
)
_SIDE_RE = re.compile(r"\b(left|right)[\s-]hand(?:ed)?\b")
# "the left hand and the right hand", unless the second one starts a sentence of its own
_PAIR_RE = re.compile(
    r"\b(?:left|right) hand and (?:the |his |her |their |my )?(?:left|right) hand\b"
    r"(?! (?:is|rests?|lies|stays|does|has|remains)\b)"
)
_ABSENCE_RE = re.compile(
    r"\bno (?:other )?hands?\b|\bhands? (?:is|are) not (?:visible|seen|shown|in)\b|\bhands? cannot be seen\b|\bwithout (?:any )?hands?\b"
)
_IDLE_RE = re.compile(
    r"\b(?:is|are|stays?|remains?|being) (?:both )?(?:empty|idle|free|relaxed|inactive|unused)\b"
    r"|\b(?:empty|idle|free|resting|relaxed|inactive) (?:left |right )?hands?\b"
    r"|\brest(?:s|ing)?\b|\bat rest\b"
    r"|\bnot (?:\w+ )?(?:hold|touch|interact|grasp|involved|in contact|in interaction|in use)|\bneither\b"
    r"|\b(?:hold|touch|interact)\w*(?: with)? nothing\b|\bnothing is\b"
)
# "rests on the laptop" is an interaction, "rests on the table" is none.
_RESTS_ON_RE = re.compile(
    r"\brest(?:s|ing)? (?:on|upon|against) (?:\w+ ){0,3}?(?:" + "|".join(map(re.escape, _NOUNS)) + r")\b"
)
_CLAUSE_RE = re.compile(
    r"[.;:!?]\s*|,?\s*\b(?:while|whereas|although|though)\b\s*"
    # A comma, unless what follows speaks of the hand just named.
    r"|,\s+(?!which|who|that\b|but (?:it|they)\b|and (?:it|they)\b|it\b|they\b|not\b|neither\b|empty\b|idle\b|resting\b)"
    r"|\s+(?:and|but) (?=(?:the|his|her|their|my) (?:left|right|other) hand\b)"
)


def target_role(label: str) -> str:
    """ "left hand", "right hand" or "object": what a target's name stands for."""
    words = label.lower().split()
    for side in ("left", "right"):
        if side in words and "hand" in words:
            return f"{side} hand"
    return "object"


def parse_interaction(text: str) -> Interaction:
    """Read hands, category and colour out of an analysis, one of `annotate`'s or any like the benchmark's.

    Hands that are said to be idle, empty or resting do not count as interacting. The category is the first one named in
    a clause on an interacting hand. The colour is the one directly before that noun.
    """
    text = " ".join(text.lower().replace("’", "'").split())
    text = _PAIR_RE.sub("both hands", text)
    hands: set[str] = set()
    with_hands: list[str] = []
    without_hands: list[str] = []
    handless_scene = False
    previous: tuple[frozenset[str], str] | None = None
    for clause in _CLAUSE_RE.split(text):
        if not clause or not clause.strip():
            continue
        if _ABSENCE_RE.search(clause):
            handless_scene = True
            continue
        named = _sides(clause)
        if _IDLE_RE.search(clause) and not _RESTS_ON_RE.search(clause):
            handless_scene = True
            if not named and previous and with_hands and with_hands[-1] == previous[1]:
                # "Both hands are visible; neither touches anything": it takes back what stood before.
                with_hands.pop()
                hands -= previous[0]
            previous = None
            continue
        if named:
            hands |= named
            with_hands.append(clause)
            previous = (named, clause)
        else:
            without_hands.append(clause)
            previous = None
    if hands:
        clauses = with_hands + without_hands
    else:
        clauses = [] if handless_scene else without_hands
    for clause in clauses:
        noun = _NOUN_RE.search(clause)
        if noun:
            color = _COLOR_RE.search(clause[: noun.start()])
            tint = color.group(1).replace("grey", "gray") if color else None
            return Interaction(frozenset(hands), _NOUNS[noun.group(1)], tint)
    return Interaction(frozenset(hands), None, None)


def _sides(clause: str) -> frozenset[str]:
    if _BOTH_RE.search(clause):
        return frozenset({"left", "right"})
    return frozenset(_SIDE_RE.findall(clause))


# --------------------------------------------------------------------------------------------------------------------
# Mirrored pictures

_LEFT_RIGHT_RE = re.compile(r"(?<![A-Za-z])(left|right)(?![A-Za-z])", re.IGNORECASE)


def mirror_text(text: str) -> str:
    """Swap the words left and right, keeping their case; "leftover" and "bright" stay. Its own inverse."""
    return _LEFT_RIGHT_RE.sub(lambda m: _like(m.group(), _OTHER_SIDE[m.group().lower()]), text)


def _like(model: str, word: str) -> str:
    if model.isupper():
        return word.upper()
    return _capital(word) if model[0].isupper() else word
