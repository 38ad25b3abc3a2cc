"""The index of a folder: what it finds, that it is built once, and what it says of bad folders."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest

from annexe_demo.data.egoirgbench import DatasetError, EgoIRGBench, Group, Question, write_sample
from annexe_demo.data.index import DatasetIndex, Filters, cache_folder, interaction_of

IMAGE, MASK = np.full((36, 64, 3), 90, np.uint8), np.zeros((36, 64), np.uint8)
MASK[4:20, 4:30], MASK[20:30, 30:50] = 2, 3
HELD = "The right hand of the person is holding a red mug."


def group(kind: str, query: str, caption: str = HELD) -> Group:
    tokens, ids = {"single": (("mug",), (3,)), "multi": (("right hand", "mug"), (2, 3))}.get(kind, ((), ()))
    answer = {"single": "It is <MSK_0>.", "no-target": "There is no suitable results."}.get(kind, "It is red.")
    return Group(tokens, ids, bool(tokens), caption, answer, (Question(query, True, 0),), kind)


def add(root, split: str, name: str, *groups: Group) -> None:
    write_sample(root, split, name, IMAGE, MASK, None, groups)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data"
    add(root, "train", "a1", group("single", "Segment the mug"), group("chat", "What colour is it?"))
    add(root, "test", "b2", group("no-target", "Any kettle?", "Both hands are pressing a blue stapler."))
    add(root, "test", "c3", group("multi", "Hands and objects", "The left hand is holding a green bowl."))
    return root


@pytest.fixture
def index(root, tmp_path):
    index = DatasetIndex(root, {"b2": 0.2, "a1": 0.9}, tmp_path / "cache")
    assert index.wait(20).ready
    return index


def names(index: DatasetIndex, order="name", **filters) -> list[str]:
    return [row.name for row in index.query(Filters(**filters), order).rows]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["a1", "b2", "c3"]),
        ({"split": "test"}, ["b2", "c3"]),
        ({"split": "val"}, []),
        ({"category": "mug"}, ["a1"]),
        ({"hand": "both"}, ["b2"]),
        ({"hand": "left", "split": "train"}, []),
        ({"kind": "chat"}, ["a1"]),
        ({"with_mask": True}, ["a1", "c3"]),
        ({"with_mask": False}, ["a1", "b2"]),
        ({"kind": "single", "with_mask": False}, []),
        ({"text": "kettle"}, ["b2"]),
        ({"text": "HOLD"}, ["a1", "c3"]),
        ({"text": "holding bowl"}, ["c3"]),
        ({"text": "colour", "with_mask": True}, []),
        ({"text": "C3"}, ["c3"]),
        ({"text": "c3", "kind": "single"}, []),
        ({"text": "  "}, ["a1", "b2", "c3"]),
        ({"text": "?!"}, []),
        ({"text": "\" OR 1=1; --'"}, []),
    ],
)
def test_filters(index, filters, expected):
    assert names(index, **filters) == expected


def test_sorting_by_predicted_iou_puts_pictures_without_one_last(index):
    assert names(index, "worst") == ["b2", "a1", "c3"]
    assert names(index, "best") == ["a1", "b2", "c3"]
    assert [row.iou for row in index.query().rows] == [0.9, 0.2, None]


def test_pages(index):
    page = index.query(page=1, size=2)
    assert [row.name for row in page.rows] == ["c3"]
    assert (page.total, page.number, page.count) == (3, 1, 2)
    assert index.query(page=99, size=2).number == 1
    empty = index.query(Filters(text="nowhere"), page=3)
    assert (empty.rows, empty.total, empty.number, empty.count) == ((), 0, 0, 1)


def test_a_row_says_what_is_in_the_picture(index):
    row = index.query(Filters(text="a1")).rows[0]
    assert (row.split, row.category, row.hand, row.caption, row.queries) == ("train", "mug", "right", HELD, 2)
    assert index.categories() == ["bowl", "mug", "stapler"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(filters={"split": "all"}), "split must be one of train, val, test but got 'all'"),
        (dict(filters={"kind": "x"}), "kind must be one of"),
        (dict(filters={"hand": "x"}), "hand must be one of"),
        (dict(filters={"text": "x" * 201}), "at most 200 characters but got 201"),
        (dict(order="x"), "order must be one of"),
        (dict(page=-1), "page must be 0 or more but got -1"),
        (dict(size=0), "size must be 1 to 200 but got 0"),
    ],
)
def test_what_makes_no_sense_is_refused(index, arguments, message):
    with pytest.raises(ValueError, match=message):
        index.query(Filters(**arguments.pop("filters", {})), **arguments)


def test_the_first_page_is_listed_before_the_index_is_built(root, tmp_path, monkeypatch):
    monkeypatch.setattr(DatasetIndex, "_build", lambda self, path, work: None)
    index = DatasetIndex(root, cache_dir=tmp_path / "cache")
    page = index.query(size=2)
    assert [row.name for row in page.rows] == ["a1", "b2"] and page.total == 3
    assert not index.progress.ready


def test_the_index_is_built_once_and_anew_when_the_folder_changes(root, index, tmp_path, monkeypatch):
    loaded = []
    load = EgoIRGBench.load
    monkeypatch.setattr(EgoIRGBench, "load", lambda self, name: loaded.append(name) or load(self, name))
    again = DatasetIndex(root, cache_dir=tmp_path / "cache")
    assert again.wait(20).ready and names(again, category="mug") == ["a1"]
    assert loaded == []
    add(root, "val", "d4", group("single", "Segment the mug"))
    changed = DatasetIndex(root, cache_dir=tmp_path / "cache")
    assert changed.wait(20).ready and names(changed, category="mug") == ["a1", "d4"]
    assert len(list((tmp_path / "cache").glob("*"))) == 1


def test_a_file_that_cannot_be_read_is_left_out_and_told(root, tmp_path):
    (root / "dataset_split/test/bad.json").write_text("{")
    (root / "dataset_split/test/nophoto.json").write_text(json.dumps([group("single", "x").to_dict()]))
    index = DatasetIndex(root, cache_dir=tmp_path / "cache")
    progress = index.wait(20)
    assert progress.ready and progress.unreadable == 2
    assert names(index) == ["a1", "b2", "c3"]
    assert any("bad.json" in problem for problem in index.problems())
    assert DatasetIndex(root, cache_dir=tmp_path / "cache").wait(20).unreadable == 2


def test_a_damaged_index_file_is_replaced(root, index, tmp_path):
    (file,) = (tmp_path / "cache").glob("index-*.sqlite")
    file.write_bytes(b"not a database")
    again = DatasetIndex(root, cache_dir=tmp_path / "cache")
    assert again.wait(20).ready and names(again) == ["a1", "b2", "c3"]


def test_without_a_place_to_keep_it_the_index_is_for_this_run(root, tmp_path):
    (tmp_path / "file").write_text("")
    index = DatasetIndex(root, cache_dir=tmp_path / "file" / "cache")
    assert index.wait(20).ready and names(index, kind="chat") == ["a1"]


def test_an_index_that_fails_says_so_and_the_list_stays(root, tmp_path, monkeypatch):
    def fail(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(DatasetIndex, "_write", fail)
    index = DatasetIndex(root, cache_dir=tmp_path / "cache")
    assert "disk is full" in index.wait(20).error
    assert index.query().total == 3
    with pytest.raises(DatasetError, match="disk is full"):
        index.query(Filters(kind="chat"))


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.write_text("x"), lambda p: p.mkdir()])
def test_a_folder_of_another_kind_is_refused_in_a_sentence(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(DatasetError, match="layout of Ego-IRGBench at .*x', but"):
        DatasetIndex(tmp_path / "x")


def test_only_pictures_of_the_folder_are_loaded(index, root, tmp_path):
    assert index.load("train", "a1").name == "a1" and index.photo_path("train", "a1").is_file()
    for split, name in (("test", "a1"), ("train", "../train/a1"), ("..", "a1")):
        assert index.photo_path(split, name) is None
        with pytest.raises(DatasetError, match="but there is none"):
            index.load(split, name)


def test_the_hand_is_read_from_the_facts_where_there_are_some(tmp_path):
    from tests.drawn_scenes import write_drawn_dataset

    for with_facts in (True, False):
        root = write_drawn_dataset(tmp_path / str(with_facts), {"test": 6}, (36, 64), with_facts)
        found = [interaction_of(s) for s in EgoIRGBench(root, "test")]
        if with_facts:
            truth = found
    assert truth == found and len(set(truth)) > 2


def test_each_folder_has_its_own_cache(tmp_path):
    assert cache_folder(tmp_path / "a") != cache_folder(tmp_path / "b")
    assert cache_folder(tmp_path / "a") == cache_folder(tmp_path / "b" / ".." / "a")
