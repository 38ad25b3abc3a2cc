import json
import zipfile

import numpy as np
import pytest

from annexe_demo.ui.conversation import Conversation, PhotoRequest
from annexe_demo.ui.export import ARCHIVE_FILE, TEXT_FILE, conversation_markdown, export_conversation
from annexe_demo.ui.texts import ENGLISH
from annexe_demo.view.export import rle_to_mask
from tests.ui.stand_in import ANALYSIS, NO_TARGET, StandIn


@pytest.fixture
def conversation():
    pipe, conversation = StandIn(), Conversation()
    conversation.request_photo(PhotoRequest(np.full((60, 80, 3), 120, np.uint8)), ENGLISH)
    for query in (None, "Segment the hand and the mug.", "Where is the *kettle*?"):
        if query is not None:
            assert conversation.request_answer(query, ENGLISH)
        for _ in conversation.work(pipe, ENGLISH):
            pass
    return conversation


def test_an_archive_holds_every_answer_with_its_masks(conversation, tmp_path):
    path = export_conversation(conversation, ENGLISH, tmp_path)
    assert path == tmp_path / ARCHIVE_FILE and [p.name for p in tmp_path.iterdir()] == [ARCHIVE_FILE]
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        first = json.loads(archive.read("query_1/result.json"))
        second = json.loads(archive.read("query_2/result.json"))
        text = archive.read(TEXT_FILE).decode()
    assert {"query_1/overlay.png", "query_1/mask_0_right-hand.png", "query_1/mask_1_red-mug.png"} < names
    assert "query_2/overlay.png" in names and not any(n.startswith("query_2/mask") for n in names)
    assert first["analysis"] == ANALYSIS and first["query"] == "Segment the hand and the mug."
    masks = [rle_to_mask(g["rle"]) for g in first["groundings"]]
    assert all(np.array_equal(m, g.mask) for m, g in zip(masks, conversation.entries[0].groundings, strict=True))
    assert second["answer"] == NO_TARGET and second["groundings"] == []
    assert text == conversation_markdown(conversation, ENGLISH)


def test_the_text_tells_all_and_markdown_changes_nothing_of_it(conversation):
    text = conversation_markdown(conversation, ENGLISH)
    assert ANALYSIS in text and "## 2. Where is the \\*kettle\\*?" in text and r"\<MSK\_0\>" in text
    assert text.index(ANALYSIS) < text.index("## 1.") < text.index("## 2.")
    assert "right hand: expected quality of the mask" in text and "mask indicator 0.03" in text


def test_without_a_photo_there_is_nothing(tmp_path):
    assert export_conversation(Conversation(), ENGLISH, tmp_path) is None and not list(tmp_path.iterdir())
