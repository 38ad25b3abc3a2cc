"""A stand-in for `AnnexePipeline` with fixed texts: for the page's own unit tests, never for what a model says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import numpy as np

from annexe_demo.events import DepthMap, Done, Event, Grounding, TextDelta
from annexe_demo.images import load_image
from annexe_demo.pipeline import QueryError, Turn

ANALYSIS = "The right hand of the person is holding a red mug over the table."
NO_TARGET = "There is no suitable results of your query."
SINGLE = ("The mask of the right hand is <MSK_0>.", ["right hand"], 0.98)
# The first word of these that a query contains decides what is answered.
ANSWERS = {
    "kettle": (NO_TARGET, [], 0.03),
    "colour": ("It is red & <b>shiny</b>.", [], None),
    " and ": (
        "The mask of the right hand is <MSK_0>, the mask of red mug is <MSK_1>.",
        ["right hand", "red mug"],
        0.99,
    ),
}


class StandIn:
    """A pipeline that answers by a word of the query, one word of text each `delay` seconds.

    Attributes:
        closed: what had been written when a generator was closed before its end.
        running, most: generators at work now, and the most there ever were at once.
        error: raised by the next word, if set.
    """

    name = "stand-in"
    limitations = "It knows nothing <at all>."

    def __init__(self, delay: float = 0.0):
        self.delay = delay
        self.closed: list[str] = []
        self.running = self.most = 0
        self.error: Exception | None = None

    def open(self, image) -> StandInSession:
        return StandInSession(self, load_image(image))


class StandInSession:
    def __init__(self, pipe: StandIn, image: np.ndarray):
        self.image = image
        self.analysis: str | None = None
        self.history: list[Turn] = []
        self._pipe = pipe

    def analyze(self) -> Iterator[Event]:
        height, width = self.image.shape[:2]
        yield DepthMap(np.linspace(1, 0, height, dtype=np.float32)[:, None].repeat(width, 1))
        yield from self._write("analysis", ANALYSIS, [], None)
        self.analysis = ANALYSIS

    def ask(self, query: str) -> Iterator[Event]:
        if not 1 <= len(query.strip()) <= 2000:
            raise QueryError(f"query must be 1 to 2,000 characters but got {len(query.strip()):,}")
        if self.analysis is None:
            self.analysis = ANALYSIS
        text, labels, indicator = next((a for word, a in ANSWERS.items() if word in query.lower()), SINGLE)
        found = []
        for event in self._write("answer", text, labels, indicator):
            if isinstance(event, Grounding):
                found.append(event)
            if isinstance(event, Done):
                self.history.append(Turn(query, event.text, tuple(found), indicator))
            yield event

    def _write(self, branch, text: str, labels: list[str], indicator: float | None) -> Iterator[Event]:
        pipe, so_far = self._pipe, ""
        pipe.running += 1
        pipe.most = max(pipe.most, pipe.running)
        try:
            for token in re.findall(r"<MSK_\d+>|\s?[^\s<]+|\s|<", text):
                if pipe.error is not None:
                    raise pipe.error
                time.sleep(pipe.delay)
                so_far += token
                yield TextDelta(branch, token)
                if match := re.fullmatch(r"<MSK_(\d+)>", token):
                    yield self._grounding(int(match[1]), labels[int(match[1])], text)
            yield Done(branch, text, indicator)
        except GeneratorExit:
            pipe.closed.append(so_far)
            raise
        finally:
            pipe.running -= 1

    def _grounding(self, index: int, label: str, text: str) -> Grounding:
        height, width = self.image.shape[:2]
        mask = np.zeros((height, width), bool)
        left = (0.1, 0.55)[index]
        mask[int(0.3 * height) : int(0.8 * height), int(left * width) : int((left + 0.35) * width)] = True
        start = text.index(label)
        return Grounding(index, label, mask, 0.91 - 0.2 * index, (start, start + len(label)))
