"""The MCP server through the protocol itself, and its tools as endpoints, with a stand-in for the model."""

from __future__ import annotations

import asyncio
import base64
import http.server
import io
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from annexe_demo.data.catalogue import Catalogue
from annexe_demo.ui import build_interface, launch_options
from annexe_demo.ui.mcp_tools import TOOLS
from tests.conftest import ROOT
from tests.drawn_scenes import write_drawn_dataset
from tests.ui.stand_in import ANALYSIS, NO_TARGET, StandIn

INSTALLED = find_spec("mcp") is not None
needs_mcp = pytest.mark.skipif(
    not INSTALLED and not os.environ.get("CI"), reason='needs pip install "gradio[mcp]"'
)  # in CI a missing package is a failure


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mcp")
    catalogue = Catalogue(write_drawn_dataset(folder / "data", {"test": 2}, (72, 128)), cache_dir=folder / "cache")
    page = build_interface(StandIn(), None, catalogue=catalogue, mcp=True)
    _, url, _ = page.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, mcp_server=INSTALLED, **launch_options(catalogue)
    )
    yield url
    page.close()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 48), (90, 120, 150)).save(path)
    return path


def as_data(path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def in_protocol(url: str, work):
    """`work(session)` in a session of the protocol's own client."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def connected():
        async with streamablehttp_client(f"{url.rstrip('/')}/gradio_api/mcp/") as (read, write, _):
            async with ClientSession(read, write) as session:
                await session.initialize()
                return await work(session)

    # In a thread of its own: the browser tests leave a running loop in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(asyncio.wait_for(connected(), 60))).result()


@needs_mcp
def test_only_the_tools_are_offered_each_with_its_description(url):
    tools = in_protocol(url, lambda session: session.list_tools()).tools
    assert sorted(t.name for t in tools) == sorted(TOOLS)
    for tool in tools:
        assert "first-person" in tool.description
        properties = tool.inputSchema["properties"]
        assert set(tool.inputSchema["required"]) == set(properties) <= {"photo", "question"}
        assert all(p["description"] for p in properties.values())


@needs_mcp
def test_a_photo_is_described_and_asked_about(url, photo):
    async def work(session):
        described = await session.call_tool("describe_photo", {"photo": as_data(photo)})
        asked, shown = [
            await session.call_tool(tool, {"photo": as_data(photo), "question": "hand and mug"}) for tool in TOOLS[1:]
        ]
        return described, asked, shown

    described, asked, shown = in_protocol(url, work)
    assert not described.isError and described.content[0].text == ANALYSIS
    text = asked.content[0].text
    assert text.startswith("The mask of the right hand is <MSK_0>")
    assert "<MSK_1> red mug: score 0.71, box x 35, y 14, width 22, height 24" in text
    image = next(c for c in shown.content if c.type == "image")
    assert Image.open(io.BytesIO(base64.b64decode(image.data))).size == (64, 48)


@needs_mcp
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"question": "x" * 2001}, "1 to 2,000 characters"),
        ({"photo": "data:image/png;base64,bm90IGEgcGljdHVyZQ=="}, "not a picture"),
    ],
)
def test_bad_input_is_refused(url, photo, arguments, message):
    arguments = {"photo": as_data(photo), "question": "hand"} | arguments
    result = in_protocol(url, lambda session: session.call_tool("ask_photo", arguments))
    assert result.isError and message in result.content[0].text and "Traceback" not in result.content[0].text


@needs_mcp
def test_neither_files_of_the_server_nor_its_network_are_read(url, photo):
    asked_for = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):  # noqa: N802 - the name that http.server calls
            asked_for.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=photo.parent)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for source in (str(photo), photo.as_uri(), f"http://127.0.0.1:{server.server_port}/photo.png"):
            result = in_protocol(url, lambda session, s=source: session.call_tool("describe_photo", {"photo": s}))
            assert result.isError, source
            assert ANALYSIS not in result.content[0].text and "Traceback" not in result.content[0].text
        server.shutdown()
    assert asked_for == []


def test_the_tools_are_endpoints_and_the_only_ones_in_the_list(url, photo):
    client = Client(url, verbose=False)
    listed = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(listed) == sorted(f"/{tool}" for tool in TOOLS)
    assert Image.open(client.predict(handle_file(photo), "hand and mug", api_name="/show_masks")).size == (64, 48)
    text = client.predict(handle_file(photo), "A kettle?", api_name="/ask_photo")
    assert text == f"{NO_TARGET}\nProbability that the question has a target in this photo: 0.03"
    with pytest.raises(Exception, match="photo must be a picture but got nothing"):
        client.predict(None, api_name="/describe_photo")


def test_other_endpoints_answer_as_before(url, photo):
    assert Client(url, verbose=False).predict(handle_file(photo), api_name="/analyze") == ANALYSIS


@pytest.mark.skipif(INSTALLED, reason="the package is installed")
def test_a_missing_package_is_told_in_one_line_with_the_command_that_installs_it():
    done = subprocess.run([sys.executable, "app.py", "--mcp"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.strip() == 'error: --mcp needs a package that is not installed: pip install "gradio[mcp]"'
