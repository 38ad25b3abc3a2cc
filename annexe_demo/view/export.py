"""Results as files: JSON with COCO run-length encoded masks, one PNG for each mask, the overlay."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from annexe_demo.events import Grounding
from annexe_demo.view.overlay import OverlayAnnotator

RESULT_FILE = "result.json"
OVERLAY_FILE = "overlay.png"
_MASK_FILE = re.compile(r"mask_\d+_[a-z0-9-]+\.png")
_MAX_SLUG = 40


class Answered(Protocol):
    """What is exported: the pipeline's Result, or anything with the same four fields."""

    analysis: str
    answer: str
    groundings: list[Grounding]
    indicator: float | None


def mask_to_rle(mask: np.ndarray) -> dict[str, Any]:
    """COCO run-length encoding of a bool mask of shape (H, W): ``{"size": [H, W], "counts": str}``, ready for JSON."""
    from pycocotools import mask as coco_mask

    if mask.ndim != 2:
        raise ValueError(f"mask must be (H, W) but got shape {mask.shape}")
    rle = coco_mask.encode(np.asfortranarray(mask.astype(bool), dtype=np.uint8))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def rle_to_mask(rle: dict[str, Any]) -> np.ndarray:
    """Inverse of `mask_to_rle`: a bool array of shape (H, W)."""
    from pycocotools import mask as coco_mask

    return coco_mask.decode({"size": rle["size"], "counts": rle["counts"].encode("ascii")}).astype(bool)


def mask_to_box(mask: np.ndarray) -> list[int]:
    """``[x, y, width, height]`` in pixels around a mask of shape (H, W), as COCO writes it; all 0 for an empty mask."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return [0, 0, 0, 0]
    return [int(cols[0]), int(rows[0]), int(cols[-1] - cols[0] + 1), int(rows[-1] - rows[0] + 1)]


def slugify(label: str) -> str:
    """A label as part of a file name: lower-case ASCII letters, digits and hyphens; ``"target"`` if nothing remains."""
    ascii_text = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text)[:_MAX_SLUG].strip("-") or "target"


def mask_filename(grounding: Grounding) -> str:
    """``mask_<n>_<label>.png``, with n from 0 as in ``<MSK_n>``."""
    return f"mask_{grounding.index}_{slugify(grounding.label)}.png"


def result_to_json(result: Answered, query: str, size: tuple[int, int]) -> dict[str, Any]:
    """A result as plain dicts, lists and numbers.

    Args:
        result: analysis, answer, groundings and mask indicator.
        query: the query that was answered.
        size: (width, height) of the upright photo, the order of `PIL.Image.size`.

    Raises:
        ValueError: a mask is not of the photo's size.
    """
    width, height = size
    for g in result.groundings:
        if g.mask.shape != (height, width):
            raise ValueError(f"mask of {g.label!r} must be (H, W) = ({height}, {width}) but got {g.mask.shape}")
    return {
        "photo": {"width": int(width), "height": int(height)},
        "query": query,
        "analysis": result.analysis,
        "answer": result.answer,
        "indicator": None if result.indicator is None else round(float(result.indicator), 6),
        "groundings": [
            {
                "label": g.label,
                "score": round(float(g.score), 6),
                "span": [int(n) for n in g.span],
                "area": int(np.count_nonzero(g.mask)),
                "bbox": mask_to_box(g.mask),
                "rle": mask_to_rle(g.mask),
            }
            for g in result.groundings
        ],
    }


def save_mask(path: str | Path, mask: np.ndarray) -> None:
    """Write a bool mask of shape (H, W) as an 8-bit PNG: 255 on the target, 0 elsewhere."""
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)


def save_result(
    directory: str | Path,
    result: Answered,
    query: str,
    image: np.ndarray,
    annotator: OverlayAnnotator | None = None,
) -> list[Path]:
    """Write ``result.json``, one ``mask_<n>_<label>.png`` for each target, and ``overlay.png``.

    The folder is made if need be. Masks that an earlier result left in it are removed, so that the files always
    belong together; nothing else in it is touched.

    Args:
        directory: the folder to write to.
        result: analysis, answer, groundings and mask indicator.
        query: the query that was answered.
        image: the upright photo, uint8 of shape (H, W, 3).
        annotator: how the overlay is painted.

    Returns:
        The paths written.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    payload = result_to_json(result, query, (image.shape[1], image.shape[0]))
    if (directory / RESULT_FILE).exists():
        for old in directory.iterdir():
            if _MASK_FILE.fullmatch(old.name):
                old.unlink()
    written = [directory / RESULT_FILE]
    text = json.dumps(payload, ensure_ascii=False, indent=2, allow_nan=False)
    written[0].write_text(text + "\n", encoding="utf-8")
    for grounding in result.groundings:
        written.append(directory / mask_filename(grounding))
        save_mask(written[-1], grounding.mask)
    written.append(directory / OVERLAY_FILE)
    overlay = (annotator or OverlayAnnotator()).annotate(image, result.groundings)
    Image.fromarray(overlay).save(written[-1])
    return written
