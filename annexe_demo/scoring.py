"""From predictions to figures: the protocol of Ego-IRGBench, overall and by query kind, category, hand and object size.

Needs neither the model nor the pictures: only records as `annexe_demo.predictions` describes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from annexe_demo.data.egoirgbench import KINDS
from annexe_demo.data.facts import CATEGORIES
from annexe_demo.data.language import Interaction, parse_interaction
from annexe_demo.events import INDICATOR_THRESHOLD
from annexe_demo.metrics import (
    GroundingMetrics,
    TextMetrics,
    category_correct,
    color_correct,
    hands_correct,
    pair_targets,
    target_role,
)
from annexe_demo.predictions import PredictionError, Record

# Upper bounds of the active object's share of the picture, and what is above the last of them.
SIZES = (("small (< 1 %)", 0.01), ("medium (1 to 5 %)", 0.05), ("large (> 5 %)", float("inf")))
NONE = "none"  # a picture without active object or without interacting hand
# The dimensions of the report and the order of their rows.
DIMENSIONS: dict[str, tuple[str, ...]] = {
    "kind": KINDS,
    "category": (*sorted(CATEGORIES), NONE),
    "hand": ("left", "right", "both", NONE),
    "size": (*(name for name, _ in SIZES), NONE),
}
FACTS = ("hands_correct", "category_correct", "color_correct")


def overlap(predicted: Sequence[dict[str, Any]], truth: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Pixels in both of two unions of masks, and in either.

    Args:
        predicted, truth: COCO run-length encodings of one size, as `annexe_demo.view.export.mask_to_rle` writes them.

    Raises:
        ValueError: the masks differ in size.
    """
    sizes = {tuple(rle["size"]) for rle in (*predicted, *truth)}
    if len(sizes) > 1:
        raise ValueError(f"masks must be equally large but got {' and '.join(map(str, sorted(sizes)))}")
    sides = [coco_mask.merge(list(rles)) for rles in (predicted, truth) if rles]
    if len(sides) < 2:
        return 0, sum(int(coco_mask.area(side)) for side in sides)
    return tuple(int(coco_mask.area(coco_mask.merge(sides, intersect=both))) for both in (True, False))


def answered(query: Record) -> tuple[list[Record], bool]:
    """The groundings of a query that count, and whether the model said that the query has a target.

    Below `INDICATOR_THRESHOLD` none counts, whatever was masked. An answer without an indicator neither masks nor says
    that there is nothing to mask: that is not the same as having found "no target".
    """
    claimed = query["indicator"] is None or query["indicator"] >= INDICATOR_THRESHOLD
    return (query["groundings"] if claimed else []), claimed


def true_targets(query: Record, masks: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Label and masks of each true target; a target without a pixel in the picture has an empty list."""
    return [(label, [masks[str(i)]] if str(i) in masks else []) for label, i in query["targets"]]


def query_iou(query: Record, masks: dict[str, Any]) -> float | None:
    """A query's share in gIoU, see `GroundingMetrics.add`; None for a plain question, which asks for no mask."""
    scored = _ScoredQuery(query, masks)
    return None if scored.is_chat else scored.add_to(GroundingMetrics())


class _ScoredQuery:
    """One query with its pixels counted, once for all the rows of the report that it belongs to."""

    def __init__(self, query: Record, masks: dict[str, Any]) -> None:
        self.is_chat = query["kind"] == "chat"
        groundings, self.claimed = answered(query)
        truth = true_targets(query, masks)
        self.has_target = bool(truth)
        said = [(g["label"], [g["rle"]]) for g in groundings]
        self.counts = overlap([rle for _, rles in said for rle in rles], [rle for _, rles in truth for rle in rles])
        self.by_role = []
        if truth:
            for p, t in pair_targets([label for label, _ in said], [label for label, _ in truth]):
                role = target_role((said[p] if t is None else truth[t])[0])
                pixels = overlap(said[p][1] if p is not None else [], truth[t][1] if t is not None else [])
                self.by_role.append((role, *pixels))

    def add_to(self, metrics: GroundingMetrics) -> float:
        for counts in self.by_role:
            metrics.add_target_counts(*counts)
        return metrics.add_counts(*self.counts, self.has_target, self.claimed)


@dataclass
class _Row:
    """Numbers of the pictures and queries that one row of the report is about."""

    pictures: list[int] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)


