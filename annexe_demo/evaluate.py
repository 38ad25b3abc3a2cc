"""Measure a model: python -m annexe_demo.evaluate --model M --data DIR --split test [--limit N] --out DIR

One picture is one sample: it is encoded and analyzed once, then asked a few of its own queries. OUT gets ``report.json``,
which is printed as a table too, and ``predictions.jsonl`` with everything the report was made from.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from tqdm import tqdm

from annexe_demo.__main__ import DEFAULT_MODEL, EXIT_BAD_INPUT, InputError, load_pipeline
from annexe_demo.data.egoirgbench import KINDS, SPLITS, DatasetError, EgoIRGBench, Group, Question, Sample
from annexe_demo.data.language import Interaction, parse_interaction
from annexe_demo.events import INDICATOR_THRESHOLD, DepthMap, Done, Grounding
from annexe_demo.images import ImageError
from annexe_demo.metrics import (
    GroundingMetrics,
    TextMetrics,
    category_correct,
    color_correct,
    depth_mae,
    hands_correct,
)
from annexe_demo.view.export import mask_to_rle

QUERIES_PER_IMAGE = 6
REPORT_FILE = "report.json"
PREDICTIONS_FILE = "predictions.jsonl"
# Upper bounds of a query's target area as a share of the picture, and what is above the last of them.
SIZES = (("small (< 1 %)", 0.01), ("medium (1 to 5 %)", 0.05), ("large (> 5 %)", float("inf")))


def pick_evenly(count: int, limit: int | None) -> list[int]:
    """`limit` of the indices 0 to `count` - 1, evenly spread and always the same; all of them without a limit."""
    if limit is None or limit >= count:
        return list(range(count))
    return [i * count // limit for i in range(limit)]


def choose_queries(name: str, groups: Sequence[Group], count: int) -> list[tuple[Group, Question]]:
    """Up to `count` queries of one picture, one of a group, the kinds in turn. The same picture gets the same ones.

    Args:
        name: the picture's name, the only seed: neither the other pictures nor their number matter.
        groups: the picture's query groups.
        count: how many at most.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    queues = []
    for kind in KINDS:
        of_kind = [g for g in groups if g.kind == kind and g.questions]
        queues.append([of_kind[i] for i in rng.permutation(len(of_kind))])
    chosen: list[tuple[Group, Question]] = []
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                group = queue.pop(0)
                chosen.append((group, group.questions[rng.integers(len(group.questions))]))
    return chosen


def true_interaction(sample: Sample) -> Interaction:
    """Interacting hands, category and colour of the active object: from the scene's facts, else from its caption."""
    facts = sample.facts
    if facts is None:
        return parse_interaction(sample.groups[0].caption)
    hands = frozenset(h.side for h in facts.hands if h.grasp is not None)
    return Interaction(
        hands, facts.active.category if facts.active else None, facts.active.color if facts.active else None
    )


@dataclass
class Scores:
    """What is accumulated of all queries and pictures, or of those in one row of the report."""

    samples: int = 0
    queries: int = 0
    masks: GroundingMetrics = field(default_factory=GroundingMetrics)
    analyses: TextMetrics = field(default_factory=TextMetrics)
    answers: TextMetrics = field(default_factory=TextMetrics)
    marks: dict[str, list[float]] = field(default_factory=dict)

    def mark(self, name: str, value: float | None) -> None:
        """Count one value of a mean; None is not counted."""
        if value is not None:
            self.marks.setdefault(name, []).append(float(value))

    def mean(self, name: str) -> float | None:
        return float(np.mean(self.marks[name])) if self.marks.get(name) else None


class Report:
    """The overall scores and those by kind, category, hand and size."""

    def __init__(self) -> None:
        self.overall = Scores()
        self.by: dict[str, dict[str, Scores]] = {"kind": {}, "category": {}, "hand": {}, "size": {}}

    def rows(self, **keys: str | None) -> list[Scores]:
        """The overall scores and the row of each dimension that has a key."""
        found = [self.overall]
        for dimension, key in keys.items():
            if key is not None:
                found.append(self.by[dimension].setdefault(key, Scores()))
        return found

    def to_dict(self) -> dict[str, Any]:
        """``overall``, ``by`` and ``notes`` of report.json."""
        total, notes = self.overall, {}
        analysis_meteor, analysis_note = total.analyses.meteor()
        answer_meteor, answer_note = total.answers.meteor()
        for name, note in (("analysis_meteor", analysis_note), ("answer_meteor", answer_note)):
            if note:
                notes[name] = note
        overall = {
            "ciou": total.masks.ciou,
            "giou": total.masks.giou,
            "no_target_accuracy": total.masks.no_target_accuracy,
            "indicator_accuracy": total.masks.indicator_accuracy,
            "analysis_meteor": analysis_meteor,
            "analysis_cider": total.analyses.cider(),
            "answer_meteor": answer_meteor,
            "answer_cider": total.answers.cider(),
            "depth_mae": total.mean("depth_mae"),
            "hands_correct": total.mean("hands_correct"),
            "category_correct": total.mean("category_correct"),
            "color_correct": total.mean("color_correct"),
        }
        orders = {"kind": KINDS, "size": [name for name, _ in SIZES], "hand": ("left", "right", "both", "none")}
        by: dict[str, dict[str, Any]] = {}
        for dimension, rows in self.by.items():
            names = [k for k in orders.get(dimension, sorted(rows)) if k in rows]
            by[dimension] = {name: _row(rows[name], dimension) for name in names}
        by["target"] = {role: {"ciou": ciou} for role, ciou in total.masks.ciou_by_target.items()}
        return {"overall": _rounded(overall), "by": _rounded(by), "notes": notes}


