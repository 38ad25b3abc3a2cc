"""Fetch and check the benchmark: ``python -m annexe_demo.data fetch yuki3585/Ego-IEGBench --out DIR``

Exit code 0 when the folder can be used, 1 when something that it needs is missing (it is named), 2 with one line on
stderr when nothing could be fetched.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def fetch(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from .fetch import DOWNLOAD, FetchError
    from .fetch import fetch as fetch_to

    try:
        placed = fetch_to(args.source, args.out, args.revision, lambda files: tqdm(files, unit="file", leave=False))
    except FetchError as error:
        print(f"annexe_demo.data: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for folder in sorted({*placed.written, *placed.kept}):
        print(f"{folder}: {placed.written[folder]:,} files new, {placed.kept[folder]:,} were there")
    for problem in placed.problems:
        print(f"not unpacked: {problem}")
    if placed.doubles:
        print(f"{len(placed.doubles):,} files left out, their place was taken by another one: {placed.doubles[0]}")
    if placed.unknown:
        kinds = ", ".join(f"{count:,} {ending}" for ending, count in placed.unknown.most_common(6))
        print(f"no place is known for {kinds}; for example {', '.join(placed.examples)}")
    usable = _check(args.out)
    if (placed.problems or not usable) and (args.out / DOWNLOAD).is_dir():
        print(f"files in {args.out / DOWNLOAD} that you unpack by hand are put in their place by the same command")
    return 0 if usable and not placed.problems else 1


def check(args: argparse.Namespace) -> int:
    return 0 if _check(args.data) else 1


def _check(folder: Path) -> bool:
    from tqdm import tqdm

    from .check import check as look_through

    report = look_through(folder, lambda names: tqdm(names, unit="file", desc="checking", leave=False))
    print(report)
    return report.usable


def main(argv: list[str] | None = None) -> int:
    from .fetch import DATASET

    parser = argparse.ArgumentParser(prog="python -m annexe_demo.data", description="Fetch and check the benchmark.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    one = commands.add_parser("fetch", help="download the benchmark and put its files into the layout")
    one.add_argument("source", metavar="SOURCE", nargs="?", default=DATASET,
                     help="dataset of the Hugging Face Hub (default: %(default)s), or a folder with its files")  # fmt: skip
    one.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make; then what --data takes")
    one.add_argument("--revision", help="commit, branch or tag on the Hub")
    one.set_defaults(run=fetch)
    two = commands.add_parser("check", help="say what a folder in the benchmark's layout holds and lacks")
    two.add_argument("data", type=Path, metavar="DIR")
    two.set_defaults(run=check)
    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
