"""Evaluation end to end, with pipelines whose right and wrong answers are known."""

import json
import os
import shutil
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

import annexe_demo.benchmark as benchmark
import annexe_demo.evaluate as evaluation
from annexe_demo.data.egoirgbench import EgoIRGBench, write_sample
from annexe_demo.data.facts import HandFact, ObjectFact, SceneFacts
from annexe_demo.evaluate import Processes, choose_queries, pick_evenly, predict, predict_all
from annexe_demo.predictions import PREDICTIONS_FILE, read_predictions
from annexe_demo.scoring import score
from annexe_demo.view.export import rle_to_mask
from tests.conftest import ROOT
from tests.fake_pipeline import FakePipeline, Reply

NO_TARGET = "There is no suitable results of your query."
SIZE = (40, 60)
CATEGORIES = ("mug", "bowl", "knife", "kettle")


def group(kind, query, answer, targets=(), caption=""):
    names, ids = [t for t, _ in targets], [i for _, i in targets]
    pad = 4 - len(names)
    return {
        "masks_idx": ids + [0] * pad, "with_mask": int(bool(names)), "caption": caption, "answer": answer,
        "tokens": names + [""] * pad, "questions": [{"query": query, "is_sentence": 1, "id": 0}], "kind": kind,
    }  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four pictures: a right hand of 100 pixels and an object of 20, its category told by the picture's first pixel."""
    root = tmp_path_factory.mktemp("data")
    for n, category in enumerate(CATEGORIES):
        image = np.full((*SIZE, 3), 50 * n, np.uint8)
        mask = np.zeros(SIZE, np.uint8)
        mask[:10, :10], mask[20:24, 20:25] = 2, 3
        caption = f"The right hand of the person is holding a red {category} over the table."
        groups = [
            group("single", "Segment the right hand.", "It is the right hand <MSK_0>.", [("right hand", 2)], caption),
            group("multi", "Segment all.", f"The right hand <MSK_0> and the {category} <MSK_1>.",
                  [("right hand", 2), (category, 3)], caption),
            group("no-target", "Segment the dragon.", NO_TARGET, caption=caption),
            group("chat", "What is it?", f"It is a red {category}.", caption=caption),
        ]  # fmt: skip
        facts = SceneFacts(
            ObjectFact(category, "red", 3, 0.5, 0.5, 20 / 2400), (HandFact("right", "power", 2),), True, "table"
        )
        depth = np.tile(np.linspace(400, 1400, SIZE[1]), (SIZE[0], 1))
        write_sample(root, "test", f"scene{n}", image, mask, depth, groups, facts)
    return root


def category_of(image):
    return CATEGORIES[int(round(float(image.mean()) / 50))]


def masks():
    hand, thing = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    hand[:10, :10], thing[20:24, 20:25] = True, True
    return hand, thing


def perfect_reply(image, query):
    hand, thing = masks()
    name = category_of(image)
    return {
        "Segment the right hand.": Reply("It is the right hand <MSK_0>.", [("right hand", hand)], 0.9),
        "Segment all.": Reply(
            f"The right hand <MSK_0> and the {name} <MSK_1>.", [("right hand", hand), (name, thing)], 0.9
        ),
        "Segment the dragon.": Reply(NO_TARGET, indicator=0.1),
        "What is it?": Reply(f"It is a red {name}."),
    }[query]


def perfect(reply=perfect_reply, describe=None):
    return FakePipeline(
        describe or (lambda i: f"The right hand of the person is holding a red {category_of(i)} over the table."),
        reply,
        lambda image: np.tile(np.linspace(0, 1, image.shape[1], dtype=np.float32), (image.shape[0], 1)),
    )


@pytest.fixture(autouse=True)
def no_java(monkeypatch):
    """METEOR starts a Java program each time, which takes seconds; tests of the metrics are the place for that."""
    monkeypatch.setattr("annexe_demo.metrics.shutil.which", lambda name: None)


def run(pipe, data):
    """Figures from records as they stand in a file."""
    return score(json.loads(json.dumps([predict(pipe, sample) for sample in EgoIRGBench(data, "test")])))


