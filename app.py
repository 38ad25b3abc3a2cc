"""Start the page: arguments -> pipeline -> interface -> launch.

python app.py
python app.py --port 8000 --device cuda --model weights/annexe-mini
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported, or it has reported already

ROOT = Path(__file__).resolve().parent
DEFAULT_MODEL = ROOT / "weights" / "annexe-mini"
EXAMPLES = ROOT / "examples"
HINT = (
    "train one with: python -m annexe_demo.synth --count 3000 --out data && "
    "python -m annexe_demo.train --config mini --data data --out weights/annexe-mini"
)


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    on_spaces = "SPACE_ID" in os.environ
    parser = argparse.ArgumentParser(description="The ANNEXE demo: ask a first-person photo about hands and objects.")
    parser.add_argument(
        "--host",
        default="0.0.0.0" if on_spaces else "127.0.0.1",
        help="address to listen on; 0.0.0.0 opens the page to the network (default: %(default)s)",
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    parser.add_argument("--share", action="store_true", help="open a public Gradio link (off by default)")
    parser.add_argument("--device", default=None, help="cpu, cuda, mps ...; chosen by itself when left out")
    parser.add_argument(
        "--model", default=str(DEFAULT_MODEL), help="model folder or Hub id (default: the bundled annexe-mini)"
    )
    parser.add_argument(
        "--sam", default=None, help="SAM file, folder or Hub id; --model is then a general vision-language model"
    )
    parser.add_argument("--revision", default=None, help="commit, branch or tag of a Hub model")
    return parser.parse_args(argv)


def fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def main(argv: list[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    folder = Path(arguments.model)
    if folder.is_absolute() or folder.is_dir():  # anything else may be the id of a model on the Hub
        if not (folder / "config.json").is_file():
            return fail(f"expected a model folder with a config.json at {arguments.model!r}, but there is none; {HINT}")

    from annexe_demo import AnnexePipeline
    from annexe_demo.ui import build_interface, launch_options

    try:
        pipe = AnnexePipeline.from_pretrained(
            arguments.model, device=arguments.device, revision=arguments.revision, sam=arguments.sam
        )
    except FileNotFoundError as error:
        return fail(str(error).splitlines()[0] + ("" if arguments.sam else f"; {HINT}"))
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        return fail(f"cannot load the model in {arguments.model!r}: {str(error).splitlines()[0]}")
    page = build_interface(pipe, EXAMPLES)
    try:
        page.launch(server_name=arguments.host, server_port=arguments.port, share=arguments.share, **launch_options())
    except OSError as error:  # the port is taken
        return fail(str(error).splitlines()[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
