"""HTML of the conversation and the legend."""

import numpy as np
import pytest

from annexe_demo.events import Grounding
from annexe_demo.ui.conversation import Conversation, Entry, Notice
from annexe_demo.ui.render import answer_html, conversation_html, legend_html, limits_html, notice_html
from annexe_demo.ui.texts import ENGLISH as TEXTS
from annexe_demo.view.palette import color_for

MASK = np.ones((4, 6), bool)
ANSWER = "The mask of the right hand is <MSK_0>, the mask of mug is <MSK_1>."
HAND = Grounding(0, "right hand", MASK, 0.913, (16, 26))
MUG = Grounding(1, "mug", MASK, 0.5, (51, 54))


def test_a_phrase_and_its_chip_carry_the_colour_of_the_mask():
    html = answer_html(ANSWER, [HAND, MUG], TEXTS)
    for grounding in (HAND, MUG):
        color = color_for(grounding.index, grounding.label)
        assert f'style="--target:{color}" data-target="{grounding.index}">{grounding.label}</mark>' in html
        assert f"--target:{color};--on-target" in html
    assert "MSK" not in html


def test_a_token_without_its_mask_is_a_plain_chip():
    html = answer_html("The mask of the right hand is <MSK_0>", [], TEXTS, streaming=True)
    assert '<span class="chip pending">1</span>' in html and "<mark" not in html


@pytest.mark.parametrize("tail", ["<", "<M", "<MSK", "<MSK_", "<MSK_1"])
def test_an_unfinished_token_is_held_back_only_while_more_may_come(tail):
    assert answer_html("It is " + tail, [], TEXTS, streaming=True) == "It is "
    assert answer_html("It is " + tail, [], TEXTS) == "It is &lt;" + tail[1:]


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b", "<MSK>"])
def test_whatever_anybody_wrote_is_escaped(text):
    conversation = Conversation()
    conversation.session = object()
    conversation.analysis = Entry(None, text, state="done")
    grounding = Grounding(0, text, MASK, 0.5, (0, len(text)))
    conversation.entries = [Entry(text, text + "<MSK_0>", [grounding], 0.9, "done")]
    for html in (
        conversation_html(conversation, TEXTS),
        legend_html(conversation.entries[0], TEXTS),
        notice_html(Notice(text, "error")),
        limits_html(text, TEXTS),
    ):
        assert text not in html
        assert "<script" not in html and "<img" not in html


def test_no_target_is_said_in_words_with_the_indicator():
    entry = Entry("kettle?", "There is no suitable results of your query.", [], 0.034, "done")
    conversation = Conversation()
    conversation.entries = [entry]
    html = conversation_html(conversation, TEXTS)
    assert TEXTS.no_target in html and "mask indicator 0.03" in html
    assert TEXTS.legend_no_target in legend_html(entry, TEXTS) and "0.03" in legend_html(entry, TEXTS)


def test_a_plain_answer_says_nothing_of_targets():
    conversation = Conversation()
    conversation.entries = [Entry("colour?", "It is red.", [], None, "done")]
    html = conversation_html(conversation, TEXTS)
    assert TEXTS.no_target not in html and "indicator" not in html


def test_the_legend_gives_colour_label_and_percent():
    html = legend_html(Entry("q", ANSWER, [MUG, HAND], 0.9, "done"), TEXTS)
    assert html.index("right hand") < html.index("mug")
    assert ">91%<" in html and ">50%<" in html
    assert color_for(0, "right hand") in html


def test_a_stopped_answer_says_so():
    conversation = Conversation()
    conversation.entries = [Entry("q", "The mask of", state="stopped")]
    html = conversation_html(conversation, TEXTS)
    assert TEXTS.stopped in html and 'class="caret"' not in html


def test_an_error_is_announced_at_once_and_a_status_politely():
    assert 'role="alert"' in notice_html(Notice("No.", "error"))
    assert 'role="status"' in notice_html(Notice("Yes."))
