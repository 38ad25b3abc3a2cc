"""The state of one visitor, without a page."""

import numpy as np
import pytest

from annexe_demo.events import Grounding
from annexe_demo.model.endpoint import EndpointError
from annexe_demo.ui.conversation import Change, Conversation, PhotoRequest, sentence, suggest
from annexe_demo.ui.texts import ENGLISH as TEXTS
from tests.ui.stand_in import ANALYSIS, NO_TARGET, StandIn

PHOTO = np.full((40, 60, 3), 120, np.uint8)


def run(conversation: Conversation, pipe: StandIn) -> list[Change]:
    return list(conversation.work(pipe, TEXTS))


@pytest.fixture
def pipe() -> StandIn:
    return StandIn()


@pytest.fixture
def conversation(pipe) -> Conversation:
    """With a photo that has been analysed."""
    conversation = Conversation()
    conversation.request_photo(PhotoRequest(PHOTO), TEXTS)
    run(conversation, pipe)
    return conversation


def test_a_photo_is_analysed_with_its_depth_and_brings_suggestions_of_all_kinds(conversation):
    assert conversation.analysis.text == ANALYSIS
    assert conversation.analysis.state == "done"
    assert conversation.depth.shape == PHOTO.shape[:2]
    assert set(conversation.suggestions) == {"single", "multi", "no-target"}
    assert not conversation.busy


def test_an_example_is_analysed_and_asked_in_one_go(pipe):
    conversation = Conversation()
    conversation.request_photo(PhotoRequest(PHOTO, "hand and mug", {"single": "Its own"}), TEXTS)
    run(conversation, pipe)
    assert [e.query for e in conversation.entries] == ["hand and mug"]
    assert [g.label for g in conversation.entries[0].groundings] == ["right hand", "red mug"]
    assert conversation.suggestions["single"] == "Its own"
    assert conversation.suggestions["multi"] == suggest(conversation.analysis.text, TEXTS)["multi"]


def test_the_text_grows_and_each_mask_comes_while_the_sentence_goes_on(conversation, pipe):
    conversation.request_answer("hand and mug", TEXTS)
    lengths, masks_at = [], []
    for change in conversation.work(pipe, TEXTS):
        entry = conversation.entries[-1]
        lengths.append(len(entry.text))
        if Change.PICTURE in change and entry.groundings and entry.state == "streaming":
            masks_at.append(entry.text)
    assert lengths == sorted(lengths) and len(set(lengths)) > 5
    assert [t[-7:] for t in masks_at] == ["<MSK_0>", "<MSK_1>"]


def test_several_questions_stay_on_one_photo(conversation, pipe):
    for query in ("hand", "kettle", "colour"):
        conversation.request_answer(query, TEXTS)
        run(conversation, pipe)
    assert [e.query for e in conversation.entries] == ["hand", "kettle", "colour"]
    assert conversation.entries[1].text == NO_TARGET
    assert conversation.entries[1].indicator == pytest.approx(0.03)
    assert conversation.entries[2].indicator is None


def test_a_new_photo_starts_afresh(conversation, pipe):
    conversation.request_answer("hand", TEXTS)
    run(conversation, pipe)
    conversation.request_photo(PhotoRequest(PHOTO[:20]), TEXTS)
    run(conversation, pipe)
    assert conversation.entries == []
    assert conversation.image.shape[:2] == (20, 60)


def test_a_bad_photo_is_told_in_a_sentence_and_keeps_the_conversation(conversation, pipe, tmp_path):
    conversation.request_answer("hand", TEXTS)
    run(conversation, pipe)
    session = conversation.session
    bad = tmp_path / "photo.jpg"
    bad.write_text("not a picture")
    conversation.request_photo(PhotoRequest(bad), TEXTS)
    run(conversation, pipe)
    assert conversation.notice.kind == "error" and "picture" in conversation.notice.text
    assert conversation.session is session
    assert len(conversation.entries) == 1
    assert not conversation.busy


def test_a_question_that_the_pipeline_refuses_comes_back_to_its_box(conversation, pipe):
    query = "x" * 2001
    conversation.request_answer(query, TEXTS)
    run(conversation, pipe)
    assert conversation.entries == []
    assert conversation.draft == query
    assert conversation.notice.text == "Query must be 1 to 2,000 characters but got 2,001."


@pytest.mark.parametrize(("query", "notice"), [("", TEXTS.need_question), ("  \n", TEXTS.need_question)])
def test_an_empty_question_is_not_asked(conversation, query, notice):
    assert not conversation.request_answer(query, TEXTS)
    assert conversation.notice.text == notice
    assert not conversation.busy


def test_a_question_without_a_photo_is_not_asked():
    conversation = Conversation()
    assert not conversation.request_answer("hand", TEXTS)
    assert conversation.notice.text == TEXTS.need_photo


