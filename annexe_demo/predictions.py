"""Predictions as a file: what a model said and masked, beside what is true, so that it can be scored without either.

``predictions.jsonl`` holds a header, the `Settings` of the run, and one JSON object a picture::

    {"name": str, "size": [H, W],
     "analysis": str, "reference": str,                  what the model said, and the true sentence
     "truth": {"hands": [str], "category": str | null, "color": str | null, "object_share": float | null,
               "source": "facts" | "caption"},           object_share: of the picture's pixels, the active object's
     "depth_mae": float | null, "depth_note": str | null,  one of both, see `annexe_demo.metrics.depth_mae`
     "masks": {"<index>": rle},                          the true masks, COCO run-length encoding, by index value
     "queries": [{"query": str, "kind": str, "answer": str, "reference": str, "indicator": float | null,
                  "targets": [[label, index]],           the true ones; index names one of "masks"
                  "groundings": [{"label": str, "score": float, "span": [int, int], "rle": rle}],
                  "iou": float | null}]}                 for readers: scoring computes it again

or for a picture that could not be read ``{"name": str, "error": str}``. Lines are flushed as they are made, in any order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PREDICTIONS_FILE = "predictions.jsonl"
_SHARE_FILE = "predictions.{}.jsonl"  # what process 1, 2, ... of several adds, until process 0 puts all together
FORMAT = 1

Record = dict[str, Any]


class PredictionError(ValueError):
    """A predictions file is malformed or belongs to another run."""


@dataclass(frozen=True)
class Settings:
    """What predictions were made from. Predictions of equal settings belong together.

    Attributes:
        model: folder or Hub id.
        weights: checksum of the model folder; None for a Hub id.
        data: folder of the dataset.
        split: "train", "val" or "test".
        annotations: checksum of the chosen pictures' query files and the sizes of their JPEG photos.
        limit: how many pictures were asked for; None for the whole split.
        queries_per_image: how many queries of each picture at most; None for all wordings of all of them.
        pictures: how many pictures were chosen.
        split_pictures: how many the split has.
    """

    model: str
    weights: str | None
    data: str
    split: str
    annotations: str
    limit: int | None
    queries_per_image: int | None
    pictures: int
    split_pictures: int

    def differences(self, other: Settings) -> str:
        """What differs in `other`, in words: "limit is 20 and not 10"; '' for equal settings."""
        asked = [
            f"{name.replace('_', ' ')} is {_word(getattr(other, name))} and not {_word(getattr(self, name))}"
            for name in ("model", "data", "split", "limit", "queries_per_image")
            if getattr(other, name) != getattr(self, name)
        ]
        if asked or self == other:
            return ", ".join(asked)
        # What was asked for is the same, so what it was found in has changed since.
        changed = ["the model's files"] * (self.weights != other.weights)
        changed += ["the pictures' query files or photos"] * (self.annotations != other.annotations)
        return f"{' and '.join(changed or ['the pictures of the split'])} have changed since"


def _word(value: Any) -> str:
    return "all" if value is None else repr(value) if isinstance(value, str) else str(value)


def read_predictions(path: str | os.PathLike[str]) -> tuple[Settings, dict[str, Record]]:
    """Settings and records by name; of two records with one name, the later.

    A last line that was cut off is left out.

    Raises:
        OSError: the file cannot be read.
        PredictionError: it is no predictions file, or another line is malformed.
    """
    path = Path(path)
    settings, records = None, {}
    lines = path.read_bytes().split(b"\n")  # bytes: a cut may go through a character
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if settings is None:
                settings = _read_header(row)
            else:
                records[row["name"]] = row
        except (ValueError, KeyError, TypeError) as error:
            # A whole line ends with a line feed, after which split finds one more, empty, line.
            if number == len(lines) and settings is not None:
                break
            what = "the header of a predictions file" if settings is None else "a picture's predictions"
            raise PredictionError(f"{path}, line {number}: expected {what} but got {_start(line)}") from error
    if settings is None:
        raise PredictionError(f"{path}: expected the header of a predictions file, but the file is empty")
    return settings, records


def _start(line: bytes) -> str:
    return repr(line[:60].decode("utf-8", errors="replace"))


def _read_header(row: Any) -> Settings:
    if row["format"] != FORMAT:
        raise ValueError
    return Settings(**row["settings"])


def _to_line(row: dict[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def _header(settings: Settings) -> bytes:
    return _to_line({"format": FORMAT, "settings": asdict(settings)})


def write_predictions(path: str | os.PathLike[str], settings: Settings, records: Iterable[Record]) -> None:
    """Write a whole file; it appears at once or not at all."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("wb") as file:
        file.write(_header(settings))
        file.writelines(_to_line(record) for record in records)
    os.replace(unfinished, path)


class PredictionLog:
    """Appends records to a folder's predictions, each on the disk before the next is made.

    Args:
        folder: where the predictions are.
        settings: of this run.
        rank: number of the process. Each writes a file of its own; `gather` puts them together.
    """

    def __init__(self, folder: Path, settings: Settings, rank: int = 0) -> None:
        path = folder / (PREDICTIONS_FILE if rank == 0 else _SHARE_FILE.format(rank))
        self._file = path.open("ab")
        if self._file.tell() == 0:
            self._file.write(_header(settings))
            self._file.flush()

    def add(self, record: Record) -> None:
        self._file.write(_to_line(record))
        self._file.flush()

    def __enter__(self) -> PredictionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def shares(folder: Path) -> list[Path]:
    """The predictions files of a folder, that of process 0 first; fewer or none where there are none yet."""
    others = sorted(p for p in folder.glob(_SHARE_FILE.format("*")) if p.name.split(".")[1].isdigit())
    # Empty: a process that was ended before its first line.
    return [p for p in (folder / PREDICTIONS_FILE, *others) if p.exists() and p.stat().st_size]


def gather(folder: Path, settings: Settings) -> dict[str, Record]:
    """Put the predictions of all processes into the one `PREDICTIONS_FILE`, sorted by name. Only for process 0.

    It also mends what an interruption left: half-written lines go.

    Returns:
        The records by name.

    Raises:
        PredictionError: a file is malformed or was made with other settings.
    """
    records: dict[str, Record] = {}
    files = shares(folder)
    for path in files:
        found, of_file = read_predictions(path)
        if different := settings.differences(found):
            raise PredictionError(f"{path} was made with other settings: {different}")
        # A picture that could not be read is tried again, and what came of that may stand in another file.
        records |= {n: r for n, r in of_file.items() if "error" not in r or n not in records}
    records = dict(sorted(records.items()))
    if files:
        write_predictions(folder / PREDICTIONS_FILE, settings, records.values())
    for path in files:
        if path.name != PREDICTIONS_FILE:
            path.unlink()
    return records
