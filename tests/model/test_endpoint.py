"""The prompted engine with its vision-language model on a server: the same texts and masks, stopping, errors."""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
import time

import numpy as np
import pytest
from PIL import Image
from transformers import AutoProcessor

import app
from annexe_demo import __main__ as cli
from annexe_demo import prompted_session
from annexe_demo.events import Done, Grounding, TextDelta
from annexe_demo.images import ImageError
from annexe_demo.model import endpoint, prompted
from annexe_demo.model.endpoint import API_KEY_VARIABLE, Endpoint, EndpointError, EndpointModel
from annexe_demo.model.presets import coordinates_of
from annexe_demo.pipeline import AnnexePipeline
from annexe_demo.prompted_session import PromptedPipeline, PromptedSession
from tests.openai_server import listing, serve, with_model
from tests.tiny_vlm import overfit, write_sam, write_vlm

SEGMENT = "Please segment the mug."
REPLY = 'The <p>mug</p> is red. ☕\n[{"bbox_2d": [250, 250, 750, 750], "label": "mug"}]'


def photo(height: int = 120, width: int = 200, color=(200, 40, 40)) -> np.ndarray:
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    image[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = color
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("endpoint")


@pytest.fixture(scope="module")
def sam(folder):
    return write_sam(folder / "sam")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setattr(prompted_session, "MAX_NEW_TOKENS", {"analysis": 24, "answer": 100})
    monkeypatch.setattr(endpoint, "POLL_SECONDS", 0.05)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(API_KEY_VARIABLE, raising=False)


def scripted(*texts: str):
    """An answer of given pieces."""

    def answer(handler, request):
        handler.begin()
        for text in texts:
            handler.text(text)
        handler.text("", "stop")
        handler.end()

    return answer


def connect(server, sam, model=None, **options) -> PromptedPipeline:
    return PromptedPipeline.from_endpoint(server.url, model, sam, "cpu", **options)


def receivers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "prompted-endpoint"]


def eventually(condition, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


# ---- the same as the local engine


@pytest.mark.parametrize("kind", ["qwen3_vl", "idefics3"])
def test_the_text_of_the_local_engine(folder, sam, kind):
    where = write_vlm(folder / kind, kind)
    local = PromptedPipeline.from_pretrained(where, sam=sam, device="cpu").model
    prompt = local.analysis_prompt()
    with serve(with_model(where), listing(kind)) as server:
        remote = connect(server, sam, coordinates="relative").model
        said = set()
        for image in (
            photo(),
            photo(200, 80, (0, 0, 255)),
            np.random.default_rng(1).integers(0, 255, (90, 90, 3), np.uint8),
        ):
            expected = "".join(local.generate(local.encode(image), prompt, 40))
            stream = remote.generate(remote.encode(image), prompt, 40)
            pieces = [piece for piece in stream if piece]
            assert "".join(pieces) == expected and len(pieces) > 5
            assert stream.finish_reason == "length"
            said.add(expected)
        assert len(said) > 1  # it looks at the photo


def test_the_events_of_the_local_engine(folder, sam):
    where = write_vlm(folder / "trained", "qwen3_vl", ["The right hand holds a mug.", SEGMENT, REPLY], 1500)
    overfit(where, [(photo(), "The right hand holds a mug.", {SEGMENT: REPLY})])
    local = PromptedPipeline.from_pretrained(where, sam=sam, device="cpu").open(photo())
    with serve(with_model(where)) as server:
        remote = connect(server, sam).open(photo())
        sessions = [[[*s.analyze()], [*s.ask(SEGMENT)]] for s in (local, remote)]
        for events, expected in zip(sessions[1], sessions[0], strict=True):
            events = [e for e in events if e != TextDelta(e.branch if hasattr(e, "branch") else "answer", "")]
            masks = [[e for e in es if isinstance(e, Grounding)] for es in (events, expected)]
            for ours, theirs in zip(*masks, strict=True):
                assert np.array_equal(ours.mask, theirs.mask)
                assert (ours.label, ours.span, ours.score) == (theirs.label, theirs.span, theirs.score)
            texts = [[e for e in es if isinstance(e, TextDelta | Done)] for es in (events, expected)]
            assert texts[0] == texts[1] and len(texts[0]) > 4
        assert sessions[1][1][-1] == Done("answer", "The mug <MSK_0> is red. ☕", 1.0, "stop") and masks[0]
    assert remote.history[-1].answer == "The mug <MSK_0> is red. ☕"


def test_what_is_sent(sam):
    with serve(scripted("A cup", ".")) as server:
        session = connect(server, sam).open(photo())
        list(session.ask("Where is </s> the <|im_end|> cup?"))
    analysis, answer = server.requests
    for request, limit in ((analysis, 24), (answer, 100)):
        assert (request["model"], request["max_tokens"], request["stream"]) == ("tiny-Qwen3-VL", limit, True)
        assert (request["temperature"], request["repetition_penalty"]) == (0, 1.0)
        (message,) = request["messages"]
        picture, text = message["content"]
        head, data = picture["image_url"]["url"].split(",")
        assert head == "data:image/png;base64"
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), photo())
        assert text["type"] == "text" and "first person" in text["text"]
    said = answer["messages"][0]["content"][1]["text"]
    assert "What happens in it: A cup." in said and "from 0 to 1000" in said
    assert "Where is <\u200b/s> the <\u200b|im_end|> cup?" in said


