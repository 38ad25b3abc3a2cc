"""Masks painted over the photo."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from annexe_demo.events import Grounding
from annexe_demo.view.palette import color_for, to_rgb

_OUTLINE_SHARE = 1 / 320  # of the picture's shorter side: 1 px on a thumbnail, 3 px on 1920 x 1080
_DIMMED = 0.35  # opacity left to the other masks while one is highlighted


class OverlayAnnotator:
    """Tints each mask in its target's colour and draws its outline.

    Larger masks are painted first, so that a small one stays visible on top of a large one; where masks overlap a
    pixel shows the topmost colour only, never a mixture that belongs to no target.

    Args:
        opacity: 0 (photo only) to 1 (flat colour).
        outline: draw the masks' edges, in a width that follows the picture's size.
    """

    def __init__(self, opacity: float = 0.45, outline: bool = True):
        if not 0 <= opacity <= 1:
            raise ValueError(f"opacity must be 0 to 1 but got {opacity}")
        self.opacity = float(opacity)
        self.outline = outline

    def annotate(self, image: np.ndarray, groundings: Iterable[Grounding], highlight: int | None = None) -> np.ndarray:
        """Paint `groundings` over a copy of `image`.

        Args:
            image: uint8 array of shape (H, W, 3), RGB.
            groundings: their masks are bool arrays of shape (H, W).
            highlight: `Grounding.index` of a target to bring to the front; the others are dimmed. An index that no
                grounding has changes nothing.

        Returns:
            uint8 array of shape (H, W, 3), RGB.

        Raises:
            ValueError: the picture is no RGB picture, or a mask is not of its size.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image must be (H, W, 3) uint8 but got {image.shape} {image.dtype}")
        groundings = list(groundings)
        for grounding in groundings:
            if grounding.mask.shape != image.shape[:2]:
                raise ValueError(
                    f"mask of {grounding.label!r} must be of the picture's size {image.shape[:2]} "
                    f"but got {grounding.mask.shape}"
                )
        if all(g.index != highlight for g in groundings):
            highlight = None
        # Ties in area keep the order of the answer; the highlighted target comes last, on top of all.
        areas = {id(g): int(np.count_nonzero(g.mask)) for g in groundings}
        groundings.sort(key=lambda g: (g.index == highlight, -areas[id(g)]))

        canvas = image.copy()
        for grounding in groundings:
            if areas[id(grounding)]:
                dimmed = highlight is not None and grounding.index != highlight
                self._paint(canvas, image, grounding, dimmed, grounding.index == highlight)
        return canvas

    def _paint(self, canvas: np.ndarray, image: np.ndarray, grounding: Grounding, dimmed: bool, front: bool) -> None:
        color = to_rgb(color_for(grounding.index, grounding.label))
        mask = np.ascontiguousarray(grounding.mask, dtype=np.uint8)
        opacity = self.opacity * (_DIMMED if dimmed else 1.0)
        x, y, w, h = cv2.boundingRect(mask)
        window = (slice(y, y + h), slice(x, x + w))
        inside = mask[window].astype(bool)
        tinted = image[window][inside].astype(np.float32) * (1 - opacity) + np.float32(color) * opacity
        canvas[window][inside] = np.clip(np.rint(tinted), 0, 255).astype(np.uint8)
        if not self.outline:
            return
        width = max(1, round(min(image.shape[:2]) * _OUTLINE_SHARE))
        contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        if not dimmed:  # a dark rim keeps a bright outline visible on a bright object
            cv2.drawContours(canvas, contours, -1, (16, 16, 16), width * (3 if front else 2) + 1, cv2.LINE_AA)
        cv2.drawContours(canvas, contours, -1, color, width * (2 if front else 1), cv2.LINE_AA)
