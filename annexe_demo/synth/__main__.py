"""Generates scenes into a folder of the benchmark's layout: ``python -m annexe_demo.synth --count N --out DIR``."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from annexe_demo.synth.generate import SPLITS, Plan, generate, generate_in_processes


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 64 and int(height) >= 64):
        raise argparse.ArgumentTypeError(f"size must be WIDTHxHEIGHT of 64 pixels or more but got {text!r}")
    return int(width), int(height)


def _at_least(smallest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdigit() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"expected a whole number of {smallest} or more but got {text!r}")
        return int(text)

    return parse


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m annexe_demo.synth", description=__doc__)
    parser.add_argument("--count", type=_at_least(1), required=True, help="number of scenes")
    parser.add_argument("--seed", type=_at_least(0), default=0, help="number of the first scene")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; complete scenes in it are kept")
    parser.add_argument("--size", type=_size, default=(640, 360), metavar="WxH", help="picture size (640x360)")
    parser.add_argument("--workers", type=_at_least(1), default=1, help="processes, one core each")
    parser.add_argument("--split", choices=SPLITS, help="put every scene into this split")
    parser.add_argument(
        "--split-fractions", type=float, nargs=3, default=(0.9, 0.05, 0.05), metavar=("TRAIN", "VAL", "TEST")
    )
    options = parser.parse_args(arguments)
    fractions = tuple(options.split_fractions)
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        parser.error(f"--split-fractions must be three shares that sum to 1 but got {fractions}")

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from tqdm import tqdm

    plan = Plan(options.out, *options.size, fractions, options.split)
    pending = [n for n in range(options.seed, options.seed + options.count) if not plan.is_done(n)]
    with tqdm(total=options.count, initial=options.count - len(pending), unit="scene") as progress:
        workers = min(options.workers, len(pending))
        if workers > 1:
            rejections = generate_in_processes(plan, pending, workers, lambda _: progress.update())
        else:
            rejections = generate(plan, pending, lambda _: progress.update()) if pending else Counter()
    if rejections:
        print("rejected:", ", ".join(f"{reason} {count}" for reason, count in sorted(rejections.items())))
    return 1 if rejections["gave up"] else 0


if __name__ == "__main__":
    sys.exit(main())