def test_what_looks_like_a_special_token_is_broken(sam):
    with serve(scripted()) as server:
        model = connect(server, sam).model
    for token in (
        "<|im_start|>",
        "</s>",
        "<image>",
        "<start_of_turn>",
        "[INST]",
        "[/INST]",
        "<fake_token_around_image>",
    ):
        assert token not in model.plain(f"a{token}{token}b") and model.plain(token).replace("\u200b", "") == token
    assert model.plain("a < b, [1, 2] > c [x]") == "a < b, [1, 2] > c [x]"


def test_masks_only_where_the_server_named_boxes(sam):
    with serve(scripted(REPLY[:20], REPLY[20:60], REPLY[60:])) as server:
        events = list(connect(server, sam).open(photo()).ask(SEGMENT))
    assert [e.label for e in events if isinstance(e, Grounding)] == ["mug"]
    assert events[-1].text == "The mug <MSK_0> is red. ☕"


# ---- pixels of the resized picture


@pytest.mark.parametrize("shape", [(120, 200), (1080, 1920), (3000, 2000), (30, 31), (20, 1500), (767, 1023)])
def test_the_server_leaves_the_picture_of_absolute_coordinates_as_it_is(folder, sam, shape):
    """Qwen2.5-VL's processor with the limits that it is published with."""
    if not (folder / "qwen2_5_vl").exists():
        write_vlm(folder / "qwen2_5_vl", "qwen2_5_vl")
    processor = AutoProcessor.from_pretrained(folder / "qwen2_5_vl").image_processor
    model = EndpointModel(Endpoint("http://localhost"), "Qwen2.5-VL", None, "absolute")
    picture = model.encode(np.zeros((*shape, 3), np.uint8))
    sent = Image.open(io.BytesIO(base64.b64decode(picture.url.split(",")[1])))
    assert sent.size == picture.seen
    for largest in (12845056, 28 * 28 * 1280):
        size = {"shortest_edge": 3136, "longest_edge": largest}
        _, rows, columns = processor(sent, size=size, return_tensors="pt")["image_grid_thw"][0].tolist()
        assert (columns * 14, rows * 14) == picture.seen
    ratio = (picture.seen[0] / picture.seen[1]) / (shape[1] / shape[0])
    assert 0.65 < ratio < 1.5


def test_boxes_in_pixels_of_the_resized_picture(sam):
    box = '<p>mug</p> [{"bbox_2d": [49, 28, 147, 84], "label": "mug"}]'  # the middle half of 196 x 112
    with serve(scripted(box), listing("Qwen/Qwen2.5-VL-7B-Instruct")) as server:
        absolute = connect(server, sam).open(photo())
        events = list(absolute.ask(SEGMENT))
    assert "196 pixels wide and 112 pixels high" in server.requests[-1]["messages"][0]["content"][1]["text"]
    with serve(scripted(box.replace("[49, 28, 147, 84]", "[250, 250, 750, 750]"))) as server:
        relative = list(connect(server, sam).open(photo()).ask(SEGMENT))
    masks = [next(e.mask for e in es if isinstance(e, Grounding)) for es in (events, relative)]
    assert np.array_equal(*masks) and masks[0].any()


