"""What models wrote when they were asked for boxes, recorded or built, and what must be read out of it."""

from __future__ import annotations

import pytest

from annexe_demo.model.grounding_text import AnswerReader, Box, Phrase, assign, locate, parse_boxes, to_photo

# Recorded outputs of Qwen3-VL from its authors' public cookbook.
RECORDED_DISHES = (
    '```json\n[\n\t{"bbox_2d": [0, 614, 224, 825], "name_zh": "米饭", "name_en": "Rice"},\n'
    '\t{"bbox_2d": [0, 207, 227, 333], "name_zh": "米饭", "name_en": "Rice"},\n'
    '\t{"bbox_2d": [266, 126, 695, 343], "name_zh": "土豆胡萝卜排骨汤", "name_en": "Potato Carrot Pork Rib Soup"}\n]\n```\n'
)
RECORDED_STRAY_BRACE = (
    '```json\n[\n\t{\n\t\t"bbox_2d": [431, 84, 565, 401],\n\t\t"names": {\n\t\t\t"zh": "甘露寺蜜璃",\n\t\t\t"en": "Mitsuri Kanroji"\n'
    '\t\t}\n\t},\n\t{"bbox_2d": [541, 0, 667, 333],\n\t\t"names": {\n\t\t\t"zh": "悲鸣屿行冥",\n\t\t\t"en": "Gyomei Himejima"\n\t\t}\n'
    '\t},\n\t{\n\t{"bbox_2d": [649, 116, 794, 643],\n\t\t"names": {\n\t\t\t"zh": "伊黑小芭内",\n\t\t\t"en": "Obanai Iguro"\n\t\t}\n\t},\n'
    '\t{\n\t\t"bbox_2d": [762, 34, 999, 555],\n\t\t"names": {\n\t\t\t"zh": "炼狱杏寿郎",\n\t\t\t"en": "Kyojuro Rengoku"\n\t\t}\n\t}\n]\n```\n'
)
RECORDED_POINT = '```json\n[\n\t{"point_2d": [925, 618], "label": "point_1"}\n]\n```\nParsed points:  [[925, 618]]\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            RECORDED_DISHES,
            [("Rice", (0, 614, 224, 825)), ("Rice", (0, 207, 227, 333)),
             ("Potato Carrot Pork Rib Soup", (266, 126, 695, 343))],
            id="recorded: labels in two languages",
        ),
        pytest.param(
            RECORDED_STRAY_BRACE,
            [("Mitsuri Kanroji", (431, 84, 565, 401)), ("Gyomei Himejima", (541, 0, 667, 333)),
             ("Obanai Iguro", (649, 116, 794, 643)), ("Kyojuro Rengoku", (762, 34, 999, 555))],
            id="recorded: stray brace, nested names",
        ),
        pytest.param(RECORDED_POINT, [], id="recorded: points are no boxes"),
        pytest.param("", [], id="nothing"),
        pytest.param("The person holds a mug.", [], id="no list at all"),
        pytest.param("[]", [], id="empty list"),
        pytest.param('[{"bbox_2d": [1, 2, 3, 4], "label": "右手"}]', [("右手", (1, 2, 3, 4))], id="Chinese label"),
        pytest.param('[{"label": "mug", "bbox_2d": [1, 2, 3, 4]}]', [("mug", (1, 2, 3, 4))], id="label first"),
        pytest.param('[{"bbox_2d": [30, 40, 10, 20], "label": "mug"}]', [("mug", (10, 20, 30, 40))], id="swapped corners"),
        pytest.param(
            '[{"bbox_2d": [1, 2, 3, 4], "label": "mug"}, {"bbox_2d": [5, 6, 7, 8], "label": "han',
            [("mug", (1, 2, 3, 4)), ("", (5, 6, 7, 8))],
            id="stopped in a label",
        ),
        pytest.param(
            '[{"bbox_2d": [1, 2, 3, 4], "label": "mug"}, {"bbox_2d": [5, 6, 7',
            [("mug", (1, 2, 3, 4))],
            id="stopped in a box",
        ),
        pytest.param(
            '[{"label": "mug", "bbox_2d": [1, 2, 3, 4]}, {"label": "knife", "bbox_2d": [5, 6',
            [("mug", (1, 2, 3, 4))],
            id="stopped, labels first",
        ),
        pytest.param(
            '{"bbox_2d": [1, 2, 3, 4], "label": "mug"}\n{"bbox_2d": [5, 6, 7, 8], "label": "knife"}',
            [("mug", (1, 2, 3, 4)), ("knife", (5, 6, 7, 8))],
            id="objects without a list",
        ),
        pytest.param("[{'bbox': [1, 2, 3, 4], 'label': 'the \"mug\"'}]", [('the "mug"', (1, 2, 3, 4))], id="Python quotes"),
        pytest.param('[{"bbox_2d": [1, 2, 3, 4], "label": "a } {b"}]', [("a } {b", (1, 2, 3, 4))], id="braces in a label"),
        pytest.param("[[1, 2, 3, 4], [5, 6, 7, 8]]", [("", (1, 2, 3, 4)), ("", (5, 6, 7, 8))], id="bare boxes"),
        pytest.param('{"bbox": [[1, 2], [3, 4]], "label": "mug"}', [("mug", (1, 2, 3, 4))], id="two corners"),
        pytest.param('{"bbox_2d": [-5, 0.25, 3.5, 4], "label": "x"}', [("x", (-5, 0.25, 3.5, 4))], id="signs and fractions"),
        pytest.param('[{"bbox_2d": [1, 2, 3, 4], "label": "m"}, ' * 3, [("m", (1, 2, 3, 4))], id="a loop"),
        pytest.param('{"label": "\\u53f3\\u624b", "box": [1,2,3,4]}', [("右手", (1, 2, 3, 4))], id="escapes"),
        pytest.param('{"label": "\\q", "box": [1,2,3,4]}', [("q", (1, 2, 3, 4))], id="broken escape"),
        pytest.param('{"bbox_2d": [__import__("os"), 2, 3, 4]}', [], id="code is no number"),
        pytest.param('{"bbox_2d": [NaN, 2, Infinity, 4]}', [], id="no finite numbers"),
    ],
)  # fmt: skip
def test_parse_boxes(text, expected):
    assert [(b.label, b.corners) for b in parse_boxes(text)] == expected


