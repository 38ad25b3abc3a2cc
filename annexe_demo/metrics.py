"""The measures of egocentric interaction reasoning and pixel grounding, on arrays and strings.

All fractions are 0 to 1, CIDEr is 0 to 10. cIoU and gIoU are those of generalised referring segmentation (Liu et al.,
GRES, CVPR 2023, https://arxiv.org/abs/2306.00968): sums over the whole split, never means over batches.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np

from annexe_demo.data.language import Interaction, parse_interaction, target_role
from annexe_demo.events import INDICATOR_THRESHOLD

# --------------------------------------------------------------------------------------------------------------------
# Masks


def intersection_and_union(predicted: np.ndarray | None, truth: np.ndarray | None) -> tuple[int, int]:
    """Pixels in both masks, and in either. None is an empty mask.

    Args:
        predicted, truth: (H, W) bool, or anything that is non-zero inside the mask.

    Raises:
        ValueError: the masks differ in size.
    """
    if predicted is None or truth is None:
        alone = truth if predicted is None else predicted
        return 0, 0 if alone is None else int(np.count_nonzero(alone))
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    if predicted.shape != truth.shape:
        raise ValueError(f"masks must be equally large but got {predicted.shape} and {truth.shape}")
    predicted, truth = predicted.astype(bool), truth.astype(bool)
    return int(np.count_nonzero(predicted & truth)), int(np.count_nonzero(predicted | truth))


def pair_targets(predicted: Sequence[str], truth: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Which predicted target stands for which true one, by their labels.

    Equal labels belong together. Objects left over are paired in their order, since a mug called a bowl is still the same
    object; hands never are, since left and right are the question.

    Returns:
        (index into predicted, index into truth) for each pair; None where the other side has no counterpart. True
        targets come first, in their order.
    """
    free = list(range(len(predicted)))
    match: dict[int, int] = {}
    for t, label in enumerate(truth):
        p = next((p for p in free if predicted[p].strip().lower() == label.strip().lower()), None)
        if p is not None:
            match[t] = p
            free.remove(p)
    for t, label in enumerate(truth):
        p = next((p for p in free if target_role(predicted[p]) == "object"), None)
        if t not in match and target_role(label) == "object" and p is not None:
            match[t] = p
            free.remove(p)
    return [(match.get(t), t) for t in range(len(truth))] + [(p, None) for p in free]