def test_large_photos_are_made_smaller_for_the_server_only(sam):
    with serve(scripted()) as server:
        session = connect(server, sam).open(np.zeros((2000, 3000, 3), np.uint8))
        width, height = session._picture.seen
        assert width * height <= prompted.MAX_PICTURE_PIXELS * 1.01 and session.image.shape == (2000, 3000, 3)
        with pytest.raises(ImageError, match="at most 200 times the other"):
            connect(server, sam).open(np.zeros((16, 5000, 3), np.uint8))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen3-vl-4b", "relative"), ("qwen2.5-vl-3b", "absolute"), ("Qwen/Qwen2.5-VL-7B-Instruct-AWQ", "absolute"),
        ("/models/qwen2_5_vl_3b", "absolute"), ("Qwen/Qwen3-VL-235B-A22B-Instruct-FP8", "relative"),
        ("OpenGVLab/InternVL3-8B", "relative"), ("Qwen/Qwen2-VL-7B", "relative"), ("gpt-5", None), ("Qwen/Qwen2.5-7B", None),
    ],
)  # fmt: skip
def test_coordinates_by_name(name, expected):
    assert coordinates_of(name) == expected


# ---- which model


def test_the_model_is_chosen_among_those_served(sam):
    with serve(scripted(), listing("Qwen/Qwen3-VL-4B-Instruct", "other")) as server:
        assert connect(server, sam, "qwen3-vl-4b").model.name == "Qwen/Qwen3-VL-4B-Instruct"
        assert connect(server, sam, "other", coordinates="absolute").model.coordinates == "absolute"
        with pytest.raises(EndpointError, match=r"serves Qwen/Qwen3-VL-4B-Instruct, other: name one with --model"):
            connect(server, sam)
        with pytest.raises(EndpointError, match=r"does not serve 'Qwen/Qwen3-VL-2B-Instruct'; it serves Qwen/Qwen3"):
            connect(server, sam, "qwen3-vl-2b")
        with pytest.raises(ValueError, match="name of the model 'other' does not tell .* --coordinates relative"):
            connect(server, sam, "other")
    with serve(scripted(), listing("vlm", root="/models/Qwen2.5-VL-7B-Instruct")) as server:
        pipe = connect(server, sam)
        assert (pipe.model.name, pipe.model.coordinates) == ("vlm", "absolute")
        assert pipe.name == "vlm (endpoint) + sam" and "sent to the server" in pipe.limitations
        assert "sent to the server" not in PromptedPipeline.limitations
        assert connect(server, sam, "/models/Qwen2.5-VL-7B-Instruct").model.name == "vlm"


def test_any_form_of_the_address(sam):
    with serve(scripted("x")) as server:
        for url in (server.url, f"{server.url}/v1", f"{server.url}/v1/", f" {server.url}/v1/chat/completions"):
            assert PromptedPipeline.from_endpoint(url, sam=sam, device="cpu").model.endpoint.url == f"{server.url}/v1"
    for url in ("localhost:8000", "ftp://x", "http://", "", "http://x:99999", "http://x:y", "http://x/?key=1"):
        with pytest.raises(ValueError, match="endpoint must be an address like http://localhost:8000/v1"):
            Endpoint(url)
    with pytest.raises(ValueError, match="a password in it") as caught:
        Endpoint("http://me:hunter2@host")
    assert "hunter2" not in str(caught.value)


# ---- streaming and stopping


def test_text_comes_while_the_server_still_writes(sam):
    go_on = threading.Event()

    def answer(handler, request):
        handler.begin()
        handler.text("A red mug")
        go_on.wait(10)
        handler.text(" is held.", "stop")
        handler.end()

    with serve(answer) as server:
        events = connect(server, sam).open(photo()).analyze()
        assert next(events) == TextDelta("analysis", "A red mug") and not go_on.is_set()
        go_on.set()
        assert [e for e in events if e != TextDelta("analysis", "")][-1] == Done("analysis", "A red mug is held.")


