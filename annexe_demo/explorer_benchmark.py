"""How fast is the explorer on a folder as large as the benchmark: part of ``python -m annexe_demo.benchmark --explorer``.

The folder has few different photos, of the benchmark's size, under many names; its annotations are as many and as long as
those of generated scenes. Lists are asked for through the page's own endpoint over HTTP, and their thumbnails fetched six
at a time, as a browser does. The first time of each filter counts, when its thumbnails are not made yet.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from annexe_demo.data.catalogue import Catalogue
from annexe_demo.data.facts import CATEGORIES, COLORS, HandFact, ObjectFact, SceneFacts
from annexe_demo.data.language import annotate

PICTURES = 20_000
FIRST_PAGE_SECONDS = 2.0
FILTER_SECONDS = 0.5
RUNS = 5
_DRAWINGS = 48  # different photos; files of the same pixels are links to one
_SIZE = (1080, 1920)
_CONNECTIONS = 6

# What a visitor does, as parameters of /samples.
FILTERS: dict[str, dict[str, Any]] = {
    "split": {"split": "test"},
    "category": {"category": "mug"},
    "hand": {"hand": "both"},
    "kind": {"kind": "no-target"},
    "without mask": {"mask": "without"},
    "one word": {"text": "mug"},
    "several words": {"text": "red mug left hand"},
    "part of a name": {"text": "0199"},
    "no match": {"text": "zeppelin"},
    "all together": {"split": "train", "hand": "right", "kind": "single", "mask": "with", "text": "bottle"},
    "last page": {"page": 10**6},
    "lowest IoU": {"order": "worst"},
}


def write_large_folder(root: Path, count: int = PICTURES) -> None:
    """Write a folder in the benchmark's layout with `count` pictures: 80 % train, 10 % val, 10 % test."""
    rng = np.random.default_rng(0)
    for folder in ("RGB", "mask", "depth", "facts", *(f"dataset_split/{s}" for s in ("train", "val", "test"))):
        (root / folder).mkdir(parents=True, exist_ok=True)
    index_map = np.zeros(_SIZE, np.uint8)
    index_map[600:, :600], index_map[600:, 1320:], index_map[360:780, 720:1200] = 1, 2, 3
    shared = root / "shared"
    shared.mkdir(exist_ok=True)
    cv2.imwrite(str(shared / "mask.png"), index_map)
    cv2.imwrite(
        str(shared / "depth.png"), np.linspace(1500, 400, _SIZE[0]).astype(np.uint16)[:, None].repeat(_SIZE[1], 1)
    )
    for n in range(_DRAWINGS):
        noise = rng.integers(0, 255, (54, 96, 3), np.uint8)  # as many bytes to decode as a real photo has
        photo = cv2.resize(noise, _SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        photo[index_map > 0] = rng.integers(0, 255, (4, 3), np.uint8)[index_map[index_map > 0]]
        cv2.imwrite(str(shared / f"{n}.jpg"), photo)
    for n in range(count):
        name, split = f"{n:08d}", {8: "val", 9: "test"}.get(n % 10, "train")
        os.link(shared / f"{n % _DRAWINGS}.jpg", root / "RGB" / f"{name}.jpg")
        os.link(shared / "mask.png", root / "mask" / f"{name}.png")
        os.link(shared / "depth.png", root / "depth" / f"{name}.png")
        groups = annotate(_random_facts(rng), rng, split)
        (root / "dataset_split" / split / f"{name}.json").write_text(json.dumps(groups), encoding="utf-8")


def _random_facts(rng: np.random.Generator) -> SceneFacts:
    sides = (("left",), ("right",), ("left", "right"), ())[rng.integers(4)]
    hands = tuple(HandFact(side, "power", 1 if side == "left" else 2) for side in sides)
    active = None
    if hands:
        active = ObjectFact(str(rng.choice(CATEGORIES)), str(rng.choice(COLORS)), 3, 0.5, 0.5, 0.06)
    return SceneFacts(active, hands, bool(rng.integers(2)), "table")


class _NoModel:
    """Stands for a pipeline: nothing here asks the model."""

    name = "none"
    limitations = "There is no model here."

    def open(self, image: Any) -> Any:
        return SimpleNamespace(image=image)


def run(count: int = PICTURES, runs: int = RUNS) -> dict[str, float]:
    """Seconds that the explorer takes; the key names what for."""
    with tempfile.TemporaryDirectory(prefix="annexe-explorer-") as folder:
        root, cache = Path(folder) / "data", Path(folder) / "cache"
        began = time.perf_counter()
        write_large_folder(root, count)
        times = {"write the folder": time.perf_counter() - began}
        predictions = Path(folder) / "predictions.jsonl"
        rng = np.random.default_rng(1)
        with predictions.open("w", encoding="utf-8") as file:
            for n in range(count):
                entry = {"name": f"{n:08d}", "queries": [{"query": "q", "iou": float(i)} for i in rng.random(4)]}
                file.write(json.dumps(entry) + "\n")

        with _served(root, predictions, cache, times, "open the folder, no index yet") as ask:
            times["first page, no index yet"] = _time(ask)
            began = time.perf_counter()
            times["a page while the index is built"] = _time(lambda: ask(page=40))
            ask(text="wait for the index")
            times["build the index"] = time.perf_counter() - began
        with _served(root, predictions, cache, times, "open the folder, index cached") as ask:
            times["first page, index cached"] = _time(ask)
            for name, parameters in FILTERS.items():
                times[f"filter: {name}"] = _time(lambda p=parameters: ask(**p))
            again = [_time(lambda p=p: ask(**p)) for _ in range(runs) for p in FILTERS.values()]
            times["any filter again, median"] = statistics.median(again)
    return times


class _served:
    """The page of a folder on a free port; as a context, gives a function that asks /samples."""

    def __init__(self, root: Path, predictions: Path, cache: Path, times: dict[str, float], label: str):
        from annexe_demo.ui import build_interface, launch_options

        began = time.perf_counter()
        self.catalogue = Catalogue(root, predictions, cache)
        times[label] = time.perf_counter() - began
        self.page = build_interface(_NoModel(), None, catalogue=self.catalogue)
        _, self.url, _ = self.page.launch(
            server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options(self.catalogue)
        )

    def __enter__(self) -> Callable[..., Any]:
        import httpx
        from gradio_client import Client

        client = Client(self.url, verbose=False, download_files=False)
        self.http, self.pool = httpx.Client(), ThreadPoolExecutor(_CONNECTIONS)

        def ask(**parameters: Any) -> None:
            _, thumbnails = client.predict(**parameters, api_name="/samples")
            for answer in self.pool.map(self.http.get, [t["image"]["url"] for t in thumbnails]):
                answer.raise_for_status()

        return ask

    def __exit__(self, *_: Any) -> None:
        self.pool.shutdown()
        self.http.close()
        self.catalogue.index.close()
        self.page.close(verbose=False)


def _time(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def format_times(times: dict[str, float], count: int = PICTURES) -> str:
    """The times as lines, and whether the limits are kept."""
    first = max(v for k, v in times.items() if k.startswith("first page"))
    slowest = max(v for k, v in times.items() if k.startswith("filter"))
    lines = [f"explorer on {count:,} pictures"]
    lines += [f"  {label:34s}{value:8.3f} s" for label, value in times.items()]
    for what, value, limit in (("first page", first, FIRST_PAGE_SECONDS), ("slowest filter", slowest, FILTER_SECONDS)):
        lines.append(f"  {what} {value:.3f} s, limit {limit} s: {'kept' if value <= limit else 'MISSED'}")
    return "\n".join(lines)
