"""The explorer's endpoints for `gradio_client`: what its tab shows, without the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gradio as gr
import numpy as np

from annexe_demo.data.catalogue import Catalogue, OpenPicture
from annexe_demo.data.egoirgbench import DatasetError
from annexe_demo.data.index import PAGE_SIZE, interaction_of
from annexe_demo.ui.conversation import Change, sentence
from annexe_demo.ui.demo import MODEL_LINE, overlay, shown
from annexe_demo.ui.explorer import EXPLORER_LIMIT, EXPLORER_LINE, read_filters
from annexe_demo.ui.explorer_render import caption
from annexe_demo.ui.texts import Texts
from annexe_demo.ui.visit import Visit, picture_json, scores_json
from annexe_demo.view.export import mask_to_box, mask_to_rle
from annexe_demo.view.overlay import OverlayAnnotator


def build_explorer_api(pipe: Any, catalogue: Catalogue, texts: Texts) -> None:
    """Add ``/samples``, ``/sample`` and ``/run_sample`` to the current Blocks. Their components are no part of the page.

    A wrong input is answered with an error whose message says what was expected.
    """
    annotator = OverlayAnnotator()
    with gr.Column(visible=False):
        # A component's value is its parameter's default; one without a value has to be given.
        filters = [gr.Textbox("", label=label) for label in ("split", "category", "hand", "kind", "mask", "text")]
        order, known_query = gr.Textbox("name", label="order"), gr.Textbox("", label="query")
        split, name, query = (gr.Textbox(label=label) for label in ("split", "name", "query"))
        page = gr.Number(0, label="page", precision=0)
        meteor = gr.Checkbox(label="meteor")
        size = gr.Number(PAGE_SIZE, label="size", precision=0)
        result = gr.JSON(label="result")
        thumbnails = gr.Gallery(label="thumbnails")
        answer = gr.Textbox(label="answer")
        photo, truth, prediction, difference, depth_truth, depth_prediction = (
            gr.Image(label=label, format="png")
            for label in ("photo", "truth", "prediction", "difference", "depth_truth", "depth_prediction")
        )
        buttons = [gr.Button() for _ in range(3)]

    def refuse(error: Exception) -> gr.Error:
        return gr.Error(sentence(str(error)), print_exception=False)

    def open_picture(split: str, name: str) -> OpenPicture:
        try:
            return catalogue.open(split, name)
        except DatasetError as error:
            raise refuse(error) from error

    def masks_over(picture: OpenPicture, groundings: Any) -> np.ndarray | None:
        return overlay(picture.image, list(groundings), annotator) if groundings else None

    def list_samples(
        split: str = "",
        category: str = "",
        hand: str = "",
        kind: str = "",
        mask: str = "",
        text: str = "",
        order: str = "name",
        page: int = 0,
        size: int = PAGE_SIZE,
    ) -> tuple[Any, Any]:
        """List the pictures of the explorer's folder that fit all filters; an empty filter fits all. split: train, val
        or test. category: of the object in interaction, or none. hand: left, right, both or none. kind of query: single,
        multi, no-target or chat. mask: with or without. text: words of the analysis, an answer, the queries, or a part of
        a name. order: name, or worst or best by predicted IoU. page counts from 0; size, 1 to 200, is that of a page.
        Gives the number of pictures and pages, the page's rows, and their thumbnails."""
        try:
            found = catalogue.index.query(
                read_filters(split, category, hand, kind, mask, text), order or "name", int(page or 0), int(size)
            )
        except (DatasetError, ValueError) as error:
            raise refuse(error) from error
        rows = [
            {key: getattr(row, key) for key in ("split", "name", "category", "hand", "caption", "queries", "iou")}
            for row in found.rows
        ]
        paths = catalogue.thumbnails_of(found)
        return (
            {"total": found.total, "page": found.number, "pages": found.count, "samples": rows},
            [(str(p), caption(row, texts.explorer)) for p, row in zip(paths, found.rows, strict=True)],
        )

    def show_sample(split: str, name: str, query: str = "", meteor: bool = False) -> tuple[Any, ...]:
        """Show one picture of the explorer's folder: size, interaction, analysis and all queries with their true
        answers; for one of its queries (by default the first that has one) the saved prediction, where there is one, with its scores
        and their definitions. Gives this, the photo, the true masks, the predicted masks, the difference map and the
        true depth; a picture that there is none of is null. meteor: calculate METEOR too, which takes seconds."""
        picture = open_picture(split, name)
        visit = Visit()
        visit.show(picture, query.strip() or None)
        if visit.query and visit.group is None:
            raise refuse(ValueError(f"query must be one of this picture's own but got {query!r}"))
        if meteor:
            visit.rate()
        predicted = visit.predicted
        details = picture_json(picture, *interaction_of(picture.sample)) | {
            "query": visit.query,
            "prediction": _predicted_json(visit),
            "scores": scores_json(visit.scores(texts.explorer, texts.explorer.not_calculated)),
        }
        return (
            details,
            shown(picture.image),
            masks_over(picture, visit.truth),
            masks_over(picture, predicted.groundings) if predicted else None,
            _small(visit.difference()),
            _small(visit.depth_truth()),
        )

    def run_sample(split: str, name: str, query: str, meteor: bool = False) -> Iterator[tuple[Any, ...]]:
        """Run the model on a picture of the explorer's folder and any query. Streams the answer's text, which marks the
        n-th target as <MSK_n>. The last update adds the result (analysis, answer, mask indicator, and for each target its
        label, score, box and mask in COCO run-length encoding) with the scores against the truth and their definitions,
        the predicted masks, the difference map and the predicted depth. A query that is not one of the picture's own has
        no truth to compare with. meteor: calculate METEOR too, which takes seconds."""
        visit = Visit()
        visit.show(open_picture(split, name), "")
        if not visit.request_run(query, texts):
            raise refuse(ValueError(visit.conversation.notice.text))
        written = ""
        with closing(visit.conversation.work(pipe, texts)) as work:
            for change in work:
                predicted = visit.predicted
                if change & Change.CHAT and predicted and predicted.text != written:
                    written = predicted.text
                    yield written, gr.skip(), gr.skip(), gr.skip(), gr.skip()
        predicted = visit.predicted
        if predicted is None or not predicted.complete:
            notice = visit.conversation.notice
            raise refuse(ValueError(notice.text if notice else texts.internal_error))
        if meteor:
            visit.rate()
        details = {"split": split, "name": name, "query": visit.query}
        details |= _predicted_json(visit) | {
            "scores": scores_json(visit.scores(texts.explorer, texts.explorer.not_calculated))
        }
        yield (
            predicted.text,
            details,
            masks_over(visit.picture, predicted.groundings),
            _small(visit.difference()),
            _small(visit.depth_prediction()),
        )

    line = dict(concurrency_id=EXPLORER_LINE, concurrency_limit=EXPLORER_LIMIT, trigger_mode="multiple")
    buttons[0].click(
        list_samples,
        [*filters, order, page, size],
        [result, thumbnails],
        api_name="samples",
        **line,
    )
    buttons[1].click(
        show_sample,
        [split, name, known_query, meteor],
        [result, photo, truth, prediction, difference, depth_truth],
        api_name="sample",
        **line,
    )
    buttons[2].click(
        run_sample,
        [split, name, query, meteor],
        [answer, result, prediction, difference, depth_prediction],
        api_name="run_sample",
        concurrency_id=MODEL_LINE,
        concurrency_limit=1,
        trigger_mode="multiple",
    )


def _small(pixels: np.ndarray | None) -> np.ndarray | None:
    return None if pixels is None else shown(pixels)


def _predicted_json(visit: Visit) -> dict[str, Any] | None:
    predicted, analysis = visit.predicted, visit.analysis
    if predicted is None:
        return None
    return {
        "source": predicted.source,
        "analysis": analysis[0] if analysis else "",
        "answer": predicted.text,
        "indicator": None if predicted.indicator is None else round(float(predicted.indicator), 6),
        "groundings": [
            {
                "label": g.label,
                "score": round(float(g.score), 6),
                "span": list(g.span),
                "area": int(np.count_nonzero(g.mask)),
                "bbox": mask_to_box(g.mask),
                "rle": mask_to_rle(g.mask),
            }
            for g in predicted.groundings
        ],
    }
