"""From samples on disk to training batches: picture, packed conversation, masks, regions, depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from annexe_demo.model.annexe import IGNORE, AnnexeConfig, Batch
from annexe_demo.model.interaction import FACTS, HAND_STATES
from annexe_demo.model.text_generation import (
    ANALYSIS,
    ANSWER,
    EOS,
    MSK,
    QUERY,
    SPECIAL_TOKENS,
    encode_answer,
    encode_query,
    encode_text,
)

from .augment import ACTIVE_OBJECT, LEFT_HAND, RIGHT_HAND, View, augment, cut, resize, visible_facts
from .egoirgbench import EgoIRGBench, Group, Sample
from .facts import SceneFacts
from .language import annotate, mirror_text, parse_interaction

# Network input sizes (h, w) and how often each is drawn. Photos come in all shapes; the benchmark's are wide.
CANVASES = {(288, 512): 0.55, (320, 448): 0.15, (384, 384): 0.15, (448, 320): 0.08, (512, 288): 0.07}
MAX_UNFAMILIAR = 5  # tokens strewn into a query
MAX_PROMPTS = 2  # masks a picture and step: the pixel grounding decoder costs more than the text


@dataclass
class Example:
    """One picture, ready for a batch: arrays as in `Batch`, without its first axis."""

    pixels: np.ndarray
    text: dict[str, list[int]]
    queries: list[tuple[int, int]]  # position of <answer>, indicator target
    prompts: list[tuple[int, np.ndarray]]  # position of <MSK>, mask (h/4, w/4) bool
    regions: np.ndarray
    categories: np.ndarray
    colors: np.ndarray
    depth: np.ndarray
    interaction: np.ndarray
    others: np.ndarray


class TrainingData(Sequence[Sample]):
    """A split kept decoded in memory, so that each step costs augmentation only."""

    def __init__(self, root, split: str, limit: int | None = None, progress: Callable = iter):
        dataset = EgoIRGBench(root, split)
        names = dataset.names[:limit]
        self.samples: list[Sample] = []
        self.views: list[View] = []
        for name in progress(names):
            sample = dataset.load(name)
            depth = sample.load_depth()
            mask = sample.load_mask()
            if sample.facts is None:
                sample, mask = with_known_indices(sample, mask)
            self.samples.append(sample)
            # Half precision keeps millimetres to 2 m and centimetres beyond, at half the memory.
            half = None if depth is None else (depth / max(float(depth.max()), 1e-6)).astype(np.float16)
            self.views.append(View(sample.load_image(), mask, half))
        self.backgrounds = [i for i, s in enumerate(self.samples) if s.facts is not None and not s.facts.hands]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def view(self, index: int) -> View:
        v = self.views[index]
        return View(v.image, v.mask, None if v.depth is None else v.depth.astype(np.float32))

    def background(self, rng: np.random.Generator) -> np.ndarray:
        return self.views[self.backgrounds[rng.integers(len(self.backgrounds))]].image


def make_example(
    data: TrainingData,
    index: int,
    size: tuple[int, int],
    rng: np.random.Generator,
    config: AnnexeConfig,
    tokenizer,
    queries: int,
    training: bool = True,
    unfamiliar: Sequence[int] = (),
    look: bool = True,
) -> Example:
    """One picture at `size` (h, w) with its analysis and `queries` of its queries.

    In `training` it is augmented, and generated scenes are described anew from what the augmented picture still shows.
    Samples without facts (the real benchmark) keep their own groups, with left and right swapped in mirrored pictures.
    Tokens of `unfamiliar` are strewn among the queries' own. Without `look` there are no pixels, for texts that are
    written from the true facts: (3, 0, 0).
    """
    sample, view = data[index], data.view(index)
    if training and look:
        background = (lambda: data.background(rng)) if data.backgrounds else None
        view = augment(view, size, rng, background)
    elif training:
        view = cut(view, size, rng)
    else:
        view = resize(view, size)
    facts = visible_facts(sample.facts, view.mask, view.mirrored) if sample.facts else None
    if facts and training:
        groups = [Group.from_dict(g) for g in annotate(facts, rng, "train")]
    else:
        groups = [mirror_group(g) for g in sample.groups] if view.mirrored else sample.groups
    text, asked, prompts = pack_conversation(groups, rng, tokenizer, queries, unfamiliar)
    h, w = size
    quarter = cv2.resize(view.mask, (w // 4, h // 4), interpolation=cv2.INTER_NEAREST)
    categories, colors = _object_maps(
        facts, cv2.resize(view.mask, (w // 8, h // 8), interpolation=cv2.INTER_NEAREST), config
    )
    image = view.image if look else view.image[:0, :0]
    return Example(
        pixels=(image.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1),
        text=text,
        queries=asked,
        prompts=[(at, quarter == value) for at, value in prompts],
        # Every named object of the benchmark is an active one; generated scenes also number what lies about.
        regions=np.where(quarter <= ACTIVE_OBJECT, quarter, 0 if facts else ACTIVE_OBJECT).astype(np.int64),
        categories=categories,
        colors=colors,
        depth=_relative_depth(view.depth, (h // 4, w // 4)),
        interaction=_interaction(facts, config) if facts else _described(groups[0].caption, config),
        others=_others(facts, config),
    )


def with_known_indices(sample: Sample, mask: np.ndarray) -> tuple[Sample, np.ndarray]:
    """A benchmark sample with its index map renumbered as generated scenes are: 1 left hand, 2 right hand, 3.. objects.

    Which index means what is not documented; the groups' tokens say it, picture by picture.
    """
    number: dict[int, int] = {}
    for group in sample.groups:
        for token, index in zip(group.tokens, group.masks_idx, strict=True):
            side = next(
                (n for word, n in (("left", LEFT_HAND), ("right", RIGHT_HAND)) if word in token and "hand" in token),
                None,
            )
            number.setdefault(index, side or ACTIVE_OBJECT + sum(n >= ACTIVE_OBJECT for n in number.values()))
    table = np.zeros(256, np.uint8)
    for index, n in number.items():
        table[index] = n
    groups = [replace(g, masks_idx=tuple(number[i] for i in g.masks_idx)) for g in sample.groups]
    return replace(sample, groups=groups), table[mask]


def mirror_group(group: Group) -> Group:
    """The group as it reads for the mirrored picture, whose hands have changed sides.

    An answer that names both hands stays as it is: left comes first in it, and the mirrored map's values already fit.
    """
    mirrored = replace(
        group,
        caption=mirror_text(group.caption),
        questions=tuple(replace(q, query=mirror_text(q.query)) for q in group.questions),
    )
    if {LEFT_HAND, RIGHT_HAND} <= set(group.masks_idx):
        return mirrored
    other = {LEFT_HAND: RIGHT_HAND, RIGHT_HAND: LEFT_HAND}
    return replace(
        mirrored,
        tokens=tuple(mirror_text(t) for t in group.tokens),
        masks_idx=tuple(other.get(i, i) for i in group.masks_idx),
        answer=mirror_text(group.answer),
    )


def unfamiliar_tokens(data: TrainingData, tokenizer, pictures: int = 1000) -> list[int]:
    """Tokens of the vocabulary that no query of the data's first `pictures` uses."""
    queries = {q.query for sample in data.samples[:pictures] for group in sample.groups for q in group.questions}
    used = {token for query in queries for token in encode_query(tokenizer, query)}
    return [token for token in range(len(SPECIAL_TOKENS), len(tokenizer)) if token not in used]


