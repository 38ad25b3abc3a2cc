"""Depth maps in colour."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

COLORMAP = "magma"  # perceptually uniform, and readable in grey and by the colour-blind
_UNKNOWN = (128, 128, 128)


def colorize_depth(depth: np.ndarray, colormap: str = COLORMAP) -> np.ndarray:
    """Colour relative depth: near is bright, far is dark.

    Args:
        depth: float array of shape (H, W), 0 (nearest) to 1 (farthest); values beyond are clipped.
        colormap: name of a matplotlib colormap.

    Returns:
        uint8 array of shape (H, W, 3), RGB; grey where the depth is NaN or infinite.
    """
    if depth.ndim != 2:
        raise ValueError(f"depth must be (H, W) but got shape {depth.shape}")
    known = np.isfinite(depth)
    levels = np.rint((1 - np.clip(np.where(known, depth, 0), 0, 1)) * 255).astype(np.uint8)
    colored = _table(colormap)[levels]
    colored[~known] = _UNKNOWN
    return colored


@lru_cache(maxsize=8)
def _table(colormap: str) -> np.ndarray:
    import matplotlib

    rgba = matplotlib.colormaps[colormap](np.linspace(0, 1, 256))
    return np.rint(rgba[:, :3] * 255).astype(np.uint8)
