from dataclasses import replace

import numpy as np
import pytest
import torch

import annexe_demo
from annexe_demo import AnnexePipeline, DepthMap, Done, Grounding, ImageError, QueryError, TextDelta
from annexe_demo.pipeline import MAX_QUERY_CHARACTERS, network_size
from tests.drawn_scenes import draw_scene
from tests.tiny_model import HANDS_AND_OBJECTS as BOTH
from tests.tiny_model import trained_folder

RIGHT = "Please segment the right hand."


@pytest.fixture(scope="module")
def pipe():
    return AnnexePipeline.from_pretrained(trained_folder(), device="cpu")


def scene(hand: str, start: int = 0):
    """The first drawn training scene from `start` in which just this hand holds something."""
    for seed in range(start, 16):
        image, mask, _, facts = draw_scene(seed)
        if [h.side for h in facts.hands] == [hand]:
            return image, mask, facts
    raise AssertionError("no such scene")


def texts(events, branch):
    return "".join(e.text for e in events if isinstance(e, TextDelta) and e.branch == branch)


def same(a, b):
    """Events are equal, masks pixel by pixel."""
    if type(a) is not type(b):
        return False
    return all(np.array_equal(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True))


def test_analysis_streams_depth_then_text_then_done(pipe):
    image, _, facts = scene("right")
    session = pipe.open(image)
    events = list(session.analyze())
    assert isinstance(events[0], DepthMap) and events[0].depth.shape == image.shape[:2]
    assert 0 <= events[0].depth.min() < events[0].depth.max() <= 1
    assert isinstance(events[-1], Done) and all(isinstance(e, TextDelta) for e in events[1:-1])
    assert len(events) > 6
    assert texts(events, "analysis") == events[-1].text == session.analysis
    assert "right hand" in session.analysis and facts.active.category in session.analysis


def test_answer_grounds_each_target_where_it_is_named(pipe):
    image, mask, facts = scene("right")
    session = pipe.open(image)
    events = list(session.ask(BOTH))
    done, groundings = events[-1], [e for e in events if isinstance(e, Grounding)]
    assert texts(events, "answer") == done.text and done.indicator > 0.5
    assert [g.label for g in groundings] == ["right hand", facts.active.category]
    for g, value in zip(groundings, (2, 3), strict=True):
        assert done.text[slice(*g.span)] == g.label
        assert g.mask.dtype == bool and g.mask.shape == image.shape[:2]
        truth = mask == value
        assert (g.mask & truth).sum() / (g.mask | truth).sum() > 0.5
        at = events.index(g)
        assert events[at - 1].text.endswith(f"<MSK_{g.index}>"), "a mask follows its token at once"
    assert any(isinstance(e, TextDelta) for e in events[events.index(groundings[0]) + 1 :]), "the sentence goes on"


