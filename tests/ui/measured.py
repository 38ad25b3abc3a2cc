"""A small folder with saved predictions and their report, made by the evaluation itself with a stand-in for the model."""

from __future__ import annotations

import json
from pathlib import Path

from annexe_demo.data.catalogue import Catalogue
from annexe_demo.data.egoirgbench import EgoIRGBench
from annexe_demo.data.reports import REPORT_FILE, OwnFigures, own_figures
from annexe_demo.evaluate import make_report, predict, run_settings
from annexe_demo.predictions import PREDICTIONS_FILE, write_predictions
from tests.drawn_scenes import write_drawn_dataset
from tests.ui.stand_in import StandIn


def write_measured(folder: Path, pictures: int = 9) -> tuple[Catalogue, OwnFigures]:
    """Catalogue and figures of `pictures` drawn scenes, all of them predicted but the last two."""
    dataset = EgoIRGBench(write_drawn_dataset(folder / "data", {"test": pictures}, (72, 128)), "test")
    samples = list(dataset)[:-2]
    settings = run_settings("weights/stand-in", dataset, [s.name for s in samples], None, 6)
    records = [predict(StandIn(), sample) for sample in samples]
    report = folder / "report"
    report.mkdir()
    write_predictions(report / PREDICTIONS_FILE, settings, records)
    (report / REPORT_FILE).write_text(json.dumps(make_report(settings, records)))
    return Catalogue(folder / "data", report, folder / "cache"), own_figures(report)