def test_parsing_time_grows_with_the_text_and_not_faster():
    """A model in a loop must not hang the page: 200 kB of half lists are read at once."""
    assert parse_boxes('[{"bbox_2d": [1, 2, ' * 10_000) == []
    assert len(parse_boxes('{"a": "' + "\\" * 100_000 + "[1,2,3,4]")) == 1


@pytest.mark.parametrize(
    ("corners", "coordinates", "seen", "expected"),
    [
        # 1000 thousandths of 1920 x 1080, whatever the processor made of the picture
        ((0, 0, 1000, 1000), "relative", (640, 352), (0, 0, 1920, 1080)),
        ((250, 500, 750, 1000), "relative", (640, 352), (480, 540, 1440, 1080)),
        ((0.25, 0.5, 0.75, 1), "relative", (640, 352), (480, 540, 1440, 1080)),
        # 1008 x 560 is what Qwen2.5-VL's processor makes of 1920 x 1080 when that is its limit: not the same ratio
        ((0, 0, 1008, 560), "absolute", (1008, 560), (0, 0, 1920, 1080)),
        ((252, 140, 504, 420), "absolute", (1008, 560), (480, 270, 960, 810)),
        ((504, 280, 5000, 5000), "absolute", (1008, 560), (960, 540, 1920, 1080)),
        ((-10, -10, 504, 280), "absolute", (1008, 560), (0, 0, 960, 540)),
        ((2000, 100, 3000, 200), "absolute", (1008, 560), None),
        ((100, 100, 100, 900), "relative", (640, 352), None),
    ],
)
def test_boxes_are_mapped_back_to_the_photo(corners, coordinates, seen, expected):
    box = to_photo(Box("mug", *corners), coordinates, seen, (1920, 1080))
    assert box == (None if expected is None else pytest.approx(expected))


def test_an_unknown_coordinate_system_is_refused():
    with pytest.raises(ValueError, match="must be 'relative' or 'absolute' but got 'polar'"):
        to_photo(Box("mug", 0, 0, 1, 1), "polar", (10, 10), (10, 10))


def read(text: str, size: int) -> tuple[AnswerReader, str]:
    """Feed `text` in pieces of `size` characters; returns the reader and what it let through."""
    reader = AnswerReader()
    shown = "".join(reader.feed(text[i : i + size]) for i in range(0, len(text), size))
    return reader, shown + reader.finish()


