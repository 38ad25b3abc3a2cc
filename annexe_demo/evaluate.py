"""Measure a model: python -m annexe_demo.evaluate --model M --data DIR --split test [--limit N] --out DIR

One picture is one sample: it is encoded and analyzed once, then asked a few of its own queries. OUT gets
``predictions.jsonl``, a line a picture as it goes, and at the end all that is made from it: ``report.json``, ``report.md``
and ``charts/``. The same command goes on where it was interrupted; ``--predictions FILE`` scores again without the model;
``accelerate launch -m annexe_demo.evaluate ...`` shares the pictures out among several devices.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from annexe_demo.__main__ import DEFAULT_MODEL, EXIT_BAD_INPUT, InputError, load_pipeline
from annexe_demo.data.egoirgbench import KINDS, SPLITS, DatasetError, EgoIRGBench, Group, Question, Sample
from annexe_demo.data.language import Interaction, parse_interaction
from annexe_demo.data.reports import REPORT_FILE
from annexe_demo.events import DepthMap, Done, Grounding
from annexe_demo.images import ImageError
from annexe_demo.metrics import depth_mae, target_role
from annexe_demo.predictions import (
    PREDICTIONS_FILE,
    PredictionError,
    PredictionLog,
    Record,
    Settings,
    gather,
    read_predictions,
    shares,
)
from annexe_demo.scoring import query_iou, score
from annexe_demo.view.export import mask_to_rle

QUERIES_PER_IMAGE = 6
# Slow shares are waited for: without a word from a process, torch's own limit is 10 to 30 minutes.
_PATIENCE = timedelta(days=7)
# Where launchers tell how many processes they started: torchrun and accelerate, then those of MPI.
_PROCESS_COUNTS = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


# --------------------------------------------------------------------------------------------------------------------
# What is asked, and what is true


def pick_evenly(count: int, limit: int | None) -> list[int]:
    """`limit` of the indices 0 to `count` - 1, evenly spread and always the same; all of them without a limit."""
    if limit is None or limit >= count:
        return list(range(count))
    return [i * count // limit for i in range(limit)]


def choose_queries(name: str, groups: Sequence[Group], count: int | None) -> list[tuple[Group, Question]]:
    """Up to `count` queries of one picture, one of a group, the kinds in turn. The same picture gets the same ones.

    Args:
        name: the picture's name, the only seed: neither the other pictures nor their number matter.
        groups: the picture's query groups.
        count: how many at most; None for every wording of every group.
    """
    if count is None:
        return [(group, question) for group in groups for question in group.questions]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    queues = []
    for kind in KINDS:
        of_kind = [g for g in groups if g.kind == kind and g.questions]
        queues.append([of_kind[i] for i in rng.permutation(len(of_kind))])
    chosen: list[tuple[Group, Question]] = []
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                group = queue.pop(0)
                chosen.append((group, group.questions[rng.integers(len(group.questions))]))
    return chosen


def true_interaction(sample: Sample) -> Interaction:
    """Interacting hands, category and colour of the active object: from the scene's facts, else from its caption."""
    facts = sample.facts
    if facts is None:
        return parse_interaction(sample.groups[0].caption)
    hands = frozenset(h.side for h in facts.hands if h.grasp is not None)
    return Interaction(
        hands, facts.active.category if facts.active else None, facts.active.color if facts.active else None
    )


def object_share(sample: Sample, index_map: np.ndarray) -> float | None:
    """The active object's share of the picture, 0 to 1; None where there is none, or none in the index map.

    Without facts it is the object that the query groups name, the one of the caption's category first.
    """
    if sample.facts is not None:
        index = sample.facts.active.mask_id if sample.facts.active else 0
    else:
        named = {t: i for g in sample.groups for t, i in zip(g.tokens, g.masks_idx, strict=True)
                 if i and target_role(t) == "object"}  # fmt: skip
        index = named.get(true_interaction(sample).category or "", next(iter(named.values()), 0))
    pixels = int(np.count_nonzero(index_map == index)) if index else 0
    return pixels / index_map.size if pixels else None


