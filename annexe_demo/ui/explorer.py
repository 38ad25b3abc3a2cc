"""The explorer tab: the pictures of a folder, and one of them with its truth and what the model predicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from annexe_demo.data.catalogue import Catalogue
from annexe_demo.data.egoirgbench import DatasetError
from annexe_demo.data.index import MAX_SEARCH_CHARACTERS, Filters, Order
from annexe_demo.ui.conversation import Change, Notice
from annexe_demo.ui.demo import MODEL_LINE, STATE_SECONDS, Updates, overlay, shown
from annexe_demo.ui.explorer_render import (
    PANELS,
    caption,
    category_name,
    panel_html,
    query_choices,
    scores_html,
    status_html,
    texts_html,
    title_html,
)
from annexe_demo.ui.overview import OVERVIEW_LINE, OverviewWidgets, build_overview, fill_overview
from annexe_demo.ui.render import heading_html, notice_html
from annexe_demo.ui.texts import ExplorerTexts, Texts
from annexe_demo.ui.visit import Visit
from annexe_demo.view.overlay import OverlayAnnotator

EXPLORER_LINE = "explorer"  # events that take a while without the model
EXPLORER_LIMIT = 8  # of them at once: most only wait for the index
METEOR_LINE = "meteor"  # one at a time: each starts a Java of some hundred megabytes
_PROGRESS_SECONDS = 0.5
_ANY = ""
# Scrolls the list of queries, and nothing else, to the chosen one.
_SHOW_CHOSEN = """() => setTimeout(() => {
    const chosen = document.querySelector("#queries label:has(:checked)");
    if (chosen) chosen.parentElement.scrollTop = chosen.offsetTop - chosen.parentElement.offsetTop - 4;
}, 100)"""


@dataclass(frozen=True)
class Widgets:
    """What the handlers read and redraw."""

    browse: gr.Column
    filters: dict[str, gr.components.Component]
    reset: gr.Button
    status: gr.HTML
    gallery: gr.Gallery
    pager: gr.Row
    back_page: gr.Button
    page: gr.Number
    page_count: gr.HTML
    next_page: gr.Button
    sample: gr.Column
    back: gr.Button
    previous: gr.Button
    next: gr.Button
    title: gr.HTML
    heads: dict[str, gr.HTML]
    panels: dict[str, gr.Image]
    queries_heading: gr.HTML
    queries: gr.Radio
    question: gr.Textbox
    run: gr.Button
    stop: gr.Button
    notice: gr.HTML
    texts: gr.HTML
    scores: gr.HTML
    overview: OverviewWidgets | None

    def all(self) -> list[gr.blocks.Block]:
        found = []
        for value in vars(self).values():
            if isinstance(value, OverviewWidgets):
                found += value.all()
            elif value is not None:
                found += value.values() if isinstance(value, dict) else [value]
        return found


def build_explorer_tab(pipe: Any, catalogue: Catalogue, tab: gr.Tab, texts: Texts) -> None:
    """Build the tab inside the current Blocks. Nothing is read before a visitor opens it.

    Args:
        pipe: an `AnnexePipeline`, or anything with its `open`.
        catalogue: the folder to show.
        tab: the tab that it stands in.
        texts: the words of the page.
    """
    widgets = _layout(catalogue, texts.explorer)
    _Handlers(pipe, catalogue, texts, widgets).connect(tab)


def _html(value: str = "", **options: Any) -> gr.HTML:
    return gr.HTML(value, js_on_load=None, **options)


def _layout(catalogue: Catalogue, texts: ExplorerTexts) -> Widgets:
    with gr.Column(elem_id="browse") as browse:
        overview = build_overview(texts.overview) if catalogue.predictions is not None else None
        with gr.Row(elem_id="filters"):
            filters = {
                name: gr.Dropdown(
                    [(texts.any_value, _ANY), *((text, value) for value, text in choices.items())],
                    value=_ANY,
                    label=texts.filters[name],
                    filterable=False,
                    interactive=False,
                    min_width=120,
                    elem_id=f"filter-{name}",
                )
                for name, choices in (
                    ("split", {s: texts.splits[s] for s in catalogue.index.splits}),
                    ("category", {}),
                    ("hand", texts.hands),
                    ("kind", texts.kinds),
                    ("mask", texts.masks),
                )
            }
            filters["order"] = gr.Dropdown(
                [(text, value) for value, text in texts.orders.items()],
                value="name",
                label=texts.filters["order"],
                filterable=False,
                interactive=False,
                min_width=120,
                visible=catalogue.predictions is not None,
                elem_id="filter-order",
            )
            filters["text"] = gr.Textbox(
                label=texts.filters["text"],
                placeholder=texts.search_placeholder,
                max_length=MAX_SEARCH_CHARACTERS,
                interactive=False,
                min_width=240,
                scale=2,
                elem_id="filter-text",
            )
        with gr.Row(elem_id="browse-status"):
            status = _html(elem_id="status")
            reset = gr.Button(texts.reset, size="sm", visible=False, elem_id="reset-filters")
        gallery = gr.Gallery(
            [],
            label=texts.pictures,
            show_label=False,
            container=False,
            columns=6,
            height="auto",
            object_fit="cover",
            allow_preview=False,
            interactive=False,
            buttons=[],
            elem_id="pictures",
        )
        with gr.Row(elem_id="pager", visible=False) as pager:
            back_page = gr.Button(texts.previous_page, size="sm", elem_id="previous-page")
            page = gr.Number(
                1, label=texts.page, show_label=False, precision=0, minimum=1, container=False, elem_id="page-number"
            )
            page_count = _html(elem_id="page-count")
            next_page = gr.Button(texts.next_page, size="sm", elem_id="next-page")
    with gr.Column(visible=False, elem_id="sample") as sample:
        with gr.Row(elem_id="sample-bar"):
            back = gr.Button(texts.back, size="sm", elem_id="back")
            previous = gr.Button(texts.previous, size="sm", elem_id="previous-picture")
            next_ = gr.Button(texts.next, size="sm", elem_id="next-picture")
            title = _html(elem_id="sample-title")
        with gr.Row(elem_classes="workbench", equal_height=False):
            with gr.Column(scale=6, min_width=320, elem_classes="photo-side"):
                heads, panels = {}, {}
                with gr.Row(elem_id="panels"):
                    for name in PANELS:
                        with gr.Column(min_width=150, elem_classes="exhibit"):
                            heads[name] = _html(elem_id=f"head-{name.replace('_', '-')}")
                            panels[name] = gr.Image(
                                interactive=False,
                                show_label=False,
                                container=False,
                                format="jpeg",
                                buttons=["fullscreen"],
                                alt_text=texts.alts[name],
                                visible=False,
                                elem_id=f"panel-{name.replace('_', '-')}",
                            )
            with gr.Column(scale=5, min_width=320, elem_classes="talk-side"):
                queries_heading = _html()
                queries = gr.Radio([], label=texts.queries, show_label=False, container=False, elem_id="queries")
                with gr.Row(elem_id="running"):
                    question = gr.Textbox(
                        label=texts.question_label,
                        show_label=False,
                        placeholder=texts.question_placeholder,
                        lines=1,
                        max_lines=4,
                        container=False,
                        scale=5,
                        elem_id="sample-question",
                    )
                    run = gr.Button(texts.run, variant="primary", scale=1, min_width=150, elem_id="run")
                    stop = gr.Button(texts.stop, scale=0, min_width=72, interactive=False, elem_id="stop-run")
                notice = _html(notice_html(None), elem_id="run-notice")
                sayings = _html(elem_id="sayings")
                scores = _html(elem_id="scores")
    return Widgets(
        browse=browse,
        filters=filters,
        reset=reset,
        status=status,
        gallery=gallery,
        pager=pager,
        back_page=back_page,
        page=page,
        page_count=page_count,
        next_page=next_page,
        sample=sample,
        back=back,
        previous=previous,
        next=next_,
        title=title,
        heads=heads,
        panels=panels,
        queries_heading=queries_heading,
        queries=queries,
        question=question,
        run=run,
        stop=stop,
        notice=notice,
        texts=sayings,
        scores=scores,
        overview=overview,
    )


def read_filters(split: Any, category: Any, hand: Any, kind: Any, mask: Any, text: Any) -> Filters:
    """Filters from what controls and API give: "" or None leave a property open, ``mask`` is "with" or "without".

    Raises:
        ValueError: a value is not among its choices.
    """
    if (mask or None) not in (None, "with", "without"):
        raise ValueError(f"mask must be with or without but got {mask!r}")
    return Filters(
        split=split or None,
        category=category or None,
        hand=hand or None,
        kind=kind or None,
        with_mask=None if not mask else mask == "with",
        text=text or "",
    )


class _Handlers:
    """Lists and pictures are answered at once, outside the queue; the model's work waits in the model's line."""

    def __init__(self, pipe: Any, catalogue: Catalogue, texts: Texts, widgets: Widgets):
        self.pipe = pipe
        self.catalogue = catalogue
        self.texts = texts
        self.words = texts.explorer
        self.widgets = widgets
        self.annotator = OverlayAnnotator()
        self.state = gr.State(Visit(), time_to_live=STATE_SECONDS, delete_callback=lambda visit: visit.close())
        self.outputs = widgets.all()

    # ---- wiring

    def connect(self, tab: gr.Tab) -> None:
        w, state = self.widgets, self.state
        quick = dict(outputs=self.outputs, queue=False, show_progress="hidden", api_visibility="private")
        line = dict(
            outputs=self.outputs,
            show_progress="hidden",
            api_visibility="private",
            concurrency_id=EXPLORER_LINE,
            concurrency_limit=EXPLORER_LIMIT,
            trigger_mode="multiple",
        )
        tab.select(self.enter, [state], **line)
        extremes = []
        if w.overview is not None:
            tab.select(
                lambda: fill_overview(self.catalogue, w.overview, self.words.overview),
                None,
                w.overview.all(),
                show_progress="hidden",
                api_visibility="private",
                concurrency_id=OVERVIEW_LINE,
                concurrency_limit=1,
            )
            extremes = [
                (w.overview.galleries["worst"].select, self.open_worst),
                (w.overview.galleries["best"].select, self.open_best),
            ]
        inputs = [*w.filters.values(), state]
        for name, control in w.filters.items():
            # The change event of a text box comes with every change of its text; its input event misses some.
            event = control.change if name == "text" else control.input
            # "always_last": while one list is made, only the latest of further changes counts.
            event(self.find, inputs, trigger_mode="always_last", **quick)
        w.reset.click(self.reset, [state], **quick)
        w.back_page.click(lambda visit: self.turn(visit, -1), [state], trigger_mode="multiple", **quick)
        w.next_page.click(lambda visit: self.turn(visit, 1), [state], trigger_mode="multiple", **quick)
        gr.on([w.page.submit, w.page.blur], self.turn_to, [w.page, state], **quick)

        requested = gr.on([w.run.click, w.question.submit], self.request, [w.question, state], trigger_mode="multiple", **quick)  # fmt: skip
        work = requested.then(self.work, [state], **(line | dict(concurrency_id=MODEL_LINE, concurrency_limit=1)))
        meteor = line | dict(concurrency_id=METEOR_LINE, concurrency_limit=1)
        work.then(self.rate, [state], **meteor)
        leaving = dict(cancels=[work], trigger_mode="multiple")
        w.stop.click(self.stop, [state], **leaving, **quick)
        w.back.click(self.back, [state], **leaving, **quick)
        for event, handler, extra in (
            (w.gallery.select, self.open, leaving),
            *((event, handler, leaving) for event, handler in extremes),
            (w.previous.click, lambda visit: self.step(visit, -1), leaving),
            (w.next.click, lambda visit: self.step(visit, 1), leaving),
        ):
            opened = event(handler, [state], **extra, **quick)
            opened.then(None, js=_SHOW_CHOSEN)
            opened.then(self.rate, [state], **meteor)
        w.queries.input(self.choose, [w.queries, state], trigger_mode="always_last", **quick).then(
            self.rate, [state], **meteor
        )

    # ---- the list

    def enter(self, visit: Visit) -> Iterator[Updates]:
        """The first page at once, then how far the index is, and the filters when it is ready."""
        w, index = self.widgets, self.catalogue.index
        yield self._list(visit) if visit.page is not None else self._list(visit, first=True)
        while not (progress := index.wait(_PROGRESS_SECONDS)).ready and not progress.error:
            yield {w.status: status_html(visit, index, self.words)}
        if not progress.ready:
            yield {w.status: status_html(visit, index, self.words)}
            return
        updates = {control: gr.update(interactive=True) for control in w.filters.values()}
        categories = [(category_name(c, self.words), c) for c in index.categories()]
        updates[w.filters["category"]] = gr.update(
            choices=[(self.words.any_value, _ANY), *categories], interactive=True
        )
        if visit.filters.empty and visit.page.number == 0:
            visit.turn_to(self.catalogue)  # without the pictures that cannot be read
            updates |= self._list(visit)
        yield updates | {w.status: status_html(visit, index, self.words)}

    def find(self, *inputs: Any) -> Updates:
        *values, visit = inputs
        chosen = dict(zip(self.widgets.filters, values, strict=True))
        order = chosen.pop("order") or "name"
        visit.find(self.catalogue, read_filters(**chosen), order)
        return self._list(visit)

    def reset(self, visit: Visit) -> Updates:
        visit.find(self.catalogue, Filters(), visit.order)
        cleared = {c: "" if name == "text" else _ANY for name, c in self.widgets.filters.items() if name != "order"}
        return self._list(visit) | cleared

    def turn(self, visit: Visit, by: int) -> Updates:
        visit.turn_to(self.catalogue, (visit.page.number if visit.page else 0) + by)
        return self._list(visit)

    def turn_to(self, number: float | None, visit: Visit) -> Updates:
        wanted = int(number) - 1 if number else 0
        if visit.page is None or wanted != visit.page.number:
            visit.turn_to(self.catalogue, wanted)
        return self._list(visit)

    def _list(self, visit: Visit, first: bool = False) -> Updates:
        w = self.widgets
        page = visit.turn_to(self.catalogue) if first else visit.page
        thumbnails = self.catalogue.thumbnails_of(page)
        captions = [caption(row, self.words) for row in page.rows]
        return {
            w.status: status_html(visit, self.catalogue.index, self.words),
            w.reset: gr.update(visible=not visit.filters.empty),
            w.gallery: gr.update(
                value=[(str(p), text) for p, text in zip(thumbnails, captions, strict=True)], selected_index=None
            ),
            w.pager: gr.update(visible=page.count > 1),
            w.page: gr.update(value=page.number + 1, maximum=page.count),
            w.page_count: f"<p>{self.words.page_of.format(count=page.count)}</p>",
            w.back_page: gr.update(interactive=page.number > 0),
            w.next_page: gr.update(interactive=page.number + 1 < page.count),
        }

    # ---- one picture

    def open(self, visit: Visit, event: gr.SelectData) -> Updates:
        return self._open_at(visit, visit.page.number * visit.page.size + event.index)

    def open_worst(self, visit: Visit, event: gr.SelectData) -> Updates:
        return self._open_extreme(visit, "worst", event.index)

    def open_best(self, visit: Visit, event: gr.SelectData) -> Updates:
        return self._open_extreme(visit, "best", event.index)

    def _open_extreme(self, visit: Visit, order: Order, position: int) -> Updates:
        """Open a picture of the glance; the list behind it becomes the one that the glance shows the beginning of."""
        w = self.widgets
        visit.find(self.catalogue, Filters(), order)
        listed = self._list(visit)
        cleared = {c: "" if name == "text" else _ANY for name, c in w.filters.items()} | {w.filters["order"]: order}
        again = {gallery: gr.update(selected_index=None) for gallery in w.overview.galleries.values()}
        return listed | cleared | self._open_at(visit, position) | again | {w.gallery: listed[w.gallery]}

    def step(self, visit: Visit, by: int) -> Updates:
        return self._open_at(visit, (visit.position or 0) + by)

    def _open_at(self, visit: Visit, position: int) -> Updates:
        w = self.widgets
        try:
            visit.open_at(self.catalogue, position)
        except DatasetError as error:
            message = Notice(self.words.bad_picture.format(reason=error), "error")
            return {w.status: notice_html(message), w.notice: notice_html(message), w.gallery: gr.update(selected_index=None)}  # fmt: skip
        picture = visit.picture
        count = len(picture.queries)
        return {
            w.browse: gr.update(visible=False),
            w.sample: gr.update(visible=True),
            w.previous: gr.update(interactive=visit.position > 0),
            w.next: gr.update(interactive=visit.position + 1 < visit.page.total),
            w.title: title_html(visit, self.words),
            w.queries_heading: heading_html(self.words.queries, self.words.queries_hint.format(count=count)),
            w.queries: gr.update(choices=query_choices(visit, self.words), value=visit.query or None),
            w.question: visit.query,
            **self._panel("photo", visit, picture.image),
            **self._panel("depth_truth", visit, visit.depth_truth()),
            **self._panel("depth_prediction", visit, None),
            **self._query(visit),
        }

    def back(self, visit: Visit) -> Updates:
        w = self.widgets
        visit.close()
        return self._list(visit) | {w.browse: gr.update(visible=True), w.sample: gr.update(visible=False)}

    def choose(self, query: str | None, visit: Visit) -> Updates:
        if visit.picture is None or query is None:
            return {self.widgets.notice: notice_html(None)}
        visit.query = query
        return self._query(visit) | {self.widgets.question: query}

    def _query(self, visit: Visit) -> Updates:
        """Everything that depends on the present query."""
        truth = visit.truth
        return {
            **self._panel("truth", visit, overlay(visit.picture.image, truth, self.annotator) if truth else None),
            **self._prediction(visit),
            **self._result(visit),
            **self._controls(visit),
        }

    def _prediction(self, visit: Visit) -> Updates:
        predicted = visit.predicted
        masks = overlay(visit.picture.image, predicted.groundings, self.annotator) if predicted else None
        return self._panel("prediction", visit, masks if predicted and predicted.groundings else None)

    def _result(self, visit: Visit) -> Updates:
        w = self.widgets
        return {
            **self._panel("difference", visit, visit.difference()),
            w.texts: texts_html(visit, self.texts),
            w.scores: scores_html(visit.scores(self.words), self.words),
        }

    def _controls(self, visit: Visit) -> Updates:
        w = self.widgets
        return {
            w.notice: notice_html(visit.conversation.notice),
            w.stop: gr.update(interactive=visit.conversation.busy),
        }

    def _panel(self, name: str, visit: Visit, pixels: np.ndarray | None) -> Updates:
        w = self.widgets
        picture = None if pixels is None else shown(pixels)
        return {
            w.heads[name]: panel_html(visit, name, picture is None, self.words),
            w.panels[name]: gr.update(value=picture, visible=picture is not None),
        }

    # ---- the model

    def request(self, query: str | None, visit: Visit) -> Updates:
        before = visit.query
        if not visit.request_run(query or "", self.texts):
            return self._controls(visit)
        updates = self._query(visit)
        if visit.query != before:
            updates[self.widgets.queries] = visit.query if visit.group is not None else None
        return updates

    def stop(self, visit: Visit) -> Updates:
        if visit.conversation.stop():
            visit.conversation.say(self.texts.stopped)
        if visit.picture is None:
            return self._controls(visit)
        return self._prediction(visit) | self._result(visit) | self._controls(visit)

    def work(self, visit: Visit) -> Iterator[Updates]:
        w, picture, depth_shown = self.widgets, visit.picture, False
        work = visit.conversation.work(self.pipe, self.texts)
        try:
            for change in work:
                if visit.picture is not picture or picture is None:
                    return  # the visitor went on to another picture
                updates = {}
                if change & Change.CHAT:
                    updates[w.texts] = texts_html(visit, self.texts)
                if change & Change.PICTURE:
                    updates |= self._prediction(visit)
                if change & Change.CONTROLS:
                    updates |= self._controls(visit)
                if visit.conversation.depth is not None and not depth_shown:
                    depth_shown = True
                    updates |= self._panel("depth_prediction", visit, visit.depth_prediction())
                yield updates or {w.stop: gr.skip()}
            if visit.picture is picture is not None:
                # What was shown on the way is in the last update again: an earlier event's answer may have come after it.
                depth = self._panel("depth_prediction", visit, visit.depth_prediction()) if depth_shown else {}
                yield depth | self._result(visit) | self._controls(visit)
        finally:
            work.close()

    def rate(self, visit: Visit) -> Updates:
        w = self.widgets
        picture = visit.picture
        if picture is None or visit.conversation.busy or not visit.rate() or visit.picture is not picture:
            return {w.stop: gr.skip()}
        return {w.scores: scores_html(visit.scores(self.words), self.words)}