def test_perfect_answers_get_perfect_scores(data):
    got = run(perfect(), data)
    overall = got["overall"]
    for name in ("ciou", "giou", "no_target_accuracy", "indicator_accuracy"):
        assert overall[name] == 1.0, name
    for name in ("hands_correct", "category_correct", "color_correct"):
        assert overall[name] == 1.0, name
    assert overall["depth_mae"] < 0.002  # the file holds whole millimetres
    assert overall["answer_cider"] > 5 and overall["analysis_cider"] > 5
    assert (overall["ciou_left_hand"], overall["ciou_right_hand"], overall["ciou_object"]) == (None, 1.0, 1.0)
    assert got["samples"] == 4 and got["queries"] == 16
    assert set(got["by"]) == {"kind", "category", "hand", "size"}
    assert list(got["by"]["kind"]) == ["single", "multi", "no-target", "chat"]
    assert "ciou" not in got["by"]["kind"]["chat"] and got["by"]["kind"]["chat"]["queries"] == 4
    assert got["by"]["category"]["mug"]["samples"] == 1 and got["by"]["hand"]["right"]["samples"] == 4


def test_masks_below_the_indicator_count_as_empty(data):
    def shy(image, query):
        reply = perfect_reply(image, query)
        if query == "Segment the right hand.":
            reply.indicator = 0.4
        return reply

    class Leaky(FakePipeline):
        """Yields its groundings whatever its indicator says."""

        def open(self, image):
            session = super().open(image)
            ask = session.ask

            def leaky_ask(query):
                for event in ask(query):
                    yield event
                    if query == "Segment the right hand." and type(event).__name__ == "TextDelta":
                        yield evaluation.Grounding(0, "right hand", masks()[0], 0.9, (0, 1))

            session.ask = leaky_ask
            return session

    got = run(Leaky(perfect().describe, shy), data)
    # Of 4 x (100 + 120) true pixels, the 4 x 100 of the single-target query are lost.
    assert got["overall"]["ciou"] == pytest.approx(120 / 220, abs=1e-4)
    assert got["overall"]["giou"] == pytest.approx((0 + 1 + 1) / 3, abs=1e-4)
    assert got["by"]["kind"]["single"]["ciou"] == 0
    assert got["overall"]["no_target_accuracy"] == 1


def test_a_mask_for_an_absent_target_is_wrong(data):
    def eager(image, query):
        if query == "Segment the dragon.":
            return Reply("The dragon <MSK_0>.", [("dragon", masks()[1])], 0.8)
        return perfect_reply(image, query)

    got = run(perfect(eager), data)
    assert got["overall"]["no_target_accuracy"] == 0
    assert got["overall"]["giou"] == pytest.approx(2 / 3, abs=1e-4)
    assert got["by"]["kind"]["no-target"]["giou"] == 0


def test_what_the_analysis_gets_wrong(data):
    got = run(perfect(describe=lambda i: "The left hand of the person is holding a red mug over the table."), data)
    overall = got["overall"]
    assert overall["hands_correct"] == 0 and overall["category_correct"] == 0.25 and overall["color_correct"] == 1
    assert (
        got["by"]["category"]["mug"]["category_correct"] == 1 and got["by"]["category"]["bowl"]["category_correct"] == 0
    )


def test_every_figure_is_told_by_category_hand_and_size(data):
    """One mug called a bowl, and masked in the wrong place: it costs its own rows and nobody else's."""

    def reply(image, query):
        right = perfect_reply(image, query)
        if category_of(image) == "mug" and right.targets:
            right = Reply("The bowl <MSK_0>.", [("bowl", np.zeros(SIZE, bool))], 0.9)
        return right

    def describe(image):
        if category_of(image) == "mug":
            return "A person's left hand grasps a blue bowl."
        return perfect().describe(image)

    got = run(perfect(reply, describe), data)
    mug, kettle = got["by"]["category"]["mug"], got["by"]["category"]["kettle"]
    assert (mug["samples"], mug["queries"]) == (1, 4)
    assert (
        mug["ciou"]
        == mug["ciou_right_hand"]
        == mug["ciou_object"]
        == mug["hands_correct"]
        == mug["category_correct"]
        == 0
    )
    assert kettle["ciou"] == kettle["ciou_object"] == kettle["hands_correct"] == kettle["color_correct"] == 1
    assert mug["analysis_cider"] < kettle["analysis_cider"] and mug["answer_cider"] < kettle["answer_cider"]
    assert mug["no_target_accuracy"] == mug["indicator_accuracy"] == 1 and mug["depth_mae"] < 0.002
    # The means of the rows, weighted by their pictures, are the mean of all.
    rows = got["by"]["category"].values()
    assert sum(r["analysis_cider"] for r in rows) / 4 == pytest.approx(got["overall"]["analysis_cider"], abs=1e-4)
    assert list(got["by"]["hand"]) == ["right"]
    assert got["by"]["size"] == {"small (< 1 %)": got["by"]["hand"]["right"]}  # 20 of 2400 pixels
    kinds = got["by"]["kind"]
    assert kinds["no-target"]["answer_cider"] == pytest.approx(10, abs=0.01) and kinds["single"]["ciou"] == 0.75
    assert not {"samples", "analysis_cider", "depth_mae"} & set(kinds["single"])


