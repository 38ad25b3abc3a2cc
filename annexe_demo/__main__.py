"""The command line: python -m annexe_demo ask PHOTO "QUERY" --out DIR, and batch DIR --queries FILE --out DIR

The same pipeline as the page's, without a browser. Exit code 0 when there is an answer, one without a target included;
1 when some photos of a batch could not be answered; 2, with one line on stderr, for input that cannot be used.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

# What needs torch is imported where it is used: --help and a mistyped file name should answer at once.
from annexe_demo.events import Done, Grounding, TextDelta

if TYPE_CHECKING:
    from annexe_demo.model.grounding_text import Coordinates
    from annexe_demo.pipeline import AnnexePipeline

DEFAULT_MODEL = "weights/annexe-mini"
EXIT_INCOMPLETE = 1
EXIT_BAD_INPUT = 2


class InputError(ValueError):
    """Something that the user gave cannot be used; the message is the line to print."""


def load_pipeline(
    model: str,
    device: str | None = None,
    revision: str | None = None,
    sam: str | None = None,
    vlm_endpoint: str | None = None,
    coordinates: Coordinates | None = None,
) -> AnnexePipeline:
    """`AnnexePipeline.from_pretrained`. Raises InputError when there is no such model, or the device cannot be used."""
    from annexe_demo.model.presets import PRESETS

    if vlm_endpoint is not None:
        model = "" if model == DEFAULT_MODEL else model
    elif model not in PRESETS and _is_path(model) and not Path(model).is_dir():
        raise InputError(f"model must be a folder with config.json but there is no folder {model!r}")
    if device is not None:
        _check_device(device)

    from safetensors import SafetensorError

    from annexe_demo.model.endpoint import EndpointError
    from annexe_demo.pipeline import AnnexePipeline

    try:
        return AnnexePipeline.from_pretrained(
            model, device=device, revision=revision, sam=sam, vlm_endpoint=vlm_endpoint, coordinates=coordinates
        )
    except EndpointError as error:
        raise InputError(str(error)) from error
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        what = f"the model {model!r}" if model else "the model"
        raise InputError(f"{what} cannot be loaded: {_first_line(error)}") from error


def _is_path(model: str) -> bool:
    """Whether `model` is meant as a folder here and not as a Hub id ("user/name"), which may look the same."""
    path = Path(model)
    here = path.parent != Path(".") and path.parent.is_dir()
    return model == DEFAULT_MODEL or path.is_absolute() or model.startswith((".", "~")) or len(path.parts) != 2 or here


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"device {device!r} cannot be used here: {_first_line(error)}") from error


def ask(args: argparse.Namespace) -> int:
    """The ``ask`` command: one photo, one query; files in ``args.out``."""
    from annexe_demo.images import ImageError, load_image

    try:
        image = load_image(args.photo)
    except ImageError as error:
        raise InputError(str(error)) from error
    _make_folder(args.out)

    from annexe_demo.pipeline import QueryError, Result, check_query

    try:
        check_query(args.query)
    except QueryError as error:
        raise InputError(str(error)) from error
    session = load_pipeline(args.model, args.device, args.revision, args.sam, args.vlm_endpoint, args.coordinates).open(
        image
    )

    from annexe_demo.model.endpoint import EndpointError

    try:
        _print_stream("Analysis: ", session.analyze())
        done, groundings = _print_stream("Answer: ", session.ask(args.query))
    except EndpointError as error:
        print(flush=True)  # ends the line of what came before
        raise InputError(str(error)) from error
    result = Result(
        analysis=session.analysis or "", answer=done.text, groundings=groundings, depth=None, indicator=done.indicator
    )

    from annexe_demo.view.export import mask_filename, save_result

    try:
        save_result(args.out, result, args.query, session.image)
    except OSError as error:
        raise InputError(f"cannot write to {str(args.out)!r}: {error.strerror or error}") from error
    for g in groundings:
        print(f"  <MSK_{g.index}> {g.label}: score {g.score:.2f}, {args.out / mask_filename(g)}")
    if done.indicator is not None:
        print(f"Mask indicator: {done.indicator:.3f}")
    print(f"Result: {args.out / 'result.json'}")
    return 0


def batch(args: argparse.Namespace) -> int:
    """The ``batch`` command: the queries of a file to every photo of a folder; a folder a photo in ``args.out``."""
    from annexe_demo.batch import BatchError, check_settings, find_photos, read_queries, run_batch
    from annexe_demo.events import ServiceError

    try:
        queries, photos = read_queries(args.queries), find_photos(args.folder, args.out)
        _make_folder(args.out)
        settings = {"model": args.model, "sam": args.sam, "endpoint": args.vlm_endpoint, "queries": queries}
        check_settings(args.out, settings, args.overwrite)
    except BatchError as error:
        raise InputError(str(error)) from error
    pipe = load_pipeline(args.model, args.device, args.revision, args.sam, args.vlm_endpoint, args.coordinates)
    try:
        outcome = run_batch(pipe, args.folder, photos, queries, args.out, args.overwrite)
    except ServiceError as error:
        raise InputError(f"{error}; the same command goes on from here") from error
    except OSError as error:
        raise InputError(f"cannot write to {str(args.out)!r}: {error.strerror or error}") from error
    earlier = f", {outcome.before} answered before" if outcome.before else ""
    failed = f", {len(outcome.failed)} failed" if outcome.failed else ""
    print(f"{len(photos)} photos: {outcome.done} answered{earlier}{failed}. Results: {args.out}")
    return EXIT_INCOMPLETE if outcome.failed else 0


def _print_stream(title: str, events) -> tuple[Done, list[Grounding]]:
    """Print text as it comes; returns the last event and the groundings."""
    done, groundings = None, []
    print(title, end="", flush=True)
    for event in events:
        if isinstance(event, TextDelta):
            print(event.text, end="", flush=True)
        elif isinstance(event, Grounding):
            groundings.append(event)
        elif isinstance(event, Done):
            done = event
    print(flush=True)
    if done is None:
        raise RuntimeError(f"the stream of the {title.lower().rstrip(': ')} ended without Done")
    return done, groundings


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the output folder {str(path)!r} cannot be made: {error.strerror or error}") from error
    if not os.access(path, os.W_OK):
        raise InputError(f"the output folder {str(path)!r} cannot be written to")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def build_parser() -> argparse.ArgumentParser:
    """One subparser a command; its ``run`` takes the parsed arguments and returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m annexe_demo",
        description="Analysis, answer and masks for first-person photographs, without a browser.",
    )
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        command.add_argument("--model", default=DEFAULT_MODEL, help="model folder or Hub id (default: %(default)s)")
        command.add_argument("--device", help='"cpu", "cuda", ... (default: CUDA where there is one)')
        command.add_argument(
            "--sam", help="SAM file, folder or Hub id; --model is then a general vision-language model"
        )
        command.add_argument("--revision", help="commit, branch or tag of a Hub model")
        command.add_argument(
            "--vlm-endpoint",
            metavar="URL",
            help="OpenAI-compatible server (vLLM, SGLang) that runs the vision-language model; --model is then its name "
            "there or a preset, and its key, if any, is in ANNEXE_VLM_API_KEY",
        )
        command.add_argument(
            "--coordinates",
            choices=("relative", "absolute"),
            help="how the vision-language model writes boxes, where its name does not tell",
        )
        return command

    one = add("ask", ask, "Analyze one photo and answer one query about it.")
    one.add_argument("photo", metavar="PHOTO", help="JPEG, PNG, WebP, BMP, GIF or TIFF")
    one.add_argument("query", metavar="QUERY", help='e.g. "Please segment the hands and objects in interaction."')
    one.add_argument("--out", type=Path, required=True, metavar="DIR",
                     help="folder for result.json, mask_<n>_<label>.png and overlay.png")  # fmt: skip
    many = add("batch", batch, "Ask the same queries about every photo of a folder; goes on where it was interrupted.")
    many.add_argument("folder", type=Path, metavar="DIR", help="folder with photos, subfolders included")
    many.add_argument("--queries", type=Path, required=True, metavar="FILE", help="text file, one query a line")
    many.add_argument("--out", type=Path, required=True, metavar="DIR",
                      help="folder for the results: <photo>/query_<n>/ with the files that ask writes")  # fmt: skip
    many.add_argument("--overwrite", action="store_true", help="answer every photo anew, whatever the folder holds")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if hasattr(sys.stdout, "reconfigure"):  # a terminal without UTF-8 shows "?" instead of ending the program
        sys.stdout.reconfigure(errors="replace")
    try:
        return args.run(args)
    except InputError as error:
        print(f"annexe_demo: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
