"""What a session yields while it works: a small closed set of frozen dataclasses.

The pipeline produces them, the page, the command line and the API consume them; none of them knows the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

INDICATOR_THRESHOLD = 0.5  # of `Done.indicator`: below it, the query has no target

Branch = Literal["analysis", "answer"]


class ServiceError(RuntimeError):
    """Raised amid the events when a service that the engine depends on fails; the message is a sentence for people."""


@dataclass(frozen=True)
class TextDelta:
    """New text of one branch. The deltas of a branch, joined, are the `text` of its `Done`.

    An empty one says that the model is still silent: whoever reads can stop here.
    """

    branch: Branch
    text: str


@dataclass(frozen=True)
class Grounding:
    """One target named by the answer, with its mask.

    Attributes:
        index: 0-based number of the target; the answer writes it as ``<MSK_index>``.
        label: the words that name the target, e.g. ``"right hand"``.
        mask: bool array of shape (H, W), in the photo's own size and upright orientation.
        score: predicted IoU of the mask, 0 to 1.
        span: (start, end) character offsets of the label in the answer text.
    """

    index: int
    label: str
    mask: np.ndarray = field(repr=False)
    score: float
    span: tuple[int, int]


@dataclass(frozen=True)
class DepthMap:
    """Relative depth estimated from the photo.

    Attributes:
        depth: float32 array of shape (H, W), 0 (nearest) to 1 (farthest); no metric unit.
    """

    depth: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Done:
    """End of one branch.

    Attributes:
        text: the complete text, ``<MSK_n>`` included.
        indicator: mask indicator R_c (paper section 3.3): probability that the query has a target in this
            photo; None for the analysis, and for answers that name no target because none was asked for.
        finish_reason: "stop" (the model ended its sentence) or "length" (the token limit did).
    """

    branch: Branch
    text: str
    indicator: float | None = None
    finish_reason: Literal["stop", "length"] = "stop"


Event = TextDelta | Grounding | DepthMap | Done