def strew(ids: list[int], unfamiliar: Sequence[int], rng: np.random.Generator) -> list[int]:
    """A query with up to `MAX_UNFAMILIAR` tokens among its own that say nothing.

    People word queries in ways that were never seen. Unless unknown words are met in training, they look like unknown
    things, and the query seems to have no target.
    """
    if not unfamiliar or rng.random() < 0.3:
        return ids
    ids = list(ids)
    for _ in range(int(rng.integers(1, MAX_UNFAMILIAR + 1))):
        ids.insert(int(rng.integers(0, len(ids) + 1)), int(unfamiliar[rng.integers(len(unfamiliar))]))
    return ids


def pack_conversation(
    groups: Sequence[Group], rng: np.random.Generator, tokenizer, queries: int, unfamiliar: Sequence[int] = ()
):
    """The packed text of one picture (see `Batch`), where its queries end, and which ``<MSK>`` to ground.

    Returns:
        text: ids, segments, positions and labels, equally long lists.
        asked: (position of ``<answer>``, indicator target) of each query.
        prompts: (position of ``<MSK>``, value in the index map), at most `MAX_PROMPTS`.
    """
    text: dict[str, list[int]] = {"ids": [], "segments": [], "positions": [], "labels": []}

    def add(ids: list[int], segment: int, start: int, first_label: int) -> None:
        text["ids"] += ids
        text["segments"] += [segment] * len(ids)
        text["positions"] += range(start, start + len(ids))
        text["labels"] += [n if k >= first_label else IGNORE for k, n in enumerate([*ids[1:], IGNORE])]

    caption = [ANALYSIS, *encode_text(tokenizer, " " + groups[0].caption), EOS]
    add(caption, 0, 0, 0)
    asked, prompts = [], []
    for number, k in enumerate(_choose(groups, rng, queries), 1):
        group = groups[k]
        question = group.questions[rng.integers(len(group.questions))].query
        head = [QUERY, *strew(encode_query(tokenizer, question), unfamiliar, rng), ANSWER]
        answer = encode_answer(tokenizer, " " + group.answer, group.tokens)
        at = len(text["ids"])
        add([*head, *answer, EOS], number, len(caption), len(head) - 1)
        asked.append((at + len(head) - 1, -1 if group.kind == "chat" else int(group.with_mask)))
        places = [at + len(head) + n for n, i in enumerate(answer) if i == MSK]
        prompts += zip(places, group.masks_idx, strict=True)
    if len(prompts) > MAX_PROMPTS:
        prompts = [prompts[i] for i in sorted(rng.permutation(len(prompts))[:MAX_PROMPTS])]
    return text, asked, prompts


