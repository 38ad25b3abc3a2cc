"""python -m annexe_demo, with a pipeline that knows its answers."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import annexe_demo.__main__ as cli
from annexe_demo.view.export import rle_to_mask
from tests.fake_pipeline import FakePipeline, Reply


def reply(image, query):
    if "toy car" in query:
        return Reply("There is no suitable results of your query.", indicator=0.02)
    h, w = image.shape[:2]
    upper, lower = np.zeros((h, w), bool), np.zeros((h, w), bool)
    upper[: h // 2, : w // 2], lower[h // 2 :] = True, True
    text = "The mask of the right hand is <MSK_0>, the mask of mug is <MSK_1>."
    return Reply(text, [("right hand", upper), ("mug", lower)], indicator=0.98)


@pytest.fixture
def fake(monkeypatch):
    pipe = FakePipeline(lambda image: "A right hand is holding a mug.", reply)
    monkeypatch.setattr(cli, "load_pipeline", lambda *_: pipe)
    return pipe


@pytest.fixture
def photo(tmp_path):
    """A portrait photo that the camera stored lying on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photo.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)).save(path, exif=exif)
    return path


def test_ask_writes_masks_of_the_upright_photo(fake, photo, tmp_path, capsys):
    out = tmp_path / "deep" / "out"
    assert cli.main(["ask", str(photo), "Segment hands and objects.", "--out", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "mask_0_right-hand.png", "mask_1_mug.png", "overlay.png", "result.json",
    ]  # fmt: skip
    result = json.loads((out / "result.json").read_text())
    assert result["photo"] == {"width": 48, "height": 80}
    assert result["query"] == "Segment hands and objects." and result["indicator"] == 0.98
    for name, grounding in zip(("mask_0_right-hand", "mask_1_mug"), result["groundings"], strict=True):
        with Image.open(out / f"{name}.png") as png:
            assert png.size == (48, 80)
            assert np.array_equal(np.asarray(png) > 0, rle_to_mask(grounding["rle"]))
        start, end = grounding["span"]
        assert result["answer"][start:end] == grounding["label"]
    printed = capsys.readouterr()
    assert "Analysis: A right hand is holding a mug.\n" in printed.out
    assert f"Answer: {result['answer']}\n" in printed.out
    assert printed.err == ""


def test_text_is_printed_as_it_comes(fake, photo, tmp_path, monkeypatch):
    writes = []

    class Terminal:
        def write(self, text):
            writes.append(text)

        def flush(self):
            writes.append("FLUSH")

    monkeypatch.setattr(sys, "stdout", Terminal())
    cli.main(["ask", str(photo), "Segment it.", "--out", str(tmp_path / "out")])
    first, second = writes.index("A "), writes.index("right ")
    assert "FLUSH" in writes[first:second]


def test_no_target_is_an_answer(fake, photo, tmp_path):
    out = tmp_path / "out"
    assert cli.main(["ask", str(photo), "Active toy car?", "--out", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["overlay.png", "result.json"]
    result = json.loads((out / "result.json").read_text())
    assert result["groundings"] == [] and result["indicator"] == 0.02


def check_one_line(err: str, *words: str) -> None:
    lines = err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("annexe_demo: "), err
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize("query", ["", "   ", "x" * 2001])
def test_bad_queries(fake, photo, tmp_path, capsys, query):
    assert cli.main(["ask", str(photo), query, "--out", str(tmp_path / "out")]) == 2
    check_one_line(capsys.readouterr().err, "query must be 1 to 2,000 characters but got")
    assert fake.opened == 0


def test_bad_photos(fake, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("I am no picture")
    Image.new("RGB", (8, 8)).save(tmp_path / "tiny.png")
    for name, words in (
        ("none.jpg", "no file"),
        ("text.jpg", "not a picture"),
        ("tiny.png", "too small"),
        ("", "folder"),
    ):
        assert cli.main(["ask", str(tmp_path / name), "What?", "--out", str(tmp_path / "out")]) == 2
        check_one_line(capsys.readouterr().err, words)


def test_missing_model_is_told_without_asking_the_network(photo, tmp_path, capsys):
    for model in (str(tmp_path / "no-model"), "./no-model", "tests/no-model"):
        assert cli.main(["ask", str(photo), "What?", "--out", str(tmp_path / "out"), "--model", model]) == 2
        check_one_line(capsys.readouterr().err, "model must be a folder", model)


def test_folder_that_holds_no_model(photo, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert (
        cli.main(["ask", str(photo), "What?", "--out", str(tmp_path / "out"), "--model", str(tmp_path / "empty")]) == 2
    )
    check_one_line(capsys.readouterr().err, "config.json")


def test_device_that_does_not_exist(photo, tmp_path, capsys):
    (tmp_path / "m").mkdir()
    args = ["ask", str(photo), "What?", "--out", str(tmp_path / "out"), "--model", str(tmp_path / "m")]
    assert cli.main([*args, "--device", "abacus"]) == 2
    check_one_line(capsys.readouterr().err, "device 'abacus'")


def test_output_folder_that_cannot_be(fake, photo, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["ask", str(photo), "What?", "--out", str(tmp_path / "file")]) == 2
    check_one_line(capsys.readouterr().err, "output folder")


def test_help_needs_no_torch():
    code = """
import sys
from annexe_demo.__main__ import main
try:
    main(["ask", "--help"])
except SystemExit as e:
    assert e.code == 0
assert not {"torch", "transformers", "cv2", "matplotlib"} & set(sys.modules), "imported too early"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--out" in done.stdout


def test_missing_photo_through_the_real_entry_point(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "annexe_demo", "ask", "none.jpg", "What?", "--out", str(tmp_path / "o")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    check_one_line(done.stderr, "none.jpg")