@pytest.mark.parametrize(
    ("error", "notice"),
    [
        (RuntimeError("shapes 3 and 4"), TEXTS.internal_error),
        (RuntimeError("CUDA out of memory. Tried to allocate"), TEXTS.out_of_memory),
        (MemoryError(), TEXTS.out_of_memory),
        (EndpointError("the server at http://a/v1 failed (500)"), "The server at http://a/v1 failed (500)."),
    ],
)
def test_a_failing_model_is_told_in_a_sentence_and_keeps_the_conversation(conversation, pipe, error, notice):
    conversation.request_answer("hand", TEXTS)
    run(conversation, pipe)
    pipe.error = error
    conversation.request_answer("mug", TEXTS)
    run(conversation, pipe)
    assert conversation.notice.text == notice
    assert [e.state for e in conversation.entries] == ["done", "stopped"]
    assert not conversation.busy and pipe.running == 0


def test_stop_closes_the_generator_of_the_session_and_keeps_what_was_written(conversation, pipe):
    conversation.request_answer("hand", TEXTS)
    work = conversation.work(pipe, TEXTS)
    while not conversation.entries[-1].text:
        next(work)
    assert conversation.stop()
    list(work)
    assert pipe.closed == [conversation.entries[-1].text]
    assert conversation.entries[-1].state == "stopped"
    assert pipe.running == 0


def test_closing_the_work_closes_the_generator_of_the_session(conversation, pipe):
    conversation.request_answer("hand", TEXTS)
    work = conversation.work(pipe, TEXTS)
    while not conversation.entries[-1].text:
        next(work)
    work.close()
    assert len(pipe.closed) == 1 and pipe.running == 0
    assert not conversation.busy


def test_a_request_that_was_stopped_while_it_waited_is_not_worked_on(conversation, pipe):
    conversation.request_answer("hand", TEXTS)
    conversation.stop()
    assert run(conversation, pipe) == [Change.CONTROLS]
    assert pipe.closed == []
    assert conversation.entries[-1].text == ""


def test_a_new_question_takes_the_place_of_the_one_being_answered(conversation, pipe):
    conversation.request_answer("hand", TEXTS)
    first = conversation.work(pipe, TEXTS)
    while not conversation.entries[-1].text:
        next(first)
    conversation.request_answer("kettle", TEXTS)
    list(first)
    run(conversation, pipe)
    assert [e.state for e in conversation.entries] == ["stopped", "done"]
    assert len(pipe.closed) == 1


def test_retry_asks_the_last_question_again_and_leaves_one_turn(conversation, pipe):
    conversation.request_answer("hand", TEXTS)
    run(conversation, pipe)
    conversation.request_retry(TEXTS)
    run(conversation, pipe)
    assert [e.query for e in conversation.entries] == ["hand"]
    assert [t.query for t in conversation.session.history] == ["hand"]


def test_retry_without_a_question_analyses_again(conversation, pipe):
    conversation.request_retry(TEXTS)
    run(conversation, pipe)
    assert conversation.analysis.text == ANALYSIS and conversation.entries == []


def test_clear_forgets_everything(conversation, pipe):
    conversation.request_answer("hand", TEXTS)
    run(conversation, pipe)
    conversation.clear()
    assert conversation.image is None and conversation.analysis is None and conversation.entries == []
    assert not conversation.suggestions and conversation.depth is None


@pytest.mark.parametrize(
    ("analysis", "single", "multi", "absent"),
    [
        ("The person is holding a red mug with the right hand.",
         "Please segment the mug in interaction.", "Please segment the right hand and the mug.", "the right hand?"),
        ("The person is holding a red mug with both hands.",
         "Please segment the mug in interaction.", TEXTS.default_questions["multi"], "the left hand?"),
        ("", TEXTS.default_questions["single"], TEXTS.default_questions["multi"], "the left hand?"),
    ],
)  # fmt: skip
def test_questions_are_suggested_about_what_the_analysis_found(analysis, single, multi, absent):
    found = suggest(analysis, TEXTS)
    assert (found["single"], found["multi"]) == (single, multi) and found["no-target"].endswith(absent)


def test_the_suggested_absent_object_is_not_one_that_the_analysis_names():
    assert "toy car" in suggest("A hand.", TEXTS)["no-target"]
    assert "toy car" not in suggest("The left hand pushes a Toy Car.", TEXTS)["no-target"]


@pytest.mark.parametrize(("text", "expected"), [("query is empty", "Query is empty."), ("Stop!", "Stop!")])
def test_sentence(text, expected):
    assert sentence(text) == expected


def test_groundings_are_those_of_the_events(conversation, pipe):
    conversation.request_answer("hand", TEXTS)
    run(conversation, pipe)
    (grounding,) = conversation.shown.groundings
    assert isinstance(grounding, Grounding) and grounding.mask.shape == PHOTO.shape[:2]
