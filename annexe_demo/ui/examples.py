"""The examples under the photo: test scenes in the benchmark's layout."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from annexe_demo.data.egoirgbench import DatasetError, EgoIRGBench, Sample

logger = logging.getLogger(__name__)

_SUGGESTED_KINDS = ("single", "multi", "no-target")


@dataclass(frozen=True)
class Example:
    """A photo with the question that a click asks, and one question of each kind to go on with."""

    path: Path
    query: str | None
    suggestions: dict[str, str]


def load_examples(directory: str | Path | None) -> list[Example]:
    """The test split of `directory`; empty where there is none. A sample that cannot be read is left out."""
    if directory is None:
        return []
    try:
        dataset = EgoIRGBench(directory, "test")
    except DatasetError as error:
        logger.warning("no examples: %s", error)
        return []
    examples = []
    for name in dataset.names:
        try:
            examples.append(_example(dataset.load(name)))
        except DatasetError as error:
            logger.warning("example left out: %s", error)
    return examples


def _example(sample: Sample) -> Example:
    asked = [g for g in sample.groups if g.questions]
    suggestions = {}
    for kind in _SUGGESTED_KINDS:
        group = next((g for g in asked if g.kind == kind), None)
        if group is not None:
            suggestions[kind] = group.questions[0].query
    return Example(sample.image_path, asked[0].questions[0].query if asked else None, suggestions)