class GroundingMetrics:
    """Accumulates mask queries: those that have a target, and those that have none.

    Questions with a plain answer, which ask for no mask, do not belong here.
    """

    def __init__(self) -> None:
        self._intersection = 0
        self._union = 0
        self._ious: list[float] = []
        self._no_target: list[bool] = []
        self._indicator: list[bool] = []
        self._roles: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._ious)

    def add(
        self,
        predicted: np.ndarray | None,
        truth: np.ndarray | None,
        has_target: bool,
        indicator: float | None = None,
    ) -> float:
        """Count one query.

        Args:
            predicted: (H, W) union of the masks that were answered; None or empty for none.
            truth: (H, W) union of the true masks; None or empty for none.
            has_target: the query has a target in this picture.
            indicator: the model's probability that it has one. Without it, an answer without a pixel says "none".

        Returns:
            The query's share in gIoU: its IoU, or for a query without a target 1.0 when the model said so, else 0.0.
        """
        answered = predicted is not None and bool(np.any(predicted))
        claimed = answered if indicator is None else indicator >= INDICATOR_THRESHOLD
        return self.add_counts(*intersection_and_union(predicted, truth), has_target, claimed)

    def add_counts(self, intersection: int, union: int, has_target: bool, claimed: bool) -> float:
        """`add` for one whose pixels are counted already; `claimed`: the model said that there is a target."""
        self._indicator.append(claimed == bool(has_target))
        if not has_target:
            self._no_target.append(not claimed)
            share = float(not claimed)
        else:
            self._intersection += intersection
            self._union += union
            share = intersection / union if union else 1.0
        self._ious.append(share)
        return share

    def add_targets(self, predicted: Sequence[tuple[str, np.ndarray]], truth: Sequence[tuple[str, np.ndarray]]) -> None:
        """Count one query's (label, mask) targets one by one, for `ciou_by_target`."""
        for p, t in pair_targets([label for label, _ in predicted], [label for label, _ in truth]):
            role = target_role((predicted[p] if t is None else truth[t])[0])
            masks = None if p is None else predicted[p][1], None if t is None else truth[t][1]
            self.add_target_counts(role, *intersection_and_union(*masks))

    def add_target_counts(self, role: str, intersection: int, union: int) -> None:
        """`add_targets` for one target whose pixels are counted already; `role` as `target_role` names it."""
        counts = self._roles.setdefault(role, [0, 0])
        counts[0] += intersection
        counts[1] += union

    @property
    def ciou(self) -> float | None:
        """Sum of intersections over sum of unions, of all queries that have a target. None before the first."""
        return self._intersection / self._union if self._union else None

    @property
    def giou(self) -> float | None:
        """Mean over all queries of IoU; a query without a target counts 1 when the model said so, else 0."""
        return float(np.mean(self._ious)) if self._ious else None

    @property
    def no_target_accuracy(self) -> float | None:
        """Of the queries without a target, the share of which the model said so."""
        return float(np.mean(self._no_target)) if self._no_target else None

    @property
    def indicator_accuracy(self) -> float | None:
        """Of all queries, the share whose having a target or none the model told rightly."""
        return float(np.mean(self._indicator)) if self._indicator else None

    @property
    def ciou_by_target(self) -> dict[str, float]:
        """cIoU of each role ("left hand", "right hand", "object") over the targets given to `add_targets`."""
        return {role: i / u for role, (i, u) in sorted(self._roles.items()) if u}

    def summary(self) -> dict[str, Any]:
        return {
            "ciou": self.ciou,
            "giou": self.giou,
            "no_target_accuracy": self.no_target_accuracy,
            "indicator_accuracy": self.indicator_accuracy,
            "ciou_by_target": self.ciou_by_target,
        }


# --------------------------------------------------------------------------------------------------------------------
# Text

_WORD_RE = re.compile(r"\w+(?:'\w+)?")
_EMPTY = "emptytext"  # METEOR's line protocol cannot carry a sentence without a word


def tokenize(text: str) -> str:
    """Lower-case words without punctuation, separated by single spaces; ``<MSK_0>`` becomes the word ``msk0``.

    The same with and without Java, so that CIDEr does not depend on the machine: pycocoevalcap's PTB tokenizer needs it.
    """
    text = re.sub(r"<msk_(\d+)>", r" msk\1 ", text.lower().replace("’", "'"))
    return " ".join(_WORD_RE.findall(text))