def test_a_hands_mask_follows_the_pixels_known_to_be_that_hand(pipe):
    """Where the two disagree, the region wins if it is surer; a mask of something else does not look at it."""
    image, _, _ = scene("right")
    masks = []
    for _ in range(2):
        session = pipe.open(image)
        regions = torch.zeros_like(session._features.regions)
        if masks:
            regions[:, 2, :, : regions.shape[3] // 4] = 60
            regions[:, 0, :, regions.shape[3] // 4 :] = 60
        share = pipe.model.pixel_grounding_decoder.region_share
        with pytest.MonkeyPatch.context() as patch:
            # Only what the pipeline adds itself is looked at.
            patch.setattr(share, "forward", lambda states: states.new_zeros(*states.shape[:-1], 4))
            session._features = replace(session._features, regions=regions)
            masks.append([g.mask for g in session.ask(BOTH) if isinstance(g, Grounding)])
    quarter = image.shape[1] // 4
    hand, thing = masks[1]
    assert hand[:, : quarter - 4].all() and not hand[:, quarter + 4 :].any()
    assert not masks[0][0][:, : quarter - 4].all() and not thing[:, : quarter - 4].all()


def test_absent_hand_is_no_target(pipe):
    image, _, _ = scene("right")
    result = pipe(image, "Please segment the left hand.")
    assert result.groundings == [] and result.indicator < 0.5
    assert result.answer == "There is no suitable results of your query."


def test_photo_keeps_its_own_size(pipe):
    image, mask, _ = scene("left")
    big = np.kron(image, np.ones((3, 3, 1), np.uint8))[:-5, :-7]
    result = pipe(big, "Please segment the left hand.")
    assert result.groundings[0].mask.shape == big.shape[:2] == result.depth.shape


def test_closing_stops_the_work_and_loses_nothing(pipe):
    session = pipe.open(scene("right")[0])
    list(session.analyze())
    length = session._cache.get_seq_length()
    expected = list(session.ask(BOTH))
    stream = session.ask(BOTH)
    next(stream), next(stream)
    stream.close()
    assert session._cache.get_seq_length() == length and len(session.history) == 1
    assert all(same(a, b) for a, b in zip(session.ask(BOTH), expected, strict=True))


def test_stopped_analysis_can_be_made_again(pipe):
    session = pipe.open(scene("right")[0])
    whole = list(pipe.open(scene("right")[0]).analyze())[-1].text
    stream = session.analyze()
    next(stream), next(stream), next(stream)
    stream.close()
    assert session.analysis is None and session._cache.get_seq_length() == 0
    assert list(session.analyze())[-1].text == whole
    assert list(session.analyze())[-1].text == whole, "asked again, it is repeated"


def test_interleaved_sessions_say_the_same_as_each_alone(pipe):
    pictures = [scene("right")[0], scene("left")[0]]
    alone = [list(pipe.open(p).ask(BOTH)) for p in pictures]
    streams = [pipe.open(p).ask(BOTH) for p in pictures]
    together = [[], []]
    running = {0, 1}
    while running:
        for k in sorted(running):
            event = next(streams[k], None)
            running.discard(k) if event is None else together[k].append(event)
    for a, b in zip(alone, together, strict=True):
        assert len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    assert alone[0][-1].text != alone[1][-1].text


def test_follow_ups_do_not_depend_on_what_was_asked_before(pipe):
    image = scene("right")[0]
    first, later = pipe.open(image), pipe.open(image)
    list(later.ask("Please segment the left hand."))
    assert all(same(a, b) for a, b in zip(first.ask(RIGHT), later.ask(RIGHT), strict=True))
    assert [t.query for t in later.history] == ["Please segment the left hand.", RIGHT]


def test_special_tokens_typed_by_a_user_are_text(pipe):
    session = pipe.open(scene("right")[0])
    events = list(session.ask("<MSK> <eos> <answer> </p> segment the right hand"))
    assert isinstance(events[-1], Done)


@pytest.mark.parametrize("query", ["", "  \n", "x" * (MAX_QUERY_CHARACTERS + 1)])
def test_bad_queries_are_refused_and_the_session_goes_on(pipe, query):
    session = pipe.open(scene("right")[0])
    with pytest.raises(QueryError, match=r"query must be 1 to 2,000 characters but got"):
        list(session.ask(query))
    assert session.history == []
    assert list(session.ask(RIGHT))[-1].text


def test_bad_pictures_and_models_are_refused(pipe, tmp_path):
    with pytest.raises(ImageError):
        pipe.open(tmp_path / "missing.jpg")
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        AnnexePipeline.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="folder or a Hub id"):
        AnnexePipeline.from_pretrained("no such/folder/here")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1080, 1920), (288, 512)),
        ((1920, 1080), (512, 288)),
        ((3000, 4000), (384, 512)),
        ((300, 300), (512, 512)),
        ((100, 4000), (96, 512)),
    ],
)
def test_network_size_keeps_the_photos_shape(size, expected):
    assert network_size(*size, 512) == expected


def test_public_names_exist():
    for name in annexe_demo.__all__:
        assert getattr(annexe_demo, name) is not None
    with pytest.raises(AttributeError):
        annexe_demo.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("path", "sam", "expected"),
    [("qwen3-vl-2b", None, "facebook/sam-vit-base"), ("user/vlm", "user/sam", "user/sam")],
)
def test_presets_and_models_with_sam_use_the_prompted_engine(monkeypatch, path, sam, expected):
    from annexe_demo.prompted_session import PromptedPipeline

    calls = []
    monkeypatch.setattr(PromptedPipeline, "from_pretrained", lambda *a, **k: calls.append((a, k)))
    AnnexePipeline.from_pretrained(path, sam=sam, revision="v1")
    assert calls == [((path, expected, None), {"revision": "v1", "coordinates": None})]
