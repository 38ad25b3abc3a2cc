"""The explorer's glance at saved predictions: worst and best pictures, hands taken for each other, IoU by object size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from annexe_demo.data.catalogue import Catalogue
from annexe_demo.data.index import Page
from annexe_demo.overview import FITS, HANDS, Confusion, Overview, SizeRow, overview_json
from annexe_demo.ui.texts import OverviewTexts, Texts

EXTREMES = ("worst", "best")  # orders of the list
SHOWN = 6  # pictures of each
OVERVIEW_LINE = "overview"


@dataclass(frozen=True)
class OverviewWidgets:
    """What is filled when the tab is opened."""

    galleries: dict[str, gr.Gallery]
    tables: gr.HTML

    def all(self) -> list[gr.blocks.Block]:
        return [*self.galleries.values(), self.tables]


def build_overview(texts: OverviewTexts) -> OverviewWidgets:
    """Lay out the glance inside the current Blocks."""
    with gr.Accordion(texts.heading, open=True, elem_id="overview"):
        with gr.Row(elem_id="extremes"):
            galleries = {}
            for order in EXTREMES:
                with gr.Column(min_width=280):
                    gr.HTML(f'<h3 class="glance">{escape(texts.extremes[order])}</h3>', js_on_load=None)
                    galleries[order] = gr.Gallery(
                        [],
                        label=texts.extremes[order],
                        show_label=False,
                        container=False,
                        columns=3,
                        height="auto",
                        object_fit="cover",
                        allow_preview=False,
                        interactive=False,
                        buttons=[],
                        elem_id=f"{order}-pictures",
                        elem_classes="extreme",
                    )
        tables = gr.HTML(f'<p class="notice" role="status">{escape(texts.reading)}</p>', js_on_load=None)
    return OverviewWidgets(galleries, tables)


def fill_overview(catalogue: Catalogue, widgets: OverviewWidgets, texts: OverviewTexts) -> dict[Any, Any]:
    """Updates of the widgets. Waits for the index and reads the predictions once."""
    updates: dict[Any, Any] = {widgets.tables: overview_html(catalogue.overview, texts)}
    for order, gallery in widgets.galleries.items():
        page, paths = extremes(catalogue, order)
        captions = [texts.caption.format(iou=row.iou) for row in page.rows]
        updates[gallery] = gr.update(
            value=[(str(p), c) for p, c in zip(paths, captions, strict=False) if c], selected_index=None
        )
    return updates


def extremes(catalogue: Catalogue, order: str) -> tuple[Page, Sequence[Any]]:
    """The first pictures of all in an order by predicted IoU, as far as they are predicted, and their thumbnails."""
    found = catalogue.index.query(order=order, size=SHOWN)
    rows = tuple(r for r in found.rows if r.iou is not None)
    page = Page(rows, found.total, 0, SHOWN)
    return page, catalogue.thumbnails_of(page)


def overview_html(overview: Overview, texts: OverviewTexts) -> str:
    """Both confusions of hands and the sizes as tables, coloured by their share of the row."""
    if not overview.pictures:
        return f'<p class="notice error">{escape(texts.nothing.format(count=overview.left_out))}</p>'
    left_out = f'<p class="notice">{escape(texts.left_out.format(count=overview.left_out))}</p>'
    return (
        f'<div class="glances">{_confusion(overview.answers, "answers", texts)}'
        f"{_confusion(overview.analyses, 'analyses', texts)}{_sizes(overview.sizes, texts)}</div>"
        f"{left_out if overview.left_out else ''}"
    )


def _confusion(counts: Confusion, name: str, texts: OverviewTexts) -> str:
    head = "".join(f'<th scope="col">{escape(texts.hands[h])}</th>' for h in HANDS)
    rows = ""
    for truth in HANDS:
        total = sum(counts[truth].values())
        cells = ""
        for said in HANDS:
            share = counts[truth][said] / total if total else 0.0
            right = " right" if truth == said else ""
            cells += (
                f'<td class="heat{right}" style="--share:{share:.3f}" title="{share:.0%}">{counts[truth][said]:,}</td>'
            )
        rows += f'<tr><th scope="row">{escape(texts.hands[truth])}</th>{cells}</tr>'
    everything = sum(sum(row.values()) for row in counts.values())
    agreed = sum(counts[h][h] for h in HANDS)
    note = texts.agreement.format(agreed=agreed, total=everything, share=agreed / everything if everything else 0.0)
    return (
        f'<section data-table="{name}"><h3 class="glance">{escape(texts.confusions[name])}</h3>'
        f'<p class="panel-note">{escape(texts.confusion_notes[name])}</p>'
        f'<table class="confusion"><thead><tr><th scope="col">{escape(texts.corner)}</th>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table><p class="panel-note">{escape(note)}</p></section>'
    )


def _sizes(sizes: Sequence[SizeRow], texts: OverviewTexts) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(texts.no_object if r.name == "none" else r.name)}</th>'
        f'<td class="bar" style="--share:{r.mean_iou:.3f}"><span>{r.mean_iou:.3f}</span></td>'
        f"<td>{r.found:.0%}</td><td>{r.queries:,}</td></tr>"
        for r in sizes
    )
    head = "".join(f'<th scope="col">{escape(title.format(fits=FITS))}</th>' for title in texts.size_columns)
    return (
        f'<section data-table="sizes"><h3 class="glance">{escape(texts.sizes_heading)}</h3>'
        f'<p class="panel-note">{escape(texts.sizes_note)}</p>'
        f'<table class="sizes"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></section>'
    )


def build_overview_api(catalogue: Catalogue, texts: Texts) -> None:
    """Add ``/overview`` to the current Blocks."""
    with gr.Column(visible=False):
        result = gr.JSON(label="result")
        button = gr.Button()

    def overview() -> dict[str, Any]:
        """Saved predictions at a glance: the pictures with the lowest and the highest mean IoU, which hands the truth
        names against those that the model's analysis names and its answers mask (truth, then model, then how often), and
        the IoU of queries with a target by the size of the active object. Needs a page that was started with saved
        predictions."""
        if catalogue.predictions is None:
            raise gr.Error(texts.explorer.overview.no_predictions, print_exception=False)
        found = overview_json(catalogue.overview)
        for order in EXTREMES:
            rows = extremes(catalogue, order)[0].rows
            found[order] = [{"split": r.split, "name": r.name, "iou": round(r.iou, 5)} for r in rows]
        return found

    button.click(overview, None, [result], api_name="overview", concurrency_id=OVERVIEW_LINE, concurrency_limit=1)
