"""The page and its endpoints over HTTP, with a stand-in for the model."""

import time

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from annexe_demo.model.endpoint import EndpointError
from annexe_demo.ui import build_interface, launch_options
from tests.ui.stand_in import ANALYSIS, StandIn


@pytest.fixture(scope="module")
def pipe():
    return StandIn(delay=0.02)


@pytest.fixture(scope="module")
def url(pipe):
    page = build_interface(pipe, None)
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    yield url
    page.close()


@pytest.fixture
def client(url):
    return Client(url, verbose=False)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 48), (90, 120, 150)).save(path)
    return handle_file(path)


def test_analyze_streams_a_growing_text(client, photo):
    texts = list(client.submit(photo, api_name="/analyze"))
    assert texts[-1] == ANALYSIS
    assert len(texts) > 5 and all(ANALYSIS.startswith(t) for t in texts)


def test_ask_streams_the_answer_and_ends_with_the_result_and_the_overlay(client, photo):
    outputs = list(client.submit(photo, "hand and mug", api_name="/ask"))
    answer, result, picture = outputs[-1]
    assert [g["label"] for g in result["groundings"]] == ["right hand", "red mug"]
    assert result["groundings"][0]["rle"]["size"] == [48, 64]
    assert result["answer"] == answer and result["analysis"] == ANALYSIS
    assert Image.open(picture).size == (64, 48)
    assert len({o[0] for o in outputs}) > 5


@pytest.mark.parametrize("query", ["", "x" * 2001])
def test_ask_refuses_a_query_with_the_reason(client, photo, query):
    with pytest.raises(Exception, match="1 to 2,000 characters"):
        client.predict(photo, query, api_name="/ask")


@pytest.mark.parametrize("endpoint", ["/analyze", "/ask"])
def test_a_file_that_is_no_picture_is_refused_with_the_reason(client, tmp_path, endpoint):
    path = tmp_path / "photo.jpg"
    path.write_text("not a picture")
    inputs = [handle_file(path)] + (["hand"] if endpoint == "/ask" else [])
    with pytest.raises(Exception, match="not a picture that can be read"):
        client.predict(*inputs, api_name=endpoint)


@pytest.mark.parametrize("endpoint", ["/analyze", "/ask"])
def test_a_server_that_fails_is_told_in_its_own_sentence(client, photo, pipe, endpoint):
    pipe.error = EndpointError("the server at http://a/v1 is too busy (429)")
    try:
        with pytest.raises(Exception, match=r"The server at http://a/v1 is too busy \(429\)\."):
            client.predict(photo, *(["hand"] if endpoint == "/ask" else []), api_name=endpoint)
    finally:
        pipe.error = None


def test_a_file_that_nobody_uploaded_is_refused(client):
    with pytest.raises(Exception):  # noqa: B017 - Gradio's own refusal, whatever its class
        client.predict({"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}, api_name="/analyze")


def test_cancelling_closes_the_generator_of_the_session(client, photo, pipe):
    pipe.closed.clear()
    job = client.submit(photo, "hand and mug", api_name="/ask")
    while not job.outputs():
        time.sleep(0.01)
    job.cancel()
    deadline = time.monotonic() + 5
    while not pipe.closed and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(pipe.closed) == 1 and pipe.running == 0


def test_the_model_works_for_one_visitor_at_a_time(url, photo, pipe):
    pipe.most = 0
    jobs = [Client(url, verbose=False).submit(photo, q, api_name="/ask") for q in ("hand", "hand and mug", "kettle")]
    answers = [job.result()[1] for job in jobs]
    assert [len(a["groundings"]) for a in answers] == [1, 2, 0]
    assert pipe.most == 1