@pytest.mark.parametrize("silent", ["before the first byte", "before the first word", "in the middle"])
@pytest.mark.parametrize("branch", ["analysis", "answer"])
def test_stop_closes_the_connection_at_once(sam, silent, branch):
    left: list[bool] = []

    def answer(handler, request):
        if silent != "before the first byte":
            handler.begin()
        if silent == "in the middle":
            handler.text("A mug")
        left.append(handler.is_left(10))

    with serve(answer) as server:
        session = connect(server, sam).open(photo())
        if silent == "in the middle" and branch == "answer":
            session.analysis = "x"
        events = session.analyze() if branch == "analysis" else session.ask(SEGMENT)
        assert next(events).text == ("A mug" if silent == "in the middle" else "")
        assert server.requests and not left
        began = time.monotonic()
        events.close()
        assert time.monotonic() - began < 2 and not receivers()
        assert eventually(lambda: left == [True], 2)
        assert session.history == []


def test_another_thread_may_close_a_stream_that_waits(sam):
    with serve(lambda handler, request: handler.is_left(10)) as server:
        model = connect(server, sam).model
        stream = model.generate(model.encode(photo()), "x", 4)
        pieces: list[str] = []
        reader = threading.Thread(target=lambda: pieces.extend(stream))
        reader.start()
        assert eventually(lambda: server.requests)
        stream.close()
        reader.join(2)
        assert not reader.is_alive() and not receivers() and set(pieces) <= {""}
        unread = model.generate(model.encode(photo()), "x", 4)
        unread.close()
        assert list(unread) == [] and len(server.requests) == 1


def test_nothing_is_received_after_no_target(sam):
    left: list[bool] = []

    def answer(handler, request):
        handler.begin()
        handler.text("NO TARGET at all")
        left.append(handler.is_left(10))

    with serve(answer) as server:
        session = connect(server, sam).open(photo())
        session.analysis = "x"
        events = list(session.ask(SEGMENT))
        assert events[-1].indicator == 0.0 and eventually(lambda: left == [True], 2)


def test_two_visitors_at_once(sam):
    """Nothing here waits for the other's text: batching is the server's."""
    both = threading.Barrier(2, timeout=10)

    def answer(handler, request):
        both.wait()
        scripted("A mug.")(handler, request)

    with serve(answer) as server:
        pipe = connect(server, sam)
        sessions = [pipe.open(photo()), pipe.open(photo())]
        readers = [threading.Thread(target=lambda s=s: list(s.analyze())) for s in sessions]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(10)
        assert [s.analysis for s in sessions] == ["A mug.", "A mug."]


def test_a_limit_is_told(sam):
    def answer(handler, request):
        handler.begin()
        handler.text("A mug that", "length")
        handler.end()

    with serve(answer) as server:
        assert list(connect(server, sam).open(photo()).analyze())[-1] == Done(
            "analysis", "A mug that", finish_reason="length"
        )


# ---- errors


def status(code: int, body, kind: str = "application/json"):
    return lambda handler, request: handler.reply(code, body, kind)


def broken(handler, request):
    handler.begin()
    handler.text("A mug")


def ended(handler, request):
    handler.begin()
    handler.text("A mug")
    handler.wfile.write(b"0\r\n\r\n")


def event(data):
    def answer(handler, request):
        handler.begin()
        handler.text("A mug")
        handler.event(data)
        handler.end()

    return answer


