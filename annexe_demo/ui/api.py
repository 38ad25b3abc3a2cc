"""The named endpoints for `gradio_client`: the same pipeline without the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import gradio as gr

from annexe_demo.events import Done, Grounding, ServiceError, TextDelta
from annexe_demo.images import ImageError
from annexe_demo.session import QueryError
from annexe_demo.ui.conversation import sentence
from annexe_demo.ui.demo import MODEL_LINE, overlay
from annexe_demo.ui.photo_input import PhotoInput
from annexe_demo.view.export import result_to_json
from annexe_demo.view.overlay import OverlayAnnotator


def build_api(pipe: Any) -> None:
    """Add ``/analyze`` and ``/ask`` to the current Blocks. Their components are no part of the page.

    A wrong input is answered with an error whose message says what was expected.
    """
    with gr.Column(visible=False):
        image = PhotoInput(label="image", type="filepath")
        query = gr.Textbox(label="query")
        text = gr.Textbox(label="text")
        result = gr.JSON(label="result")
        picture = gr.Image(label="overlay", format="png")
        analyze_button, ask_button = gr.Button(), gr.Button()

    def open_session(path: str | None) -> Any:
        if path is None:
            raise gr.Error("image must be a picture but got nothing.", print_exception=False)
        try:
            return pipe.open(path)
        except ImageError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def analyze(image: str | None) -> Iterator[str]:
        """Describe what the hands in a first-person photo are doing. Streams the text, longer with each update."""
        text = ""
        try:
            with closing(open_session(image).analyze()) as events:
                for event in events:
                    if isinstance(event, TextDelta):
                        text += event.text
                        yield text
                    elif isinstance(event, Done):
                        yield event.text
        except ServiceError as error:
            raise gr.Error(sentence(str(error)), print_exception=False) from error

    def ask(image: str | None, query: str) -> Iterator[tuple[Any, Any, Any]]:
        """Answer a question about a first-person photo. Streams the answer's text, which marks the n-th target as
        <MSK_n>; the last update adds the result (analysis, answer, mask indicator, and for each target its label,
        score, box and mask in COCO run-length encoding) and the photo with the masks painted over it."""
        session = open_session(image)
        text, groundings, done = "", [], None
        try:
            with closing(session.ask(query)) as events:
                for event in events:
                    if isinstance(event, TextDelta) and event.branch == "answer":
                        text += event.text
                        yield text, gr.skip(), gr.skip()
                    elif isinstance(event, Grounding):
                        groundings.append(event)
                    elif isinstance(event, Done) and event.branch == "answer":
                        done = event
        except (QueryError, ServiceError) as error:
            raise gr.Error(sentence(str(error)), print_exception=False) from error
        if done is None:
            raise gr.Error("The answer ended before it was complete.", print_exception=False)
        height, width = session.image.shape[:2]
        answered = SimpleNamespace(
            analysis=session.analysis or "", answer=done.text, groundings=groundings, indicator=done.indicator
        )
        yield (
            done.text,
            result_to_json(answered, query, (width, height)),
            overlay(session.image, groundings, OverlayAnnotator()),
        )

    line = dict(concurrency_id=MODEL_LINE, concurrency_limit=1, trigger_mode="multiple")
    analyze_button.click(analyze, [image], [text], api_name="analyze", **line)
    ask_button.click(ask, [image, query], [text, result, picture], api_name="ask", **line)
