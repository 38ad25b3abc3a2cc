"""The explorer's texts as HTML. Whatever a dataset, a visitor or the model wrote is escaped here."""

from __future__ import annotations

import re
from html import escape

from annexe_demo.data.index import NO_CATEGORY, DatasetIndex, Row
from annexe_demo.events import Grounding
from annexe_demo.ui.render import answer_html
from annexe_demo.ui.texts import ExplorerTexts, Texts
from annexe_demo.ui.visit import Score, Visit
from annexe_demo.view.difference import DIFFERENCE_COLORS
from annexe_demo.view.legend import legend

_TOKEN = re.compile(r"<MSK_(\d+)>")
PANELS = ("photo", "truth", "prediction", "difference", "depth_truth", "depth_prediction")


def status_html(visit: Visit, index: DatasetIndex, texts: ExplorerTexts) -> str:
    """How many pictures there are, and how far the index is."""
    page, progress = visit.page, index.progress
    if page is None:
        return '<p class="notice" role="status"></p>'
    counted = {0: texts.nothing_found, 1: texts.total_one}
    lines = [counted.get(page.total) or texts.total.format(total=page.total)]
    if progress.error:
        lines.append(progress.error)
    elif not progress.ready:
        lines.append(texts.building.format(done=progress.done, total=progress.total))
    elif progress.unreadable:
        lines.append(texts.unreadable.format(count=progress.unreadable))
    kind = " error" if progress.error else ""
    return f'<p class="notice{kind}" role="status">{escape(" · ".join(lines))}</p>'


def caption(row: Row, texts: ExplorerTexts) -> str:
    """What stands under a thumbnail; plain text."""
    return row.name if row.iou is None else texts.caption_iou.format(name=row.name, iou=row.iou)


def query_choices(visit: Visit, texts: ExplorerTexts) -> list[tuple[str, str]]:
    """Each query with its kind and its true answer, as choices of a radio; plain text of three lines."""
    choices = []
    for group, question in visit.picture.queries:
        kind = texts.kinds[group.kind]
        if (saved := visit.picture.predicted(question.query)) is not None:
            kind += (
                f" · {texts.query_predicted}" if saved.iou is None else f" · {texts.query_iou.format(iou=saved.iou)}"
            )
        answer = _TOKEN.sub(lambda m: f"[{int(m[1]) + 1}]", group.answer)
        choices.append((f"{kind}\n{question.query}\n→ {answer}", question.query))
    return choices


def title_html(visit: Visit, texts: ExplorerTexts) -> str:
    """The open picture's name and place."""
    if visit.picture is None:
        return ""
    place = texts.position.format(
        split=texts.splits[visit.picture.split], number=(visit.position or 0) + 1, total=visit.page.total
    )
    return f'<div class="heading"><h2>{escape(visit.picture.sample.name)}</h2><p>{escape(place)}</p></div>'


def panel_html(visit: Visit, panel: str, empty: bool, texts: ExplorerTexts) -> str:
    """What stands above one of `PANELS`: its name and what its colours are. An `empty` one says why in a blank box."""
    note, reason = ("", "") if visit.picture is None else _PANEL_NOTES[panel](visit, texts)
    blank = f'<p class="blank">{escape(reason)}</p>' if empty else ""
    return f'<div class="panel-head"><h3>{escape(texts.panels[panel])}</h3>{note}</div>{blank}'


def _note(text: str) -> str:
    return f'<p class="panel-note">{escape(text)}</p>'


def _keys(items: list[tuple[str, str]]) -> str:
    keys = "".join(
        f'<li style="--target:{color}"><span class="swatch" aria-hidden="true"></span>{escape(text)}</li>'
        for color, text in items
    )
    return f'<ul class="keys">{keys}</ul>'


def _target_keys(groundings: list[Grounding] | tuple[Grounding, ...], scored: bool) -> str:
    return _keys([(e.color, f"{e.label} {e.score:.0%}" if scored else e.label) for e in legend(groundings)])


def _truth_note(visit: Visit, texts: ExplorerTexts) -> tuple[str, str]:
    truth = visit.truth
    return _target_keys(truth, False) if truth else "", texts.truth_unknown if truth is None else texts.truth_none


def _prediction_note(visit: Visit, texts: ExplorerTexts) -> tuple[str, str]:
    predicted = visit.predicted
    if predicted is None:
        return "", texts.prediction_none
    source = texts.prediction_saved if predicted.source == "saved" else texts.prediction_model
    keys = _target_keys(predicted.groundings, True) if predicted.groundings else ""
    return _note(source) + keys, texts.prediction_empty if predicted.complete else "…"


def _difference_note(visit: Visit, texts: ExplorerTexts) -> tuple[str, str]:
    keys = _keys([(DIFFERENCE_COLORS[name], text) for name, text in texts.difference.items()])
    return keys if visit.mask_scores else "", texts.difference_none


# For each panel: the lines under its name, as HTML, and why it is empty where it is.
_PANEL_NOTES = {
    "photo": lambda visit, texts: ("", ""),
    "truth": _truth_note,
    "prediction": _prediction_note,
    "difference": _difference_note,
    "depth_truth": lambda visit, texts: ("", texts.depth_none),
    "depth_prediction": lambda visit, texts: ("", texts.depth_not_run),
}


def texts_html(visit: Visit, texts: Texts) -> str:
    """Analysis and answer: the true ones beside what the model said."""
    words = texts.explorer
    if visit.picture is None:
        return ""
    sources = {"saved": words.saved, "model": words.model}
    groups = visit.picture.sample.groups
    analysis = [(words.reference, escape(groups[0].caption) if groups else "")]
    if said := visit.analysis:
        text, source, complete = said
        analysis.append((sources[source], answer_html(text, [], texts, streaming=not complete)))
    answer = []
    group, predicted = visit.group, visit.predicted
    if group is not None:
        answer.append((words.reference, answer_html(group.answer, visit.truth, texts)))
    elif visit.query:
        answer.append((words.reference, f'<span class="panel-note">{escape(words.own_question)}</span>'))
    if predicted is not None:
        text = answer_html(predicted.text, list(predicted.groundings), texts, streaming=predicted.running)
        if not predicted.complete and not predicted.running:
            text += f' <span class="panel-note">{escape(texts.stopped)}</span>'
        answer.append((sources[predicted.source], text))
    busy = "true" if visit.conversation.busy else "false"
    return f'<div class="sayings" aria-busy="{busy}">{_saying(words.analysis, analysis)}{_saying(words.answer, answer)}</div>'


def _saying(heading: str, rows: list[tuple[str, str]]) -> str:
    lines = "".join(f"<dt>{escape(who)}</dt><dd>{html}</dd>" for who, html in rows)
    return f"<section><h3>{escape(heading)}</h3><dl>{lines}</dl></section>"


def scores_html(scores: list[Score], texts: ExplorerTexts) -> str:
    """One line for each score, which opens to its definition."""
    if not scores:
        return f'<div class="scores"><h3>{escape(texts.scores)}</h3>{_note(texts.scores_none)}</div>'
    lines = "".join(
        f'<details class="score" data-measure="{s.key}"><summary><span>{escape(s.name)}</span>'
        f"<b>{escape(s.text)}</b></summary><p>{escape(s.definition)}</p></details>"
        for s in scores
    )
    return f'<div class="scores"><h3>{escape(texts.scores)}</h3>{_note(texts.scores_hint)}{lines}</div>'


def category_name(category: str, texts: ExplorerTexts) -> str:
    """A category as the filter words it."""
    return texts.no_category if category == NO_CATEGORY else category.capitalize()
