"""One colour for each target, the same wherever it is shown: overlay, answer, legend, export.

The hands have fixed colours, blue and yellow, which stay apart under every common colour blindness. Other targets take
the colours of `OBJECT_COLORS` by their number and, past the last of them, golden-ratio steps around the hue circle.
"""

from __future__ import annotations

import colorsys

LEFT_HAND_COLOR = "#1e90ff"
RIGHT_HAND_COLOR = "#ffd60a"
# Saturated and unlike skin, wood and grey walls; neighbours differ in lightness too, not in hue alone.
OBJECT_COLORS = ("#ff2d9b", "#00e0a4", "#ff5a1f", "#9b4dff", "#a8f000", "#00d8ff", "#e0004d", "#ffb3f0")

_GOLDEN_RATIO = 0.618033988749895
# Hues from 0 to 1 that generated colours may take: the circle without the surroundings of the hands' yellow and blue.
_FREE_HUES = ((70 / 360, 192 / 360), (228 / 360, 392 / 360))


def color_for(index: int, label: str) -> str:
    """Colour of a target as ``"#rrggbb"``.

    Args:
        index: number of the target in its answer, 0 or more. Without limit: colours never run out.
        label: the words that name it; a hand's side decides alone, whatever the index.
    """
    if index < 0:
        raise ValueError(f"index must be 0 or more but got {index}")
    words = label.lower()
    left, right = "left hand" in words, "right hand" in words
    if left != right:
        return LEFT_HAND_COLOR if left else RIGHT_HAND_COLOR
    if index < len(OBJECT_COLORS):
        return OBJECT_COLORS[index]
    return _generated(index - len(OBJECT_COLORS))


def _generated(step: int) -> str:
    at = step * _GOLDEN_RATIO % 1.0 * sum(end - start for start, end in _FREE_HUES)
    for start, end in _FREE_HUES:
        hue = start + at
        if hue < end:
            break
        at -= end - start
    lightness = (0.5, 0.68, 0.38)[step % 3]
    r, g, b = colorsys.hls_to_rgb(hue % 1.0, lightness, 0.95)
    return f"#{round(r * 255):02x}{round(g * 255):02x}{round(b * 255):02x}"


def to_rgb(color: str) -> tuple[int, int, int]:
    """``"#rrggbb"`` as three integers from 0 to 255."""
    if len(color) != 7 or color[0] != "#":
        raise ValueError(f'color must be "#rrggbb" but got {color!r}')
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def luminance(color: str) -> float:
    """Relative luminance, 0 (black) to 1 (white), as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in to_rgb(color))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def text_color_on(color: str) -> str:
    """Black or white, whichever reads better on `color` (contrast of at least 4.5 : 1 on any of them)."""
    y = luminance(color)
    return "#000000" if (y + 0.05) / 0.05 >= 1.05 / (y + 0.05) else "#ffffff"
