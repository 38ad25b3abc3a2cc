"""What the sessions of all engines share: the turn, the check of a query, the conversation about one photo.

Knows no network: an engine says how it makes an analysis and an answer, as events.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .events import DepthMap, Done, Event, Grounding, TextDelta

MAX_QUERY_CHARACTERS = 2000


class QueryError(ValueError):
    """A query that cannot be asked; the message is a sentence for the person who wrote it."""


@dataclass(frozen=True)
class Turn:
    """One query of a session with all that came of it."""

    query: str
    answer: str
    groundings: tuple[Grounding, ...]
    indicator: float | None


@dataclass(frozen=True)
class Result:
    """The events of one analysis and one answer, collected.

    Attributes:
        analysis, answer: complete texts; the answer writes its targets as ``<MSK_0>``, ``<MSK_1>``, ...
        groundings: one per target, masks of shape (H, W) in the photo's own size.
        depth: (H, W) float32, 0 (nearest) to 1 (farthest); None from an engine without depth.
        indicator: mask indicator of the query, see `Done`.
    """

    analysis: str
    answer: str
    groundings: list[Grounding]
    depth: np.ndarray | None = field(repr=False)
    indicator: float | None


def check_query(query: str) -> str:
    """Raises `QueryError` unless `query` is 1 to `MAX_QUERY_CHARACTERS` characters of text."""
    if not isinstance(query, str):
        raise QueryError(f"query must be text but got {type(query).__name__}")
    if not 1 <= len(query.strip()) <= MAX_QUERY_CHARACTERS:
        raise QueryError(f"query must be 1 to {MAX_QUERY_CHARACTERS:,} characters but got {len(query.strip()):,}")
    return query


class BaseSession(ABC):
    """One photo and the conversation about it.

    `analyze` and `ask` are plain generators; closing one stops the work. One runs at a time: a second call waits.

    Attributes:
        image: (H, W, 3) uint8 RGB, upright.
        analysis: text of the analysis once it has been made, else None.
        history: the turns that were completed, oldest first.
    """

    def __init__(self, image: np.ndarray):
        self.image = image
        self.analysis: str | None = None
        self.history: list[Turn] = []
        self._lock = threading.Lock()

    def analyze(self) -> Iterator[Event]:
        """Describe the interaction: `TextDelta`s, `Done`. The text is made once and repeated after that."""
        if self.analysis is not None:
            yield TextDelta("analysis", self.analysis)
            yield Done("analysis", self.analysis)
            return
        with self._lock:
            yield from self._analyze()

    def ask(self, query: str) -> Iterator[Event]:
        """Answer a query: `TextDelta`s, a `Grounding` for each target, `Done`.

        The analysis is made first where there is none yet, and of its events only the silent ones are passed on: what is
        answered depends on it.

        Raises:
            QueryError: the query is empty or too long.
        """
        check_query(query)
        with self._lock:
            if self.analysis is None:
                for event in self._analyze():
                    if event == TextDelta("analysis", ""):
                        yield TextDelta("answer", "")
            yield from self._ask(query)

    @abstractmethod
    def _analyze(self) -> Iterator[Event]:
        """Make the analysis and set it."""

    @abstractmethod
    def _ask(self, query: str) -> Iterator[Event]:
        """Answer a query and add the turn to the history."""


def collect(session: BaseSession, query: str) -> Result:
    """Analyze a session's photo and answer one query about it, in one go. Raises `QueryError`."""
    depth = None
    for event in session.analyze():
        if isinstance(event, DepthMap):
            depth = event.depth
    for _ in session.ask(query):
        pass
    turn = session.history[-1]
    return Result(session.analysis or "", turn.answer, list(turn.groundings), depth, turn.indicator)
