"""The page: its tabs, and how it is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from annexe_demo import images
from annexe_demo.data.catalogue import Catalogue
from annexe_demo.data.reports import OwnFigures
from annexe_demo.ui.api import build_api
from annexe_demo.ui.demo import build_demo_tab
from annexe_demo.ui.examples import load_examples
from annexe_demo.ui.explorer import build_explorer_tab
from annexe_demo.ui.explorer_api import build_explorer_api
from annexe_demo.ui.mcp_tools import build_mcp_tools, offer_only_tools
from annexe_demo.ui.overview import build_overview_api
from annexe_demo.ui.render import header_html, limits_html
from annexe_demo.ui.results import build_results_api, build_results_tab
from annexe_demo.ui.texts import ENGLISH, Texts
from annexe_demo.ui.theme import palette_css, theme

STYLESHEETS = [Path(__file__).with_name(name) for name in ("style.css", "results.css")]
MAX_WAITING = 32  # visitors in line; the next one is told to come back later
CACHE_SECONDS = (600, 3600)  # pictures made for the page: looked through every 10 minutes, deleted after an hour


def build_interface(
    pipe: Any,
    examples_dir: str | Path | None = None,
    texts: Texts = ENGLISH,
    catalogue: Catalogue | None = None,
    mcp: bool = False,
    own: OwnFigures | None = None,
) -> gr.Blocks:
    """Build the page around a pipeline.

    Args:
        pipe: an `AnnexePipeline`, or anything with its `open`, `name` and `limitations`.
        examples_dir: folder in the benchmark's layout whose test split the gallery offers.
        texts: the words of the page.
        catalogue: the folder that the explorer shows; without one there is no explorer.
        mcp: also offer the tools of `annexe_demo.ui.mcp_tools`; launch with ``mcp_server=True`` then.
        own: our figures for the results, see `annexe_demo.data.reports.own_figures`; without them no results are shown.

    Returns:
        The Blocks, with its queue set up; launch it with `launch_options`.
    """
    with gr.Blocks(title=texts.title, analytics_enabled=False, delete_cache=CACHE_SECONDS) as page:
        gr.HTML(header_html(pipe.name, texts), js_on_load=None)
        if catalogue is None and own is None:
            build_demo_tab(pipe, load_examples(examples_dir), texts)
        else:
            with gr.Tabs(elem_id="tabs"):
                with gr.Tab(texts.tabs["demo"], id="demo"):
                    build_demo_tab(pipe, load_examples(examples_dir), texts)
                if catalogue is not None:
                    with gr.Tab(texts.tabs["explorer"], id="explorer") as tab:
                        build_explorer_tab(pipe, catalogue, tab, texts)
                if own is not None:
                    with gr.Tab(texts.results.tab, id="results") as tab:
                        build_results_tab(own, tab, texts)
        gr.HTML(limits_html(pipe.limitations, texts), js_on_load=None, elem_id="limits")
        build_api(pipe)
        if catalogue is not None:
            build_explorer_api(pipe, catalogue, texts)
            build_overview_api(catalogue, texts)
        if own is not None:
            build_results_api(own, texts)
        if mcp:
            build_mcp_tools(pipe)
    if mcp:
        offer_only_tools(page)
    return page.queue(max_size=MAX_WAITING, default_concurrency_limit=1)


def launch_options(catalogue: Catalogue | None = None) -> dict[str, Any]:
    """Keyword arguments for `gr.Blocks.launch` that belong to the page rather than to the place where it runs.

    Args:
        catalogue: the one that `build_interface` got; its thumbnails may be served.
    """
    return {
        "allowed_paths": [] if catalogue is None else [str(catalogue.thumbnails.folder)],
        "theme": theme(),
        "css": palette_css(),
        "css_paths": STYLESHEETS,
        "max_file_size": images.MAX_BYTES,
        "footer_links": ["api"],
        "enable_monitoring": False,
        "ssr_mode": False,
    }
