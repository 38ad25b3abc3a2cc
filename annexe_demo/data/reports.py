"""Our own figures: find and read the ``report.json`` that `annexe_demo.evaluate` wrote of a model."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPORT_FILE = "report.json"
_FIELDS = {
    "model": str, "data": str, "split": str, "samples": int, "split_samples": int, "queries": int,
    "overall": dict, "by": dict, "notes": dict,
}  # fmt: skip
_NUMBERS = ("ciou", "analysis_meteor", "analysis_cider", "answer_meteor", "answer_cider")


class ReportError(ValueError):
    """A report cannot be read; the message is a sentence for people."""


@dataclass(frozen=True)
class OwnFigures:
    """Our figures, or why there are none.

    Attributes:
        report: as `annexe_demo.evaluate.make_report` returns it; None without one.
        source: the file that it comes from, or should come from, as the page may show it.
        problem: why there is no report, in a sentence; "" where there is one.
    """

    report: dict[str, Any] | None
    source: str
    problem: str = ""


def read_report(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A report's file as `annexe_demo.evaluate.make_report` returns it.

    Raises:
        ReportError: the file cannot be read, or is no report.
    """
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"the report {str(path)!r} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ReportError(f"the report {str(path)!r} must be JSON but is not") from error
    for name, kind in _FIELDS.items():
        if not isinstance(report, dict) or not isinstance(report.get(name), kind):
            raise ReportError(
                f"{str(path)!r} must be a report of annexe_demo.evaluate but has no {kind.__name__} {name!r}"
            )
    for name in _NUMBERS:
        value = report["overall"].get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ReportError(f"{name} in {str(path)!r} must be a number but got {value!r}")
    return report


def _shown(path: Path) -> str:
    """A path for the page, which need not tell visitors where on the machine things lie."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(Path(*path.parts[-2:]))


def own_figures(
    predictions: str | os.PathLike[str] | None = None, model: str | os.PathLike[str] | None = None
) -> OwnFigures:
    """Our figures from beside saved predictions, or else from the model's own folder.

    Args:
        predictions: folder or file that ``annexe_demo.evaluate --out`` wrote.
        model: the model's folder, which may hold the report of its measurement.
    """
    if predictions is not None:
        given = Path(predictions)
        path = (given if given.is_dir() else given.parent) / REPORT_FILE
        hint = f"python -m annexe_demo.evaluate --predictions {_shown(given)} --out {_shown(path.parent)} writes it"
    elif model is not None and Path(model).is_dir():
        path = Path(model) / REPORT_FILE
        hint = (
            f"measure the model with python -m annexe_demo.evaluate --model {_shown(Path(model))} --data DIR --out REPORT "
            "and start the page with --predictions REPORT"
        )
    else:
        return OwnFigures(None, "", "This model has no report of a measurement: --predictions REPORT names one.")
    if not path.is_file():
        return OwnFigures(None, _shown(path), f"There is no report of a measurement at {_shown(path)}: {hint}.")
    try:
        return OwnFigures(read_report(path), _shown(path))
    except ReportError as error:
        problem = str(error).replace(str(path), _shown(path))
        return OwnFigures(None, _shown(path), f"{problem[:1].upper()}{problem[1:]}.")
