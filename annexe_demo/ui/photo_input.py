"""The image input of the page. (In a file of its own: Gradio writes a stub, ignored by Git, beside each component.)"""

from __future__ import annotations

import gradio as gr
from gradio.components.image import ImageData


class PhotoInput(gr.Image):
    """An image input that hands over the file as it came, so that `annexe_demo.images` alone decides what a picture is.

    Gradio's own preprocessing fails on a damaged file before any handler could say so in a sentence.
    """

    is_template = True  # drawn by the browser as the image input that it is

    def preprocess(self, payload: ImageData | None) -> str | None:
        if payload is None or payload.path is None:  # nothing, or a data: URL
            return super().preprocess(payload)
        return payload.path
