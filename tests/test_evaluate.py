"""Evaluation end to end, with pipelines whose right and wrong answers are known."""

import json
import shutil

import numpy as np
import pytest

import annexe_demo.benchmark as benchmark
import annexe_demo.evaluate as evaluation
from annexe_demo.data.egoirgbench import EgoIRGBench, write_sample
from annexe_demo.data.facts import HandFact, ObjectFact, SceneFacts
from annexe_demo.evaluate import choose_queries, evaluate, pick_evenly
from annexe_demo.view.export import rle_to_mask
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


def run(pipe, data, **options):
    return evaluate(pipe, EgoIRGBench(data, "test"), **options).to_dict()


def test_perfect_answers_get_perfect_scores(data):
    got = run(perfect(), data)
    overall = got["overall"]
    for name in ("ciou", "giou", "no_target_accuracy", "indicator_accuracy"):
        assert overall[name] == 1.0, name
    for name in ("hands_correct", "category_correct", "color_correct"):
        assert overall[name] == 1.0, name
    assert overall["depth_mae"] < 0.002  # the file holds whole millimetres
    assert overall["answer_cider"] > 5 and overall["analysis_cider"] > 5
    assert got["by"]["target"] == {"object": {"ciou": 1.0}, "right hand": {"ciou": 1.0}}
    assert set(got["by"]) == {"kind", "category", "hand", "size", "target"}
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


def test_sizes_sort_queries_by_their_target(data):
    by_size = run(perfect(), data)["by"]["size"]
    assert {name: row["queries"] for name, row in by_size.items()} == {"medium (1 to 5 %)": 4, "large (> 5 %)": 4}


def test_queries_are_mixed_deterministic_and_one_a_group(data):
    sample = EgoIRGBench(data, "test")[0]
    chosen = choose_queries(sample.name, sample.groups * 3, 6)
    assert [g.kind for g, _ in chosen] == ["single", "multi", "no-target", "chat", "single", "multi"]
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


def test_without_facts_the_caption_is_the_truth(data, tmp_path):
    shutil.copytree(data, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "facts")
    shutil.rmtree(tmp_path / "bare" / "depth")
    got = run(perfect(), tmp_path / "bare")
    assert got["overall"]["category_correct"] == 1 and got["overall"]["depth_mae"] is None


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(evaluation, "load_pipeline", lambda *_: perfect())
    monkeypatch.setattr(benchmark, "load_pipeline", lambda *_: perfect())


def test_command_writes_report_and_predictions(fake, data, tmp_path, capsys):
    out = tmp_path / "report"
    args = ["--model", "m", "--data", str(data), "--split", "test", "--limit", "2", "--out", str(out)]
    assert evaluation.main(args) == 0
    report = json.loads((out / "report.json").read_text())
    assert list(report)[:4] == ["model", "data", "split", "samples"] and report["samples"] == 2
    assert {"ciou", "giou", "no_target_accuracy", "analysis_meteor", "analysis_cider", "answer_meteor", "answer_cider",
            "depth_mae", "hands_correct", "category_correct", "color_correct"} <= set(report["overall"])  # fmt: skip
    assert report["overall"]["answer_meteor"] is None and "Java" in report["notes"]["answer_meteor"]
    printed = capsys.readouterr().out
    assert "ciou" in printed and "by kind" in printed and "1.000" in printed and "Java" in printed

    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == ["scene0", "scene2"]
    multi = next(q for q in lines[0]["queries"] if q["kind"] == "multi")
    assert multi["iou"] == 1 and multi["score"] == 0.9 and multi["indicator"] == 0.9
    assert [np.count_nonzero(rle_to_mask(g["rle"])) for g in multi["groundings"]] == [100, 20]
    chat = next(q for q in lines[0]["queries"] if q["kind"] == "chat")
    assert chat["iou"] is None and chat["groundings"] == []


def test_meteor_scores_reference_and_hypothesis_in_their_places(data, monkeypatch):
    pairs = []

    def meteor(self):
        pairs.append((self._references, self._hypotheses))
        return 0.5, None

    monkeypatch.setattr("annexe_demo.metrics.TextMetrics.meteor", meteor)
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