def silence(handler, request):
    handler.begin()
    handler.is_left(5)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (status(500, {"error": {"message": "EngineCore died\nof something", "code": 500}}),
         r"failed \(500: EngineCore died of something\)$"),
        (status(502, b"<html><body>Bad gateway</body></html>", "text/html"), r"failed \(502\)$"),
        (status(503, {"message": "loading"}), r"is too busy \(503: loading\)$"),
        (status(429, {"detail": "slow down"}), r"is too busy \(429: slow down\)$"),
        (status(400, {"object": "error", "message": "At most 0 image(s) may be provided"}),
         r"refuses the request \(400: At most 0 image\(s\) may be provided\)$"),
        (status(404, {"error": {"message": "The model `tiny` does not exist."}}),
         r"refuses the request \(404: The model `tiny` does not exist.\)$"),
        (status(404, b"x" * 100), r"there is nothing at .*/v1 that answers \(404\)"),
        (status(413, b"y" * 10**6, "text/plain"), r"refuses the request \(413: y{300}\)$"),
        (status(307, b""), r"answers from another address \(307\)"),
        (status(200, {"choices": [{"message": {"content": "A mug"}}]}),
         r"must stream its answer but does not \(.*'application/json'"),
        (broken, r"connection to .*/v1 broke off \("),
        (ended, r"ended its answer in the middle$"),
        (event({"error": {"message": "out of blocks"}}), r"failed while it answered \(out of blocks\)$"),
        (event("{oops"), r"must send chunks of a chat completion but sent '\{oops'$"),
        (event([1]), r"must send chunks of a chat completion but sent '\[1\]'$"),
        (event({"choices": [{"delta": {"content": 7}}]}), r"must send chunks of a chat completion"),
        (silence, r"sent nothing for 0.3 seconds$"),
    ],
)  # fmt: skip
def test_errors_while_it_answers_are_one_sentence(sam, monkeypatch, answer, sentence):
    monkeypatch.setattr(endpoint, "SILENCE_SECONDS", 0.3)
    with serve(answer) as server:
        session = connect(server, sam).open(photo())
        with pytest.raises(EndpointError, match=sentence) as caught:
            list(session.analyze())
        assert f"{server.url}/v1" in str(caught.value) and "\n" not in str(caught.value)
        assert not receivers() and session.analysis is None
        server.answer = scripted("A mug.")  # the session is not spoilt
        assert list(session.analyze())[-1] == Done("analysis", "A mug.")


def test_a_server_that_knows_no_repetition_penalty(sam):
    def answer(handler, request):
        if "repetition_penalty" in request:
            handler.reply(400, {"error": {"message": "Unrecognized request argument supplied: repetition_penalty"}})
        else:
            scripted("A mug.")(handler, request)

    with serve(answer) as server:
        assert list(connect(server, sam).open(photo()).analyze())[-1].text == "A mug."
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("models", "model", "sentence"),
    [
        ({"object": "list"}, None, "must answer with a list of models"),
        ([1], None, "must answer with a list of models"),
        (b"<html>", None, "must answer with a list of models"),
        (listing(), None, "serves no model: name one"),
    ],
)
def test_a_server_of_another_kind(sam, models, model, sentence):
    with serve(scripted(), models) as server, pytest.raises(EndpointError, match=sentence):
        connect(server, sam, model)


def test_a_server_that_lists_nothing_is_asked_for_the_named_model(sam):
    with serve(scripted("A mug.")) as server:
        real = Endpoint.models
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Endpoint, "models", lambda self: real(Endpoint(f"{server.url}/elsewhere")))
            with pytest.raises(EndpointError, match="does not list its models: name one with --model"):
                connect(server, sam)
            assert list(connect(server, sam, "qwen3-vl-2b").open(photo()).analyze())[-1].text == "A mug."
    assert server.requests[0]["model"] == "Qwen/Qwen3-VL-2B-Instruct"


def test_a_server_that_is_not_there(sam):
    with serve(scripted()) as server:
        url, session = server.url, connect(server, sam).open(photo())
    with pytest.raises(EndpointError, match=f"the server at {url}/v1 cannot be reached"):
        PromptedPipeline.from_endpoint(url, sam=sam, device="cpu")
    with pytest.raises(EndpointError, match="cannot be reached"):
        list(session.analyze())