def test_queries_are_mixed_deterministic_and_one_a_group(data):
    sample = EgoIRGBench(data, "test")[0]
    chosen = choose_queries(sample.name, sample.groups * 3, 6)
    assert [g.kind for g, _ in chosen] == ["single", "multi", "no-target", "chat", "single", "multi"]
    assert choose_queries("x", sample.groups, None) == [(g, q) for g in sample.groups for q in g.questions]
    many = [sample.groups[0]] * 3 + sample.groups[1:]
    assert len(choose_queries("x", many, 99)) == len(many)
    assert choose_queries("x", many, 4) == choose_queries("x", many, 4)
    real = EgoIRGBench(data, "test")[1].groups
    assert [q.query for _, q in choose_queries("a", real, 2)] == ["Segment the right hand.", "Segment all."]


@pytest.mark.parametrize(("count", "limit", "expected"), [
    (5, None, [0, 1, 2, 3, 4]), (5, 9, [0, 1, 2, 3, 4]), (10, 5, [0, 2, 4, 6, 8]), (200, 1, [0]), (7, 3, [0, 2, 4]),
])  # fmt: skip
def test_limit_spreads_evenly(count, limit, expected):
    assert pick_evenly(count, limit) == expected


def as_downloaded(data, root):
    """The benchmark's own folders and fields, and nothing of what only generated scenes have."""
    shutil.copytree(data, root)
    shutil.rmtree(root / "facts")
    shutil.rmtree(root / "depth")
    for path in (root / "dataset_split" / "test").iterdir():
        groups = json.loads(path.read_text())
        for group in groups:
            del group["kind"]
        path.write_text(json.dumps(groups))
    return root


def test_the_benchmark_as_downloaded(data, tmp_path):
    got = run(perfect(), as_downloaded(data, tmp_path / "bare"))
    assert got["overall"]["category_correct"] == got["overall"]["color_correct"] == got["overall"]["ciou"] == 1
    assert got["overall"]["depth_mae"] is None and got["notes"]["depth_mae"].endswith("4 of 4 pictures: no depth file")
    assert "4 of 4 pictures have no facts file" in got["notes"]["truth"]
    assert list(got["by"]["size"]) == ["small (< 1 %)"] and list(got["by"]["category"]) == sorted(CATEGORIES)