def collate(examples: Sequence[Example]) -> Batch:
    """Examples of one size -> `Batch`, texts padded to the longest."""
    longest = max(len(e.text["ids"]) for e in examples)
    fill = {"ids": 0, "segments": -1, "positions": 0, "labels": IGNORE}
    padded = {
        name: torch.tensor([e.text[name] + [value] * (longest - len(e.text[name])) for e in examples])
        for name, value in fill.items()
    }
    stack = lambda name: torch.from_numpy(np.stack([getattr(e, name) for e in examples]))  # noqa: E731
    prompts = [(b, at) for b, e in enumerate(examples) for at, _ in e.prompts]
    masks = [mask for e in examples for _, mask in e.prompts]
    h, w = examples[0].regions.shape
    return Batch(
        pixels=stack("pixels"),
        **padded,
        queries=torch.tensor([(b, at) for b, e in enumerate(examples) for at, _ in e.queries]).reshape(-1, 2),
        targets=torch.tensor([target for e in examples for _, target in e.queries]),
        prompts=torch.tensor(prompts, dtype=torch.long).reshape(-1, 2),
        masks=torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, h, w, dtype=torch.bool),
        regions=stack("regions"),
        categories=stack("categories"),
        colors=stack("colors"),
        depth=stack("depth"),
        interaction=stack("interaction"),
        others=stack("others"),
    )


def batches(
    data: TrainingData,
    config: AnnexeConfig,
    tokenizer,
    batch_size: int,
    queries: int,
    seed: int,
    augmented: bool = True,
    look: bool = True,
) -> Iterator[Batch]:
    """Endless training batches. Every picture is drawn once before any is drawn again; each batch has one size.

    Not `augmented`, pictures are only resized, to the first of `CANVASES`: for tests and for looking at a dataset. Without
    `look` they have no pixels.
    """
    rng = np.random.default_rng(seed)
    unfamiliar = unfamiliar_tokens(data, tokenizer) if augmented else []
    sizes, odds = list(CANVASES), np.array(list(CANVASES.values()))
    order: list[int] = []
    while True:
        if len(order) < batch_size:
            order += rng.permutation(len(data)).tolist()
        size = sizes[rng.choice(len(sizes), p=odds / odds.sum())] if augmented else sizes[0]
        size = scaled(size, config.image_size)
        chosen, order = order[:batch_size], order[batch_size:]
        yield collate(
            [make_example(data, i, size, rng, config, tokenizer, queries, augmented, unfamiliar, look) for i in chosen]
        )


