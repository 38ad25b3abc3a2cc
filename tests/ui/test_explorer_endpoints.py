"""The explorer's endpoints over HTTP, with a stand-in for the model."""

from __future__ import annotations

import pytest
from gradio_client import Client
from PIL import Image

from annexe_demo.data.catalogue import Catalogue
from annexe_demo.ui import build_interface, launch_options
from annexe_demo.view.export import rle_to_mask
from tests.drawn_scenes import write_drawn_dataset
from tests.ui.stand_in import ANALYSIS, NO_TARGET, StandIn


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorer")
    root = write_drawn_dataset(folder / "data", {"train": 3, "test": 4}, (72, 128))
    catalogue = Catalogue(root, cache_dir=folder / "cache")
    page = build_interface(StandIn(delay=0.01), None, catalogue=catalogue)
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options(catalogue))
    yield Client(url, verbose=False)
    page.close()


@pytest.fixture(scope="module")
def sample(client):
    return client.predict("train", "0000", api_name="/sample")


def query_of(sample, kind: str) -> str:
    return next(q["query"] for q in sample[0]["queries"] if q["kind"] == kind)


def test_samples_lists_pages_with_thumbnails(client):
    result, thumbnails = client.predict(size=4, page=1, api_name="/samples")
    assert (result["total"], result["page"], result["pages"]) == (7, 1, 2)
    assert [s["name"] for s in result["samples"]] == ["0004", "0005", "0006"]
    assert [t["caption"] for t in thumbnails] == ["0004", "0005", "0006"]
    assert Image.open(thumbnails[0]["image"]).size == (128, 72)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"split": "train"}, ["0000", "0001", "0002"]),
        ({"split": "test", "text": "0005"}, ["0005"]),
        ({"kind": "no-target", "mask": "with"}, []),
    ],
)
def test_samples_are_filtered(client, filters, names):
    result, _ = client.predict(**filters, api_name="/samples")
    assert [s["name"] for s in result["samples"]] == names
    assert all(s["category"] and s["hand"] and s["queries"] for s in result["samples"])


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"split": "all"}, "must be one of train, val, test"),
        ({"mask": "x"}, "with or without"),
        ({"size": 0}, "1 to 200"),
    ],
)
def test_samples_refuses_a_filter_with_the_reason(client, filters, message):
    with pytest.raises(Exception, match=message):
        client.predict(**filters, api_name="/samples")


def test_sample_shows_the_truth_of_all_queries(sample):
    details, photo, truth, prediction, difference, depth = sample
    assert (details["split"], details["name"], details["width"], details["height"]) == ("train", "0000", 128, 72)
    assert {"single", "multi", "no-target"} <= {q["kind"] for q in details["queries"]}
    assert all(q["answer"] for q in details["queries"]) and details["analysis"]
    for picture in (photo, truth, depth):
        assert Image.open(picture).size == (128, 72)
    assert prediction is None and difference is None and details["prediction"] is None and details["scores"] == []


@pytest.mark.parametrize("name", ["9999", "../train/0000", "/etc/passwd"])
def test_only_pictures_of_the_folder_are_shown(client, name):
    with pytest.raises(Exception, match="but there is none"):
        client.predict("train", name, api_name="/sample")


def test_sample_refuses_a_query_of_another_picture(client):
    with pytest.raises(Exception, match="one of this picture's own"):
        client.predict("train", "0000", "Where is my coat?", api_name="/sample")


def test_run_sample_streams_the_answer_and_ends_with_the_scores(client, sample):
    query = query_of(sample, "multi")
    updates = list(client.submit("train", "0000", query, api_name="/run_sample"))
    answer, result, prediction, difference, depth = updates[-1]
    texts = [u[0] for u in updates]
    assert len(set(texts)) > 4 and all(answer.startswith(t) for t in texts)
    assert result["source"] == "model" and result["analysis"] == ANALYSIS and result["query"] == query
    assert result["groundings"] and rle_to_mask(result["groundings"][0]["rle"]).shape == (72, 128)
    scores = {s["measure"]: s for s in result["scores"]}
    assert {"iou", "indicator", "answer_rouge_l", "answer_meteor", "depth_mae"} <= scores.keys()
    assert 0 <= scores["iou"]["value"] <= 1 and "divided by" in scores["iou"]["definition"]
    assert scores["answer_meteor"]["value"] is None
    for picture in (prediction, difference, depth):
        assert Image.open(picture).size == (128, 72)


def test_run_sample_takes_any_query(client):
    answer, result, prediction, difference, _ = client.predict("test", "0004", "A kettle?", api_name="/run_sample")
    assert answer == NO_TARGET and result["groundings"] == [] and prediction is None and difference is None
    assert "iou" not in {s["measure"] for s in result["scores"]}


@pytest.mark.parametrize(("query", "message"), [("", "Choose or type a query"), ("x" * 2001, "1 to 2,000 characters")])
def test_run_sample_refuses_a_query_with_the_reason(client, query, message):
    with pytest.raises(Exception, match=message):
        client.predict("test", "0004", query, api_name="/run_sample")
