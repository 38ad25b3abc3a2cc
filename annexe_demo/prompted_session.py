"""Photos and questions for the prompted engine: the same API and the same events as `annexe_demo.pipeline`.

    pipe = PromptedPipeline.from_pretrained("qwen3-vl-4b", sam="facebook/sam-vit-base")
    session = pipe.open("photo.jpg")
    for event in session.ask("Please segment the right hand."): ...

Differences that follow from the engine: there is no `DepthMap`, since no depth model is in it; the `Grounding`s come
together, after the sentence; the mask indicator is what the model says, 0 or 1, and no probability.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from .events import Done, Event, Grounding, TextDelta
from .images import ImageError, load_image
from .model.grounding_text import (
    AnswerReader,
    Box,
    Coordinates,
    Phrase,
    assign,
    locate,
    normalise,
    parse_boxes,
    to_photo,
)
from .model.presets import DEFAULT_SAM
from .model.prompted import PromptedBase, PromptedModel
from .pipeline import MAX_TARGETS, NO_TARGET
from .session import BaseSession, Result, Turn, check_query, collect

MAX_NEW_TOKENS = {"analysis": 120, "answer": 640}  # a box takes about 40
_ASKS_FOR_MASKS = re.compile(r"\b(?:segment|mask|highlight|outline)|分割|掩码|掩膜|蒙版", re.IGNORECASE)


class PromptedPipeline:
    """A loaded vision-language model with SAM, ready to open photos.

    Args:
        model: both, on their device.
        name: shown to people.
    """

    limitations = (
        "A general vision-language model that has not learned this task names the boxes, and SAM outlines what is in them. "
        "It often confuses left and right hands; it estimates no depth, and its mask indicator is a yes or no, not a "
        "probability."
    )

    def __init__(self, model: PromptedBase, name: str = "prompted"):
        self.model = model
        self.name = name

    @classmethod
    def from_pretrained(
        cls, path: str | os.PathLike[str], sam: str | os.PathLike[str] = DEFAULT_SAM, device: Any = None, **options: Any
    ) -> PromptedPipeline:
        """Load both models; arguments and errors as for `PromptedModel.from_pretrained`."""
        model = PromptedModel.from_pretrained(str(path), sam=str(sam), device=device, **options)
        return cls(model, " + ".join(Path(p).name if Path(p).exists() else str(p) for p in (path, sam)))

    @classmethod
    def from_endpoint(
        cls,
        url: str,
        model: str | None = None,
        sam: str | os.PathLike[str] = DEFAULT_SAM,
        device: Any = None,
        coordinates: Coordinates | None = None,
    ) -> PromptedPipeline:
        """The vision-language model at a server of the OpenAI protocol, SAM here; as `EndpointModel.connect`."""
        from .model.endpoint import EndpointModel

        served = EndpointModel.connect(url, model, str(sam), device, coordinates)
        pipe = cls(served, f"{served.name} (endpoint) + {Path(sam).name if Path(sam).exists() else sam}")
        pipe.limitations += " The photo and the questions are sent to the server that runs this model."
        return pipe

    def open(self, image: Any) -> PromptedSession:
        """Encode a photo: a path, bytes, a PIL image or an (H, W, 3) uint8 array. Raises `ImageError`."""
        return PromptedSession(self.model, load_image(image))

    def __call__(self, image: Any, query: str) -> Result:
        """Analyze a photo and answer one query about it; ``depth`` is None. Raises `ImageError`, `QueryError`."""
        check_query(query)
        return collect(self.open(image), query)


class PromptedSession(BaseSession):
    """A `BaseSession` of the prompted engine. Made by `PromptedPipeline.open`.

    While a served model is silent, `analyze` and `ask` yield empty `TextDelta`s, so that whoever reads can stop before its
    first word.
    """

    def __init__(self, model: PromptedBase, image: np.ndarray):
        super().__init__(image)
        self._model = model
        self._predictor = None
        try:
            self._picture = model.encode(image)
        except ValueError as error:
            raise ImageError(f"The picture cannot be used: {error}.") from error

    def _analyze(self) -> Iterator[Event]:
        text = held = ""
        prompt = self._model.analysis_prompt()
        with closing(self._model.generate(self._picture, prompt, MAX_NEW_TOKENS["analysis"])) as stream:
            for piece in stream:
                held += piece
                ready = held.rstrip() if text else held.strip()
                if ready.strip():
                    held = held[len(held.rstrip()) :]
                    text += ready
                    yield TextDelta("analysis", ready)
                elif not piece:
                    yield TextDelta("analysis", "")
        self.analysis = text
        yield Done("analysis", text, finish_reason=stream.finish_reason)

    def _ask(self, query: str) -> Iterator[Event]:
        reader = AnswerReader(MAX_TARGETS)
        prompt = self._model.answer_prompt(self._picture, self.analysis or "", query)
        with closing(self._model.generate(self._picture, prompt, MAX_NEW_TOKENS["answer"])) as stream:
            for piece in stream:
                if not piece:
                    yield TextDelta("answer", "")
                elif text := reader.feed(piece):
                    yield TextDelta("answer", text)
                if reader.no_target:
                    break  # believed: whatever the model would still write, nothing of it is a target
        if text := reader.finish():
            yield TextDelta("answer", text)

        groundings: list[Grounding] = []
        indicator: float | None = 0.0
        if reader.no_target:
            if not reader.text:
                yield TextDelta("answer", reader.append(NO_TARGET))
        else:
            for event in self._ground(reader, query):
                if isinstance(event, Grounding):
                    groundings.append(event)
                yield event
            indicator = 1.0 if groundings or reader.phrases else None
        self.history.append(Turn(query, reader.text, tuple(groundings), indicator))
        yield Done("answer", reader.text, indicator, stream.finish_reason)

    def _ground(self, reader: AnswerReader, query: str) -> Iterator[Event]:
        """Masks of the boxes that the reply lists, and words for what came without a mask."""
        boxes = parse_boxes(reader.held_back)
        of_phrases, others = assign(reader.phrases, boxes)
        targets = list(zip(reader.phrases, of_phrases, strict=True))
        start = len(reader.text)
        targets += _name_others(reader, others)
        if text := reader.text[start:]:
            yield TextDelta("answer", text)

        without: list[str] = []
        for phrase, of_phrase in targets:
            grounding = self._mask(phrase, of_phrase)
            if grounding is None:
                without.append(phrase.label)
            else:
                yield grounding
        note = ""
        if without:
            note = f"(No mask for {', '.join(without)}: the model gave no usable box.)"
        elif not targets and not reader.text:
            note = "(The model gave no answer.)"
        elif not targets and (_ASKS_FOR_MASKS.search(query) or reader.held_back.strip(" `\n[]json") != ""):
            note = "(The model named no box, so there is no mask.)"
        if note:
            yield TextDelta("answer", reader.append(f" {note}" if reader.text else note))

    def _mask(self, phrase: Phrase, boxes: list[Box]) -> Grounding | None:
        """The union of the masks in a phrase's boxes; None where there is no box on the photo, or nothing in it."""
        height, width = self.image.shape[:2]
        union, scores = np.zeros((height, width), dtype=bool), []
        for box in boxes:
            corners = to_photo(box, self._model.coordinates, self._picture.seen, (width, height))
            if corners is None:
                continue
            if self._predictor is None:  # once a photo, and only for one that needs it: it takes seconds on a CPU
                self._predictor = self._model.predictor(self.image)
            mask, score = self._model.segment(self._predictor, corners)
            union |= mask
            scores.append(score)
        if not union.any():
            return None
        return Grounding(phrase.index, phrase.label, union, float(np.mean(scores)), phrase.span)


def _name_others(reader: AnswerReader, boxes: list[Box]) -> list[tuple[Phrase, list[Box]]]:
    """Targets of boxes that no marked phrase names: their words are looked for in the sentence, or written after it.

    The sentence has been read already, so their ``<MSK_k>`` can only follow at its end.
    """
    groups: dict[str, list[Box]] = {}
    for n, box in enumerate(boxes):
        groups.setdefault(normalise(box.label) or f"\0{n}", []).append(box)
    targets: list[tuple[Phrase, list[Box]]] = []
    taken = [p.span for p in reader.phrases]
    for group in list(groups.values())[: MAX_TARGETS - len(reader.phrases)]:
        label = group[0].label or "target"
        span = locate(reader.text, label, taken)
        if span is None:
            if reader.text:
                reader.append(", " if targets else " ")
            start = len(reader.text)
            reader.append(label)
            span = (start, len(reader.text))
        taken.append(span)
        index = len(reader.phrases) + len(targets)
        reader.append(f" <MSK_{index}>")
        targets.append((Phrase(index, reader.text[span[0] : span[1]], span), group))
    return targets
