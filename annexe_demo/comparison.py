"""One picture's answers against the truth: the measures of `annexe_demo.metrics` that make sense for a single picture.

CIDEr is not among them: it weighs words by how rare they are in a whole corpus, and is 0 by definition for one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from annexe_demo.data.egoirgbench import DatasetError, Group, Sample
from annexe_demo.events import INDICATOR_THRESHOLD, Grounding
from annexe_demo.metrics import GroundingMetrics, TextMetrics, intersection_and_union, pair_targets, tokenize


@dataclass(frozen=True)
class MaskScores:
    """Masks of one answer against the true ones.

    Attributes:
        iou: of the unions of all masks, 0 to 1; where there is no target, 1 when the model said so, else 0.
        has_target: the query has one.
        claimed: the model says that it has one.
        targets: label and IoU of each true target, and of predicted ones that stand for no true one (IoU 0).
    """

    iou: float
    has_target: bool
    claimed: bool
    targets: tuple[tuple[str, float], ...]


def true_groundings(sample: Sample, group: Group, index_map: np.ndarray) -> list[Grounding]:
    """The true masks of a query as groundings, with score 1 and the label's place in the true answer.

    Args:
        sample: the picture, named in errors.
        group: the query's group.
        index_map: (H, W) uint8, from `Sample.load_mask`.

    Raises:
        DatasetError: a target has index 0, which is the background.
    """
    groundings = []
    for n, (label, index) in enumerate(zip(group.tokens, group.masks_idx, strict=True)):
        if index == 0:
            raise DatasetError(f"{sample.name}: the mask index of {label!r} must be 1 or more but got 0")
        end = group.answer.find(f"<MSK_{n}>")
        start = group.answer.lower().rfind(label.lower(), 0, end) if end >= 0 else -1
        span = (start, start + len(label)) if start >= 0 else (0, 0)
        groundings.append(Grounding(n, label, index_map == index, 1.0, span))
    return groundings


def union(groundings: Iterable[Grounding]) -> np.ndarray | None:
    """All masks as one of shape (H, W); None without a mask."""
    masks = [g.mask for g in groundings]
    return np.logical_or.reduce(masks) if masks else None


def compare_masks(
    predicted: Sequence[Grounding], truth: Sequence[Grounding], indicator: float | None = None
) -> MaskScores:
    """Compare the masks of one answer, by the rules of `annexe_demo.evaluate`.

    Args:
        predicted: what the model masked.
        truth: what should be masked; none for a query without a target.
        indicator: the model's probability that there is a target; None counts as 1.

    Raises:
        ValueError: the masks differ in size.
    """
    indicator = 1.0 if indicator is None else indicator
    claimed = indicator >= INDICATOR_THRESHOLD
    predicted = list(predicted) if claimed else []
    iou = GroundingMetrics().add(union(predicted), union(truth), bool(truth), indicator)
    targets = []
    for p, t in pair_targets([g.label for g in predicted], [g.label for g in truth]):
        label = predicted[p].label if t is None else truth[t].label
        both, either = intersection_and_union(
            None if p is None else predicted[p].mask, None if t is None else truth[t].mask
        )
        targets.append((label, both / either if either else 1.0))
    return MaskScores(iou, bool(truth), claimed, tuple(targets))


def rouge_l(reference: str, hypothesis: str) -> float:
    """ROUGE-L of one pair of sentences, 0 to 1: F-measure (beta 1.2) of the longest common subsequence of words
    (Lin 2004, https://aclanthology.org/W04-1013/)."""
    reference, hypothesis = tokenize(reference), tokenize(hypothesis)
    if not reference or not hypothesis:
        return 0.0
    from pycocoevalcap.rouge.rouge import Rouge

    return float(Rouge().calc_score([hypothesis], [reference]))


def meteor(pairs: Sequence[tuple[str, str]]) -> tuple[list[float] | None, str | None]:
    """METEOR of each pair of a true and a predicted sentence, 0 to 1, and None; or None and the reason why there are no
    scores. Starts Java once, which takes seconds, however many pairs there are."""
    metrics = TextMetrics()
    for reference, hypothesis in pairs:
        metrics.add(reference, hypothesis)
    return metrics.meteor_each()


def normalize_depth(depth: np.ndarray) -> np.ndarray:
    """True depth of shape (H, W), in any unit, as 0 (nearest) to 1 (farthest) of this picture; NaN where unknown."""
    depth = np.asarray(depth, np.float32)
    known = np.isfinite(depth) & (depth > 0)
    if not known.any():
        return np.full(depth.shape, np.nan, np.float32)
    low, high = depth[known].min(), depth[known].max()
    return np.where(known, (depth - low) / max(high - low, 1e-6), np.nan).astype(np.float32)
