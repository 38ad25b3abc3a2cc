"""Augmentation of pictures with their masks and depth: the model must meet photographs it was never shown.

Everything works on a `View`, and what is true of the scene is read again from the mask after each cut, so that texts made
from it stay true: a hand that a crop has cut away is not mentioned any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .facts import ObjectFact, SceneFacts

LEFT_HAND, RIGHT_HAND, ACTIVE_OBJECT = 1, 2, 3
MIN_HAND_AREA = 0.004  # of the picture; a smaller rest of a hand is not called visible
MIN_OBJECT_AREA = 0.0008
MIN_KEPT = 0.6  # share of an interacting hand or object that a crop must keep


@dataclass
class View:
    """A picture as the augmentation passes it on.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8 index map.
        depth: (H, W) float32, 0 where unknown; None without depth.
        mirrored: left and right have been swapped an odd number of times.
    """

    image: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None
    mirrored: bool = False


def visible_facts(facts: SceneFacts, mask: np.ndarray, mirrored: bool = False) -> SceneFacts:
    """`facts` as far as `mask` still shows them, with places and areas measured anew.

    Args:
        facts: of the scene before it was cut or mirrored.
        mask: (H, W) index map after it; in mirrored maps 1 is still the wearer's left hand as it appears now.
        mirrored: swap the sides of the hands in `facts`.
    """
    h, w = mask.shape
    counts = np.bincount(mask.ravel(), minlength=256)

    def seen(o: ObjectFact) -> ObjectFact | None:
        if counts[o.mask_id] < MIN_OBJECT_AREA * mask.size:
            return None
        y, x = np.nonzero(mask == o.mask_id)
        place = {"x": float(x.mean() / w), "y": float(y.mean() / h), "area": float(counts[o.mask_id] / mask.size)}
        return replace(o, **place)

    hands = []
    for hand in facts.hands:
        if mirrored:
            side = "right" if hand.side == "left" else "left"
            hand = replace(hand, side=side, mask_id=RIGHT_HAND if side == "right" else LEFT_HAND)
        if counts[hand.mask_id] >= MIN_HAND_AREA * mask.size:
            hands.append(hand)
    active = seen(facts.active) if facts.active else None
    if active is None or not any(hand.grasp for hand in hands):
        active = None
        hands = [replace(hand, grasp=None) for hand in hands]
    clutter = tuple(o for o in map(seen, facts.clutter) if o is not None)
    return replace(facts, active=active, hands=tuple(sorted(hands, key=lambda hand: hand.side)), clutter=clutter)


def crop_and_scale(view: View, size: tuple[int, int], rng: np.random.Generator, smallest: float = 0.45) -> View:
    """A random cut-out in about the shape of `size` (h, w), brought to that size.

    Hands and the active object keep at least `MIN_KEPT` of what was visible; where no draw achieves that, the largest
    cut-out around the active object (or the picture's middle) is taken.
    """
    h, w = view.mask.shape
    whole = np.bincount(view.mask.ravel(), minlength=4)[1:4]
    box = None
    for _ in range(8):
        aspect = size[1] / size[0] * np.exp(rng.normal(0, 0.08))
        ch, cw = (h, h * aspect) if h * aspect <= w else (w / aspect, w)
        scale = rng.uniform(smallest, 1.0) ** 0.7
        ch, cw = max(int(ch * scale), 16), max(int(cw * scale), 16)
        top, left = int(rng.integers(0, h - ch + 1)), int(rng.integers(0, w - cw + 1))
        box = top, left, ch, cw
        kept = np.bincount(view.mask[top : top + ch, left : left + cw].ravel(), minlength=4)[1:4]
        if (kept >= MIN_KEPT * whole).all():
            break
    else:
        aspect = size[1] / size[0]
        ch, cw = (h, int(h * aspect)) if h * aspect <= w else (int(w / aspect), w)
        y, x = np.nonzero(view.mask == ACTIVE_OBJECT)
        cy, cx = (y.mean(), x.mean()) if len(y) else (h / 2, w / 2)
        box = int(np.clip(cy - ch / 2, 0, h - ch)), int(np.clip(cx - cw / 2, 0, w - cw)), ch, cw
    top, left, ch, cw = box
    return resize(
        View(
            *(
                a[top : top + ch, left : left + cw] if a is not None else None
                for a in (view.image, view.mask, view.depth)
            ),
            view.mirrored,
        ),
        size,
    )


def resize(view: View, size: tuple[int, int]) -> View:
    """To `size` (h, w): pixels by area or bicubically, mask and depth by nearest neighbour."""
    h, w = size
    method = cv2.INTER_AREA if view.image.shape[0] > h else cv2.INTER_CUBIC
    depth = None if view.depth is None else cv2.resize(view.depth, (w, h), interpolation=cv2.INTER_NEAREST)
    return View(
        cv2.resize(view.image, (w, h), interpolation=method),
        cv2.resize(view.mask, (w, h), interpolation=cv2.INTER_NEAREST),
        depth,
        view.mirrored,
    )


def mirror(view: View) -> View:
    """Left and right swapped, in the picture and in the mask's hands."""
    swap = np.arange(256, dtype=np.uint8)
    swap[[LEFT_HAND, RIGHT_HAND]] = RIGHT_HAND, LEFT_HAND
    depth = None if view.depth is None else np.ascontiguousarray(view.depth[:, ::-1])
    return View(np.ascontiguousarray(view.image[:, ::-1]), swap[view.mask[:, ::-1]], depth, not view.mirrored)


def mix_background(view: View, background: np.ndarray, rng: np.random.Generator) -> View:
    """Everything but hands and objects replaced by another picture, with a soft seam and no depth there."""
    h, w = view.mask.shape
    bh, bw = background.shape[:2]
    scale = rng.uniform(0.4, 1.0)
    ch, cw = max(int(bh * scale), 8), max(int(bw * scale), 8)
    top, left = int(rng.integers(0, bh - ch + 1)), int(rng.integers(0, bw - cw + 1))
    background = cv2.resize(background[top : top + ch, left : left + cw], (w, h), interpolation=cv2.INTER_LINEAR)
    alpha = cv2.GaussianBlur((view.mask > 0).astype(np.float32), (0, 0), rng.uniform(0.5, 1.2))[..., None]
    image = view.image * alpha + background * (1 - alpha)
    depth = None if view.depth is None else np.where(view.mask > 0, view.depth, 0)
    return View(image.astype(np.uint8), view.mask, depth, view.mirrored)


def camera(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What cameras do to colours and detail: exposure, white balance, contrast, blur, noise, JPEG. (H, W, 3) uint8.

    Hues shift little, since answers name colours.
    """
    x = image.astype(np.float32) / 255
    x = x ** np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.06, 3))
    x = (x - 0.5) * np.exp(rng.normal(0, 0.15)) + 0.5 + rng.normal(0, 0.04)
    gray = x.mean(-1, keepdims=True)
    x = gray + (x - gray) * rng.uniform(0.55, 1.35)
    if rng.random() < 0.25:  # light that falls from one side
        h, w = x.shape[:2]
        angle = rng.uniform(0, 2 * np.pi)
        ramp = np.cos(angle) * np.linspace(-1, 1, w)[None] + np.sin(angle) * np.linspace(-1, 1, h)[:, None]
        x = x * (1 + rng.uniform(0.1, 0.5) * ramp[..., None])
    x = np.clip(x, 0, 1).astype(np.float32)
    draw = rng.random()
    if draw < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.8))
    elif draw < 0.3:
        kernel = np.zeros((11, 11), np.float32)
        angle, reach = rng.uniform(0, np.pi), rng.uniform(1, 5)
        dx, dy = np.cos(angle) * reach, np.sin(angle) * reach
        cv2.line(kernel, (round(5 - dx), round(5 - dy)), (round(5 + dx), round(5 + dy)), 1.0)
        x = cv2.filter2D(x, -1, kernel / kernel.sum())
    elif draw < 0.4:
        h, w = x.shape[:2]
        k = rng.uniform(0.35, 0.8)
        x = cv2.resize(cv2.resize(x, (int(w * k), int(h * k)), interpolation=cv2.INTER_AREA), (w, h))
    elif draw < 0.5:
        x = x + rng.uniform(0.3, 1.0) * (x - cv2.GaussianBlur(x, (0, 0), 1.5))
    if rng.random() < 0.5:
        x = x + rng.normal(0, rng.uniform(0.005, 0.04), x.shape).astype(np.float32)
    out = (np.clip(x, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.4:
        out = cv2.imdecode(cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])[1], 1)
    return out


def augment(
    view: View, size: tuple[int, int], rng: np.random.Generator, background: Callable[[], np.ndarray] | None = None
) -> View:
    """One random variant of `view` at `size` (h, w). `background`, where given, draws another picture to stand behind."""
    if background is not None and rng.random() < 0.2:
        view = mix_background(view, background(), rng)
    view = cut(view, size, rng)
    return replace(view, image=camera(view.image, rng))


def cut(view: View, size: tuple[int, int], rng: np.random.Generator) -> View:
    """A random cut-out at `size` (h, w), mirrored or not."""
    view = crop_and_scale(view, size, rng)
    return mirror(view) if rng.random() < 0.5 else view