def test_a_server_that_accepts_and_says_nothing(sam, monkeypatch):
    import socket

    monkeypatch.setattr(endpoint, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(EndpointError, match="sent nothing for 0.2 seconds"):
            PromptedPipeline.from_endpoint(url, sam=sam, device="cpu")


def test_the_key_is_sent_and_never_shown(sam, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    secret, said = "sk-verysecret", []
    with serve(scripted("A mug."), api_key=secret) as server:
        with pytest.raises(EndpointError, match=f"wants an API key: put it into {API_KEY_VARIABLE} "):
            connect(server, sam)
        monkeypatch.setenv(API_KEY_VARIABLE, "sk-wrong")
        with pytest.raises(EndpointError, match=f"refuses the API key in {API_KEY_VARIABLE} ") as caught:
            connect(server, sam)
        said.append(str(caught.value))
        monkeypatch.setenv(API_KEY_VARIABLE, f" {secret}\n")
        pipe = connect(server, sam)
        session = pipe.open(photo())
        assert list(session.analyze())[-1].text == "A mug."
        server.answer = status(500, {"error": f"bad header: Bearer {secret}"})
        with pytest.raises(EndpointError, match=r"bad header: Bearer \*\*\*") as caught:
            list(session.ask(SEGMENT))
        said += [str(caught.value), repr(pipe.model.endpoint), caplog.text, json.dumps(server.requests)]
    assert not any(secret in text or "sk-wrong" in text for text in said)
    monkeypatch.setenv(API_KEY_VARIABLE, "schlüssel")
    with pytest.raises(ValueError, match="must be printable ASCII"):
        connect(server, sam)


# ---- the ways in


def test_from_the_public_api(sam):
    with serve(scripted(REPLY)) as server:
        pipe = AnnexePipeline.from_pretrained("", "cpu", sam=str(sam), vlm_endpoint=server.url)
        assert isinstance(pipe.open(photo()), PromptedSession)
        assert len(pipe(photo(), SEGMENT).groundings) == 1


def test_from_the_command_line(sam, tmp_path, capsys):
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    arguments = ["ask", str(tmp_path / "photo.png"), SEGMENT, "--out", str(tmp_path / "out"), "--sam", str(sam)]
    arguments += ["--device", "cpu", "--vlm-endpoint"]
    with serve(scripted(REPLY)) as server:
        assert cli.main([*arguments, server.url]) == 0
        assert (tmp_path / "out" / "mask_0_mug.png").is_file()
        assert "Answer: The mug <MSK_0> is red." in capsys.readouterr().out
        server.answer = broken
        assert cli.main([*arguments, server.url]) == 2
        printed = capsys.readouterr()
        assert printed.out.endswith("Analysis: A mug\n") and len(printed.err.splitlines()) == 1
        assert printed.err.startswith("annexe_demo: the connection to ")
        assert cli.main([*arguments, server.url, "--model", "no-such"]) == 2
        assert "does not serve 'no-such'; it serves tiny-Qwen3-VL" in capsys.readouterr().err
    assert cli.main([*arguments, server.url]) == 2
    assert "cannot be reached" in capsys.readouterr().err
    assert cli.main([*arguments, "localhost"]) == 2
    assert "the endpoint must be an address" in capsys.readouterr().err


def test_from_the_page(sam, monkeypatch, capsys):
    with serve(scripted("A mug.")) as server:
        arguments = ["--sam", str(sam), "--device", "cpu", "--vlm-endpoint", server.url]
        launched = []
        import annexe_demo.ui as ui

        class Page:
            def launch(self, **_):
                pass

        monkeypatch.setattr(ui, "build_interface", lambda pipe, *_, **__: launched.append(pipe) or Page())
        assert app.main(arguments) == 0 and launched[0].name == "tiny-Qwen3-VL (endpoint) + sam"
    assert app.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the server at http://127.0.0.1") and len(error.splitlines()) == 1


def test_stop_on_the_page_reaches_a_server_that_is_silent(sam):
    from annexe_demo.ui.conversation import Conversation, PhotoRequest
    from annexe_demo.ui.texts import ENGLISH

    left: list[bool] = []

    def answer(handler, request):
        left.append(handler.is_left(10))

    with serve(answer) as server:
        pipe, conversation = connect(server, sam), Conversation()
        conversation.request_photo(PhotoRequest(photo()), ENGLISH)
        work = threading.Thread(target=lambda: list(conversation.work(pipe, ENGLISH)))
        work.start()
        assert eventually(lambda: server.requests) and conversation.stop()
        work.join(3)
        assert not work.is_alive() and eventually(lambda: left == [True], 2)