def _row(scores: Scores, dimension: str) -> dict[str, Any]:
    row: dict[str, Any] = {"queries": scores.queries}
    if len(scores.masks):
        row |= {"ciou": scores.masks.ciou, "giou": scores.masks.giou}
        row["no_target_accuracy"] = scores.masks.no_target_accuracy
    if dimension == "kind":
        row["answer_cider"] = scores.answers.cider()
    if dimension in ("category", "hand"):
        row["samples"] = scores.samples
        row |= {name: scores.mean(name) for name in ("hands_correct", "category_correct", "color_correct")}
    return {name: value for name, value in row.items() if value is not None}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return round(value, 5) if isinstance(value, float) else value


def evaluate(
    pipe: Any,
    samples: Iterable[Sample],
    queries_per_image: int = QUERIES_PER_IMAGE,
    predictions: TextIO | None = None,
) -> Report:
    """Run a pipeline over pictures and compare.

    A mask query whose mask indicator is below `INDICATOR_THRESHOLD` counts as answered with an empty mask. Questions of
    kind "chat" count for the text of their answer only. Of the analysis, the hands are compared on every picture, category
    and colour on those that have an active object.

    Args:
        pipe: an `AnnexePipeline`, or anything whose ``open(image)`` gives a session with ``analyze`` and ``ask``.
        samples: pictures with their truth.
        queries_per_image: how many of a picture's queries are asked.
        predictions: gets one JSON line a picture.
    """
    report = Report()
    for sample in samples:
        prediction = _evaluate_sample(pipe, sample, queries_per_image, report)
        if predictions is not None:
            predictions.write(json.dumps(prediction, ensure_ascii=False, allow_nan=False) + "\n")
            predictions.flush()
    return report


def _evaluate_sample(pipe: Any, sample: Sample, queries_per_image: int, report: Report) -> dict[str, Any]:
    if not sample.groups:
        raise DatasetError(f"{sample.name}: a picture must have query groups but has none")
    truth = true_interaction(sample)
    hand = "both" if len(truth.hands) == 2 else next(iter(truth.hands), "none")
    where = {"category": truth.category or "none", "hand": hand}
    index_map, depth_truth = sample.load_mask(), sample.load_depth()

    session = pipe.open(sample.load_image())
    analysis, error = "", None
    for event in session.analyze():
        if isinstance(event, DepthMap) and depth_truth is not None:
            error = depth_mae(event.depth, depth_truth)
        elif isinstance(event, Done):
            analysis = event.text
    said = parse_interaction(analysis)
    for scores in report.rows(**where):
        scores.samples += 1
        scores.analyses.add(sample.groups[0].caption, analysis)
        scores.mark("depth_mae", error)
        scores.mark("hands_correct", hands_correct(said, truth))
        if truth.category is not None:
            scores.mark("category_correct", category_correct(said, truth))
            scores.mark("color_correct", color_correct(said, truth))

    answered = []
    for group, question in choose_queries(sample.name, sample.groups, queries_per_image):
        groundings: list[Grounding] = []
        done = None
        for event in session.ask(question.query):
            if isinstance(event, Grounding):
                groundings.append(event)
            elif isinstance(event, Done):
                done = event
        if done is None:
            raise RuntimeError(f"{sample.name}: the answer to {question.query!r} ended without Done")
        # An answer that neither masks anything nor says that there is nothing to mask has not found "no target".
        indicator = 1.0 if done.indicator is None else done.indicator
        if indicator < INDICATOR_THRESHOLD:
            groundings = []
        for scores in report.rows(kind=group.kind, **where):
            scores.queries += 1
            scores.answers.add(group.answer, done.text)
        iou = None
        if group.kind != "chat":
            targets = [(t, index_map == i if i else np.zeros_like(index_map, bool))
                       for t, i in zip(group.tokens, group.masks_idx, strict=True)]  # fmt: skip
            true_mask, mask = _union(m for _, m in targets), _union(g.mask for g in groundings)
            size = _size(true_mask) if true_mask is not None else None
            for scores in report.rows(kind=group.kind, size=size, **where):
                iou = scores.masks.add(mask, true_mask, bool(targets), indicator)
            if targets:
                report.overall.masks.add_targets([(g.label, g.mask) for g in groundings], targets)
            if size is not None:
                report.by["size"][size].queries += 1
        answered.append(
            {
                "query": question.query,
                "kind": group.kind,
                "answer": done.text,
                "reference": group.answer,
                "indicator": None if done.indicator is None else round(float(done.indicator), 5),
                "iou": None if iou is None else round(iou, 5),
                "score": round(float(np.mean([g.score for g in groundings])), 5) if groundings else None,
                "groundings": [
                    {
                        "label": g.label,
                        "score": round(float(g.score), 5),
                        "span": list(g.span),
                        "rle": mask_to_rle(g.mask),
                    }
                    for g in groundings
                ],
            }
        )
    return {
        "name": sample.name,
        "analysis": analysis,
        "reference": sample.groups[0].caption,
        "hands": sorted(said.hands),
        "true_hands": sorted(truth.hands),
        "category": said.category,
        "true_category": truth.category,
        "color": said.color,
        "true_color": truth.color,
        "depth_mae": None if error is None else round(error, 5),
        "queries": answered,
    }


