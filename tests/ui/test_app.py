"""app.py: the real page with the bundled model through `gradio_client`, and its errors."""

from __future__ import annotations

import subprocess
import sys

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from annexe_demo.data.egoirgbench import EgoIRGBench
from annexe_demo.view.export import rle_to_mask
from tests.conftest import EXAMPLES, ROOT


def start(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "app.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_missing_model_is_told_in_one_line_with_the_command_that_makes_one(tmp_path):
    result = start("--model", str(tmp_path))
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert str(tmp_path) in result.stderr and "python -m annexe_demo.train" in result.stderr


def test_a_model_folder_of_another_kind_is_told_in_one_line(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    result = start("--model", str(tmp_path))
    assert result.returncode == 2
    assert "Traceback" not in result.stderr and result.stderr.strip().splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("option", ["--data", "--predictions"])
def test_a_folder_of_another_kind_is_told_in_one_line(tmp_path, option):
    for value in (tmp_path, tmp_path / "nowhere"):
        result = start(option, str(value))
        assert result.returncode == 2
        assert len(result.stderr.strip().splitlines()) == 1
        assert result.stderr.startswith("error: expected ") and str(value) in result.stderr


@pytest.mark.parametrize(("space", "host"), [(None, "127.0.0.1"), ("someone/annexe", "0.0.0.0")])
def test_the_page_is_open_to_the_network_only_on_spaces(monkeypatch, space, host):
    import app

    monkeypatch.delenv("SPACE_ID", raising=False)
    if space:
        monkeypatch.setenv("SPACE_ID", space)
    arguments = app.parse_arguments([])
    assert arguments.host == host
    assert arguments.share is False


@pytest.fixture(scope="module")
def client(app_url):
    return Client(app_url, verbose=False)


@pytest.fixture(scope="module")
def photo(app_url):
    return EgoIRGBench(EXAMPLES, "test")[0].image_path


def test_the_analysis_streams(client, photo):
    texts = list(client.submit(handle_file(photo), api_name="/analyze"))
    assert len(set(texts)) > 5
    assert all(later.startswith(earlier) for earlier, later in zip(texts, texts[1:], strict=False))
    assert "hand" in texts[-1].lower()


def test_an_answer_streams_and_its_masks_have_the_size_of_the_photo(client, photo):
    outputs = list(
        client.submit(handle_file(photo), "Please segment the hands and objects in interaction.", api_name="/ask")
    )
    answer, result, overlay = outputs[-1]
    assert len({o[0] for o in outputs}) > 5
    assert result["answer"] == answer and result["analysis"]
    assert result["groundings"]
    size = Image.open(photo).size
    for grounding in result["groundings"]:
        mask = rle_to_mask(grounding["rle"])
        assert mask.shape == size[::-1] and mask.any()
        assert 0 <= grounding["score"] <= 1
    assert Image.open(overlay).size == size


def test_a_photo_turned_by_exif_gives_upright_masks(client, photo, tmp_path):
    turned = tmp_path / "turned.jpg"
    picture = Image.open(photo)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(turned, exif=exif)
    result = client.predict(
        handle_file(turned), "Please segment the hands and objects in interaction.", api_name="/ask"
    )
    assert result[1]["photo"] == {"width": picture.height, "height": picture.width}


def test_a_bad_photo_is_refused_with_the_reason(client, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_text("not a picture")
    with pytest.raises(Exception, match="not a picture that can be read"):
        client.predict(handle_file(path), "hand", api_name="/ask")