def score(records: Iterable[Record], pictures: int | None = None) -> dict[str, Any]:
    """Figures of a whole evaluation.

    Of the analysis, the hands are compared on every picture, category and colour on those that have an active object.
    CIDEr of a row is the mean of its sentences' scores in the corpus of all; METEOR of a row is that of the row's own.

    Args:
        records: as `annexe_demo.predictions` describes them.
        pictures: how many there should be; with fewer, the report notes it.

    Returns:
        ``samples`` and ``queries`` (counts), ``overall`` (figures; None where there is nothing to measure),
        ``by`` (dimension -> row -> figures, without those that the row has none of) and ``notes`` (what is missing, and
        why). Fractions are 0 to 1, CIDEr 0 to 10.

    Raises:
        PredictionError: no record is of a readable picture.
    """
    # One order whatever the order of the lines: sums of floating-point numbers depend on it.
    records = sorted(records, key=lambda r: r["name"])
    unreadable = [r for r in records if "error" in r]
    records = [r for r in records if "error" not in r]
    if not records:
        reason = f": {unreadable[0]['error']}" if unreadable else ""
        raise PredictionError(
            f"there must be predictions of at least one picture that could be read, but got none{reason}"
        )

    overall, rows = _Row(), {dimension: {key: _Row() for key in keys} for dimension, keys in DIMENSIONS.items()}
    analyses, answers = TextMetrics(), TextMetrics()
    marks: list[dict[str, float | None]] = []
    queries: list[_ScoredQuery] = []
    for number, record in enumerate(records):
        where = _where(record)
        here = [overall, *(rows[dimension].setdefault(key, _Row()) for dimension, key in where.items())]
        for row in here:
            row.pictures.append(number)
        analyses.add(record["reference"], record["analysis"])
        marks.append(_marks(record))
        for query in record["queries"]:
            for row in (*here, rows["kind"][query["kind"]]):
                row.queries.append(len(queries))
            answers.add(query["reference"], query["answer"])
            queries.append(_ScoredQuery(query, record["masks"]))

    notes = _notes(records, unreadable, pictures)
    everything = [overall, *(row for of_dimension in rows.values() for row in of_dimension.values())]
    analysis_cider, answer_cider = analyses.cider_scores(), answers.cider_scores()
    analysis_meteor, note = analyses.meteor_of([row.pictures for row in everything])
    if note:
        notes["analysis_meteor"] = note
    answer_meteor, note = answers.meteor_of([row.queries for row in everything])
    if note:
        notes["answer_meteor"] = note

    figures = {}
    for n, row in enumerate(everything):
        masks = GroundingMetrics()
        for i in row.queries:
            if not queries[i].is_chat:
                queries[i].add_to(masks)
        figures[id(row)] = {
            "ciou": masks.ciou,
            "giou": masks.giou,
            "no_target_accuracy": masks.no_target_accuracy,
            "indicator_accuracy": masks.indicator_accuracy,
            **{f"ciou_{r.replace(' ', '_')}": masks.ciou_by_target.get(r) for r in ("left hand", "right hand", "object")},
            "analysis_meteor": analysis_meteor[n],
            "analysis_cider": _mean(analysis_cider[row.pictures]),
            "answer_meteor": answer_meteor[n],
            "answer_cider": _mean(answer_cider[row.queries]),
            **{name: _mean([marks[i].get(name) for i in row.pictures]) for name in ("depth_mae", *FACTS)},
        }  # fmt: skip
    by = {
        dimension: {
            key: {"samples": len(row.pictures), "queries": len(row.queries)}
            | {name: value for name, value in figures[id(row)].items() if value is not None}
            for key, row in of_dimension.items()
            if row.pictures or row.queries
        }
        for dimension, of_dimension in rows.items()
    }
    for row in by["kind"].values():
        del row["samples"]  # a picture has queries of several kinds, and its analysis is of none
    return {
        "samples": len(records),
        "queries": len(queries),
        "overall": _rounded(figures[id(overall)]),
        "by": _rounded(by),
        "notes": notes,
    }


def size_name(share: float | None) -> str:
    """The name in `SIZES` of an object's share of the picture, 0 to 1; `NONE` for None."""
    return NONE if share is None else next(name for name, bound in SIZES if share < bound)


def _where(record: Record) -> dict[str, str]:
    """A picture's row in each dimension that pictures have."""
    truth = record["truth"]
    hand = "both" if len(truth["hands"]) == 2 else next(iter(truth["hands"]), NONE)
    return {"category": truth["category"] or NONE, "hand": hand, "size": size_name(truth["object_share"])}


def _marks(record: Record) -> dict[str, float | None]:
    """What of one picture goes into means."""
    truth = Interaction(frozenset(record["truth"]["hands"]), record["truth"]["category"], record["truth"]["color"])
    said = parse_interaction(record["analysis"])
    marks = {"depth_mae": record["depth_mae"], "hands_correct": hands_correct(said, truth)}
    if truth.category is not None:
        marks |= {"category_correct": category_correct(said, truth), "color_correct": color_correct(said, truth)}
    return marks


def _notes(records: Sequence[Record], unreadable: Sequence[Record], pictures: int | None) -> dict[str, str]:
    """What the data or the evaluation lacks, one sentence each."""
    notes = {}
    seen = len(records) + len(unreadable)
    if pictures is not None and seen < pictures:
        notes["unfinished"] = f"the evaluation came to {seen} of {pictures} pictures; the figures are of these alone"
    if unreadable:
        notes["unreadable"] = (
            f"{len(unreadable)} of {seen} pictures could not be read and are left out, the first because of: "
            f"{unreadable[0]['error']}"
        )
    captions = sum(r["truth"]["source"] == "caption" for r in records)
    if captions:
        notes["truth"] = (
            f"{captions} of {len(records)} pictures have no facts file: their hands, category and colour were read from "
            f"the true caption, so hands_correct, category_correct and color_correct compare two sentences"
        )
    missing = Counter(r["depth_note"] for r in records if r["depth_note"])
    if missing:
        told = ", ".join(f"{count} of {len(records)} pictures: {reason}" for reason, count in missing.most_common())
        notes["depth_mae"] = f"not measured on {told}"
    return notes


def _mean(values: Sequence[float | None] | np.ndarray) -> float | None:
    found = [float(v) for v in values if v is not None]
    return float(np.mean(found)) if found else None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return round(value, 5) if isinstance(value, float) else value
