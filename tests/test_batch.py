"""python -m annexe_demo batch, with a pipeline that knows its answers."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import annexe_demo.__main__ as cli
from annexe_demo.events import ServiceError
from tests.fake_pipeline import FakePipeline, Reply


def reply(image, query):
    if "toy car" in query:
        return Reply("There is no suitable results of your query.", indicator=0.02)
    mask = np.zeros(image.shape[:2], bool)
    mask[:10, :10] = True
    return Reply("The mask of the right hand is <MSK_0>.", [("right hand", mask)], indicator=0.98)


@pytest.fixture
def fake(monkeypatch):
    pipe = FakePipeline(lambda image: "A right hand is holding a mug.", reply)
    monkeypatch.setattr(cli, "load_pipeline", lambda *_: pipe)
    return pipe


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "day 2").mkdir(parents=True)
    for name in ("a.jpg", "a.png", "day 2/b.JPG"):
        Image.new("RGB", (40, 30), (120, 90, 60)).save(folder / name)
    (folder / "notes.txt").write_text("no photo")
    return folder


@pytest.fixture
def queries(tmp_path):
    path = tmp_path / "queries.txt"
    path.write_text("# asked of all\nPlease segment the right hand.\n\nActive toy car?\n", encoding="utf-8")
    return path


@pytest.fixture
def run(photos, queries, tmp_path):
    return lambda *more: cli.main(
        ["batch", str(photos), "--queries", str(queries), "--out", str(tmp_path / "out"), *more]
    )


PHOTOS = ("a.jpg", "a.png", "day 2/b.JPG")


def test_every_photo_gets_a_folder_with_what_ask_writes_for_each_query(fake, run, tmp_path, capsys):
    assert run() == 0
    for photo in PHOTOS:
        folder = tmp_path / "out" / photo
        files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.*") if p.is_file())
        assert files == [
            "query_1/mask_0_right-hand.png", "query_1/overlay.png", "query_1/result.json",
            "query_2/overlay.png", "query_2/result.json",
        ]  # fmt: skip
        second = json.loads((folder / "query_2" / "result.json").read_text())
        assert (second["query"], second["groundings"]) == ("Active toy car?", [])
        assert second["analysis"] == "A right hand is holding a mug."
    assert fake.opened == 3  # each photo is encoded once
    printed = capsys.readouterr()
    assert "3 photos: 3 answered." in printed.out and "3/3" in printed.err


def test_it_goes_on_where_it_was_interrupted(fake, run, tmp_path, monkeypatch):
    asked = []

    def interrupted(image, query):
        asked.append(query)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return reply(image, query)

    fake.reply = interrupted
    assert run() == 130
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir()) == ["a.jpg", "batch.json"]  # nothing half done
    before = (out / "a.jpg").stat().st_mtime_ns
    fake.reply, fake.opened = reply, 0
    assert run() == 0
    assert fake.opened == 2 and (out / "a.jpg").stat().st_mtime_ns == before
    assert all((out / p / "query_2" / "result.json").is_file() for p in PHOTOS)


def test_a_photo_that_changed_is_asked_again(fake, run, photos):
    run()
    fake.opened = 0
    later = (photos / "a.png").stat().st_mtime + 1000
    os.utime(photos / "a.png", (later, later))
    assert run() == 0
    assert fake.opened == 1


def test_broken_photos_are_reported_and_stop_no_other(fake, run, photos, tmp_path, capsys):
    (photos / "a.jpg").write_text("no picture")
    fake.describe = lambda image: (_ for _ in ()).throw(RuntimeError("CUDA out of memory"))
    assert run() == 1
    fake.describe = lambda image: "A hand."
    capsys.readouterr()
    assert run() == 1
    printed = capsys.readouterr()
    assert "a.jpg: " in printed.err and "not a picture" in printed.err and "Traceback" not in printed.err
    assert "3 photos: 2 answered, 1 failed." in printed.out
    assert not (tmp_path / "out" / "a.jpg").exists() and (tmp_path / "out" / "a.png").is_dir()


def test_other_queries_are_refused_unless_told_to_overwrite(fake, run, queries, tmp_path, capsys):
    run()
    queries.write_text("What is it?\n")
    capsys.readouterr()
    assert run() == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "other queries" in err and "--overwrite" in err
    assert run("--overwrite") == 0
    assert [p.name for p in (tmp_path / "out" / "a.jpg").iterdir()] == ["query_1"]
    assert json.loads((tmp_path / "out" / "batch.json").read_text())["queries"] == ["What is it?"]


def test_a_server_that_fails_ends_the_batch_with_its_sentence(fake, run, capsys):
    def failing(image, query):
        raise ServiceError("the server at http://a/v1 is too busy (429)")

    fake.reply = failing
    assert run() == 2
    assert "too busy (429); the same command goes on from here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), ("# nothing\n\n", "at least one query"), ("x" * 2001, "line 1: query must be"), (b"\xff\xfe\xfa", "UTF-8")],
)  # fmt: skip
def test_queries_that_cannot_be_used(fake, run, queries, capsys, content, message):
    queries.unlink()
    if content is not None:
        queries.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run() == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and message in err
    assert fake.opened == 0


def test_a_folder_without_photos(tmp_path, queries):
    for folder, message in ((tmp_path, "holds none"), (tmp_path / "nowhere", "no folder")):
        done = subprocess.run(
            [sys.executable, "-m", "annexe_demo", "batch", str(folder), "--queries", str(queries), "--out", str(tmp_path / "o")],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1


def test_results_inside_the_photos_folder_are_no_photos(fake, photos, queries):
    command = ["batch", str(photos), "--queries", str(queries), "--out", str(photos / "out")]
    assert cli.main(command) == 0
    fake.opened = 0
    assert cli.main(command) == 0
    assert fake.opened == 0
