"""A pipeline without a network: it says and masks what it was told to, through the events and errors of the real one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from annexe_demo.events import DepthMap, Done, Event, Grounding, TextDelta
from annexe_demo.images import load_image
from annexe_demo.session import Turn


@dataclass
class Reply:
    """What to answer: a sentence with ``<MSK_k>``, and for each k the label before it with its mask."""

    answer: str
    targets: list[tuple[str, np.ndarray]] = field(default_factory=list)
    indicator: float | None = None
    score: float = 0.9


class FakePipeline:
    """`describe(image)` gives the analysis, `reply(image, query)` the answer; `depth(image)` the depth."""

    name = "fake"
    limitations = "It knows nothing."

    def __init__(
        self,
        describe: Callable[[np.ndarray], str],
        reply: Callable[[np.ndarray, str], Reply],
        depth: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        self.describe, self.reply = describe, reply
        self.depth = depth or (lambda image: np.zeros(image.shape[:2], np.float32))
        self.opened = 0

    def open(self, image) -> FakeSession:
        self.opened += 1
        return FakeSession(self, load_image(image))


class FakeSession:
    def __init__(self, pipe: FakePipeline, image: np.ndarray):
        self.pipe, self.image = pipe, image
        self.analysis: str | None = None
        self.history: list[Turn] = []

    def analyze(self) -> Iterator[Event]:
        yield DepthMap(self.pipe.depth(self.image))
        text = self.pipe.describe(self.image)
        for word in re.findall(r"\S+\s*", text):
            yield TextDelta("analysis", word)
        self.analysis = text
        yield Done("analysis", text)

    def ask(self, query: str) -> Iterator[Event]:
        reply = self.pipe.reply(self.image, query)
        at, found = 0, []
        for match in re.finditer(r"<MSK_(\d+)>", reply.answer):
            yield TextDelta("answer", reply.answer[at : match.end()])
            at = match.end()
            k = int(match[1])
            if k < len(reply.targets) and (reply.indicator is None or reply.indicator >= 0.5):
                label, mask = reply.targets[k]
                start = reply.answer.rfind(label, 0, match.start())
                found.append(Grounding(k, label, mask, reply.score, (start, start + len(label))))
                yield found[-1]
        if reply.answer[at:]:
            yield TextDelta("answer", reply.answer[at:])
        self.history.append(Turn(query, reply.answer, tuple(found), reply.indicator))
        yield Done("answer", reply.answer, reply.indicator)
