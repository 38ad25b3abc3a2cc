"""Vision-language models that the prompted engine is known to fit, by short names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .grounding_text import Coordinates

GIB = 2**30
DEFAULT_SAM = "facebook/sam-vit-base"


@dataclass(frozen=True)
class Preset:
    """A vision-language model of the Hub.

    Attributes:
        repo_id: on the Hugging Face Hub.
        coordinates: how it writes boxes, see `grounding_text.to_photo`.
        parameters: of the whole model, counted on meta tensors of the published sizes; SmolVLM2's as its name says.
        license: as on the model's page. Qwen2.5-VL 3B is for research only.
        revision: commit that is loaded when none is asked for; None means the repository's main branch, which may
            change: name a commit of your own where runs must repeat exactly.
    """

    repo_id: str
    coordinates: Coordinates
    parameters: float
    license: str
    revision: str | None = None

    def memory_needed(self, bytes_per_parameter: int = 2) -> int:
        """Bytes for the weights, and one photo of 1,300 visual tokens with its cache (estimated as 1.5 GiB)."""
        return int(self.parameters * bytes_per_parameter + 1.5 * GIB)


PRESETS = {
    "qwen3-vl-2b": Preset("Qwen/Qwen3-VL-2B-Instruct", "relative", 2.13e9, "Apache-2.0"),
    "qwen3-vl-4b": Preset("Qwen/Qwen3-VL-4B-Instruct", "relative", 4.44e9, "Apache-2.0"),
    "qwen2.5-vl-3b": Preset(
        "Qwen/Qwen2.5-VL-3B-Instruct", "absolute", 3.75e9, "Qwen Research License (no commercial use)"
    ),
    "smolvlm2": Preset("HuggingFaceTB/SmolVLM2-2.2B-Instruct", "relative", 2.25e9, "Apache-2.0"),
}

_NAMES: tuple[tuple[str, Coordinates], ...] = (
    (r"qwen-?2[._-]?5[-_]?vl", "absolute"),
    (r"qwen-?[23][-_]?vl|internvl|smolvlm|idefics-?3", "relative"),
)


def coordinates_of(name: str) -> Coordinates | None:
    """How the model of this name (Hub id, path, name of a preset) writes boxes; None where the name does not tell."""
    if preset := PRESETS.get(name):
        return preset.coordinates
    return next((c for pattern, c in _NAMES if re.search(pattern, name, re.IGNORECASE)), None)
