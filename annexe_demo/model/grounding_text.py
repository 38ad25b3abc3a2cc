"""What a general vision-language model writes when it is asked for boxes, read without trusting it.

Two parts: `AnswerReader` takes the streamed reply apart into the sentence, which is for people, and the list of boxes,
which is not; `parse_boxes` reads that list. Models write lists in code fences, stop in the middle, lose a brace, swap
corners, label in any language, or write no list at all, so the list is searched for boxes and never parsed as a whole
or evaluated. Plain Python: no torch, no pictures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Coordinates = Literal["relative", "absolute"]
Size = tuple[int, int]
"""(width, height) in pixels, the order of `PIL.Image.size`."""

RELATIVE_RANGE = 1000
MIN_BOX_SIDE = 1.0  # pixels of the photo; what is thinner is no box

_NUMBER = r"[-+]?\d{1,7}(?:\.\d{0,12})?"
_QUAD = re.compile(
    rf"\[\s*\[?\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\]?\s*,\s*\[?\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\]?\s*\]"
)
_LABEL_KEYS = ("label", "name", "name_en", "en", "object", "phrase", "category", "class", "text", "name_zh", "zh")
_PAIR = re.compile(r"""["']?(\w+)["']?\s*:\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
_FIELD = re.compile(r"""[{,]\s*["']?\w+["']?\s*:\s*$""")


@dataclass(frozen=True)
class Box:
    """One box as the model wrote it: in its own coordinates, corners in order, label possibly empty."""

    label: str
    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def corners(self) -> tuple[float, float, float, float]:
        return self.x1, self.y1, self.x2, self.y2


def parse_boxes(text: str) -> list[Box]:
    """All complete boxes in `text`, in order, without exact repetitions.

    A box is four numbers in brackets; its label is looked for in the object around it, under any of the usual keys. A box
    that was cut off in the middle is left out, one whose label was cut off keeps an empty label.
    """
    boxes: list[Box] = []
    matches = list(_QUAD.finditer(text))
    for i, match in enumerate(matches):
        after = matches[i - 1].end() if i else 0
        before = matches[i + 1].start() if i + 1 < len(matches) else len(text)
        x1, y1, x2, y2 = (float(n) for n in match.groups())
        label = _label(_object_around(text, match.span(), after, before))
        box = Box(label, min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        if box not in boxes:
            boxes.append(box)
    return boxes


def _object_around(text: str, span: tuple[int, int], after: int, before: int) -> str:
    """The text of the JSON object that holds the box at `span`, never reaching into a neighbour's box."""
    head, tail = text[after : span[0]], text[span[1] : before]
    start = head.rfind("{")
    if start < 0:  # no object: [[1, 2, 3, 4], ...]
        return "" if not _FIELD.search(head) else head
    depth, quote, at = 1 + (head[start + 1 :].count("{") - head[start + 1 :].count("}")), "", 0
    while at < len(tail) and depth > 0:
        c = tail[at]
        if quote:
            at += c == "\\"
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        else:
            depth += (c == "{") - (c == "}")
        at += 1
    return head[start:] + tail[:at]


def _label(text: str) -> str:
    found: dict[str, str] = {}
    for key, quoted in _PAIR.findall(text):
        found.setdefault(key.lower(), _unquote(quoted))
    for key in _LABEL_KEYS:
        if found.get(key):
            return found[key]
    return ""


def _unquote(quoted: str) -> str:
    if quoted[0] == "'":
        quoted = json.dumps(quoted[1:-1].replace("\\'", "'"), ensure_ascii=False)
    try:
        return " ".join(json.loads(quoted, strict=False).split())
    except ValueError:  # an escape that JSON does not know
        return " ".join(quoted[1:-1].replace("\\", "").split())


def to_photo(box: Box, coordinates: Coordinates, seen: Size, photo: Size) -> tuple[float, float, float, float] | None:
    """Map a box to the photo.

    Args:
        box: in the model's coordinates.
        coordinates: "relative": 0 to 1000 of the picture's width and height, as Qwen3-VL writes them; "absolute":
            pixels of the picture as the processor resized it, as Qwen2.5-VL writes them.
        seen: (width, height) of the picture as the processor resized it.
        photo: (width, height) of the photo.

    Returns:
        (x1, y1, x2, y2) in the photo's pixels, x to the right and y down, clipped to the photo; None where less than
        `MIN_BOX_SIDE` of either side is left.
    """
    if coordinates not in ("relative", "absolute"):
        raise ValueError(f"coordinates must be 'relative' or 'absolute' but got {coordinates!r}")
    corners = box.corners
    width, height = seen if coordinates == "absolute" else (RELATIVE_RANGE, RELATIVE_RANGE)
    if coordinates == "relative" and max(corners) <= 1 and any(c != int(c) for c in corners):
        width = height = 1  # fractions, as some models write in spite of the prompt
    x1, y1, x2, y2 = (c * p / s for c, p, s in zip(corners, photo * 2, (width, height) * 2, strict=True))
    x1, x2 = (min(max(x, 0.0), float(photo[0])) for x in (x1, x2))
    y1, y2 = (min(max(y, 0.0), float(photo[1])) for y in (y1, y2))
    return (x1, y1, x2, y2) if min(x2 - x1, y2 - y1) >= MIN_BOX_SIDE else None


@dataclass
class Phrase:
    """Words of the sentence that name a target, with their (start, end) in `AnswerReader.text`. ``index`` numbers the
    target: ``<MSK_index>`` follows the words."""

    index: int
    label: str
    span: tuple[int, int]


def assign(phrases: Sequence[Phrase], boxes: Iterable[Box]) -> tuple[list[list[Box]], list[Box]]:
    """Which boxes belong to which phrase: by equal label, then by one label within the other, then by order.

    Several boxes of a phrase's very label are all its own ("both hands"). By order only where as many phrases as boxes
    are left over, which is what labels in another language look like.

    Returns:
        one list of boxes a phrase, and the boxes that belong to none.
    """
    own: list[list[Box]] = [[] for _ in phrases]
    left = list(boxes)

    def take(fits, several: bool) -> None:
        for phrase, taken in zip(phrases, own, strict=True):
            for box in [b for b in left if not taken or several]:
                if fits(normalise(phrase.label), normalise(box.label)) and (several or not taken):
                    taken.append(box)
                    left.remove(box)

    take(lambda phrase, label: phrase == label, several=True)
    take(lambda phrase, label: bool(phrase and label) and (phrase in label or label in phrase), several=False)
    empty = [taken for taken in own if not taken]
    if len(empty) == len(left):
        for taken in empty:
            taken.append(left.pop(0))
    return own, left


def normalise(label: str) -> str:
    """A label for comparison: lower case, single spaces, no article."""
    return re.sub(r"^(?:the|a|an|his|her|their|my|your)\s+", "", " ".join(label.lower().split()).strip(" .,:;"))


def locate(text: str, label: str, taken: Iterable[tuple[int, int]] = ()) -> tuple[int, int] | None:
    """(start, end) of the first place in `text` that names `label` as whole words and overlaps nothing in `taken`."""
    label = label.strip()
    if not label:
        return None
    pattern = re.escape(label)
    # Word boundaries only beside letters that have them: Chinese is written without spaces.
    pattern = (r"(?<![A-Za-z0-9])" if label[0].isascii() else "") + pattern
    pattern += r"(?![A-Za-z0-9])" if label[-1].isascii() else ""
    blocked = [*taken, *(match.span() for match in re.finditer(r"<MSK_\d+>", text))]
    for match in re.finditer(pattern, text, re.IGNORECASE):
        if all(match.end() <= start or match.start() >= end for start, end in blocked):
            return match.span()
    return None


# ---- the streamed reply

_NO_TARGET_START = ("no target", "no_target", "there is no suitable result")
_NO_TARGET_LATER = ("NO TARGET", "NO_TARGET")
_TAG = re.compile(r"<(/?)p>|\s*<\s*/?MSK[^<>]{0,12}>")
_TAG_START = re.compile(r"<[^<>\n]{0,16}$")
_LIST = re.compile(r"```|\[\s*(?:[\[{\]]|[-+]?\d+\s*[,.])|\{\s*[\"']|\bNO[ _]TARGET\b")
_LIST_START = re.compile(r"(?:`{1,2}|\[\s*(?:[-+]?\d*)|\{\s*)$")
_HEADING = re.compile(r"(?:.*[:：]|#.*|\W*(?:json|boxes|list|targets)\W*)$", re.IGNORECASE | re.DOTALL)


@dataclass
class AnswerReader:
    """Takes a streamed reply apart: the sentence comes out as it is written, the list of boxes is held back.

    ``<p>right hand</p>`` in the sentence becomes ``right hand <MSK_0>``. A reply that begins with NO TARGET has no
    sentence at all.

    Attributes:
        text: the sentence so far: all that `feed` and `finish` have returned.
        phrases: targets named in it.
        held_back: the rest of the reply, for `parse_boxes`.
        no_target: the model says that what was asked for is not in the photo.
    """

    max_targets: int = 8
    text: str = ""
    phrases: list[Phrase] = field(default_factory=list)
    held_back: str = ""
    no_target: bool = False
    _pending: str = ""
    _phrase: int | None = None
    _in_list: bool = False

    def feed(self, text: str) -> str:
        """Add text of the model; returns what a reader may see of it now."""
        return self._read(text, final=False)

    def finish(self) -> str:
        """The reply is complete, or was cut off; returns what was still held back of the sentence."""
        return self._read("", final=True)

    def append(self, text: str) -> str:
        """Add words of the engine's own after the sentence."""
        self.text += text
        return text

    def _read(self, text: str, final: bool) -> str:
        if self._in_list:
            self.held_back += text
            self._note_no_target()
            return ""
        self._pending += text
        if not self.text and not self.phrases and self._phrase is None:
            self._pending = self._pending.lstrip()
            opening = self._pending.lstrip(" \"'`*<p>").casefold()
            if opening.startswith(_NO_TARGET_START):
                self.no_target, self._in_list, self._pending = True, True, ""
                return ""
            if not final and any(s.startswith(opening) for s in _NO_TARGET_START):
                return ""
        start = len(self.text)
        if found := _LIST.search(self._pending):
            sentence, self.held_back, self._pending = self._split(found.start()), self._pending[found.start() :], ""
            self._in_list = True
            self._note_no_target()
            self._write(sentence.rstrip())
            self._close_phrase()
        elif final:
            sentence, self._pending = self._split(len(self._pending)), ""
            self._write(sentence.rstrip())
            self._close_phrase()
        else:
            keep = self._undecided()
            sentence, self._pending = self._pending[:keep], self._pending[keep:]
            self._write(sentence)
        return self.text[start:]

    def _note_no_target(self) -> None:
        self.no_target |= any(s in self.held_back for s in _NO_TARGET_LATER)

    def _split(self, end: int) -> str:
        """The sentence before `end` without a heading of the list ("Boxes:") in its last line."""
        sentence = self._pending[:end]
        head, newline, line = sentence.rstrip().rpartition("\n")
        if newline and _HEADING.fullmatch(line.strip()):
            return head
        return sentence

    def _undecided(self) -> int:
        """Where the part of `_pending` begins that may yet turn out to be a tag, a list or its heading."""
        text = self._pending
        keep = len(text.rstrip())
        for pattern in (_TAG_START, _LIST_START):
            if match := pattern.search(text):
                keep = min(keep, match.start())
        for words in _NO_TARGET_LATER:
            for n in range(len(words), 0, -1):
                if text.endswith(words[:n]) and not text[: len(text) - n][-1:].isalnum():
                    keep = min(keep, len(text) - n)
                    break
        newline = text.rfind("\n")
        if newline >= 0:
            keep = min(keep, newline)
        while True:  # "Here are the boxes:" belongs to the list, if a list it is that follows
            sentence = text[:keep].rstrip()
            newline = sentence.rfind("\n")
            if newline < 0 or not _HEADING.fullmatch(sentence[newline:].strip()):
                return len(sentence)
            keep = newline

    def _write(self, sentence: str) -> None:
        at = 0
        for tag in _TAG.finditer(sentence):
            self.text += sentence[at : tag.start()]
            at = tag.end()
            if tag[1] == "/":
                self._close_phrase()
            elif tag[1] == "":
                self._close_phrase()
                self._phrase = len(self.text)
        self.text += sentence[at:]

    def _close_phrase(self) -> None:
        if self._phrase is None:
            return
        start, self._phrase = self._phrase, None
        written = self.text[start:]
        label = written.strip()
        known = {normalise(p.label) for p in self.phrases}
        if not label or "\n" in label or normalise(label) in known or len(self.phrases) >= self.max_targets:
            return
        start += len(written) - len(written.lstrip())
        index = len(self.phrases)
        self.phrases.append(Phrase(index, label, (start, start + len(label))))
        self.text = f"{self.text.rstrip()} <MSK_{index}>"
