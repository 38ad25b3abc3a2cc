"""Legend, depth colours and charts."""

import json

import numpy as np
import pytest

from annexe_demo.events import Grounding
from annexe_demo.view import charts
from annexe_demo.view.charts import plot_training_log, read_training_log, smooth, split_runs
from annexe_demo.view.depth import colorize_depth
from annexe_demo.view.legend import Segment, answer_segments, legend
from annexe_demo.view.palette import color_for

ANSWER = "The mask of the right hand is <MSK_0>, the mask of mug is <MSK_1>."


def groundings():
    mask = np.zeros((10, 20), bool)
    mask[:5, :4] = True
    spans = [(start := ANSWER.index(label), start + len(label)) for label in ("right hand", "mug")]
    return [Grounding(i, ANSWER[a:b], mask, 0.8, (a, b)) for i, (a, b) in enumerate(spans)]


def test_legend_in_the_order_of_the_answer():
    entries = legend(reversed(groundings()))
    assert [(e.index, e.label, e.area, e.score) for e in entries] == [(0, "right hand", 0.1, 0.8), (1, "mug", 0.1, 0.8)]
    assert [e.color for e in entries] == [color_for(0, "right hand"), color_for(1, "mug")]


def test_segments_colour_the_phrases_and_lose_no_word():
    assert answer_segments(ANSWER, groundings()) == [
        Segment("The mask of the "),
        Segment("right hand", 0),
        Segment(" is, the mask of "),
        Segment("mug", 1),
        Segment(" is."),
    ]
    kept = answer_segments(ANSWER, groundings(), keep_tokens=True)
    assert "".join(s.text for s in kept) == ANSWER


@pytest.mark.parametrize("spans", [[(0, 99)], [(5, 5)], [(3, 9), (4, 12)]])
def test_spans_that_do_not_fit_lose_no_text(spans):
    mask = np.zeros((2, 2), bool)
    text = "The right hand."
    parts = answer_segments(text, [Grounding(i, "x", mask, 1, s) for i, s in enumerate(spans)])
    assert "".join(p.text for p in parts) == text


def test_depth_near_is_bright_far_is_dark():
    depth = np.array([[0.0, 0.5, 1.0, -3.0, 9.0, np.nan]], np.float32)
    got = colorize_depth(depth).astype(int)
    assert got.shape == (1, 6, 3)
    near, middle, far, below, beyond, unknown = got[0]
    assert near.sum() > middle.sum() > far.sum()
    assert (below == near).all() and (beyond == far).all() and (unknown == 128).all()
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        colorize_depth(np.zeros((2, 2, 1)))


def test_depth_brightness_falls_evenly():
    grey = colorize_depth(np.linspace(0, 1, 256, dtype=np.float32)[None])[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(grey) <= 1).all() and grey[0] - grey[-1] > 200


def write_log(path, tail=""):
    rows = [{"step": 10 * i, "minutes": i, "norm": 1.0, "des": 3 / i, "ans": 2 / i, "pxl": 0.5} for i in range(1, 9)]
    rows.insert(4, {"step": 45, "minutes": 4, "val": {"des": 1.0, "iou_left": 0.5}})
    path.write_text("\n".join(map(json.dumps, rows)) + "\n" + tail)
    return rows


def test_training_log_round_trip_and_half_written_line(tmp_path):
    rows = write_log(tmp_path / "log.jsonl", tail='{"step": 90, "de')
    assert read_training_log(tmp_path / "log.jsonl") == rows
    (tmp_path / "bad.jsonl").write_text('nonsense\n{"step": 1}\n')
    with pytest.raises(ValueError, match="line 1"):
        read_training_log(tmp_path / "bad.jsonl")


def test_training_chart_draws_every_series(tmp_path):
    figure = plot_training_log(write_log(tmp_path / "log.jsonl"))
    labels = [{t.get_text() for t in a.get_legend().get_texts()} for a in figure.axes]
    assert labels == [{"des", "ans", "pxl"}, {"des"}, {"iou_left"}]
    figure.savefig(tmp_path / "chart.png")
    assert (tmp_path / "chart.png").stat().st_size > 5000
    plot_training_log([])


def test_runs_follow_each_other_and_resumed_ones_go_on():
    rows = [{"step": s} for s in (10, 20, 30, 25, 35)]  # resumed from a checkpoint at 20
    rows += [{"step": 10}, {"step": 20}]  # anew
    rows += [{"step": s, "run": "text"} for s in (30, 40)]  # named, so another one though it counts on
    assert [[r["step"] for r in run] for run in split_runs(rows)] == [[10, 20, 25, 35], [45, 55], [85, 95]]
    assert split_runs([]) == []


def test_no_line_leads_from_one_run_to_the_next():
    rows = [{"step": s, "des": 1.0} for s in (10, 20)] * 2
    axes = plot_training_log(rows).axes[0]
    drawn = [line.get_xdata().tolist() for line in axes.lines if line.get_linewidth() == 1.6]
    assert drawn == [[10, 20], [30, 40]]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["des"] and "2 runs" in axes.get_xlabel()


def test_command_draws_a_log(tmp_path, capsys):
    write_log(tmp_path / "train_log.jsonl")
    assert charts.main([str(tmp_path), "--out", str(tmp_path / "new" / "light.png")]) == 0
    assert charts.main([str(tmp_path / "train_log.jsonl"), "--out", str(tmp_path / "dark.png"), "--dark"]) == 0
    assert (tmp_path / "new" / "light.png").read_bytes()[1:4] == b"PNG" == (tmp_path / "dark.png").read_bytes()[1:4]
    assert charts.main([str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "x.png")]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "none.jsonl" in err


def test_smoothing_starts_at_the_first_value_and_skips_gaps():
    got = smooth(np.array([4.0, np.nan, 4.0, 0.0]), weight=0.5)
    assert got[:3].tolist() == [4, 4, 4] and 0 < got[3] < 4