def scaled(size: tuple[int, int], image_size: int) -> tuple[int, int]:
    """A canvas for networks of another input size; sides stay multiples of 32."""
    return tuple(max(32, round(side * image_size / 512 / 32) * 32) for side in size)


def _choose(groups: Sequence[Group], rng: np.random.Generator, count: int) -> list[int]:
    """Which groups to ask: kinds take turns, so that rare kinds are seen as often as common ones."""
    by_kind: dict[str, list[int]] = {}
    for i in rng.permutation(len(groups)).tolist():
        by_kind.setdefault(groups[i].kind, []).append(i)
    kinds = list(by_kind)
    chosen: list[int] = []
    while len(chosen) < count and any(by_kind.values()):
        for j in rng.permutation(len(kinds)):
            if by_kind[kinds[j]] and len(chosen) < count:
                chosen.append(by_kind[kinds[j]].pop())
    return chosen


def _object_maps(facts: SceneFacts | None, mask: np.ndarray, config: AnnexeConfig) -> tuple[np.ndarray, np.ndarray]:
    """Category and colour index of every pixel of a known object, `IGNORE` elsewhere."""
    category, color = np.full(256, IGNORE, np.int64), np.full(256, IGNORE, np.int64)
    for o in [*([facts.active] if facts.active else []), *facts.clutter] if facts else []:
        category[o.mask_id], color[o.mask_id] = _named(o.category, o.color, config)
    return category[mask], color[mask]


def _interaction(facts: SceneFacts, config: AnnexeConfig) -> np.ndarray:
    """The values of `FactLayout`'s groups, `IGNORE` where unknown."""
    hands = {hand.side: hand.grasp or "idle" for hand in facts.hands}
    states = [HAND_STATES.index(hands.get(side, "absent")) for side in ("left", "right")]
    surface = int(facts.surface == "floor")
    active = facts.active
    if active is None:
        return np.array([*states, IGNORE, surface, len(config.categories), len(config.colors)])
    return np.array([*states, int(facts.lifted), surface, *_named(active.category, active.color, config)])


def _described(caption: str, config: AnnexeConfig) -> np.ndarray:
    """The same as far as a description tells it: the active object's category and colour."""
    said = parse_interaction(caption)
    if said.category is None:
        return np.full(len(FACTS), IGNORE)
    return np.array([*[IGNORE] * (len(FACTS) - 2), *_named(said.category, said.color, config)])


def _named(category: str, color: str | None, config: AnnexeConfig) -> tuple[int, int]:
    """Indices of a category, "other object" where the model has no word for it, and of a colour."""
    known = config.categories.index(category) if category in config.categories else len(config.categories) - 1
    return known, config.colors.index(color) if color in config.colors else IGNORE


def _others(facts: SceneFacts | None, config: AnnexeConfig) -> np.ndarray:
    """1 for every category of an object that lies about untouched, else 0; `IGNORE` where unknown."""
    if facts is None:
        return np.full(len(config.categories), IGNORE, np.int64)
    lying = {o.category for o in facts.clutter}
    return np.array([int(category in lying) for category in config.categories])


def _relative_depth(depth: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """Depth from 0 (nearest) to 1 (farthest) of this picture, NaN where unknown."""
    if depth is None:
        return np.full(size, np.nan, np.float32)
    depth = cv2.resize(depth, size[::-1], interpolation=cv2.INTER_NEAREST)
    valid = depth > 0
    if not valid.any():
        return np.full(size, np.nan, np.float32)
    low, high = depth[valid].min(), depth[valid].max()
    return np.where(valid, (depth - low) / max(high - low, 1e-6), np.nan).astype(np.float32)
