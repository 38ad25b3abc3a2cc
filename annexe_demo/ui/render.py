"""The conversation and the legend as HTML. Whatever a visitor or the model wrote is escaped here, and only here."""

from __future__ import annotations

import re
from html import escape

from annexe_demo.events import Grounding
from annexe_demo.ui.conversation import Conversation, Entry, Notice
from annexe_demo.ui.texts import Texts
from annexe_demo.view.legend import answer_segments, legend
from annexe_demo.view.palette import color_for, text_color_on

_TOKEN = re.compile(r"<MSK_(\d+)>")
_UNFINISHED_TOKEN = re.compile(r"<(?:M(?:S(?:K(?:_\d*)?)?)?)?$")
_CARET = '<span class="caret" aria-hidden="true"></span>'


def answer_html(text: str, groundings: list[Grounding], texts: Texts, streaming: bool = False) -> str:
    """An answer with the phrase of each target in its mask's colour, and each ``<MSK_n>`` as a chip.

    Args:
        text: the answer, or as much of it as there is.
        groundings: the targets found so far; their spans are offsets in `text`.
        texts: words for screen readers.
        streaming: more text may follow, so an unfinished ``<MSK_`` at the end is held back.
    """
    if streaming:
        text = _UNFINISHED_TOKEN.sub("", text)
    by_index = {g.index: g for g in groundings}
    parts = []
    for segment in answer_segments(text, groundings, keep_tokens=True):
        if segment.index is None:
            parts.append(_with_chips(segment.text, by_index, texts))
        else:
            color = color_for(segment.index, by_index[segment.index].label)
            parts.append(
                f'<mark class="phrase" style="--target:{color}" data-target="{segment.index}">'
                f"{escape(segment.text)}</mark>"
            )
    return "".join(parts)


def _with_chips(text: str, by_index: dict[int, Grounding], texts: Texts) -> str:
    parts, at = [], 0
    for match in _TOKEN.finditer(text):
        parts.append(escape(text[at : match.start()]))
        index = int(match[1])
        at = match.end()
        if grounding := by_index.get(index):
            color = color_for(index, grounding.label)
            label = escape(texts.mask_name.format(label=grounding.label))
            parts.append(
                f'<span class="chip" style="--target:{color};--on-target:{text_color_on(color)}" '
                f'data-target="{index}" role="img" aria-label="{label}" title="{label}">{index + 1}</span>'
            )
        else:
            parts.append(f'<span class="chip pending">{index + 1}</span>')
    parts.append(escape(text[at:]))
    return "".join(parts)


def conversation_html(conversation: Conversation, texts: Texts) -> str:
    """The analysis and all questions with their answers."""
    if conversation.analysis is None and not conversation.entries:
        return (
            f'<div class="conversation empty"><p class="empty-title">{escape(texts.empty_title)}</p>'
            f"<p>{escape(texts.empty_body)}</p></div>"
        )
    parts = []
    if conversation.analysis is not None:
        parts.append(
            f'<section class="entry analysis"><h3>{escape(texts.analysis)}</h3>'
            f"{_body(conversation.analysis, texts)}</section>"
        )
    for entry in conversation.entries:
        parts.append(
            f'<section class="entry turn"><p class="question"><span class="for-readers">{escape(texts.you)}: '
            f"</span>{escape(entry.query or '')}</p>"
            f'<h3 class="for-readers">{escape(texts.model)}</h3>{_body(entry, texts)}</section>'
        )
    busy = "true" if conversation.busy else "false"
    label = escape(texts.conversation)
    return f'<div class="conversation" role="log" aria-label="{label}" aria-busy="{busy}">{"".join(parts)}</div>'


def _body(entry: Entry, texts: Texts) -> str:
    text = answer_html(entry.text, entry.groundings, texts, streaming=entry.open)
    notes = []
    if entry.state == "stopped":
        notes.append(f'<span class="note">{escape(texts.stopped)}</span>')
    if entry.cut_off:
        notes.append(f'<span class="note">{escape(texts.cut_off)}</span>')
    if entry.state == "done" and entry.indicator is not None:
        if not entry.groundings:
            words = texts.no_target if entry.indicator < 0.5 else texts.no_mask
            notes.append(f'<span class="note no-target">{escape(words)}</span>')
        notes.append(_indicator(entry.indicator, texts))
    caret = _CARET if entry.open else ""
    foot = f'<p class="notes">{" ".join(notes)}</p>' if notes else ""
    return f'<p class="text">{text}{caret}</p>{foot}'


def _indicator(value: float, texts: Texts) -> str:
    return (
        f'<span class="indicator" title="{escape(texts.indicator_title)}">'
        f"{escape(texts.indicator.format(value=value))}</span>"
    )


def legend_html(entry: Entry | None, texts: Texts) -> str:
    """One item for each target of `entry`: colour, label, score in percent; or a line that says why there is none."""
    if entry is not None and entry.groundings:
        items = "".join(
            f'<li style="--target:{e.color}" data-target="{e.index}"><span class="swatch" aria-hidden="true"></span>'
            f'<span class="label">{escape(e.label)}</span>'
            f'<span class="score" title="{escape(texts.score_title)}">{e.score:.0%}</span></li>'
            for e in legend(entry.groundings)
        )
        return f'<ul class="legend" aria-label="{escape(texts.legend_heading)}">{items}</ul>'
    if entry is not None and entry.state == "done" and entry.indicator is not None and entry.indicator < 0.5:
        return f'<p class="legend none">{escape(texts.legend_no_target)} · {_indicator(entry.indicator, texts)}</p>'
    return f'<p class="legend none">{escape(texts.legend_empty)}</p>'


def notice_html(notice: Notice | None) -> str:
    """The sentence under the conversation: a status, or an error that is announced at once."""
    if notice is None:
        return '<p class="notice" role="status"></p>'
    role = "alert" if notice.kind == "error" else "status"
    return f'<p class="notice {notice.kind}" role="{role}">{escape(notice.text)}</p>'


def header_html(name: str, texts: Texts) -> str:
    """Title, what the page is for, and the model that answers."""
    return (
        f'<header class="masthead"><h1>{escape(texts.title)}</h1><p class="tagline">{escape(texts.tagline)}</p>'
        f'<p class="model-name">{escape(texts.model_name.format(name=name))}</p></header>'
    )


def limits_html(limitations: str, texts: Texts) -> str:
    """The honest line: what this model cannot do."""
    return (
        f'<p class="limits"><strong>{escape(texts.limits_heading)}.</strong> {escape(limitations)} '
        f"{escape(texts.not_recorded)}</p>"
    )


def depth_legend_html(texts: Texts) -> str:
    """The scale of the depth view."""
    return (
        f'<div class="depth-legend"><span>{escape(texts.depth_near)}</span><span class="scale" aria-hidden="true">'
        f'</span><span>{escape(texts.depth_far)}</span><span class="depth-note">{escape(texts.depth_note)}</span></div>'
    )


def heading_html(heading: str, hint: str = "") -> str:
    """A small heading inside the page, with an optional line under it."""
    line = f"<p>{escape(hint)}</p>" if hint else ""
    return f'<div class="heading"><h2>{escape(heading)}</h2>{line}</div>'