class TextMetrics:
    """Accumulates pairs of a true and a generated sentence; scores them as one corpus.

    METEOR runs pycocoevalcap's METEOR 1.5, which needs Java; CIDEr (CIDEr-D) does not.
    """

    def __init__(self) -> None:
        self._references: list[str] = []
        self._hypotheses: list[str] = []

    def __len__(self) -> int:
        return len(self._references)

    def add(self, reference: str, hypothesis: str) -> None:
        """Count one pair: ``reference`` is the true sentence, ``hypothesis`` the model's."""
        self._references.append(tokenize(reference) or _EMPTY)
        self._hypotheses.append(tokenize(hypothesis) or _EMPTY)

    def _corpus(self, numbers: Sequence[int]) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
        return {i: [self._references[i]] for i in numbers}, {i: [self._hypotheses[i]] for i in numbers}

    def cider(self) -> float | None:
        """CIDEr of the corpus, 0 to 10; None without a pair. 0 by definition while all references are one sentence."""
        return float(self.cider_scores().mean()) if self._references else None

    def cider_scores(self) -> np.ndarray:
        """CIDEr of each pair in the order they were added, (N,) float64 from 0 to 10.

        How rare a word is comes from the whole corpus. So the mean over some of the pairs is those pairs' part of the
        corpus's score, and can be compared with the mean over others.
        """
        if not self._references:
            return np.zeros(0)
        from pycocoevalcap.cider.cider import Cider

        references, hypotheses = self._corpus(range(len(self)))
        _, scores = Cider().compute_score(references, hypotheses)
        return np.asarray(scores, dtype=np.float64)

    def meteor(self) -> tuple[float | None, str | None]:
        """METEOR of the corpus, 0 to 1, and None; or None and the reason why there is no score."""
        scores, note = self.meteor_of([range(len(self))])
        return scores[0], note

    def meteor_each(self) -> tuple[list[float] | None, str | None]:
        """METEOR of each pair by itself, 0 to 1, and None; or None and the reason why there are no scores."""
        scores, reason = self.meteor_of([[i] for i in range(len(self))])
        return (None if reason else scores), reason

    def meteor_of(self, selections: Sequence[Sequence[int]]) -> tuple[list[float | None], str | None]:
        """METEOR of several corpora drawn from the pairs, by one start of Java.

        Args:
            selections: for each corpus the numbers of its pairs, 0 being the first one added.

        Returns:
            A score from 0 to 1 for each selection, None for an empty one; and None, or the reason why none has a score.
        """
        nothing: list[float | None] = [None] * len(selections)
        if not any(len(selection) for selection in selections):
            return nothing, "there is no sentence to score"
        if shutil.which("java") is None:
            return nothing, "METEOR needs Java, and there is no java on the PATH"
        from pycocoevalcap.meteor.meteor import Meteor

        try:
            scorer = Meteor()
        except OSError as error:
            return nothing, f"METEOR cannot start Java: {error}"
        process = scorer.meteor_p
        try:
            return [float(scorer.compute_score(*self._corpus(s))[0]) if len(s) else None for s in selections], None
        except (OSError, ValueError) as error:
            # It talks over pipes: a Java that died shows as a broken pipe or as an empty line in a number's place.
            if process.poll() is None:
                process.kill()
            said = process.stderr.read().decode(errors="replace").strip().splitlines()
            return nothing, f"METEOR failed: {said[0] if said else error}"
        finally:
            _close(scorer)


def _close(scorer: Any) -> None:
    """End METEOR's Java. pycocoevalcap leaves that to the garbage collector, which may hang on the lock it left taken."""
    process = scorer.meteor_p
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        try:
            pipe.close()
        except OSError:  # what was still buffered has nobody to read it
            pass
    if scorer.lock.locked():
        scorer.lock.release()


# --------------------------------------------------------------------------------------------------------------------
# What an analysis says


def _interaction(text: str | Interaction) -> Interaction:
    return text if isinstance(text, Interaction) else parse_interaction(text)


def hands_correct(predicted: str | Interaction, truth: str | Interaction) -> bool:
    """The same hands interact: left, right, both, or none."""
    return _interaction(predicted).hands == _interaction(truth).hands


def category_correct(predicted: str | Interaction, truth: str | Interaction) -> bool:
    """The same category of active object, or none in either."""
    return _interaction(predicted).category == _interaction(truth).category


def color_correct(predicted: str | Interaction, truth: str | Interaction) -> bool | None:
    """The same colour of the active object; None where the truth names no colour."""
    color = _interaction(truth).color
    return None if color is None else _interaction(predicted).color == color


# --------------------------------------------------------------------------------------------------------------------
# Depth


def depth_mae(predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray | None = None) -> float | None:
    """Mean absolute error of two depth maps, each min-max normalised over the valid pixels of this picture.

    Args:
        predicted: (H, W) depth in any unit, growing with distance.
        truth: (H, W) depth in any unit, growing with distance.
        valid: (H, W) bool; by default where truth is finite and above 0.

    Returns:
        The error, 0 to 1; None without a valid pixel.

    Raises:
        ValueError: the arrays differ in size.
    """
    predicted, truth = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    valid = np.isfinite(truth) & (truth > 0) if valid is None else np.asarray(valid, dtype=bool)
    if not predicted.shape == truth.shape == valid.shape:
        raise ValueError(
            f"predicted, truth and valid must be equally large but got {predicted.shape}, {truth.shape} and {valid.shape}"
        )
    if not valid.any():
        return None
    return float(np.abs(_min_max(predicted[valid]) - _min_max(truth[valid])).mean())


def _min_max(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