# --------------------------------------------------------------------------------------------------------------------
# Predictions


def predict(pipe: Any, sample: Sample, queries_per_image: int | None = QUERIES_PER_IMAGE) -> Record:
    """Ask a pipeline about one picture.

    Args:
        pipe: an `AnnexePipeline`, or anything whose ``open(image)`` gives a session with ``analyze`` and ``ask``.
        sample: the picture with its truth. Facts and depth may be missing.
        queries_per_image: how many of its queries are asked; None for every wording of all.

    Returns:
        The record that `annexe_demo.predictions` describes.

    Raises:
        DatasetError, ImageError: the picture or its truth cannot be read.
    """
    if not sample.groups:
        raise DatasetError(f"{sample.name}: a picture must have query groups but has none")
    image, index_map, depth_truth = sample.load_image(), sample.load_mask(), sample.load_depth()
    if index_map.shape != image.shape[:2]:
        raise DatasetError(
            f"{sample.mask_path} must be of the photo's size {image.shape[:2]} but is {index_map.shape} (height, width)"
        )
    truth = true_interaction(sample)

    session = pipe.open(image)
    analysis, depth = "", None
    for event in session.analyze():
        if isinstance(event, DepthMap):
            depth = event.depth
        elif isinstance(event, Done):
            analysis = event.text
    error, note = _depth_error(depth, depth_truth)
    chosen = choose_queries(sample.name, sample.groups, queries_per_image)
    masks = {
        str(i): mask_to_rle(index_map == i) for i in sorted({i for g, _ in chosen for i in g.masks_idx} - {0})
    }  # fmt: skip
    queries = []
    for group, question in chosen:
        query = _ask(session, question.query, sample.name)
        query |= {
            "kind": group.kind,
            "reference": group.answer,
            "targets": [[t, i] for t, i in zip(group.tokens, group.masks_idx, strict=True)],
        }
        iou = query_iou(query, masks)
        queries.append(query | {"iou": None if iou is None else round(iou, 5)})
    return {
        "name": sample.name,
        "size": list(index_map.shape),
        "analysis": analysis,
        "reference": sample.groups[0].caption,
        "truth": {
            "hands": sorted(truth.hands),
            "category": truth.category,
            "color": truth.color,
            "object_share": object_share(sample, index_map),
            "source": "caption" if sample.facts is None else "facts",
        },
        "depth_mae": error,
        "depth_note": note,
        "masks": masks,
        "queries": queries,
    }


