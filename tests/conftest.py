"""Shared by all tests: the repository's root is importable, and the real page runs once for all that look at it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

MODEL = ROOT / "weights" / "annexe-mini"
EXAMPLES = ROOT / "examples"
START_SECONDS = 180


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of ``python app.py`` with the bundled model; ANNEXE_TEST_URL names a page that runs already.

    Skips where the bundled model is missing, but never in CI.
    """
    if url := os.environ.get("ANNEXE_TEST_URL"):
        yield url.rstrip("/")
        return
    if not (MODEL / "config.json").is_file() and not os.environ.get("CI"):
        pytest.skip(f"needs the bundled model in {MODEL}")
    port = _free_port()
    log = tmp_path_factory.mktemp("app") / "log.txt"
    with log.open("w") as output:
        app = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port)], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(app, url, log)
        yield url
    finally:
        app.terminate()
        try:
            app.wait(10)
        except subprocess.TimeoutExpired:
            app.kill()


def _wait_until_it_answers(app: subprocess.Popen, url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if app.poll() is not None:
            pytest.fail(f"app.py ended with {app.returncode}:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    pytest.fail(f"app.py did not answer within {START_SECONDS} s:\n{log.read_text()}")
