"""ANNEXE Demo: analysis, answer and masks for first-person photographs.

    from annexe_demo import AnnexePipeline
    pipe = AnnexePipeline.from_pretrained("weights/annexe-mini")
    result = pipe("photo.jpg", "What is the right hand holding?")

Names are loaded when they are first used, so that importing the package, or its events, does not import torch.
"""

from importlib import import_module

_EXPORTS = {
    "AnnexePipeline": "pipeline",
    "Session": "pipeline",
    "Result": "session",
    "Turn": "session",
    "QueryError": "session",
    "ImageError": "images",
    "load_image": "images",
    "TextDelta": "events",
    "Grounding": "events",
    "DepthMap": "events",
    "Done": "events",
    "Event": "events",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str):
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_EXPORTS[name]}", __name__), name)