def _depth_error(depth: np.ndarray | None, truth: np.ndarray | None) -> tuple[float | None, str | None]:
    """Mean absolute error of a depth map (H, W) of 0 to 1, and None; or None and why it cannot be measured."""
    if truth is None:
        return None, "no depth file"
    if depth is None:
        return None, "the model estimates no depth"
    if depth.shape != truth.shape:  # depth cameras have their own resolution
        depth = cv2.resize(depth, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    error = depth_mae(depth, truth)
    return error, "no valid pixel in the depth file" if error is None else None


def _ask(session: Any, query: str, name: str) -> Record:
    groundings: list[Grounding] = []
    done = None
    for event in session.ask(query):
        if isinstance(event, Grounding):
            groundings.append(event)
        elif isinstance(event, Done):
            done = event
    if done is None:
        raise RuntimeError(f"{name}: the answer to {query!r} ended without Done")
    return {
        "query": query,
        "answer": done.text,
        "indicator": None if done.indicator is None else float(done.indicator),
        "groundings": [
            {"label": g.label, "score": float(g.score), "span": list(g.span), "rle": mask_to_rle(g.mask)}
            for g in groundings
        ],
    }


def predict_all(
    pipe: Any, dataset: EgoIRGBench, names: Sequence[str], queries_per_image: int | None, batch: int = 1
) -> Iterator[Record]:
    """Records of pictures by name, in their order. One that cannot be read gives ``{"name": ..., "error": ...}``.

    Args:
        batch: how many pictures are worked on at once, each by a thread and a session of its own.
    """

    def work(name: str) -> Record:
        try:
            return predict(pipe, dataset.load(name), queries_per_image)
        except (DatasetError, ImageError) as error:
            return {"name": name, "error": str(error)}

    if batch == 1:
        yield from map(work, names)
        return
    with ThreadPoolExecutor(batch) as pool:
        yield from pool.map(work, names)  # closing this generator cancels what has not begun


# --------------------------------------------------------------------------------------------------------------------
# A run: settings, processes


def run_settings(
    model: str, dataset: EgoIRGBench, names: Sequence[str], limit: int | None, queries: int | None
) -> Settings:
    """What the predictions of this run depend on."""
    annotations = hashlib.sha256()
    for name in names:
        annotations.update(name.encode() + b"\0")
        annotations.update((dataset.root / "dataset_split" / dataset.split / f"{name}.json").read_bytes())
        photo = dataset.root / "RGB" / f"{name}.jpg"
        annotations.update(str(photo.stat().st_size if photo.exists() else None).encode() + b"\0")
    return Settings(
        model=model,
        weights=_checksum(Path(model)),
        data=str(dataset.root),
        split=dataset.split,
        annotations=annotations.hexdigest()[:16],
        limit=limit,
        queries_per_image=queries,
        pictures=len(names),
        split_pictures=len(dataset),
    )


def _checksum(folder: Path) -> str | None:
    """Of a model folder's configuration, tokenizer and weights. A training may write to the folder at any time."""
    if not folder.is_dir():
        return None
    checksum = hashlib.sha256()
    # A report of an earlier measurement, which may lie beside the weights, changes nothing of what the model says.
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".json", ".safetensors") and p.name != REPORT_FILE):
        checksum.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                checksum.update(block)
    return checksum.hexdigest()[:16]


@dataclass(frozen=True)
class Processes:
    """This process among those that share an evaluation; by default it is the only one.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
        device: where its model runs; None for the default.
        wait: returns when all processes have called it.
        leave: ends what joins them; nobody waits after that.
    """

    rank: int = 0
    count: int = 1
    device: str | None = None
    wait: Callable[[], None] = lambda: None
    leave: Callable[[], None] = lambda: None

    @classmethod
    def join(cls, device: str | None) -> Processes:
        """Join the processes that ``accelerate launch`` or ``torchrun`` started.

        Raises:
            InputError: a device was given for several processes, or they do not find each other.
        """
        started = next((int(os.environ[name]) for name in _PROCESS_COUNTS if name in os.environ), 1)
        if started == 1:
            return cls(device=device)
        if device is not None:
            raise InputError(f"--device must be left out with several processes, each has its own, but got {device!r}")
        import torch
        from accelerate import PartialState

        cpu = os.environ.get("ACCELERATE_USE_CPU", "false").lower() == "true" or not torch.accelerator.is_available()
        state = PartialState(cpu=cpu, timeout=_PATIENCE)
        if state.num_processes != started:  # each would take all the pictures and write to the same file
            raise InputError(f"{started} processes were started, but {state.num_processes} could be joined")
        return cls(
            state.process_index, started, str(state.device), state.wait_for_everyone, state.destroy_process_group
        )


