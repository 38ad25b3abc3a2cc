"""How fast is a model here: python -m annexe_demo.benchmark --model M

Prints the median times of opening a photo, its analysis, an answer with masks and the whole turn, tokens a second, the
time to load the model and the peak of memory. With --explorer, how fast the explorer is on a generated folder of
20,000 pictures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before torch: with OpenMP's spinning threads, a second busy process slows both tenfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from annexe_demo.__main__ import DEFAULT_MODEL, EXIT_BAD_INPUT, InputError, load_pipeline
from annexe_demo.data.egoirgbench import SPLITS, DatasetError, EgoIRGBench
from annexe_demo.events import Done, Grounding, TextDelta
from annexe_demo.images import ImageError, load_image

EXAMPLES = Path("examples")
RUNS = 5
THREADS = 2


@dataclass(frozen=True)
class Timing:
    """One turn, in seconds. ``first_text`` counts from opening, ``tokens`` are those of both texts."""

    open: float
    analyze: float
    first_text: float
    ask: float
    masks: int
    tokens: int

    @property
    def turn(self) -> float:
        return self.open + self.analyze + self.ask

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / (self.analyze + self.ask)


def measure(pipe: Any, image: np.ndarray, query: str) -> Timing:
    """Time one whole turn: a photo of shape (H, W, 3), its analysis and the answer to `query`."""
    began = time.perf_counter()
    session = pipe.open(image)
    opened = time.perf_counter()
    first_text = None
    texts: list[str] = []
    deltas = 0
    for event in session.analyze():
        if isinstance(event, TextDelta):
            first_text = first_text or time.perf_counter()
            deltas += 1
        elif isinstance(event, Done):
            texts.append(event.text)
    analyzed = time.perf_counter()
    masks = 0
    for event in session.ask(query):
        masks += isinstance(event, Grounding)
        deltas += isinstance(event, TextDelta)
        if isinstance(event, Done):
            texts.append(event.text)
    answered = time.perf_counter()
    tokenizer = getattr(pipe, "tokenizer", None)
    return Timing(
        open=opened - began,
        analyze=analyzed - opened,
        first_text=(first_text or analyzed) - began,
        ask=answered - analyzed,
        masks=masks,
        tokens=sum(len(tokenizer.encode(t)) for t in texts) if tokenizer else deltas,
    )


def example_with_two_masks(root: Path = EXAMPLES) -> tuple[np.ndarray, str]:
    """Photo and query of the first example whose answer has two targets. Raises InputError where there is none."""
    for split in reversed(SPLITS):
        try:
            samples = EgoIRGBench(root, split)
        except DatasetError:
            continue
        for sample in samples:
            for group in sample.groups:
                if len(group.tokens) == 2 and group.questions:
                    return sample.load_image(), group.questions[0].query
    raise InputError(f"expected an example with two targets in {str(root)!r}; give --photo and --query instead")


def peak_memory() -> float:
    """Most memory that this process has held, in MiB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m annexe_demo.benchmark", description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model folder or Hub id (default: %(default)s)")
    parser.add_argument("--photo", type=Path, help="photo to open (default: an example with two targets)")
    parser.add_argument("--query", help="query to ask (default: the example's)")
    parser.add_argument("--runs", type=int, default=RUNS, help="turns after the warm-up (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=THREADS, help="CPU threads (default: %(default)s)")
    parser.add_argument("--device", help='"cpu", "cuda", ... (default: CUDA where there is one)')
    parser.add_argument("--explorer", action="store_true", help="measure the explorer instead of a model")
    args = parser.parse_args(argv)
    if args.explorer:
        from annexe_demo.explorer_benchmark import format_times, run

        print(format_times(run(runs=max(1, args.runs))))
        return 0
    if args.runs < 1 or args.threads < 1:
        parser.error("--runs and --threads must be 1 or more")
    try:
        if args.photo is None:
            image, query = example_with_two_masks()
        else:
            image, query = load_image(args.photo), "Please segment the hands and objects in interaction."
        query = args.query or query

        began = time.perf_counter()
        import torch

        import annexe_demo.pipeline  # noqa: F401

        imported = time.perf_counter()
        torch.set_num_threads(args.threads)
        pipe = load_pipeline(args.model, args.device)
        loaded = time.perf_counter()
    except (InputError, ImageError, DatasetError) as error:
        print(f"annexe_demo.benchmark: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT

    first = measure(pipe, image, query)
    timings = [measure(pipe, image, query) for _ in range(args.runs)]

    def median(name: str) -> float:
        return statistics.median(getattr(t, name) for t in timings)

    masks = timings[0].masks
    print(
        f"{args.model}, photo {image.shape[1]} x {image.shape[0]}, {args.threads} threads, median of {args.runs} turns"
    )
    print(f"query: {query}")
    for label, value, unit in (
        ("import libraries", imported - began, "s"),
        ("load model", loaded - imported, "s"),
        ("first turn (warm-up)", first.turn, "s"),
        ("open (encode)", median("open"), "s"),
        ("photo to first word", median("first_text"), "s"),
        ("analyze", median("analyze"), "s"),
        (f"ask ({masks} mask{'' if masks == 1 else 's'})", median("ask"), "s"),
        ("whole turn", median("turn"), "s"),
        ("tokens a second", median("tokens_per_second"), ""),
        ("peak memory", peak_memory(), "MiB"),
    ):
        print(f"  {label:22s}{value:10.3f} {unit}" if unit == "s" else f"  {label:22s}{value:10.1f} {unit}")
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        print(f"  {'peak GPU memory':22s}{torch.cuda.max_memory_allocated() / 2**20:10.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
