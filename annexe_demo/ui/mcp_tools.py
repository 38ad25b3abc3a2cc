"""The page as an MCP server: three tools for programs that speak the Model Context Protocol (``app.py --mcp``).

Gradio offers every public endpoint as a tool, under its function's name and docstring, so `offer_only_tools` takes the
others out of that list. They answer `gradio_client` as before. Each tool gives one thing: Gradio 6.31 makes one text of
several.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import gradio as gr
import numpy as np

from annexe_demo.events import ServiceError
from annexe_demo.images import ImageError
from annexe_demo.session import QueryError, Result, collect
from annexe_demo.ui.conversation import sentence
from annexe_demo.ui.demo import MODEL_LINE, overlay
from annexe_demo.ui.photo_input import PhotoInput
from annexe_demo.view.export import mask_to_box
from annexe_demo.view.overlay import OverlayAnnotator

TOOLS = ("describe_photo", "ask_photo", "show_masks")


def build_mcp_tools(pipe: Any) -> None:
    """Add the tools to the current Blocks, as endpoints of the same names. Their components are no part of the page.

    Args:
        pipe: an `AnnexePipeline`, or anything with its `open`.
    """
    with gr.Column(visible=False):
        photo = PhotoInput(label="photo", type="filepath")
        question = gr.Textbox(label="question")
        text = gr.Textbox(label="text")
        picture = gr.Image(label="picture", format="png")
        buttons = [gr.Button() for _ in TOOLS]

    def answer(path: str | None, query: str) -> tuple[np.ndarray, Result]:
        session = _open(pipe, path)
        try:
            return session.image, collect(session, query)
        except (QueryError, ServiceError) as error:
            raise _refusal(error) from error

    def describe_photo(photo: str) -> str:
        """Describe in one sentence what the wearer's hands do in a first-person (egocentric) photo: which hand holds,
        pushes or lifts which object, and where.

        Args:
            photo: the photo, taken from the point of view of the person whose hands it shows
        """
        session = _open(pipe, photo)
        try:
            with closing(session.analyze()) as events:
                for _ in events:
                    pass
        except ServiceError as error:
            raise _refusal(error) from error
        return session.analysis or ""

    def ask_photo(photo: str, question: str) -> str:
        """Answer a question about the hands and the objects that they touch in a first-person (egocentric) photo. Gives
        the answer and a line for each target that it names: its label, the expected quality of its mask (0 to 1) and its
        box in pixels. A question whose target is not in the photo is answered with that.

        Args:
            photo: the photo, taken from the point of view of the person whose hands it shows
            question: an English question or request, e.g. "What is the right hand holding?"
        """
        _, result = answer(photo, question)
        return told(result)

    def show_masks(photo: str, question: str) -> np.ndarray:
        """Paint a mask over everything that the answer to a question names in a first-person (egocentric) photo: left
        hand blue, right hand yellow, objects in other colours. Gives the painted photo.

        Args:
            photo: the photo, taken from the point of view of the person whose hands it shows
            question: what to mask, in English, e.g. "Please segment the hands and objects in interaction."
        """
        image, result = answer(photo, question)
        return overlay(image, result.groundings, OverlayAnnotator())

    line = dict(concurrency_id=MODEL_LINE, concurrency_limit=1, trigger_mode="multiple")
    for button, tool, inputs, outputs in (
        (buttons[0], describe_photo, [photo], [text]),
        (buttons[1], ask_photo, [photo, question], [text]),
        (buttons[2], show_masks, [photo, question], [picture]),
    ):
        button.click(tool, inputs, outputs, api_name=tool.__name__, **line)


def offer_only_tools(page: gr.Blocks) -> None:
    """Leave only the tools in the list from which Gradio makes the MCP server. Call it before the page is launched."""
    for function in page.fns.values():
        if function.api_visibility == "public" and function.api_name not in TOOLS:
            function.api_visibility = "undocumented"


def told(result: Result) -> str:
    """An answer in words, with a line for each of its targets.

    ``<MSK_n>`` in the text stands for the target of that number.
    """
    lines = [result.answer]
    for g in result.groundings:
        x, y, width, height = mask_to_box(g.mask)
        lines.append(
            f"<MSK_{g.index}> {g.label}: score {g.score:.2f}, box x {x}, y {y}, width {width}, height {height}"
        )
    if result.indicator is not None:
        lines.append(f"Probability that the question has a target in this photo: {result.indicator:.2f}")
    return "\n".join(lines)


def _open(pipe: Any, path: str | None) -> Any:
    if path is None:
        raise gr.Error("photo must be a picture but got nothing.", print_exception=False)
    try:
        return pipe.open(path)
    except ImageError as error:
        raise _refusal(error) from error


def _refusal(error: Exception) -> gr.Error:
    return gr.Error(sentence(str(error)), print_exception=False)
