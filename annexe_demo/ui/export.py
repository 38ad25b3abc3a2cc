"""A conversation as one ZIP file: every answer with its masks, and all of it as text."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from annexe_demo.session import Result
from annexe_demo.ui.conversation import Conversation, Entry
from annexe_demo.ui.texts import Texts
from annexe_demo.view.export import save_result

ARCHIVE_FILE = "annexe.zip"
TEXT_FILE = "conversation.md"


def conversation_markdown(conversation: Conversation, texts: Texts) -> str:
    """Analysis, questions and answers as Markdown, with the names of the folders that hold the masks."""
    lines = [f"# {texts.title}", ""]
    if conversation.analysis is not None and conversation.analysis.text:
        lines += [f"**{texts.analysis}:** {_plain(conversation.analysis.text)}", ""]
    for number, entry in enumerate(answered(conversation), 1):
        lines += [f"## {number}. {_plain(entry.query or '')}", "", _plain(entry.text), ""]
        lines += [f"- {g.label}: {texts.export_score.format(value=g.score)}" for g in entry.groundings]
        if entry.indicator is not None:
            lines.append(f"- {texts.indicator.format(value=entry.indicator)}")
        lines += [f"- {query_folder(number)}/", ""]
    return "\n".join(lines)


def answered(conversation: Conversation) -> list[Entry]:
    """The questions that have an answer, stopped ones included, oldest first."""
    return [entry for entry in conversation.entries if entry.text and not entry.open]


def query_folder(number: int) -> str:
    """Folder of an answer in the archive; numbers start at 1."""
    return f"query_{number}"


def export_conversation(conversation: Conversation, texts: Texts, folder: Path) -> Path | None:
    """Write `ARCHIVE_FILE` to a folder: `TEXT_FILE`, and for each answer the files of `annexe_demo.view.export.save_result`
    (result.json with COCO run-length encoded masks, a PNG for each mask, the overlay).

    Returns:
        The archive's path; None while there is nothing to write.
    """
    image, entries = conversation.image, answered(conversation)
    if image is None or not (entries or (conversation.analysis and conversation.analysis.text)):
        return None
    analysis = conversation.analysis.text if conversation.analysis else ""
    path = folder / ARCHIVE_FILE
    with tempfile.TemporaryDirectory() as made, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(TEXT_FILE, conversation_markdown(conversation, texts))
        for number, entry in enumerate(entries, 1):
            result = Result(analysis, entry.text, list(entry.groundings), None, entry.indicator)
            for file in save_result(Path(made) / query_folder(number), result, entry.query or "", image):
                archive.write(file, file.relative_to(made))
    return path


def _plain(text: str) -> str:
    """Text of a visitor or of the model so that Markdown shows it as it is."""
    return "".join("\\" + c if c in "\\`*_{}[]<>#|" else c for c in " ".join(text.split()))
