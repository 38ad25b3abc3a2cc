"""A tiny model trained on drawn scenes, so that tests see texts and masks that a network really made."""

from __future__ import annotations

import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from annexe_demo.model import AnnexeConfig
from tests.drawn_scenes import write_drawn_dataset

TINY = AnnexeConfig(width=48, hidden_size=96, layers=2, heads=3, vocab_size=640, image_size=160)


@lru_cache
def drawn_dataset() -> Path:
    """24 drawn scenes in the benchmark's layout: 16 train, 4 val, 4 test."""
    folder = Path(tempfile.mkdtemp(prefix="annexe-drawn-"))
    return write_drawn_dataset(folder, {"train": 16, "val": 4, "test": 4})


@lru_cache
def trained_folder() -> Path:
    """The folder of a tiny model that has learned the drawn training scenes, made once a test run."""
    from annexe_demo.train import train

    out = Path(tempfile.mkdtemp(prefix="annexe-tiny-"))
    # Without facts each picture keeps its written groups, as in the benchmark: few texts, soon learned.
    data = write_drawn_dataset(out / "data", {"train": 16, "val": 2}, with_facts=False)
    train(TINY, data, out, steps=160, minutes=None, batch_size=4, queries=6, augmented=False)
    shutil.rmtree(out / "data")
    (out / "checkpoint.pt").unlink()
    return out


def copy_of_trained_folder(where: Path) -> Path:
    return Path(shutil.copytree(trained_folder(), where))
