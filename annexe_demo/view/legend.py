"""What stands beside the picture: one entry for each target, and the answer cut into phrases that carry a colour."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from annexe_demo.events import Grounding
from annexe_demo.view.palette import color_for, text_color_on

_MASK_TOKEN = re.compile(r"\s?<MSK_\d+>")


@dataclass(frozen=True)
class LegendEntry:
    """One target of an answer. ``area`` is its share of the picture, 0 to 1; ``score`` the predicted IoU, 0 to 1."""

    index: int
    label: str
    color: str
    text_color: str
    score: float
    area: float


@dataclass(frozen=True)
class Segment:
    """A run of the answer's text. ``index`` is the target that it names, or None for the words between."""

    text: str
    index: int | None = None


def legend(groundings: Iterable[Grounding]) -> list[LegendEntry]:
    """Entries in the order of the answer."""
    return [
        LegendEntry(
            index=g.index,
            label=g.label,
            color=(color := color_for(g.index, g.label)),
            text_color=text_color_on(color),
            score=float(g.score),
            area=float(np.count_nonzero(g.mask) / max(g.mask.size, 1)),
        )
        for g in sorted(groundings, key=lambda g: g.index)
    ]


def answer_segments(answer: str, groundings: Iterable[Grounding], keep_tokens: bool = False) -> list[Segment]:
    """Cut `answer` at the labels of its targets. Plain text: escaping it is the business of whoever shows it.

    Args:
        answer: the answer, or as much of it as has been streamed.
        groundings: targets whose ``span`` marks their label in `answer`. Spans that do not fit are left uncoloured.
        keep_tokens: keep ``<MSK_n>`` in the text; else they are dropped with the space before them.
    """
    segments: list[Segment] = []
    at = 0

    def add(text: str, index: int | None = None) -> None:
        text = text if keep_tokens else _MASK_TOKEN.sub("", text)
        if text:
            segments.append(Segment(text, index))

    for g in sorted(groundings, key=lambda g: g.span):
        start, end = g.span
        if start < at or end > len(answer) or start >= end:
            continue
        add(answer[at:start])
        add(answer[start:end], g.index)
        at = end
    add(answer[at:])
    return segments
