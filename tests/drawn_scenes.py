"""Scenes drawn with two ellipses and a box: enough to learn from in seconds, where rendering would take minutes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from annexe_demo.data.egoirgbench import write_sample
from annexe_demo.data.facts import HandFact, ObjectFact, SceneFacts
from annexe_demo.data.language import annotate

OBJECTS = (("mug", "red"), ("bottle", "green"), ("bowl", "blue"), ("stapler", "yellow"))
RGB = {"red": (200, 30, 30), "green": (40, 150, 60), "blue": (40, 70, 190), "yellow": (235, 205, 50)}


def draw_scene(seed: int, size: tuple[int, int] = (144, 256)) -> tuple[np.ndarray, np.ndarray, np.ndarray, SceneFacts]:
    """Image (H, W, 3), index map (H, W), depth in millimetres (H, W) and facts of scene number `seed`."""
    rng = np.random.default_rng(seed)
    h, w = size
    image = np.full((h, w, 3), rng.integers(90, 190), np.uint8)
    mask = np.zeros((h, w), np.uint8)
    depth = np.linspace(1500, 500, h, dtype=np.float32)[:, None].repeat(w, 1)
    category, color = OBJECTS[rng.integers(len(OBJECTS))]
    cx, cy = int(w * rng.uniform(0.35, 0.65)), int(h * rng.uniform(0.35, 0.55))
    half = int(h * 0.12)

    def paint(shape, value, rgb, near):
        layer = np.zeros((h, w), np.uint8)
        shape(layer)
        mask[layer > 0], image[layer > 0], depth[layer > 0] = value, rgb, near

    paint(lambda m: cv2.rectangle(m, (cx - half, cy - half), (cx + half, cy + half), 1, -1), 3, RGB[color], 450)
    holding = ["left", "right"] if rng.random() < 0.3 else [("left", "right")[rng.integers(2)]]
    hands = []
    for side in holding:
        value, sign = (1, -1) if side == "left" else (2, 1)
        start = (cx + sign * half, cy + half // 2)
        end = (int(w * (0.5 + sign * 0.4)), h)
        paint(lambda m, s=start, e=end: cv2.line(m, s, e, 1, max(h // 8, 3)), value, (205, 150, 112), 400)
        hands.append(HandFact(side, "power", value))
    y, x = np.nonzero(mask == 3)
    active = ObjectFact(category, color, 3, float(x.mean() / w), float(y.mean() / h), float(len(x) / mask.size))
    return image, mask, depth, SceneFacts(active, tuple(hands), bool(rng.random() < 0.5), "table")


def write_drawn_dataset(
    root: Path, counts: dict[str, int], size: tuple[int, int] = (144, 256), with_facts: bool = True
) -> Path:
    """A folder in the benchmark's layout with `counts` drawn scenes a split. The real benchmark has no facts."""
    seed = 0
    for split, count in counts.items():
        for _ in range(count):
            image, mask, depth, facts = draw_scene(seed, size)
            groups = annotate(facts, np.random.default_rng(seed), split)
            write_sample(root, split, f"{seed:04d}", image, mask, depth, groups, facts if with_facts else None)
            seed += 1
    return root
