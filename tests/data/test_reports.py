"""Our own figures: found beside predictions or in the model's folder, and what is said where there are none."""

from __future__ import annotations

import json

import pytest

from annexe_demo.data.reports import ReportError, own_figures, read_report

REPORT = {
    "model": "weights/m", "data": "data/test", "split": "test", "samples": 2, "split_samples": 2, "queries": 9,
    "queries_per_image": 6, "overall": {"ciou": 0.5}, "by": {}, "notes": {},
}  # fmt: skip


def test_the_report_beside_the_predictions_comes_before_the_models(tmp_path):
    model, report = tmp_path / "model", tmp_path / "report"
    for folder, name in ((model, "models"), (report, "saved")):
        folder.mkdir()
        (folder / "report.json").write_text(json.dumps(REPORT | {"model": name}))
    assert own_figures(report, model).report["model"] == "saved"
    assert own_figures(report / "predictions.jsonl", model).report["model"] == "saved"
    found = own_figures(None, model)
    assert found.report["model"] == "models" and found.source == f"{model.name}/report.json" and not found.problem


def test_a_missing_report_is_told_with_the_command_that_makes_one(tmp_path):
    (tmp_path / "model").mkdir()
    assert own_figures().report is None and "--predictions" in own_figures().problem
    problem = own_figures(None, tmp_path / "model").problem
    assert " model/report.json:" in problem and "annexe_demo.evaluate --model" in problem
    assert "annexe_demo.evaluate --predictions" in own_figures(tmp_path).problem
    assert own_figures(None, "user/model-of-the-hub").problem


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json", "must be JSON"),
        ("[]", "must be a report of annexe_demo.evaluate but has no str 'model'"),
        (json.dumps(REPORT | {"by": 3}), "no dict 'by'"),
        (json.dumps(REPORT | {"overall": {"ciou": "<b>"}}), "ciou in .* must be a number"),
    ],
)
def test_what_is_no_report_is_refused_in_a_sentence(tmp_path, content, message):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(ReportError, match=message):
        read_report(path)
    found = own_figures(tmp_path)
    assert found.report is None and found.problem.endswith(".")


def test_a_report_beside_the_weights_leaves_their_checksum_alone(tmp_path):
    from annexe_demo.evaluate import _checksum

    (tmp_path / "config.json").write_text("{}")
    before = _checksum(tmp_path)
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    assert _checksum(tmp_path) == before