def test_depth_of_another_resolution_and_of_nothing(data, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(data, root)
    depth = cv2.imread(str(root / "depth" / "scene0.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(root / "depth" / "scene0.png"), depth[::2, ::2])
    cv2.imwrite(str(root / "depth" / "scene1.png"), np.zeros_like(depth))
    records = {s.name: predict(perfect(), s) for s in EgoIRGBench(root, "test")}
    assert records["scene0"]["depth_mae"] < 0.02
    assert (
        records["scene1"]["depth_mae"] is None and records["scene1"]["depth_note"] == "no valid pixel in the depth file"
    )


def test_an_engine_without_depth(data):
    class Flat(FakePipeline):
        def open(self, image):
            session = super().open(image)
            analyze = session.analyze
            session.analyze = lambda: (e for e in analyze() if not isinstance(e, evaluation.DepthMap))
            return session

    got = run(Flat(perfect().describe, perfect_reply), data)
    assert got["overall"]["depth_mae"] is None and "estimates no depth" in got["notes"]["depth_mae"]


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(evaluation, "load_pipeline", lambda *_: perfect())
    monkeypatch.setattr(benchmark, "load_pipeline", lambda *_: perfect())


@pytest.fixture
def no_model(monkeypatch):
    def load(*_):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(evaluation, "load_pipeline", load)


def command(data, out, *options):
    return evaluation.main(["--model", "m", "--data", str(data), "--split", "test", "--out", str(out), *options])


def figures(out):
    return (out / "report.json").read_bytes()


@pytest.fixture
def plain_report(monkeypatch):
    """Charts take a second each; test_report.py draws them."""
    monkeypatch.setattr("annexe_demo.view.report_charts.REPORT_CHARTS", {})


def test_command_writes_report_and_predictions(fake, data, tmp_path, capsys):
    out = tmp_path / "report"
    assert command(data, out, "--limit", "2") == 0
    report = json.loads((out / "report.json").read_text())
    assert list(report)[:4] == ["model", "data", "split", "samples"] and report["samples"] == 2
    assert {"ciou", "giou", "no_target_accuracy", "analysis_meteor", "analysis_cider", "answer_meteor", "answer_cider",
            "depth_mae", "hands_correct", "category_correct", "color_correct"} <= set(report["overall"])  # fmt: skip
    assert report["overall"]["answer_meteor"] is None and "Java" in report["notes"]["answer_meteor"]
    printed = capsys.readouterr().out
    assert "cIoU" in printed and "by kind" in printed and "100.0 %" in printed and "Java" in printed
    assert "# Evaluation of m" in (out / "report.md").read_text()
    assert len(list((out / "charts").glob("*.png"))) == 6

    settings, records = read_predictions(out / PREDICTIONS_FILE)
    assert (settings.model, settings.limit, settings.pictures, settings.split_pictures) == ("m", 2, 2, 4)
    assert list(records) == ["scene0", "scene2"]
    queries = records["scene0"]["queries"]
    multi = next(q for q in queries if q["kind"] == "multi")
    assert multi["iou"] == 1 and multi["groundings"][0]["score"] == 0.9 and multi["indicator"] == 0.9
    assert [np.count_nonzero(rle_to_mask(g["rle"])) for g in multi["groundings"]] == [100, 20]
    assert multi["targets"] == [["right hand", 2], ["mug", 3]]
    assert np.count_nonzero(rle_to_mask(records["scene0"]["masks"]["3"])) == 20
    chat = next(q for q in queries if q["kind"] == "chat")
    assert chat["iou"] is None and chat["groundings"] == []


def test_scored_again_without_model_and_pictures(fake, plain_report, data, tmp_path, monkeypatch):
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    assert command(copy, tmp_path / "one") == 0
    shutil.rmtree(copy)
    monkeypatch.setattr(evaluation, "load_pipeline", None)
    again = ["--predictions", str(tmp_path / "one" / PREDICTIONS_FILE), "--out", str(tmp_path / "two")]
    assert evaluation.main(again) == 0
    assert figures(tmp_path / "one") == figures(tmp_path / "two")
    assert (tmp_path / "one" / "report.md").read_text() == (tmp_path / "two" / "report.md").read_text()


class Stopping(FakePipeline):
    """Is interrupted at the picture after `count`."""

    def __init__(self, count):
        super().__init__(perfect().describe, perfect_reply, perfect().depth)
        self.count = count

    def open(self, image):
        if self.opened == self.count:
            raise KeyboardInterrupt
        return super().open(image)


def test_goes_on_where_it_was_interrupted(fake, plain_report, data, tmp_path, monkeypatch, capsys):
    assert command(data, tmp_path / "whole") == 0
    out = tmp_path / "cut"
    monkeypatch.setattr(evaluation, "load_pipeline", lambda *_: Stopping(3))
    assert command(data, out) == 130 and "goes on" in capsys.readouterr().err
    assert not (out / "report.json").exists()
    file = out / PREDICTIONS_FILE
    file.write_bytes(file.read_bytes()[:-40])  # the third picture's line was cut off
    rest = perfect()
    monkeypatch.setattr(evaluation, "load_pipeline", lambda *_: rest)
    assert command(data, out) == 0
    assert rest.opened == 2 and "2 of 4 pictures are predicted already" in capsys.readouterr().err
    assert figures(out) == figures(tmp_path / "whole")
    assert file.read_bytes() == (tmp_path / "whole" / PREDICTIONS_FILE).read_bytes()


def test_whole_predictions_need_no_model(fake, plain_report, data, tmp_path, monkeypatch):
    assert command(data, tmp_path) == 0
    monkeypatch.setattr(evaluation, "load_pipeline", None)
    assert command(data, tmp_path) == 0


@pytest.mark.parametrize(("options", "words"), [
    (["--limit", "3"], "limit is 2 and not 3"), ([], "limit is 2 and not all"), (["--model", "n"], "model is 'm' and not 'n'"),
    (["--limit", "2", "--queries-per-image", "all"], "queries per image is 6 and not all"),
])  # fmt: skip
def test_other_settings_are_refused(fake, no_model, data, tmp_path, capsys, monkeypatch, options, words):
    with monkeypatch.context() as m:
        m.setattr(evaluation, "load_pipeline", lambda *_: perfect())
        m.setattr("annexe_demo.view.report_charts.REPORT_CHARTS", {})
        assert command(data, tmp_path, "--limit", "2") == 0
    capsys.readouterr()
    assert command(data, tmp_path, *options) == 2
    err = capsys.readouterr().err
    assert words in err and "--overwrite" in err and len(err.splitlines()) == 1


def test_a_changed_model_or_picture_is_noticed(fake, plain_report, data, tmp_path, capsys):
    copy, model = tmp_path / "data", tmp_path / "model"
    shutil.copytree(data, copy)
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"1")
    options = ["--model", str(model)]
    assert command(copy, tmp_path / "out", *options) == 0
    (model / "model.safetensors").write_bytes(b"2")
    capsys.readouterr()
    assert command(copy, tmp_path / "out", *options) == 2
    assert "the model's files have changed" in capsys.readouterr().err
    assert command(copy, tmp_path / "out", *options, "--overwrite") == 0
    path = copy / "dataset_split" / "test" / "scene1.json"
    path.write_text(path.read_text().replace("dragon", "wyvern"))
    capsys.readouterr()
    assert command(copy, tmp_path / "out", *options) == 2
    assert "query files or photos have changed" in capsys.readouterr().err


def test_a_picture_that_cannot_be_read_is_left_out_and_tried_again(fake, plain_report, data, tmp_path, capsys):
    copy, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(data, copy)
    mask = copy / "mask" / "scene2.png"
    kept = mask.read_bytes()
    mask.unlink()
    assert command(copy, out) == 0
    report = json.loads(figures(out))
    assert report["samples"] == 3 and report["overall"]["ciou"] == 1
    assert "1 of 4 pictures" in report["notes"]["unreadable"] and "scene2" in report["notes"]["unreadable"]
    mask.write_bytes(kept)
    assert command(copy, out) == 0
    report = json.loads(figures(out))
    assert report["samples"] == 4 and "unreadable" not in report["notes"]


def test_nothing_but_unreadable_pictures(fake, data, tmp_path, capsys):
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    shutil.rmtree(copy / "mask")
    assert command(copy, tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert "could be read" in err and "index map" in err


def test_index_map_of_another_size_than_the_photo(data, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    cv2.imwrite(str(copy / "mask" / "scene0.png"), np.zeros((20, 30), np.uint8))
    with pytest.raises(evaluation.DatasetError, match=r"\(40, 60\) but is \(20, 30\)"):
        predict(perfect(), EgoIRGBench(copy, "test")[0])


def test_several_processes_share_the_pictures(fake, plain_report, data, tmp_path, monkeypatch):
    """Two that wait for each other as accelerate's do, against one alone."""
    assert command(data, tmp_path / "one") == 0
    barrier = threading.Barrier(2, timeout=30)
    pipes = {}

    def load(model, device):
        return pipes.setdefault(device, perfect())

    monkeypatch.setattr(evaluation, "load_pipeline", load)
    ranks = threading.local()
    monkeypatch.setattr(
        Processes, "join", lambda _: Processes(ranks.rank, 2, f"device {ranks.rank}", lambda: barrier.wait() and None)
    )
    codes = {}

    def work(rank):
        ranks.rank = rank
        codes[rank] = command(data, tmp_path / "two")

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {0: 0, 1: 0}
    assert {device: pipe.opened for device, pipe in pipes.items()} == {"device 0": 2, "device 1": 2}
    assert [p.name for p in (tmp_path / "two").glob("predictions*")] == [PREDICTIONS_FILE]
    assert figures(tmp_path / "one") == figures(tmp_path / "two")


LAUNCHED = """
import os
import sys
from pathlib import Path
import annexe_demo.evaluate as evaluation
import annexe_demo.metrics as metrics
import annexe_demo.view.report_charts as report_charts
from tests.test_evaluate import perfect

evaluation.load_pipeline = lambda model, device: Path(os.environ["RANK"]).write_text(device) and perfect()
metrics.shutil.which = lambda name: None
report_charts.REPORT_CHARTS = {}
sys.exit(evaluation.main())
"""


def test_processes_of_a_real_launcher(fake, plain_report, data, tmp_path):
    """torchrun, which accelerate launch runs too; on the CPU wherever the test runs."""
    assert command(data, tmp_path / "one") == 0
    script = tmp_path / "launched.py"
    script.write_text(LAUNCHED)
    args = ["--model", "m", "--data", str(data), "--split", "test", "--out", str(tmp_path / "two")]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script), *args],
        env=os.environ | {"PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / rank).read_text()[:3] for rank in "01"] == ["cpu", "cpu"]
    assert done.stdout.count("4 of the split's 4 pictures") == 1
    assert figures(tmp_path / "one") == figures(tmp_path / "two")


def test_one_process_goes_on_after_two(fake, plain_report, data, tmp_path, monkeypatch):
    assert command(data, tmp_path / "one") == 0
    out = tmp_path / "two"
    shutil.copytree(tmp_path / "one", out)
    lines = (out / PREDICTIONS_FILE).read_bytes().splitlines(keepends=True)
    (out / PREDICTIONS_FILE).write_bytes(b"".join(lines[:2]))
    (out / "predictions.1.jsonl").write_bytes(lines[0] + lines[3] + lines[4][:50])
    rest = perfect()
    monkeypatch.setattr(evaluation, "load_pipeline", lambda *_: rest)
    assert command(data, out) == 0
    assert rest.opened == 2 and not (out / "predictions.1.jsonl").exists()
    assert figures(out) == figures(tmp_path / "one")


def test_a_device_is_not_given_to_several_processes(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert command(data, tmp_path, "--device", "cpu") == 2
    assert "--device must be left out" in capsys.readouterr().err


def test_batch_works_on_pictures_at_once_and_keeps_their_order(data):
    """Three sessions must be open together, or the barrier breaks; the last picture comes alone."""
    barrier = threading.Barrier(3, timeout=10)
    opened = []

    class Meeting(FakePipeline):
        def open(self, image):
            opened.append(1)
            if len(opened) <= 3:
                barrier.wait()
            return super().open(image)

    dataset = EgoIRGBench(data, "test")
    pipe = Meeting(perfect().describe, perfect_reply, perfect().depth)
    together = list(predict_all(pipe, dataset, dataset.names, 6, batch=3))
    assert together == list(predict_all(perfect(), dataset, dataset.names, 6))


def test_meteor_scores_reference_and_hypothesis_in_their_places(data, monkeypatch):
    pairs = []

    def meteor_of(self, selections):
        pairs.append((self._references, self._hypotheses))
        return [0.5] * len(selections), None

    monkeypatch.setattr("annexe_demo.metrics.TextMetrics.meteor_of", meteor_of)
    got = run(perfect(describe=lambda image: "Something else."), data)
    assert got["notes"] == {} and got["overall"]["analysis_meteor"] == got["overall"]["answer_meteor"] == 0.5
    references, hypotheses = pairs[0]
    assert set(hypotheses) == {"something else"} and all("right hand" in r for r in references)
    assert len(pairs[0][0]) == 4 and len(pairs[1][0]) == 16


@pytest.mark.parametrize(("change", "words"), [
    ({"--data": "nowhere"}, "nowhere"), ({"--split": "val"}, "val"), ({"--model": "./no-model"}, "no-model"),
])  # fmt: skip
def test_bad_input_is_one_line(data, tmp_path, capsys, change, words):
    options = {"--model": "m", "--data": str(data), "--split": "test", "--out": str(tmp_path)} | change
    assert evaluation.main([a for pair in options.items() for a in pair]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and words in err


def test_benchmark_prints_its_figures(fake, data, capsys, monkeypatch):
    monkeypatch.setattr(benchmark, "EXAMPLES", data)
    image, query = benchmark.example_with_two_masks(data)
    assert query == "Segment all." and image.shape == (*SIZE, 3)
    timing = benchmark.measure(perfect(), image, query)
    assert timing.masks == 2 and timing.tokens > 10 and timing.turn >= timing.first_text > 0
    monkeypatch.setattr(benchmark, "example_with_two_masks", lambda: (image, query))
    assert benchmark.main(["--runs", "2", "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    for label in (
        "load model",
        "open (encode)",
        "analyze",
        "ask (2 masks)",
        "whole turn",
        "tokens a second",
        "peak memory",
    ):
        assert label in printed


def test_benchmark_without_an_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert benchmark.main([]) == 2
    assert "--photo" in capsys.readouterr().err
