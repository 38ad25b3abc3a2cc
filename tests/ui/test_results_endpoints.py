"""The endpoints of saved predictions and results over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gradio_client import Client

from annexe_demo.data.catalogue import Catalogue
from annexe_demo.data.published import PUBLISHED
from annexe_demo.data.reports import REPORT_FILE, own_figures, read_report
from annexe_demo.ui import build_interface, launch_options
from annexe_demo.ui.texts import ENGLISH
from tests.ui.measured import write_measured
from tests.ui.stand_in import StandIn

ROOT = Path(__file__).resolve().parents[2]


def launched(catalogue, own):
    page = build_interface(StandIn(), None, catalogue=catalogue, own=own)
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options(catalogue))
    return page, Client(url, verbose=False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    return write_measured(tmp_path_factory.mktemp("measured"))


@pytest.fixture(scope="module")
def client(measured):
    page, client = launched(*measured)
    yield client
    page.close()


@pytest.fixture(scope="module")
def bare(measured, tmp_path_factory):
    """A page without predictions, and with a model that was never measured."""
    catalogue = Catalogue(measured[0].index.root, cache_dir=tmp_path_factory.mktemp("cache"))
    page, client = launched(catalogue, own_figures(None, tmp_path_factory.mktemp("model")))
    yield client
    page.close()


def test_overview_gives_extremes_confusion_and_sizes(client, measured):
    found = client.predict(api_name="/overview")
    ious = measured[0].predictions.ious
    assert found["pictures"] == len(ious) == 7
    by_iou = sorted(ious, key=lambda name: (ious[name], name))
    assert [r["name"] for r in found["worst"]] == by_iou[:6]
    assert [r["iou"] for r in found["best"]] == sorted([round(v, 5) for v in ious.values()], reverse=True)[:6]
    # The stand-in always says "right hand".
    assert sum(row["right"] for row in found["hands_in_analyses"].values()) == 7
    assert found["hands_in_analyses"]["left"]["right"] > 0
    assert sum(row["queries"] for row in found["by_object_size"]) == found["queries"] > 0


def test_results_have_the_published_figures_with_sources_and_ours_apart(client, measured):
    found = client.predict(api_name="/results")
    assert [p["model"] for p in found["published"]] == [p.model for p in PUBLISHED]
    assert all(p["source_url"].startswith("https://") for p in found["published"])
    assert found["ours"]["overall"]["ciou"] == measured[1].report["overall"]["ciou"]
    assert found["ours_source"].endswith("report.json") and found["ours_missing"] is None
    assert "cannot be compared directly" in found["note"] and "generated scenes" in found["note"]


def test_without_predictions_and_report_it_is_said_in_a_sentence(bare):
    with pytest.raises(Exception, match=ENGLISH.explorer.overview.no_predictions.split(":")[0]):
        bare.predict(api_name="/overview")
    found = bare.predict(api_name="/results")
    assert found["ours"] is None and "annexe_demo.evaluate --model" in found["ours_missing"]
    assert len(found["published"]) == len(PUBLISHED)


def test_visitors_are_not_told_where_on_the_machine_reports_lie(tmp_path, monkeypatch):
    for write in (None, "{}", json.dumps(read_report(ROOT / "weights" / "annexe-mini" / REPORT_FILE))):
        if write is not None:
            (tmp_path / "model").mkdir(exist_ok=True)
            (tmp_path / "model" / REPORT_FILE).write_text(write)
        for predictions, model in ((None, tmp_path / "model"), (tmp_path / "model", None)):
            own = own_figures(predictions, model)
            assert str(tmp_path) not in own.source + own.problem
    assert own.source == f"model/{REPORT_FILE}" and own.report is not None
    monkeypatch.chdir(tmp_path.parent)
    assert own_figures(tmp_path / "model").source == f"{tmp_path.name}/model/{REPORT_FILE}"