def collect(args: argparse.Namespace, processes: Processes) -> tuple[Settings, dict[str, Record]]:
    """Predict what is not yet in the folder; settings and, in process 0, all records by name."""
    dataset = EgoIRGBench(args.data, args.split)
    if not len(dataset):
        raise DatasetError(f"split {args.split!r} of {args.data} must have pictures but has none")
    names = [dataset.names[i] for i in pick_evenly(len(dataset), args.limit)]
    settings = run_settings(args.model, dataset, names, args.limit, args.queries_per_image)
    if processes.rank == 0:
        args.out.mkdir(parents=True, exist_ok=True)
        if args.overwrite:
            for path in shares(args.out):
                path.unlink()
        try:
            gather(args.out, settings)
        except PredictionError as error:
            raise PredictionError(f"{error}; give another --out, or --overwrite to begin anew") from error
    processes.wait()  # nobody reads before the folder is in order,
    path = args.out / PREDICTIONS_FILE
    records = read_predictions(path)[1] if path.exists() else {}
    processes.wait()  # and nobody writes before all have read
    todo = [name for name in names if name not in records or "error" in records[name]]
    if processes.rank == 0 and len(todo) < len(names):
        done = len(names) - len(todo)
        print(f"{done} of {len(names)} pictures are predicted already (--overwrite begins anew)", file=sys.stderr)
    share = todo[processes.rank :: processes.count]
    if share:
        pipe = load_pipeline(args.model, processes.device)
        bar = tqdm(total=len(share), unit="picture", disable=processes.rank > 0)
        with bar, PredictionLog(args.out, settings, processes.rank) as log:
            for record in predict_all(pipe, dataset, share, args.queries_per_image, args.batch):
                log.add(record)
                bar.update()
    processes.wait()
    processes.leave()
    return settings, gather(args.out, settings) if processes.rank == 0 else {}


def make_report(settings: Settings, records: Iterable[Record]) -> dict[str, Any]:
    """``report.json``: the settings and `scoring.score`'s figures. Raises PredictionError as that does."""
    scores = score(records, settings.pictures)
    return {
        "model": settings.model,
        "data": settings.data,
        "split": settings.split,
        "samples": scores["samples"],
        "split_samples": settings.split_pictures,
        "queries": scores["queries"],
        "queries_per_image": settings.queries_per_image,
        **{name: scores[name] for name in ("overall", "by", "notes")},
    }


def write_report(folder: Path, report: dict[str, Any]) -> None:
    """Write ``report.json``, ``report.md`` and ``charts/``."""
    from annexe_demo.view.report import write_markdown

    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False)
    (folder / REPORT_FILE).write_text(text + "\n", encoding="utf-8")
    write_markdown(folder, report)


# --------------------------------------------------------------------------------------------------------------------
# Command line


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more but got {value}")
    return value


def _count_or_all(text: str) -> int | None:
    return None if text == "all" else _positive(text)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m annexe_demo.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model folder or Hub id (default: %(default)s)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder in the layout of Ego-IRGBench")
    source.add_argument("--predictions", type=Path, metavar="FILE",
                        help=f"score this {PREDICTIONS_FILE} again; neither model nor pictures are needed")  # fmt: skip
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--limit", type=_positive, help="measure on this many pictures, evenly spread over the split")
    parser.add_argument("--out", type=Path, required=True,
                        help=f"folder for {PREDICTIONS_FILE}, {REPORT_FILE}, report.md and charts/; the same command "
                        "goes on from the predictions in it")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="begin anew, whatever predictions the folder has")
    parser.add_argument("--queries-per-image", type=_count_or_all, default=QUERIES_PER_IMAGE, metavar="N",
                        help='queries asked of each picture, "all" for every wording (default: %(default)s)')  # fmt: skip
    parser.add_argument("--batch", type=_positive, default=1, metavar="B",
                        help="pictures worked on at once, each by a thread of its own (default: %(default)s). The network "
                        "still sees one picture at a time: reading files and one thread's Python run beside another's "
                        "network, which needs memory for B pictures")  # fmt: skip
    parser.add_argument("--device", help='"cpu", "cuda", ... (default: CUDA where there is one)')
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    processes = Processes()
    try:
        if args.predictions is not None:
            settings, records = read_predictions(args.predictions)
        else:
            processes = Processes.join(args.device)
            settings, records = collect(args, processes)
            if processes.rank > 0:
                return 0
        report = make_report(settings, records.values())
        write_report(args.out, report)
    except (InputError, DatasetError, ImageError, PredictionError, OSError) as error:
        print(f"annexe_demo.evaluate: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("\nannexe_demo.evaluate: interrupted; the same command goes on from here", file=sys.stderr)
        return 130

    from annexe_demo.view.report import format_report

    print(format_report(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
