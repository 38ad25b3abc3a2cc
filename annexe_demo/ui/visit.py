"""What one visitor sees in the explorer: a list of pictures, or one of them with its truth and a prediction.

Plain Python: no Gradio. The model works in a `Conversation`, as it does in the demo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from annexe_demo.comparison import MaskScores, compare_masks, meteor, normalize_depth, rouge_l, true_groundings, union
from annexe_demo.data.catalogue import Catalogue, OpenPicture
from annexe_demo.data.egoirgbench import Group
from annexe_demo.data.index import Filters, Order, Page
from annexe_demo.events import Grounding
from annexe_demo.metrics import depth_mae
from annexe_demo.ui.conversation import Conversation, Notice, PhotoRequest
from annexe_demo.ui.texts import ExplorerTexts, Texts
from annexe_demo.view.depth import colorize_depth
from annexe_demo.view.difference import difference_map


@dataclass(frozen=True)
class Predicted:
    """An answer to the present query. ``complete`` is False while it is being written, or when it was stopped."""

    source: Literal["saved", "model"]
    text: str
    groundings: tuple[Grounding, ...]
    indicator: float | None
    complete: bool
    running: bool = False


@dataclass(frozen=True)
class Score:
    """One number about the picture, in words.

    Attributes:
        key: names the measure for the API.
        name: names it for the visitor.
        value: None where there is none.
        text: the value, or why there is none.
        definition: what it measures.
    """

    key: str
    name: str
    value: float | None
    text: str
    definition: str


class Visit:
    """State of one visitor. Made empty, so that it can be copied; it never refers to another visitor's."""

    def __init__(self) -> None:
        self.filters = Filters()
        self.order: Order = "name"
        self.page: Page | None = None
        self.position: int | None = None
        """Place of the open picture in the list, from 0."""
        self.picture: OpenPicture | None = None
        self.query = ""
        self.conversation = Conversation()
        self._meteor: dict[tuple[str, str], tuple[float | None, str | None]] = {}

    # ---- the list

    def turn_to(self, catalogue: Catalogue, page: int = 0) -> Page:
        """Look at one page of the list."""
        self.page = catalogue.index.query(self.filters, self.order, max(0, page))
        return self.page

    def find(self, catalogue: Catalogue, filters: Filters, order: Order) -> Page:
        """Look at the first page of another list."""
        self.filters, self.order = filters, order
        return self.turn_to(catalogue)

    # ---- one picture

    def open_at(self, catalogue: Catalogue, position: int) -> None:
        """Open the picture at this place of the list, and turn the list to its page.

        Raises:
            DatasetError: the picture cannot be read; the visit is as it was.
        """
        page = self.page or self.turn_to(catalogue)
        position = max(0, min(position, page.total - 1))
        if position // page.size != page.number:
            page = catalogue.index.query(self.filters, self.order, position // page.size)
        row = page.rows[position % page.size]
        picture = catalogue.open(row.split, row.name)
        self.page, self.position = page, position
        self.show(picture)

    def show(self, picture: OpenPicture, query: str | None = None) -> None:
        """Put a picture and one of its queries in front of the visitor: by default the first that has a saved prediction,
        else the first."""
        self.conversation.clear()
        self._meteor.clear()
        self.picture = picture
        if query is None:
            own = [question.query for _, question in picture.queries]
            query = next((q for q in own if picture.predicted(q)), own[0] if own else "")
        self.query = query

    def close(self) -> None:
        """Forget the open picture."""
        self.conversation.clear()
        self._meteor.clear()
        self.picture = self.position = None
        self.query = ""

    def request_run(self, query: str, texts: Texts) -> bool:
        """Ask the model a query about the open picture. False, with a notice, where that makes no sense."""
        if self.picture is None or not query.strip():
            self.conversation.notice = Notice(texts.explorer.need_question, "error")
            return False
        self.query = query.strip()
        if self.conversation.session is None:
            # The pixels, not the file: its EXIF turn would part the photo from its masks.
            self.conversation.request_photo(PhotoRequest(self.picture.image, self.query), texts)
            return True
        return self.conversation.request_answer(self.query, texts)

    # ---- truth and prediction

    @property
    def group(self) -> Group | None:
        """The group of the present query; None for a question of the visitor's own."""
        return None if self.picture is None else self.picture.group_of(self.query)

    @property
    def truth(self) -> list[Grounding] | None:
        """True masks of the present query; None where they are not known."""
        if self.group is None:
            return None
        return true_groundings(self.picture.sample, self.group, self.picture.index_map)

    @property
    def predicted(self) -> Predicted | None:
        """What the model answered to the present query: in this visit, or else in the saved predictions."""
        for entry in reversed(self.conversation.entries):
            if entry.query == self.query:
                return Predicted(
                    "model", entry.text, tuple(entry.groundings), entry.indicator, entry.state == "done", entry.open
                )
        saved = self.picture.predicted(self.query) if self.picture else None
        if saved is None:
            return None
        return Predicted("saved", saved.answer, saved.groundings, saved.indicator, True)

    @property
    def analysis(self) -> tuple[str, Literal["saved", "model"], bool] | None:
        """The model's analysis, where it comes from, and whether it is complete."""
        entry = self.conversation.analysis
        if entry is not None and (entry.text or entry.open):
            return entry.text, "model", entry.state == "done"
        if self.picture and self.picture.prediction and self.picture.prediction.analysis:
            return self.picture.prediction.analysis, "saved", True
        return None

    @property
    def mask_scores(self) -> MaskScores | None:
        """The answer's masks against the truth; None without either, and for a plain question, which asks for none."""
        group, predicted = self.group, self.predicted
        if group is None or group.kind == "chat" or predicted is None or not predicted.complete:
            return None
        return compare_masks(predicted.groundings, self.truth, predicted.indicator)

    def _pairs(self) -> dict[str, tuple[str, str]]:
        """(true, predicted) sentences that are complete, by what they are."""
        pairs = {}
        analysis, predicted = self.analysis, self.predicted
        if analysis is not None and analysis[2] and self.picture.sample.groups:
            pairs["analysis"] = (self.picture.sample.groups[0].caption, analysis[0])
        if predicted is not None and predicted.complete and self.group is not None:
            pairs["answer"] = (self.group.answer, predicted.text)
        return pairs

    def rate(self) -> bool:
        """Calculate METEOR, which takes seconds, where it is still missing. True if there was something to do."""
        missing = [pair for pair in self._pairs().values() if pair not in self._meteor]
        if missing:
            values, reason = meteor(missing)
            self._meteor.update((pair, (values[n] if values else None, reason)) for n, pair in enumerate(missing))
        return bool(missing)

    def scores(self, texts: ExplorerTexts, missing: str | None = None) -> list[Score]:
        """Everything that can be said in numbers about what the model answered.

        Args:
            texts: the words of the explorer.
            missing: stands for a METEOR that `rate` has not calculated; by default that it is on its way.
        """
        found: list[Score] = []

        def add(
            key: str, value: float | None, definition: str, text: str | None = None, name: str | None = None
        ) -> None:
            text = text if text is not None else f"{value:.3f}"
            found.append(Score(key, name or texts.score_names[key], value, text, texts.definitions[definition]))

        masks, predicted = self.mask_scores, self.predicted
        if masks is not None and masks.has_target:
            add("iou", masks.iou, "iou")
            for label, iou in masks.targets if len(masks.targets) > 1 else ():
                add("target_iou", iou, "target_iou", name=texts.target_iou.format(label=label))
        elif masks is not None:
            add("no_target", masks.iou, "no_target")
        if masks is not None and predicted.indicator is not None:
            verdict = texts.right if masks.claimed == masks.has_target else texts.wrong
            value = predicted.indicator
            add("indicator", value, "indicator", texts.indicator.format(value=value, verdict=verdict))
        for what, pair in self._pairs().items():
            value, reason = self._meteor.get(pair, (None, missing or texts.calculating))
            add(f"{what}_meteor", value, "meteor", reason)
            add(f"{what}_rouge_l", rouge_l(*pair), "rouge_l")
        depth = self.conversation.depth
        if depth is not None and self.picture.depth is not None:
            error = depth_mae(depth, self.picture.depth)
            if error is not None:
                add("depth_mae", error, "depth_mae")
        return found

    # ---- pictures

    def difference(self) -> np.ndarray | None:
        """The difference map, (H, W, 3) uint8; None without truth and prediction to compare."""
        if self.mask_scores is None:
            return None
        shown = self.predicted.groundings if self.mask_scores.claimed else ()
        return difference_map(self.picture.image, union(shown), union(self.truth))

    def depth_truth(self) -> np.ndarray | None:
        """The true depth in colour, (H, W, 3) uint8."""
        depth = self.picture.depth
        return None if depth is None else colorize_depth(normalize_depth(depth))

    def depth_prediction(self) -> np.ndarray | None:
        """The model's depth in colour, (H, W, 3) uint8."""
        depth = self.conversation.depth
        return None if depth is None else colorize_depth(depth)


def picture_json(picture: OpenPicture, category: str, hand: str) -> dict[str, Any]:
    """A picture and its queries as plain dicts, lists and numbers."""
    height, width = picture.image.shape[:2]
    groups = picture.sample.groups
    return {
        "split": picture.split,
        "name": picture.sample.name,
        "width": width,
        "height": height,
        "category": category,
        "hand": hand,
        "analysis": groups[0].caption if groups else "",
        "queries": [
            {
                "query": question.query,
                "kind": group.kind,
                "with_mask": group.with_mask,
                "answer": group.answer,
                "targets": list(group.tokens),
            }
            for group, question in picture.queries
        ],
    }


def scores_json(scores: list[Score]) -> list[dict[str, Any]]:
    """Scores with their definitions as plain dicts."""
    return [
        {
            "measure": s.key,
            "name": s.name,
            "value": None if s.value is None else round(float(s.value), 5),
            "text": s.text,
            "definition": s.definition,
        }
        for s in scores
    ]
