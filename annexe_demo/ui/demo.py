"""The demo tab: a photo with its masks, and the conversation about it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np

from annexe_demo.events import Grounding
from annexe_demo.ui.conversation import Change, Conversation, Notice, PhotoRequest, View
from annexe_demo.ui.examples import Example
from annexe_demo.ui.export import export_conversation
from annexe_demo.ui.photo_input import PhotoInput
from annexe_demo.ui.render import conversation_html, depth_legend_html, heading_html, legend_html, notice_html
from annexe_demo.ui.texts import Texts
from annexe_demo.view.depth import colorize_depth
from annexe_demo.view.overlay import OverlayAnnotator

SHOWN_SIDE = 1600  # longer photos are shown smaller: the page has no room for more, and each mask sends a new picture
STATE_SECONDS = 3600  # a visitor's photo is forgotten after an hour without a visit
MODEL_LINE = "model"  # every event that needs the model waits in this one line

# Fetches the file whose address has just come, under its name.
_FETCH_ARCHIVE = """(file) => {
    if (!file) return;
    const link = document.createElement('a');
    link.href = file.url;
    link.download = file.orig_name || '';
    link.click();
}"""

Updates = dict[Any, Any]


@dataclass(frozen=True)
class Widgets:
    """What the handlers read and redraw."""

    intake: gr.Column
    new_photo: PhotoInput
    keep: gr.Button
    stage: gr.Column
    view: gr.Radio
    picture: gr.Image
    legend: gr.HTML
    change: gr.Button
    gallery: gr.Gallery | None
    chat: gr.HTML
    notice: gr.HTML
    suggestion_box: gr.Column
    suggestions: dict[str, gr.Button]
    question: gr.Textbox
    ask: gr.Button
    stop: gr.Button
    retry: gr.Button
    clear: gr.Button
    download: gr.Button
    archive: gr.DownloadButton


def build_demo_tab(pipe: Any, examples: list[Example], texts: Texts) -> None:
    """Build the tab inside the current Blocks.

    Args:
        pipe: an `AnnexePipeline`, or anything with its `open`.
        examples: what the gallery offers.
        texts: the words of the page.
    """
    widgets = _layout(examples, texts)
    _Handlers(pipe, examples, texts, widgets).connect()


def _layout(examples: list[Example], texts: Texts) -> Widgets:
    with gr.Row(elem_classes="workbench", equal_height=False):
        with gr.Column(scale=6, min_width=320, elem_classes="photo-side"):
            with gr.Column(elem_id="intake") as intake:
                new_photo = PhotoInput(
                    type="filepath",
                    label=texts.photo_label,
                    show_label=False,
                    sources=["upload", "clipboard", "webcam"],
                    placeholder=texts.photo_hint,
                    height=380,
                    buttons=[],
                    webcam_options=gr.WebcamOptions(mirror=False),
                    elem_id="new-photo",
                )
                keep = gr.Button(texts.keep_photo, size="sm", visible=False, elem_id="keep-photo")
            with gr.Column(visible=False, elem_id="stage") as stage:
                # One picture with a choice of views, not a tab for each: Gradio loses updates of a tab never opened.
                view = gr.Radio(
                    [(name, key) for key, name in texts.views.items()],
                    value="masks",
                    label=texts.view_label,
                    show_label=False,
                    container=False,
                    elem_id="view",
                )
                picture = gr.Image(
                    interactive=False,
                    show_label=False,
                    container=False,
                    format="jpeg",
                    buttons=["fullscreen"],
                    alt_text=texts.view_alts["masks"],
                    elem_id="picture",
                )
                legend = _html(legend_html(None, texts), "legend")
                change = gr.Button(texts.change_photo, size="sm", elem_id="change-photo")
            gallery = None
            if examples:
                _html(heading_html(texts.examples, texts.examples_hint))
                gallery = gr.Gallery(
                    [(str(e.path), texts.example_caption.format(number=n)) for n, e in enumerate(examples, 1)],
                    label=texts.examples,
                    show_label=False,
                    container=False,
                    columns=6,
                    height="auto",
                    object_fit="cover",
                    allow_preview=False,
                    interactive=False,
                    buttons=[],
                    elem_id="examples",
                )
        with gr.Column(scale=5, min_width=320, elem_classes="talk-side"):
            chat = gr.HTML(conversation_html(Conversation(), texts), elem_id="chat", js_on_load=None, autoscroll=True)
            notice = _html(notice_html(None), "notice")
            with gr.Column(visible=False, elem_id="suggestions") as suggestion_box:
                _html(heading_html(texts.suggestions))
                suggestions = {
                    kind: gr.Button(name, elem_classes="suggestion", elem_id=f"suggest-{kind}")
                    for kind, name in texts.kinds.items()
                }
            with gr.Row(elem_id="asking"):
                question = gr.Textbox(
                    label=texts.question_label,
                    show_label=False,
                    placeholder=texts.question_placeholder,
                    lines=1,
                    max_lines=5,
                    container=False,
                    scale=5,
                    elem_id="question",
                )
                ask = gr.Button(texts.ask, variant="primary", scale=1, min_width=84, elem_id="ask")
            with gr.Row(elem_id="controls"):
                stop, retry, clear, download = (
                    gr.Button(text, size="sm", interactive=False, min_width=72, elem_id=elem_id)
                    for text, elem_id in (
                        (texts.stop, "stop"),
                        (texts.retry, "retry"),
                        (texts.clear, "clear"),
                        (texts.download, "download"),
                    )
                )
                # The archive is made when it is asked for; a download button by itself needs its file beforehand.
                archive = gr.DownloadButton(texts.download, visible="hidden", elem_id="archive")
    return Widgets(
        intake=intake,
        new_photo=new_photo,
        keep=keep,
        stage=stage,
        view=view,
        picture=picture,
        legend=legend,
        change=change,
        gallery=gallery,
        chat=chat,
        notice=notice,
        suggestion_box=suggestion_box,
        suggestions=suggestions,
        question=question,
        ask=ask,
        stop=stop,
        retry=retry,
        clear=clear,
        download=download,
        archive=archive,
    )


def _html(value: str, elem_id: str | None = None) -> gr.HTML:
    return gr.HTML(value, elem_id=elem_id, js_on_load=None)


class _Handlers:
    """Requests are noted at once, outside the queue; the work follows in the model's line."""

    def __init__(self, pipe: Any, examples: list[Example], texts: Texts, widgets: Widgets):
        self.pipe = pipe
        self.examples = examples
        self.texts = texts
        self.widgets = widgets
        self.annotator = OverlayAnnotator()
        self.state = gr.State(
            Conversation(), time_to_live=STATE_SECONDS, delete_callback=lambda conversation: conversation.clear()
        )
        self.outputs = [
            *(w for w in vars(widgets).values() if isinstance(w, gr.blocks.Block)),
            *widgets.suggestions.values(),
        ]

    # ---- wiring

    def connect(self) -> None:
        w, state = self.widgets, self.state
        requests = [
            (w.new_photo.input, self.send_photo, [w.new_photo, state]),
            (w.question.submit, self.send_question, [w.question, state]),
            (w.ask.click, self.send_question, [w.question, state]),
            (w.retry.click, self.retry, [state]),
        ]
        if w.gallery is not None:
            requests.append((w.gallery.select, self.send_example, [state]))
        for kind, button in w.suggestions.items():
            requests.append((button.click, self._suggestion_handler(kind), [state]))

        quick = dict(outputs=self.outputs, queue=False, show_progress="hidden", api_visibility="private")
        work = []
        for event, handler, inputs in requests:
            # "multiple": a click counts also while an earlier answer is still being written, and takes its place.
            noted = event(handler, inputs, trigger_mode="multiple", **quick)
            work.append(
                noted.then(
                    self.work,
                    [state],
                    self.outputs,
                    show_progress="hidden",
                    concurrency_id=MODEL_LINE,
                    concurrency_limit=1,
                    trigger_mode="multiple",
                    api_visibility="private",
                )
            )
        w.stop.click(self.stop, [state], cancels=work, **quick)
        w.clear.click(self.clear, [state], cancels=work, **quick)
        w.download.click(self.download, [state], **quick).then(
            None, [w.archive], None, js=_FETCH_ARCHIVE, queue=False, api_visibility="private"
        )
        w.view.input(self.show_view, [w.view, state], trigger_mode="multiple", **quick)
        w.change.click(self.show_intake, [state], **quick)
        w.keep.click(self.keep_photo, [state], **quick)

    # ---- requests

    def send_photo(self, path: str | None, conversation: Conversation) -> Updates:
        if path is None:
            return self._updates(conversation, Change.CONTROLS)
        conversation.request_photo(PhotoRequest(path), self.texts)
        return self._updates(conversation, Change.CHAT | Change.CONTROLS)

    def send_example(self, conversation: Conversation, event: gr.SelectData) -> Updates:
        example = self.examples[event.index]
        conversation.request_photo(PhotoRequest(example.path, example.query, example.suggestions), self.texts)
        return self._updates(conversation, Change.CHAT | Change.CONTROLS)

    def send_question(self, query: str | None, conversation: Conversation) -> Updates:
        if not conversation.request_answer(query or "", self.texts):
            return self._updates(conversation, Change.CONTROLS)
        return self._updates(conversation, Change.CHAT | Change.PICTURE | Change.CONTROLS) | {self.widgets.question: ""}

    def _suggestion_handler(self, kind: str):
        def send_suggestion(conversation: Conversation) -> Updates:
            conversation.request_answer(conversation.suggestions.get(kind, ""), self.texts)
            return self._updates(conversation, Change.CHAT | Change.PICTURE | Change.CONTROLS)

        return send_suggestion

    def retry(self, conversation: Conversation) -> Updates:
        conversation.request_retry(self.texts)
        return self._updates(conversation, Change.CHAT | Change.PICTURE | Change.CONTROLS)

    def stop(self, conversation: Conversation) -> Updates:
        if conversation.stop():
            conversation.say(self.texts.stopped)
        return self._updates(conversation, Change.CHAT | Change.PICTURE | Change.CONTROLS)

    def clear(self, conversation: Conversation) -> Updates:
        conversation.clear()
        return self._updates(conversation, Change.ALL) | {self.widgets.question: ""}

    def show_intake(self, conversation: Conversation) -> Updates:
        w = self.widgets
        return {
            w.intake: gr.update(visible=True),
            w.stage: gr.update(visible=False),
            w.keep: gr.update(visible=conversation.session is not None),
            w.new_photo: None,
        }

    def download(self, conversation: Conversation) -> Updates:
        w = self.widgets
        cache = Path(w.archive.GRADIO_CACHE)  # files in it are served, and deleted after an hour
        cache.mkdir(parents=True, exist_ok=True)
        path = export_conversation(conversation, self.texts, Path(tempfile.mkdtemp(dir=cache)))
        if path is None:
            conversation.notice = Notice(self.texts.nothing_to_download, "error")
        return self._updates(conversation, Change.CONTROLS) | {w.archive: None if path is None else str(path)}

    def keep_photo(self, conversation: Conversation) -> Updates:
        return self._updates(conversation, Change.PHOTO)

    def show_view(self, view: View, conversation: Conversation) -> Updates:
        conversation.view = view
        return self._updates(conversation, Change.PICTURE)

    # ---- work

    def work(self, conversation: Conversation) -> Iterator[Updates]:
        work = conversation.work(self.pipe, self.texts)
        try:
            for change in work:
                yield self._updates(conversation, change)
        finally:
            work.close()

    # ---- drawing

    def _updates(self, conversation: Conversation, change: Change) -> Updates:
        w, texts = self.widgets, self.texts
        updates: Updates = {}
        image = conversation.image
        if change & Change.PHOTO:
            updates |= {
                w.intake: gr.update(visible=image is None),
                w.stage: gr.update(visible=image is not None),
                w.keep: gr.update(visible=False),
                w.new_photo: None,
            }
        if change & (Change.PHOTO | Change.PICTURE):
            updates[w.view] = conversation.view
            updates[w.legend] = (
                depth_legend_html(texts) if conversation.view == "depth" else legend_html(conversation.shown, texts)
            )
            updates[w.picture] = gr.update(
                value=self._picture(conversation), alt_text=texts.view_alts[conversation.view]
            )
        if change & Change.CHAT:
            updates[w.chat] = conversation_html(conversation, texts)
        if change & Change.SUGGESTIONS:
            updates[w.suggestion_box] = gr.update(visible=bool(conversation.suggestions))
            for kind, button in w.suggestions.items():
                query = conversation.suggestions.get(kind)
                updates[button] = gr.update(value=f"{texts.kinds[kind]}\n{query}", visible=query is not None)
        if change & Change.CONTROLS:
            updates[w.notice] = notice_html(conversation.notice)
            updates[w.stop] = gr.update(interactive=conversation.busy)
            updates[w.retry] = gr.update(interactive=conversation.session is not None and not conversation.busy)
            updates[w.download] = gr.update(interactive=conversation.session is not None and not conversation.busy)
            updates[w.clear] = gr.update(interactive=conversation.session is not None or conversation.busy)
            if conversation.draft is not None:
                updates[w.question], conversation.draft = conversation.draft, None
        return updates

    def _picture(self, conversation: Conversation) -> np.ndarray | None:
        image, depth, entry = conversation.image, conversation.depth, conversation.shown
        if image is None:
            return None
        if conversation.view == "depth" and depth is not None:
            return colorize_depth(shown(depth))
        if conversation.view == "masks" and entry is not None:
            return overlay(image, entry.groundings, self.annotator)
        return shown(image)


def shown(pixels: np.ndarray, nearest: bool = False) -> np.ndarray:
    """`pixels` of shape (H, W) or (H, W, C), made smaller where its longer side exceeds `SHOWN_SIDE`."""
    height, width = pixels.shape[:2]
    scale = SHOWN_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST if nearest else cv2.INTER_AREA)


def overlay(image: np.ndarray, groundings: list[Grounding], annotator: OverlayAnnotator) -> np.ndarray:
    """The photo at the size in which it is shown, with its masks painted over it."""
    small = [replace(g, mask=shown(g.mask.astype(np.uint8), nearest=True).astype(bool)) for g in groundings]
    return annotator.annotate(shown(image), small)
