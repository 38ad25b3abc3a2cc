"""What one visitor sees: a photo, its analysis and the questions about it, and the work that changes them.

Plain Python: no Gradio. The working methods are generators that change the conversation and yield what they changed, so
that a page redraws only that. Each run of work has a number; `Conversation.stop` moves the number on, and the run that
finds itself outdated closes the session's generator and ends. Closing the run itself does the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Any, Literal

import numpy as np

from annexe_demo.data.facts import CATEGORIES
from annexe_demo.data.language import parse_interaction
from annexe_demo.events import DepthMap, Done, Event, Grounding, ServiceError, TextDelta
from annexe_demo.images import ImageError
from annexe_demo.session import QueryError
from annexe_demo.ui.texts import Texts

logger = logging.getLogger(__name__)

State = Literal["waiting", "streaming", "done", "stopped"]
View = Literal["masks", "photo", "depth"]


class Change(Flag):
    """Parts of the page that a step changed."""

    CHAT = auto()
    PICTURE = auto()
    PHOTO = auto()  # whether there is one
    SUGGESTIONS = auto()
    CONTROLS = auto()
    ALL = CHAT | PICTURE | PHOTO | SUGGESTIONS | CONTROLS


@dataclass
class Entry:
    """One text of the model: the analysis (``query`` is None) or the answer to a query."""

    query: str | None = None
    text: str = ""
    groundings: list[Grounding] = field(default_factory=list)
    indicator: float | None = None
    state: State = "waiting"
    cut_off: bool = False

    @property
    def open(self) -> bool:
        return self.state in ("waiting", "streaming")


@dataclass(frozen=True)
class PhotoRequest:
    """A photo to open, with a question to ask at once and the suggestions that come with it."""

    source: Any
    query: str | None = None
    suggestions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Notice:
    """One sentence to the visitor."""

    text: str
    kind: Literal["status", "error"] = "status"


class Conversation:
    """State of one visitor. Made empty, so that it can be copied; it never refers to another visitor's."""

    def __init__(self) -> None:
        self.session: Any = None
        self.analysis: Entry | None = None
        self.entries: list[Entry] = []
        self.depth: np.ndarray | None = None
        self.view: View = "masks"
        self.suggestions: dict[str, str] = {}
        self.notice: Notice | None = None
        self.draft: str | None = None
        """Text to put back into the question box: a question that could not be asked."""
        self._request: PhotoRequest | Entry | None = None
        self._run = 0

    # ---- state

    @property
    def image(self) -> np.ndarray | None:
        """The photo, (H, W, 3) uint8, upright."""
        return None if self.session is None else self.session.image

    @property
    def busy(self) -> bool:
        return self._request is not None or any(e.open for e in self._all())

    @property
    def shown(self) -> Entry | None:
        """The answer whose masks are on the picture: the latest."""
        return self.entries[-1] if self.entries else None

    def _all(self) -> list[Entry]:
        return ([self.analysis] if self.analysis else []) + self.entries

    # ---- requests: quick, they only note what is to be done

    def request_photo(self, request: PhotoRequest, texts: Texts) -> None:
        """Ask for a photo to be opened. The present conversation stays until the new photo has proved readable."""
        self.stop()
        self._request = request
        self.notice = Notice(texts.waiting)

    def request_answer(self, query: str, texts: Texts) -> bool:
        """Ask a question about the photo. False, with a notice, where that makes no sense."""
        if self.session is None:
            self.notice = Notice(texts.need_photo, "error")
        elif not query.strip():
            self.notice = Notice(texts.need_question, "error")
        else:
            self.stop()
            self.view = "masks"
            self._request = Entry(query.strip())
            self.entries.append(self._request)
            self.notice = Notice(texts.waiting)
            return True
        return False

    def request_retry(self, texts: Texts) -> bool:
        """Ask the last question again, or analyse again where there is no question yet."""
        if self.session is None:
            self.notice = Notice(texts.nothing_to_retry, "error")
            return False
        self.stop()
        if self.entries:
            last = self.entries.pop()
            history = self.session.history
            if last.state == "done" and history and history[-1].query == last.query:
                history.pop()
            return self.request_answer(last.query or "", texts)
        self.analysis = self._request = Entry()
        self.notice = Notice(texts.waiting)
        return True

    def stop(self) -> bool:
        """End whatever is running or waiting. What was written so far stays. True if there was anything to stop."""
        stopped = self.busy
        self._run += 1
        self._request = None
        for entry in self._all():
            if entry.open:
                entry.state = "stopped"
        return stopped

    def say(self, text: str) -> None:
        """Put a status line under the conversation."""
        self.notice = Notice(text)

    def clear(self) -> None:
        """Forget the photo and everything said about it."""
        self.stop()
        self.session = self.analysis = self.depth = self.notice = self.draft = None
        self.view = "masks"
        self.entries = []
        self.suggestions = {}

    # ---- work

    def work(self, pipe: Any, texts: Texts) -> Iterator[Change]:
        """Do what was requested last. Errors end up in `notice`; only the closing of this generator gets through."""
        request, self._request = self._request, None
        if request is None:
            yield Change.CONTROLS  # something: Gradio empties every output of a generator that yields nothing
            return
        run, began = self._run, time.monotonic()
        try:
            if isinstance(request, PhotoRequest):
                yield from self._open(pipe, request, run, texts)
            elif request.query is None:
                yield from self._stream(request, self.session.analyze, run, Notice(texts.analyzing))
            else:
                yield from self._ask(request, run, texts)
        except ServiceError as error:  # a server that fails says so in its own sentence
            if run == self._run:
                self.stop()
                self.notice = Notice(sentence(str(error)), "error")
        except Exception as error:  # whatever happens inside the model, the visitor gets a sentence
            logger.exception("a request of a visitor failed")
            if run == self._run:
                self.stop()
                memory = isinstance(error, MemoryError) or "out of memory" in str(error).lower()
                self.notice = Notice(texts.out_of_memory if memory else texts.internal_error, "error")
        if run == self._run and self.notice and self.notice.kind == "status":
            self.notice = Notice(texts.finished.format(seconds=time.monotonic() - began))
        yield Change.CHAT | Change.CONTROLS

    def _open(self, pipe: Any, request: PhotoRequest, run: int, texts: Texts) -> Iterator[Change]:
        self.notice = Notice(texts.opening)
        yield Change.CONTROLS
        try:
            session = pipe.open(request.source)
        except ImageError as error:
            self.notice = Notice(str(error), "error")
            yield Change.PHOTO | Change.CONTROLS
            return
        if run != self._run:
            return
        self.session = session
        self.analysis = Entry()
        self.entries = []
        self.depth = None
        self.view = "masks"
        self.suggestions = suggest("", texts) | request.suggestions
        yield Change.ALL
        yield from self._stream(self.analysis, session.analyze, run, Notice(texts.analyzing))
        if run != self._run:
            return
        self.suggestions = suggest(self.analysis.text, texts) | request.suggestions
        yield Change.SUGGESTIONS
        if request.query:
            entry = Entry(request.query)
            self.entries.append(entry)
            yield from self._ask(entry, run, texts)

    def _ask(self, entry: Entry, run: int, texts: Texts) -> Iterator[Change]:
        try:
            yield from self._stream(entry, lambda: self.session.ask(entry.query), run, Notice(texts.answering))
        except QueryError as error:
            if run != self._run:
                return
            self.entries.remove(entry)
            self.draft = entry.query
            self.notice = Notice(sentence(str(error)), "error")
            yield Change.CHAT | Change.PICTURE | Change.CONTROLS

    def _stream(self, entry: Entry, start: Callable[[], Iterator[Event]], run: int, notice: Notice) -> Iterator[Change]:
        if run != self._run:
            return
        entry.state = "streaming"
        self.notice = notice
        branch = "analysis" if entry.query is None else "answer"
        try:
            yield Change.CHAT | Change.PICTURE | Change.CONTROLS
            with closing(start()) as events:  # leaving the loop in any way stops the work on the device
                for event in events:
                    if run != self._run:
                        return
                    change = self._apply(event, entry, branch)
                    if change:
                        yield change
                    if run != self._run:
                        return
        finally:
            if entry.open:
                entry.state = "stopped"

    def _apply(self, event: Event, entry: Entry, branch: str) -> Change | None:
        if isinstance(event, DepthMap):
            self.depth = event.depth
            return Change.PICTURE if self.view == "depth" else None
        if isinstance(event, Grounding):
            entry.groundings.append(event)
            return Change.CHAT | Change.PICTURE
        if event.branch != branch:
            return None
        if isinstance(event, TextDelta):
            entry.text += event.text
            return Change.CHAT
        if isinstance(event, Done):
            entry.text, entry.indicator, entry.state = event.text, event.indicator, "done"
            entry.cut_off = event.finish_reason == "length"
            return Change.CHAT | Change.PICTURE
        return None


def suggest(analysis: str, texts: Texts) -> dict[str, str]:
    """One question of each kind about the hand and the object that the analysis names, as far as it names them. The last
    asks for a category that it does not name."""
    found, own = parse_interaction(analysis), texts.found_questions
    hand = next(iter(found.hands)) if len(found.hands) == 1 else None
    absent = next((c for c in CATEGORIES if c not in analysis.lower()), CATEGORIES[0])
    questions = dict(texts.default_questions)
    questions["no-target"] = questions["no-target"].format(category=absent, hand=hand or "left")
    if found.category is not None:
        questions["single"] = own["object"].format(category=found.category)
    elif hand is not None:
        questions["single"] = own["hand"].format(hand=hand)
    if found.category is not None and hand is not None:
        questions["multi"] = own["both"].format(hand=hand, category=found.category)
    return questions


def sentence(text: str) -> str:
    """An error's text as a sentence: capital at the start, full stop at the end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
