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
    parser.add_argument(
        "--data",
        default=str(EXAMPLES),
        help="folder that the explorer shows, in the layout of Ego-IRGBench (default: the examples)",
    )
    parser.add_argument(
        "--predictions",
        default=None,
        help="what annexe_demo.evaluate --out wrote, to sort and show in the explorer "
        "(default: predictions.jsonl in the folder of --data, if any)",
    )
    parser.add_argument("--revision", default=None, help="commit, branch or tag of a Hub model")
    parser.add_argument(
        "--vlm-endpoint",
        default=None,
        metavar="URL",
        help="OpenAI-compatible server (vLLM, SGLang) that runs the vision-language model; --model is then its name there "
        "or a preset, and its key, if any, is in ANNEXE_VLM_API_KEY",
    )
    parser.add_argument(
        "--coordinates",
        choices=("relative", "absolute"),
        default=None,
        help="how the vision-language model writes boxes, where its name does not tell",
    )
    parser.add_argument(
        "--mcp", action="store_true", help='also be an MCP server, at /gradio_api/mcp/; needs pip install "gradio[mcp]"'
    )
    return parser.parse_args(argv)


def fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def main(argv: list[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    if arguments.vlm_endpoint and arguments.model == str(DEFAULT_MODEL):
        arguments.model = ""  # whatever the server has
    if arguments.mcp:
        from importlib.util import find_spec

        if find_spec("mcp") is None:
            return fail('--mcp needs a package that is not installed: pip install "gradio[mcp]"')
    folder = Path(arguments.model)
    # Anything else may be the id of a model on the Hub.
    if not arguments.vlm_endpoint and (folder.is_absolute() or folder.is_dir()):
        if not (folder / "config.json").is_file():
            return fail(f"expected a model folder with a config.json at {arguments.model!r}, but there is none; {HINT}")

    from annexe_demo.data.catalogue import Catalogue
    from annexe_demo.data.egoirgbench import DatasetError

    try:
        catalogue = Catalogue(arguments.data, arguments.predictions)
    except DatasetError as error:
        return fail(str(error))

    from annexe_demo.data.reports import own_figures

    own = own_figures(arguments.predictions, arguments.model or None)

    from annexe_demo import AnnexePipeline
    from annexe_demo.ui import build_interface, launch_options

    try:
        pipe = AnnexePipeline.from_pretrained(
            arguments.model,
            device=arguments.device,
            revision=arguments.revision,
            sam=arguments.sam,
            vlm_endpoint=arguments.vlm_endpoint,
            coordinates=arguments.coordinates,
        )
    except FileNotFoundError as error:
        return fail(str(error).splitlines()[0] + ("" if arguments.sam or arguments.vlm_endpoint else f"; {HINT}"))
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        if arguments.vlm_endpoint:
            return fail(str(error).splitlines()[0])
        return fail(f"cannot load the model in {arguments.model!r}: {str(error).splitlines()[0]}")
    page = build_interface(pipe, EXAMPLES, catalogue=catalogue, mcp=arguments.mcp, own=own)
    options = launch_options(catalogue) | {"mcp_server": arguments.mcp}
    try:
        page.launch(server_name=arguments.host, server_port=arguments.port, share=arguments.share, **options)
    except OSError as error:  # the port is taken
        return fail(str(error).splitlines()[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