def _union(masks: Iterable[np.ndarray]) -> np.ndarray | None:
    masks = list(masks)
    return np.logical_or.reduce(masks) if masks else None


def _size(mask: np.ndarray) -> str:
    share = np.count_nonzero(mask) / mask.size
    return next(name for name, bound in SIZES if share < bound)


def format_report(report: dict[str, Any]) -> str:
    """report.json as tables for a terminal."""
    lines = [f"{report['model']} on {report['data']}, split {report['split']}: "
             f"{report['samples']} pictures, {report['queries']} queries", ""]  # fmt: skip
    width = max(map(len, report["overall"]))
    lines += [f"  {name:{width}s}  {_cell(value)}" for name, value in report["overall"].items()]
    for dimension, rows in report["by"].items():
        if not rows:
            continue
        columns = list(dict.fromkeys(name for row in rows.values() for name in row))
        width = max(len(dimension) + 3, *map(len, rows))
        lines += ["", f"  {'by ' + dimension:{width}s}  " + "  ".join(f"{c:>7s}" for c in columns)]
        for name, row in rows.items():
            cells = (f"{_cell(row[c]) if c in row else '':>{max(7, len(c))}s}" for c in columns)
            lines.append(f"  {name:{width}s}  " + "  ".join(cells))
    lines += [f"\n  {name}: {note}" for name, note in report["notes"].items()]
    return "\n".join(lines)


def _cell(value: float | int | None) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more but got {value}")
    return value


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m annexe_demo.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model folder or Hub id (default: %(default)s)")
    parser.add_argument("--data", type=Path, required=True, help="folder in the layout of Ego-IRGBench")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--limit", type=_positive, help="measure on this many pictures, evenly spread over the split")
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {REPORT_FILE} and {PREDICTIONS_FILE}")
    parser.add_argument("--queries-per-image", type=_positive, default=QUERIES_PER_IMAGE, metavar="N",
                        help="queries asked of each picture (default: %(default)s)")  # fmt: skip
    parser.add_argument("--device", help='"cpu", "cuda", ... (default: CUDA where there is one)')
    args = parser.parse_args(argv)
    try:
        dataset = EgoIRGBench(args.data, args.split)
        if not len(dataset):
            raise DatasetError(f"split {args.split!r} of {args.data} must have pictures but has none")
        args.out.mkdir(parents=True, exist_ok=True)
        pipe = load_pipeline(args.model, args.device)
        chosen = pick_evenly(len(dataset), args.limit)
        bar = tqdm((dataset[i] for i in chosen), total=len(chosen), unit="picture")
        with (args.out / PREDICTIONS_FILE).open("w", encoding="utf-8") as predictions:
            scores = evaluate(pipe, bar, args.queries_per_image, predictions)
    except (InputError, DatasetError, ImageError, OSError) as error:
        print(f"annexe_demo.evaluate: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    report = {
        "model": args.model,
        "data": str(args.data),
        "split": args.split,
        "samples": scores.overall.samples,
        "queries": scores.overall.queries,
        **scores.to_dict(),
    }
    text = json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False)
    (args.out / REPORT_FILE).write_text(text + "\n", encoding="utf-8")
    print(format_report(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
