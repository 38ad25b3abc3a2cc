"""Saved predictions at a glance: which hands are taken for which, and how well masks fit by the object's size.

Needs neither the model nor the pictures: only records as `annexe_demo.predictions` describes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from annexe_demo.data.language import parse_interaction
from annexe_demo.metrics import target_role
from annexe_demo.predictions import Record
from annexe_demo.scoring import NONE, SIZES, answered, size_name

HANDS = ("left", "right", "both", NONE)
FITS = 0.5  # IoU from which a mask is commonly said to have found its target

Confusion = dict[str, dict[str, int]]  # truth -> what the model said -> how often, both of `HANDS`


@dataclass(frozen=True)
class SizeRow:
    """Mask queries with a target, on pictures whose active object is of one size.

    Attributes:
        name: one of `scoring.SIZES`, or "none" for pictures without an active object.
        queries: how many.
        mean_iou: of the union of each query's masks with the true ones, 0 to 1.
        found: share of the queries whose IoU is at least `FITS`.
    """

    name: str
    queries: int
    mean_iou: float
    found: float


@dataclass(frozen=True)
class Overview:
    """What saved predictions come to.

    Attributes:
        pictures: that were predicted.
        queries: that have a target.
        analyses: of each picture, the hands in interaction against those that the model's analysis names.
        answers: of each query with a target, the hands among its true targets against those that the answer masks.
        sizes: by the active object's share of the picture, small first; only sizes that occur.
        left_out: records that could not be read.
    """

    pictures: int = 0
    queries: int = 0
    analyses: Confusion = field(default_factory=dict)
    answers: Confusion = field(default_factory=dict)
    sizes: tuple[SizeRow, ...] = ()
    left_out: int = 0


def summarize(records: Iterable[Record]) -> Overview:
    """Count the records of readable pictures, in one pass; the others are left out."""
    analyses, answers = _empty(), _empty()
    ious: dict[str, list[float]] = {name: [] for name in (*(name for name, _ in SIZES), NONE)}
    pictures = left_out = 0
    for record in records:
        try:
            truth, size = record["truth"], size_name(record["truth"]["object_share"])
            said = _which(parse_interaction(record["analysis"]).hands)
            asked = [q for q in record["queries"] if q["kind"] != "chat" and q["targets"]]
            pairs = [(_named(t for t, _ in q["targets"]), _named(g["label"] for g in answered(q)[0])) for q in asked]
            found = [float(q["iou"]) for q in asked]
            hands = _which(truth["hands"])
        except (KeyError, TypeError, ValueError, AttributeError):
            left_out += 1
            continue
        pictures += 1
        analyses[hands][said] += 1
        for true, predicted in pairs:
            answers[true][predicted] += 1
        ious[size] += found
    sizes = tuple(
        SizeRow(name, len(of), float(np.mean(of)), float(np.mean(np.array(of) >= FITS)))
        for name, of in ious.items()
        if of
    )
    return Overview(pictures, sum(r.queries for r in sizes), analyses, answers, sizes, left_out)


def overview_json(overview: Overview) -> dict[str, Any]:
    """An overview as plain dicts, lists and numbers."""
    return {
        "pictures": overview.pictures,
        "queries": overview.queries,
        "hands_in_analyses": overview.analyses,
        "hands_in_answers": overview.answers,
        "by_object_size": [
            {"size": r.name, "queries": r.queries, "mean_iou": round(r.mean_iou, 5), "found": round(r.found, 5)}
            for r in overview.sizes
        ],
        "left_out": overview.left_out,
    }


def _empty() -> Confusion:
    return {truth: dict.fromkeys(HANDS, 0) for truth in HANDS}


def _which(sides: Iterable[str]) -> str:
    sides = set(sides) & {"left", "right"}
    return "both" if len(sides) == 2 else next(iter(sides), NONE)


def _named(labels: Iterable[str]) -> str:
    return _which(target_role(label).removesuffix(" hand") for label in labels)
