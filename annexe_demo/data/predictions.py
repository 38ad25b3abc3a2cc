"""Read what `annexe_demo.evaluate` wrote of a model's answers: ``predictions.jsonl``, one picture a line.

Only names and scores are kept in memory; a picture's answers and masks are read when they are asked for.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annexe_demo.data.egoirgbench import DatasetError
from annexe_demo.events import Grounding
from annexe_demo.predictions import PREDICTIONS_FILE
from annexe_demo.view.export import rle_to_mask

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictedAnswer:
    """What the model answered to one query. ``indicator`` and ``iou`` are None where there is none."""

    query: str
    answer: str
    groundings: tuple[Grounding, ...]
    indicator: float | None
    iou: float | None


@dataclass(frozen=True)
class PredictedPicture:
    """What the model said of one picture."""

    name: str
    analysis: str
    answers: tuple[PredictedAnswer, ...]

    def answer_to(self, query: str) -> PredictedAnswer | None:
        return next((a for a in self.answers if a.query == query), None)


class Predictions:
    """The predictions in a file.

    Args:
        path: the file, or the folder that `annexe_demo.evaluate --out` wrote it to.

    Raises:
        DatasetError: there is no such file, or it holds no predictions.

    Attributes:
        ious: mean IoU of each picture's mask queries by name, 0 to 1; a query without a target counts 1 when the model
            said so, else 0, as in gIoU.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path) / PREDICTIONS_FILE if Path(path).is_dir() else Path(path)
        self.ious: dict[str, float] = {}
        self._offsets: dict[str, int] = {}
        unreadable = at = 0
        try:
            with self.path.open("rb") as file:
                for line in file:
                    try:
                        entry = json.loads(line)
                        if "settings" in entry or "error" in entry:  # the header; a picture that could not be read
                            continue
                        name = entry["name"]
                        ious = [q["iou"] for q in entry["queries"] if q.get("iou") is not None]
                    except (ValueError, KeyError, TypeError, AttributeError):
                        unreadable += bool(line.strip())  # also a last line that is still being written
                    else:
                        self._offsets[name] = at
                        if ious:
                            self.ious[name] = float(np.mean(ious))
                    finally:
                        at += len(line)
        except OSError as error:
            raise DatasetError(
                f"expected predictions at {str(self.path)!r}, but they cannot be read: {error.strerror}"
            ) from error
        if not self._offsets:
            raise DatasetError(f"expected one prediction a line in {str(self.path)!r}, but there is none")
        if unreadable:
            logger.warning("%s: %d lines are no predictions", self.path, unreadable)

    def __len__(self) -> int:
        return len(self._offsets)

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Every prediction as it stands in the file, one after the other; lines that are none are passed over."""
        with self.path.open("rb") as file:
            for at in self._offsets.values():
                file.seek(at)
                try:
                    yield json.loads(file.readline())
                except ValueError:  # the file has changed since
                    continue

    def load(self, name: str) -> PredictedPicture | None:
        """The prediction of a picture; None without one.

        Raises:
            DatasetError: the line is not what it was, or misses a field.
        """
        if name not in self._offsets:
            return None
        try:
            with self.path.open("rb") as file:
                file.seek(self._offsets[name])
                entry = json.loads(file.readline())
            return PredictedPicture(name, entry.get("analysis", ""), tuple(_answer(q) for q in entry["queries"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"the prediction of {name!r} in {str(self.path)!r} cannot be read: {error}") from error


def _answer(entry: Mapping[str, Any]) -> PredictedAnswer:
    groundings = tuple(
        Grounding(n, g["label"], rle_to_mask(g["rle"]), float(g["score"]), tuple(g.get("span", (0, 0))))
        for n, g in enumerate(entry.get("groundings", ()))
    )
    return PredictedAnswer(
        entry["query"], entry.get("answer", ""), groundings, entry.get("indicator"), entry.get("iou")
    )
