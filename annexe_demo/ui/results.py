"""The results tab: the published figures and ours as charts, each with its source, and all of them as a table."""

from __future__ import annotations

import base64
from functools import cache
from html import escape
from typing import Any

import gradio as gr

from annexe_demo.data.published import BENCHMARK, BENCHMARK_URL, PUBLISHED
from annexe_demo.data.reports import OwnFigures
from annexe_demo.ui.texts import ResultsTexts, Texts

_NUMBERS = ("ciou_test", "ciou_val", "analysis_meteor", "analysis_cider", "answer_meteor", "answer_cider")


def build_results_tab(own: OwnFigures, tab: gr.Tab, texts: Texts) -> None:
    """Build the tab inside the current Blocks. Nothing is drawn before a visitor opens it.

    Args:
        own: our figures, or why there are none.
        tab: the tab that it stands in.
        texts: the words of the page.
    """
    words = texts.results
    shown = gr.HTML(f'<p class="notice" role="status">{escape(words.drawing)}</p>', js_on_load=None, elem_id="results")
    # Drawing takes seconds, and the result is the same for every visitor.
    draw = cache(lambda: results_html(own, words))
    tab.select(draw, None, [shown], show_progress="hidden", api_visibility="private", concurrency_id="results")


def build_results_api(own: OwnFigures, texts: Texts) -> None:
    """Add ``/results`` to the current Blocks."""
    with gr.Column(visible=False):
        result = gr.JSON(label="result")
        button = gr.Button()

    def results() -> dict[str, Any]:
        """The published results on Ego-IRGBench, each with its source, and the figures of this page's model with theirs,
        where they have been measured. Published figures are on the benchmark's photographs; ours may be on generated
        scenes (see note), and then the two are no ranking."""
        return results_json(own, texts.results)

    button.click(results, None, [result], api_name="results", queue=False)


def results_json(own: OwnFigures, texts: ResultsTexts) -> dict[str, Any]:
    """All figures with their sources as plain dicts, lists and numbers."""
    return {
        "benchmark": {"name": BENCHMARK, "url": BENCHMARK_URL},
        "published": [
            {"model": p.model}
            | {name: getattr(p, name) for name in _NUMBERS}
            | {"paper": p.paper, "paper_url": p.paper_url, "source": p.source, "source_url": p.source_url}
            for p in PUBLISHED
        ],
        "ours": own.report,
        "ours_source": own.source,
        "ours_missing": own.problem or None,
        "note": _note(own, texts),
    }


def results_html(own: OwnFigures, texts: ResultsTexts) -> str:
    """The whole tab: what may be compared, a figure a measure, ours by what was asked of what, and the table."""
    from annexe_demo.view.charts import LOOKS
    from annexe_demo.view.result_charts import MEASURES, plot_dimension, plot_measure, to_svg

    def figure(name: str, draw: Any, alt: str, source: str) -> str:
        pictures = ""
        for look in LOOKS:
            drawn = draw(look)
            if drawn is None:
                return ""
            data = base64.b64encode(to_svg(drawn).encode()).decode()
            pictures += f'<img class="for-{look}" src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}">'
        return f'<figure data-chart="{name}">{pictures}<figcaption>{source}</figcaption></figure>'

    report = own.report
    published = texts.published_source.format(
        source=_link(PUBLISHED[0].source, PUBLISHED[0].source_url), benchmark=_link(BENCHMARK, BENCHMARK_URL)
    )
    ours = _own_source(own, texts)
    measures = "".join(
        figure(m.name, lambda look, m=m: plot_measure(m, report, look), texts.measure_alt.format(measure=m.title),
               f"{published} {ours}".strip())
        for m in MEASURES
    )  # fmt: skip
    parts = [
        f'<p class="not-comparable"><strong>{escape(texts.warning_title)}</strong> {escape(_note(own, texts))}</p>',
        f'<p class="notice error">{escape(own.problem)}</p>' if own.problem else "",
        f"<h2>{escape(texts.published_heading)}</h2>",
        f'<div class="figures">{measures}</div>',
    ]
    if report is not None:
        by = "".join(
            figure(d, lambda look, d=d: plot_dimension(d, report, look), texts.dimension_alt.format(dimension=d), ours)
            for d in report["by"]
        )
        parts.append(f'<h2>{escape(texts.ours_heading)}</h2><div class="figures loose">{by}</div>')
    parts += [f"<h2>{escape(texts.table_heading)}</h2>", _table(own, texts)]
    return f'<div class="results">{"".join(parts)}</div>'


def _note(own: OwnFigures, texts: ResultsTexts) -> str:
    from annexe_demo.view.report import is_generated

    if own.report is not None and not is_generated(own.report):
        return texts.warning_unknown
    return texts.warning


def _own_source(own: OwnFigures, texts: ResultsTexts) -> str:
    if own.report is None:
        return ""
    r = own.report
    return escape(
        texts.own_source.format(
            model=r["model"], samples=r["samples"], queries=r["queries"], split=r["split"], data=r["data"], path=own.source
        )
    )  # fmt: skip


def _table(own: OwnFigures, texts: ResultsTexts) -> str:
    def row(model: str, cells: list[str], source: str, kind: str = "") -> str:
        values = "".join(f"<td>{c}</td>" for c in cells)
        return f'<tr{kind}><th scope="row">{escape(model)}</th>{values}<td class="source">{source}</td></tr>'

    from annexe_demo.view.result_charts import model_name

    rows = []
    if (report := own.report) is not None:
        of = report["overall"]
        ciou = "–" if of.get("ciou") is None else f"{100 * of['ciou']:.1f}"
        by_split = [ciou if report["split"] == split else "–" for split in ("test", "val")]
        texts_of = [
            "–" if of.get(n) is None else f"{of[n]:.3f}" if "meteor" in n else f"{of[n]:.2f}" for n in _NUMBERS[2:]
        ]
        rows.append(
            row(f"{model_name(report)} ({texts.ours})", by_split + texts_of, _own_source(own, texts), ' class="ours"')
        )
    for p in reversed(PUBLISHED):
        cells = [f"{p.ciou_test:.2f}", f"{p.ciou_val:.2f}"]
        cells += [f"{getattr(p, n):.3f}" for n in _NUMBERS[2:]]
        source = _link(p.source, p.source_url)
        if p.paper_url != p.source_url:
            source += f"; {escape(texts.model_from)} {_link(p.paper, p.paper_url)}"
        rows.append(row(p.model, cells, source))
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in texts.columns)
    # Scrolls by itself where it is wider than the page, by keyboard too.
    return (
        f'<div class="wide-table" tabindex="0" role="region" aria-label="{escape(texts.table_heading)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _link(text: str, url: str) -> str:
    return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(text)}</a>'
