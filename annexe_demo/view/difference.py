"""Where a predicted mask and the true one agree, on the photo in grey."""

from __future__ import annotations

import cv2
import numpy as np

from annexe_demo.view.palette import to_rgb

# Of Okabe and Ito's colours, which stay apart under every common colour blindness; lightness differs too.
DIFFERENCE_COLORS = {"agreed": "#00a878", "missed": "#3b82f6", "extra": "#ff6a13"}
_OPACITY = 0.7
_DIMMED = 0.55  # of the photo's lightness outside both masks


def difference_map(image: np.ndarray, predicted: np.ndarray | None, truth: np.ndarray | None) -> np.ndarray:
    """Paint the pixels of both masks, those of the truth alone and those of the prediction alone.

    Args:
        image: the photo, uint8 of shape (H, W, 3), RGB.
        predicted: bool mask of shape (H, W); None is an empty one.
        truth: bool mask of shape (H, W); None is an empty one.

    Returns:
        uint8 array of shape (H, W, 3), RGB: the photo in grey, and `DIFFERENCE_COLORS` where a mask is.

    Raises:
        ValueError: a mask is not of the photo's size.
    """
    masks = []
    for name, mask in (("predicted", predicted), ("truth", truth)):
        mask = np.zeros(image.shape[:2], bool) if mask is None else np.asarray(mask, bool)
        if mask.shape != image.shape[:2]:
            raise ValueError(f"{name} must be of the photo's size {image.shape[:2]} but got {mask.shape}")
        masks.append(mask)
    predicted, truth = masks
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    canvas = np.repeat(grey * _DIMMED, 3, axis=2)
    for name, mask in (("agreed", predicted & truth), ("missed", truth & ~predicted), ("extra", predicted & ~truth)):
        color = np.float32(to_rgb(DIFFERENCE_COLORS[name]))
        canvas[mask] = grey[mask] * (1 - _OPACITY) + color * _OPACITY
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
