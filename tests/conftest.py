"""Shared by all tests: the repository's root is importable, and the real page runs once for all that look at it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

MODEL = ROOT / "weights" / "annexe-mini"
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="session")
def app_url() -> Iterator[str]:
    """Address of ``python app.py`` with the bundled model; ANNEXE_TEST_URL names a page that runs already.

    Skips where the bundled model is missing, but never in CI.
    """
    from tests.serve import serve_app

    if url := os.environ.get("ANNEXE_TEST_URL"):
        yield url.rstrip("/")
        return
    if not (MODEL / "config.json").is_file() and not os.environ.get("CI"):
        pytest.skip(f"needs the bundled model in {MODEL}")
    with serve_app() as url:
        yield url


@pytest.fixture(scope="session")
def data():
    """Training data of the drawn scenes."""
    from annexe_demo.data.training import TrainingData
    from tests.tiny_model import drawn_dataset

    return TrainingData(drawn_dataset(), "train")


@pytest.fixture(scope="session")
def tokenizer(data):
    """A tokenizer trained on all that is said of the drawn scenes."""
    from annexe_demo.model.text_generation import train_tokenizer
    from annexe_demo.train import training_texts
    from tests.tiny_model import TINY

    return train_tokenizer(training_texts(data, 0), TINY.vocab_size)
