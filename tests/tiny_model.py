"""A tiny model trained on drawn scenes, so that tests see texts and masks that a network really made."""

from __future__ import annotations

import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from annexe_demo.data.egoirgbench import Group, Question, write_sample
from annexe_demo.model import AnnexeConfig
from annexe_demo.pipeline import NO_TARGET
from tests.drawn_scenes import draw_scene, write_drawn_dataset

LEARNED_SEEDS = (1, 3, 8, 9)  # one hand each, two of either side
HANDS_AND_OBJECTS = "Please segment the hands and objects in interaction."

TINY = AnnexeConfig(width=48, hidden_size=96, layers=2, heads=3, vocab_size=400, image_size=160)


@lru_cache
def drawn_dataset() -> Path:
    """24 drawn scenes in the benchmark's layout: 16 train, 4 val, 4 test."""
    folder = Path(tempfile.mkdtemp(prefix="annexe-drawn-"))
    return write_drawn_dataset(folder, {"train": 16, "val": 4, "test": 4})


def write_learnable_dataset(root: Path) -> Path:
    """Drawn scenes with one hand each and four plain queries: soon learned by heart."""
    for seed in LEARNED_SEEDS:
        image, mask, depth, facts = draw_scene(seed)
        hand, thing = facts.hands[0], facts.active
        caption = f"In this image, the {hand.side} hand of the person is holding a {thing.color} {thing.category}."

        def group(kind, query, answer, *targets, caption=caption):
            tokens, indices = [t for t, _ in targets], [i for _, i in targets]
            return Group(tuple(tokens), tuple(indices), bool(targets), caption, answer, (Question(query, True),), kind)

        mine, other = f"{hand.side} hand", "left hand" if hand.side == "right" else "right hand"
        both = f"The mask of the {mine} is <MSK_0>, the mask of {thing.category} is <MSK_1>."
        groups = [
            group("single", f"Please segment the {mine}.", f"The mask of the {mine} is <MSK_0>.", (mine, hand.mask_id)),
            group("no-target", f"Please segment the {other}.", NO_TARGET),
            group("multi", HANDS_AND_OBJECTS, both, (mine, hand.mask_id), (thing.category, thing.mask_id)),
            group("chat", "What is the person holding?", f"The person is holding a {thing.color} {thing.category}."),
        ]
        write_sample(root, "train", f"{seed:04d}", image, mask, depth, groups, facts)
    return root


@lru_cache
def trained_folder() -> Path:
    """The folder of a tiny model that has learned such scenes, made once a test run."""
    from annexe_demo.train import train

    out = Path(tempfile.mkdtemp(prefix="annexe-tiny-"))
    data = write_learnable_dataset(out / "data")
    train(TINY, data, out, steps=440, minutes=None, batch_size=4, queries=4, augmented=False, rate=2.0, phase="joint")
    shutil.rmtree(out / "data")
    (out / "checkpoint.pt").unlink()
    return out