LIST = '[{"bbox_2d": [1, 2, 3, 4], "label": "right hand"}]'
SHOWN = "The mask of the right hand <MSK_0> is shown."


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    "text",
    [
        f"The mask of the <p>right hand</p> is shown.\n{LIST}",
        f"The mask of the <p>right hand</p> is shown.\n```json\n{LIST}\n```",
        f"  The mask of the <p>right hand</p> is shown. {LIST}",
        f"The mask of the <p>right hand</p> is shown.\n\nHere are the boxes:\n\n```json\n{LIST}\n```",
        f"The mask of the <p>right hand</p> is shown.\nJSON\n{LIST}",
        f"The mask of the <p> right hand </p><MSK_0> is shown.\n{LIST[:-3]}",
        f"The mask of the <p>right hand</p> <MSK> is shown.\n{LIST[1:-1]}",
    ],
)
def test_the_sentence_streams_and_the_list_is_held_back(text, size):
    reader, shown = read(text, size)
    assert shown == reader.text
    assert shown.replace("  ", " ") == SHOWN
    assert [(p.index, p.label) for p in reader.phrases] == [(0, "right hand")]
    start, end = reader.phrases[0].span
    assert shown[start:end] == "right hand"
    assert [b.corners for b in parse_boxes(reader.held_back)] == [(1, 2, 3, 4)]
    assert not reader.no_target


def test_text_comes_out_before_the_reply_is_complete():
    reader = AnswerReader()
    assert reader.feed("The person holds") == "The person holds"
    assert reader.feed(" a <p>mug") == " a mug"
    assert reader.feed("</p>.\n```js") == " <MSK_0>."
    assert reader.feed("on\n[") == ""


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    "text",
    ["NO TARGET", "no target.", "\n**NO TARGET**", f"NO TARGET\n{LIST}", "No target: there is no toy car.\n[]",
     "There is no suitable results of your query."],
)  # fmt: skip
def test_no_target_leaves_no_sentence(text, size):
    reader, shown = read(text, size)
    assert reader.no_target and shown == "" and reader.phrases == []


def test_no_target_after_a_sentence_is_believed_and_not_shown():
    reader, shown = read("I see no toy car. NO TARGET", 3)
    assert reader.no_target and shown == "I see no toy car."


@pytest.mark.parametrize(
    "text",
    ["No, the hand holds nothing.", "There is no suitcase here.", "N", "The price is 3 < 5 and [sic] {x}.", "A `mug`.",
     "First line.\nSecond line.", "NOT A TABLE", "Two lines:\nred\nblue"],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_ordinary_text_passes_unchanged(text, size):
    reader, shown = read(text, size)
    assert shown == text and not reader.no_target and reader.held_back == ""


def test_an_unclosed_phrase_ends_with_the_sentence():
    reader, shown = read(f"It is the <p>mug\n{LIST}", 4)
    assert shown == "It is the mug <MSK_0>" and reader.phrases == [Phrase(0, "mug", (10, 13))]


def test_a_repeated_phrase_is_one_target():
    reader, shown = read("The <p>mug</p>, yes, the <p>Mug</p>.", 6)
    assert shown == "The mug <MSK_0>, yes, the Mug." and len(reader.phrases) == 1


def phrases(*labels: str) -> list[Phrase]:
    return [Phrase(i, label, (0, 0)) for i, label in enumerate(labels)]


def boxes(*labels: str) -> list[Box]:
    return [Box(label, i, 0, i + 1, 1) for i, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("named", "listed", "expected", "left"),
    [
        (("right hand", "mug"), ("mug", "right hand"), [[1], [0]], []),
        (("The right hand",), ("right hand",), [[0]], []),
        (("hands",), ("hands", "hands"), [[0, 1]], []),
        (("red mug",), ("mug",), [[0]], []),
        (("right hand", "mug"), ("右手", "杯子"), [[0], [1]], []),
        (("right hand", "mug"), ("", ""), [[0], [1]], []),
        (("mug",), ("table", "lamp"), [[]], [0, 1]),
        (("right hand", "mug"), ("mug",), [[], [0]], []),
        ((), ("mug",), [], [0]),
        (("mug",), (), [[]], []),
    ],
)
def test_boxes_are_assigned_to_phrases(named, listed, expected, left):
    listed = boxes(*listed)
    own, others = assign(phrases(*named), listed)
    assert [[listed.index(b) for b in taken] for taken in own] == expected
    assert [listed.index(b) for b in others] == left


@pytest.mark.parametrize(
    ("text", "label", "expected"),
    [
        ("The Right hand holds a mug.", "right hand", (4, 14)),
        ("A smug person with a mug.", "mug", (21, 24)),
        ("右手拿着杯子。", "杯子", (4, 6)),
        ("No such thing.", "mug", None),
        ("MSK <MSK_0>", "MSK_0", None),
        ("anything", "", None),
        ("a (b) c", "(b)", (2, 5)),
    ],
)
def test_locate(text, label, expected):
    assert locate(text, label) == expected


def test_locate_keeps_clear_of_places_taken():
    assert locate("mug and mug", "mug", [(0, 3)]) == (8, 11)
