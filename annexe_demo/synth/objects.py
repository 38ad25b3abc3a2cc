"""Procedural objects: the 16 HOI4D categories, and everyday things beside them, each with places to grasp it.

Lengths are metres, z is up and every object rests on z = 0 around the origin. An object names one colour, the one that
most of its surface shows, because the scene's descriptions and queries are made from it; what has a handle and a blade
(scissors, pliers, knives) is named, as people do, by the colour of its handle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import cv2
import numpy as np

from annexe_demo.data.facts import COLORS
from annexe_demo.synth.meshes import (
    Mesh,
    Part,
    box,
    chaikin,
    extrude,
    lathe,
    linear_rgb,
    place,
    rx,
    ry,
    rz,
    srgb_255,
    tube,
)
from annexe_demo.synth.textures import make_texture

X, Y, Z = np.eye(3)

# sRGB anchors of every colour name. Silver is told from gray by being metal, not by its value.
PALETTE: dict[str, tuple[tuple[int, int, int], ...]] = {
    "white": ((236, 236, 232), (246, 244, 239), (228, 229, 230)),
    "black": ((25, 25, 28), (38, 36, 38), (18, 18, 20)),
    "red": ((200, 30, 30), (172, 24, 34), (218, 42, 40)),
    "blue": ((35, 70, 180), (25, 50, 140), (45, 92, 200)),
    "light blue": ((120, 180, 230), (150, 205, 240), (135, 190, 225)),
    "green": ((40, 140, 60), (95, 170, 70), (30, 100, 55)),
    "yellow": ((236, 200, 40), (245, 218, 90), (250, 208, 30)),
    "pink": ((240, 150, 190), (245, 180, 205), (232, 120, 165)),
    "purple": ((120, 70, 170), (155, 110, 198), (92, 48, 130)),
    "orange": ((235, 120, 30), (240, 140, 55), (226, 105, 28)),
    "gray": ((130, 130, 132), (98, 99, 102), (150, 151, 153)),
    "brown": ((118, 74, 42), (94, 60, 36), (140, 90, 55)),
    "beige": ((220, 200, 165), (205, 186, 150), (228, 212, 182)),
    "cyan": ((60, 190, 205), (40, 170, 190), (75, 205, 212)),
    "silver": ((205, 207, 211), (216, 217, 220), (196, 198, 202)),
}

GRAY = linear_rgb((150, 150, 155))
DARK = linear_rgb((35, 35, 38))
STEEL = linear_rgb((212, 214, 217))

GraspKind = Literal["power", "pinch", "palm"]


@dataclass(frozen=True)
class Grasp:
    """A place on an object for one hand, in the object's frame.

    Attributes:
        kind: "power" closes the fingers around a bar, "pinch" takes something between thumb and fingers, "palm" lays
            the hand on a surface.
        point: (3,) that the hand goes to: on the bar's axis, between the pads of thumb and fingers, or under the palm.
        axis: (3,) unit vector: the bar's axis, from thumb to fingers, or across the palm.
        approach: directions (3,) in which the hand may come, unit vectors; None for any direction square to the axis.
        width: radius of the bar (power), gap between the pads (pinch), 0 (palm).
    """

    kind: GraspKind
    point: np.ndarray
    axis: np.ndarray
    approach: list[np.ndarray] | None
    width: float


@dataclass
class ObjectModel:
    """An object at rest on z = 0 around the origin.

    Attributes:
        category: name as in `annexe_demo.data.facts.CATEGORIES`, or that of another everyday thing.
        color: name of the colour that most of its surface, or the handle of a tool, shows; one of
            `annexe_demo.data.facts.COLORS`.
        parts: its meshes.
        grasps: places to take it; one that comes up twice is twice as likely.
        radius: of the circle around the origin that holds it, seen from above.
        height: of its highest point.
    """

    category: str
    color: str
    parts: list[Part]
    grasps: list[Grasp]
    radius: float = field(init=False)
    height: float = field(init=False)

    def __post_init__(self) -> None:
        points = np.concatenate([part.vertices for part in self.parts])
        self.radius = float(np.linalg.norm(points[:, :2], axis=1).max())
        self.height = float(points[:, 2].max())


@dataclass
class Paint:
    """The colour that an object takes its name from.

    Attributes:
        name: one of `annexe_demo.data.facts.COLORS`.
        color: (3,) linear RGB.
    """

    name: str
    color: np.ndarray

    @property
    def srgb(self) -> np.ndarray:
        """(3,) sRGB, 0 to 255."""
        return srgb_255(self.color)

    def material(self, roughness: float = 0.45) -> dict[str, Any]:
        """Material of a `Part`; silver is bare metal."""
        if self.name == "silver":
            return {"color": self.color, "roughness": min(roughness, 0.3), "metalness": 0.65}
        return {"color": self.color, "roughness": roughness}


Build = tuple[str, list[Part], list[Grasp]]  # colour name, parts, grasps
Maker = Callable[[np.random.Generator, Paint], Build]


# Colours


def _lab(srgb: np.ndarray) -> np.ndarray:
    """(K, 3) CIE L*a*b* of (K, 3) sRGB, 0 to 255."""
    return cv2.cvtColor((np.asarray(srgb, np.float32) / 255)[None], cv2.COLOR_RGB2LAB)[0]


_ANCHOR_NAMES = [name for name, anchors in PALETTE.items() for _ in anchors]
_ANCHOR_LAB = _lab(np.array([anchor for anchors in PALETTE.values() for anchor in anchors]))


def nearest_color(srgb: Sequence[float] | np.ndarray, names: Sequence[str] | None = None) -> str:
    """Name of the palette's colour nearest to an sRGB one (0 to 255) in L*a*b*; of all but silver by default."""
    names = [name for name in COLORS if name != "silver"] if names is None else names
    distance = np.linalg.norm(_ANCHOR_LAB - _lab(np.asarray(srgb, float)[None]), axis=1)
    allowed = [k for k, name in enumerate(_ANCHOR_NAMES) if name in names]
    return _ANCHOR_NAMES[min(allowed, key=lambda k: distance[k])]


def pick_paint(rng: np.random.Generator, names: Sequence[str] | None = None) -> Paint:
    """A colour near an anchor of one of ``names`` (all by default) that no other name fits better."""
    name = str(rng.choice(list(names or COLORS)))
    anchors = PALETTE[name]
    anchor = np.array(anchors[rng.integers(len(anchors))], float)
    # The eye sees a tint on a neutral colour long before it sees one on a strong colour.
    tint = 2 if name in ("white", "black", "gray", "silver") else 5
    for _ in range(8):
        srgb = np.clip(anchor + rng.normal(0, 7) + rng.normal(0, tint, 3), 8, 252)
        if name == "silver" or nearest_color(srgb) == name:
            return Paint(name, linear_rgb(srgb))
    return Paint(name, linear_rgb(anchor))


def _other(rng: np.random.Generator) -> np.ndarray:
    """A linear colour for a small part, such as a cap, that does not name the object."""
    return pick_paint(rng, [name for name in COLORS if name != "silver"]).color


def _surface(
    rng: np.random.Generator, paint: Paint, printed: float, roughness: float, kinds: Sequence[str] = ()
) -> dict[str, Any]:
    """Material in the paint's colour, with probability ``printed`` a pattern on it that leaves the colour dominant."""
    if paint.name == "silver" or rng.random() >= printed:
        return paint.material(roughness)
    kind = str(rng.choice(list(kinds) or ["label", "label", "stripe", "floral", "speckle", "noise"]))
    for _ in range(3):
        texture = make_texture(rng, kind, paint.srgb, rng.uniform(20, 250, 3), 256)
        share = (np.abs(texture.astype(float) - paint.srgb).max(axis=-1) < 45).mean()
        if share >= 0.6 and nearest_color(texture.mean(axis=(0, 1))) == paint.name:
            return {"texture": texture, "roughness": roughness}
    return paint.material(roughness)


def _wood(rng: np.random.Generator, names: Sequence[str] = ("brown", "brown", "beige")) -> tuple[str, dict[str, Any]]:
    """Wood, and the name of its mean colour."""
    texture = make_texture(rng, "wood", pick_paint(rng, names).srgb, (0, 0, 0), 256)
    name = nearest_color(texture.mean(axis=(0, 1)), ("brown", "beige", "white", "gray", "black"))
    return name, {"texture": texture, "roughness": rng.uniform(0.35, 0.65)}


# Shapes and grasps shared by several objects


def _grasp(
    kind: GraspKind,
    point: Sequence[float] | np.ndarray,
    axis: Sequence[float] | np.ndarray,
    approach: Sequence[Sequence[float] | np.ndarray] | None = None,
    width: float = 0.03,
) -> Grasp:
    def unit(vector: Sequence[float] | np.ndarray) -> np.ndarray:
        vector = np.asarray(vector, float)
        return vector / np.linalg.norm(vector)

    directions = None if approach is None else [unit(direction) for direction in approach]
    return Grasp(kind, np.asarray(point, float), unit(axis), directions, float(width))


def _rim_pinches(radius: float, height: float, count: int = 8, wall: float = 0.004) -> list[Grasp]:
    """Pinches of a vessel's rim from above."""
    grasps = []
    for angle in np.linspace(0, 2 * np.pi, count, endpoint=False):
        out = np.array([np.cos(angle), np.sin(angle), 0])
        grasps.append(_grasp("pinch", radius * out + (height - 0.012) * Z, out, [-Z], wall))
    return grasps


def _vessel(bottom: float, top: float, height: float, wall: float = 0.003, bulge: float = 0.0) -> tuple[Mesh, Mesh]:
    """Outside (with the lip) and inside of an open vessel, as two meshes, so that only the outside need be printed."""
    z = np.linspace(0, height, 14)
    radius = bottom + (top - bottom) * z / height + bulge * np.sin(np.pi * z / height)
    edge = min(0.004, bottom / 4)
    outside = [(0, 0), (bottom - edge, 0), (bottom - edge * 0.3, edge * 0.3), (bottom, edge)]
    outside += [(r, level) for r, level in zip(radius, z, strict=True) if level > edge]
    lip = [(top - wall * 0.25, height + wall * 0.3), (top - wall * 0.75, height + wall * 0.3), (top - wall, height)]
    inside = [(r - wall, max(level, 0.006)) for r, level in zip(radius[::-1], z[::-1], strict=True)]
    inside = [point for point in inside if point[1] > 0.006] + [(bottom - wall - edge, 0.006), (0, 0.006)]
    return lathe(outside + lip), lathe([(top - wall, height), *inside[1:]])


def _bow(start: Sequence[float], reach: float, half_height: float, count: int = 16) -> np.ndarray:
    """(count, 3) half ellipse in the xz plane around ``start``, bulging along x: a handle."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, count)
    bow = np.column_stack([reach * np.cos(angles), 0 * angles, half_height * np.sin(angles)])
    return bow + np.asarray(start, float)


def _disc(radius: float, low: float, high: float, round_by: float = 0.0, segments: int = 56) -> Mesh:
    """A solid cylinder about z."""
    r = min(round_by, radius / 2, (high - low) / 2)
    if r <= 0:
        return lathe([(0, low), (radius, low), (radius, high), (0, high)], segments)
    corner = [(r * np.sin(a), r * np.cos(a)) for a in np.linspace(0, np.pi / 2, 4)]
    lower = [(radius - r + dx, low + r - dz) for dx, dz in corner]
    upper = [(radius - r + dx, high - r + dz) for dx, dz in corner[::-1]]
    return lathe([(0, low), *lower, *upper, (0, high)], segments)


# The 16 categories


def _mug(rng: np.random.Generator, paint: Paint) -> Build:
    top, height = rng.uniform(0.034, 0.046), rng.uniform(0.08, 0.115)
    bottom = top * rng.uniform(0.8, 1)
    outside, inside = _vessel(bottom, top, height, bulge=rng.choice([0, 0, rng.uniform(0, 0.006)]))
    roughness = rng.uniform(0.15, 0.5)
    inner = paint.material(0.3) if rng.random() < 0.6 else {"color": linear_rgb((240, 238, 232)), "roughness": 0.3}
    reach, middle = rng.uniform(0.024, 0.034), height * 0.5
    handle = _bow((top - 0.004, 0, middle), reach, rng.uniform(0.55, 0.7) * height / 2)
    parts = [
        Part.of(outside, **_surface(rng, paint, 0.35, roughness)),
        Part.of(inside, **inner),
        Part.of(tube(handle, 0.0055), **paint.material(0.3)),
    ]
    if rng.random() < 0.35:
        drink = linear_rgb([(60, 35, 20), (150, 85, 30), (235, 230, 220)][rng.integers(3)])
        level = height * rng.uniform(0.6, 0.88)
        parts.append(Part.of(_disc(bottom - 0.0035, level - 0.001, level), drink, roughness=0.08, noise=(0.0, 1.0)))
    grasps = [_grasp("power", (0, 0, middle), Z, None, top)] * 2
    grasps += [_grasp("power", (top + reach, 0, middle), Z, [-X, Y, -Y], 0.007)] * 2
    return paint.name, parts, grasps + _rim_pinches(top, height)


def _bottle(rng: np.random.Generator, paint: Paint) -> Build:
    radius, height, neck = rng.uniform(0.028, 0.042), rng.uniform(0.17, 0.26), rng.uniform(0.011, 0.016)
    shoulder = height * rng.uniform(0.55, 0.75)
    ripple = rng.choice([0, 0.0015])
    body = [(0, 0), (radius - 0.004, 0), (radius - 0.001, 0.0012), (radius, 0.004)]
    body += [(radius - ripple * (1 + np.sin(z * 300)) / 2, z) for z in np.linspace(0.02, shoulder, 16)]
    turn = np.linspace(0, np.pi, 12)[1:]
    rise = height - 0.02 - shoulder
    body += [(radius - (radius - neck) * (1 - np.cos(t)) / 2, shoulder + rise * t / np.pi) for t in turn]
    body += [(0, height - 0.02)]
    cap_color = paint.color if rng.random() < 0.35 else _other(rng)
    parts = [
        Part.of(lathe(body), **_surface(rng, paint, 0.6, rng.uniform(0.15, 0.4), ["label"])),
        Part.of(_disc(neck + 0.003, height - 0.022, height, 0.002), cap_color),
        Part.of(_disc(neck + 0.004, height - 0.027, height - 0.0235, 0.001), cap_color),
    ]
    grasps = [_grasp("power", (0, 0, shoulder * 0.55), Z, None, radius)] * 4
    grasps += [_grasp("pinch", (0, 0, height - 0.012), axis, [-Z], 2 * neck) for axis in (X, Y)]
    return paint.name, parts, grasps


def _bowl(rng: np.random.Generator, paint: Paint) -> Build:
    radius, height = rng.uniform(0.055, 0.09), rng.uniform(0.045, 0.075)
    foot, wall = 0.42 * radius, 0.003
    angles = np.linspace(0.25, np.pi / 2, 14)
    start = max(foot, radius * np.sin(angles[0]))
    outside = [(0, 0), (foot * 0.95, 0), (foot, 0.001), (foot, 0.006)]
    outside += [(radius * np.sin(a), height - (height - 0.006) * np.cos(a)) for a in angles]
    outside = [(r, z) for r, z in outside if z <= 0.006 or r > start]
    outside += [(radius - wall * 0.3, height + 0.001), (radius - wall, height)]
    hollow = radius - wall
    inside = [(hollow * np.sin(a), height - (height - 0.011) * np.cos(a)) for a in np.linspace(np.pi / 2, 0, 14)]
    roughness = rng.uniform(0.1, 0.4)
    inner = paint.material(roughness) if rng.random() < 0.75 else {"color": linear_rgb((240, 238, 232))}
    if inner.get("color") is not paint.color and paint.name not in ("white", "beige"):
        # A white inside would outweigh the outside when seen from above, so it only lines a pale bowl.
        inner = paint.material(roughness)
    parts = [
        Part.of(lathe(outside), **_surface(rng, paint, 0.35, roughness)),
        Part.of(lathe(inside), **{"roughness": roughness, **inner}),
    ]
    return paint.name, parts, _rim_pinches(radius, height, 12)


def _bucket(rng: np.random.Generator, paint: Paint) -> Build:
    top, height = rng.uniform(0.10, 0.145), rng.uniform(0.17, 0.26)
    bottom = top * rng.uniform(0.68, 0.85)
    outside, inside = _vessel(bottom, top, height, 0.004)
    material = _surface(rng, paint, 0.15, rng.uniform(0.3, 0.6), ["label"])
    rim = lathe([(top - 0.001, height - 0.02), (top + 0.006, height - 0.018), (top + 0.006, height),
                 (top + 0.003, height + 0.003), (top - 0.003, height + 0.002)])  # fmt: skip
    tilt = float(rng.choice([np.pi / 2, rng.uniform(-0.2, 0.2), rng.uniform(0.3, 1.2)]))
    angles = np.linspace(0, np.pi, 24)
    bail = (top + 0.006) * np.column_stack([np.cos(angles), 0 * angles, np.sin(angles)])
    bail = bail @ rx(tilt - np.pi / 2).T + (height - 0.015) * Z
    bail[:, 2] = np.maximum(bail[:, 2], 0.01)
    wire = linear_rgb((200, 200, 200)) if rng.random() < 0.6 else _other(rng)
    parts = [
        Part.of(outside, **material, crease_degrees=50),
        Part.of(inside, **paint.material(0.5), crease_degrees=50),
        Part.of(rim, **paint.material(0.4)),
        Part.of(tube(bail, 0.003), wire, roughness=0.3, metalness=0.6),
        Part.of(tube(bail[9:15], 0.008), _other(rng)),
    ]
    for side in (-1, 1):  # ears that hold the bail
        parts.append(Part.of(box((0.012, 0.03, 0.03), (side * (top + 0.003), 0, height - 0.018), 0.005),
                             **paint.material(0.4)))  # fmt: skip
    hold = _grasp("power", bail[11:13].mean(axis=0), X, None, 0.009)
    return paint.name, parts, _rim_pinches(top, height, 10, 0.008) + [hold] * (8 if tilt > 0.5 else 3)


def _trash_can(rng: np.random.Generator, paint: Paint) -> Build:
    top, height = rng.uniform(0.09, 0.12), rng.uniform(0.2, 0.28)
    bottom = top * rng.uniform(0.7, 0.95)
    parts: list[Part] = []
    material = _surface(rng, paint, 0.1, rng.uniform(0.3, 0.6), ["label", "speckle"])
    style = rng.integers(3)  # open, mesh basket look (rings), pedal bin with a lid
    outside, inside = _vessel(bottom, top, height, 0.003)
    parts += [
        Part.of(outside, **material, crease_degrees=50),
        Part.of(inside, paint.color * 0.7, roughness=0.6, crease_degrees=50),
    ]
    grasps = _rim_pinches(top, height, 10, 0.008)
    if style == 2:
        lid_top = height + rng.uniform(0.02, 0.035)
        dome = [(0, height - 0.004), (top + 0.004, height - 0.004), (top + 0.004, height + 0.006)]
        dome += [((top + 0.004) * np.cos(a), height + 0.006 + (lid_top - height) * np.sin(a))
                 for a in np.linspace(0.15, np.pi / 2 - 0.02, 10)]  # fmt: skip
        dome += [(0, lid_top + 0.006)]
        lid = paint.material(0.35)  # seen from above it is most of the bin
        opening = float(rng.choice([0.0, rng.uniform(0.4, 1.2)]))
        hinge = np.array([0, top, height])
        swing = rx(-opening)
        parts.append(Part.of(place(place(lathe(dome), t=-hinge), swing, hinge), **lid))
        parts.append(Part.of(box((0.05, 0.04, 0.012), (0, -bottom - 0.012, 0.012), 0.004), DARK))
        edge = swing @ (np.array([0, -top, height]) - hinge) + hinge
        grasps = [_grasp("pinch", edge, swing @ Z, [swing @ Y], 0.012)] * 4
        grasps += [_grasp("palm", swing @ (np.array([0, 0, lid_top + 0.006]) - hinge) + hinge, X, [-Z], 0)]
    else:
        rim = lathe([(top - 0.001, height - 0.014), (top + 0.005, height - 0.012), (top + 0.005, height),
                     (top + 0.002, height + 0.003), (top - 0.003, height + 0.002)])  # fmt: skip
        parts.append(Part.of(rim, **paint.material(0.4)))
        if style == 1:
            for level in np.linspace(0.12, 0.85, 6):
                radius = bottom + (top - bottom) * level
                band = lathe([(radius - 0.001, level * height - 0.003), (radius + 0.003, level * height),
                              (radius - 0.001, level * height + 0.003)])  # fmt: skip
                parts.append(Part.of(band, **paint.material(0.4)))
        else:  # a bag turned over the rim
            if rng.random() < 0.4:
                bag = linear_rgb((235, 235, 235) if paint.name != "white" else (40, 40, 42))
                fold = [(top + 0.008, height - 0.03), (top + 0.009, height), (top + 0.004, height + 0.006),
                        (top - 0.006, height + 0.004), (top - 0.008, height - 0.05)]  # fmt: skip
                parts.append(Part.of(lathe(fold), bag, roughness=0.3, bump=0.5, bump_frequency=160.0))
    return paint.name, parts, grasps


def _kettle(rng: np.random.Generator, paint: Paint) -> Build:
    if rng.random() < 0.35:
        paint = pick_paint(rng, ["silver"])
    radius, height = rng.uniform(0.065, 0.085), rng.uniform(0.13, 0.18)
    skin = paint.material(0.25)
    body = [(0, 0), (radius * 0.98, 0), (radius, 0.002), (radius * 1.02, 0.01)]
    body += [(radius * (1 - 0.38 * z**1.6), 0.01 + (height - 0.01) * z) for z in np.linspace(0.1, 1, 12)]
    body += [(radius * 0.58, height + 0.006), (radius * 0.5, height + 0.012), (0, height + 0.016)]
    along = np.linspace(0, 1, 12)[:, None]
    low, high = np.array([-radius * 0.85, 0, height * 0.55]), np.array([-radius * 1.45, 0, height * 0.95])
    spout = low * (1 - along) + high * along + 0.012 * np.sin(np.pi * along) * np.array([-0.5, 0, -0.8])
    grip = {"color": DARK, "roughness": 0.5} if rng.random() < 0.75 or paint.name == "silver" else paint.material()
    knob = lathe([(0, height + 0.014), (0.008, height + 0.014), (0.007, height + 0.02), (0.014, height + 0.026),
                  (0.012, height + 0.034), (0, height + 0.036)])  # fmt: skip
    if rng.random() < 0.5:  # a jug's handle, at the back
        back = radius * 0.78
        handle = _bow((back, 0, height * 0.55), 0.05, height * 0.36)
        grasps = [_grasp("power", (back + 0.05, 0, height * 0.55), Z, [-X, Y, -Y], 0.011)] * 3
    else:  # a bail over the lid
        angles = np.linspace(0.1, np.pi - 0.1, 20)
        rise = 0.115
        handle = np.column_stack([radius * 0.85 * np.cos(angles), 0 * angles, height * 0.8 + rise * np.sin(angles)])
        grasps = [_grasp("power", (0, 0, height * 0.8 + rise), X, None, 0.011)] * 3
    parts = [
        Part.of(lathe(body), **skin),
        Part.of(tube(spout, np.linspace(0.018, 0.009, 12)), **skin),
        Part.of(knob, **grip),
        Part.of(tube(handle, 0.009), **grip),
    ]
    if rng.random() < 0.4:  # the base of an electric one
        parts = [part.transformed(np.eye(3), (0, 0, 0.018)) for part in parts]
        parts.append(Part.of(_disc(radius * 1.08, 0, 0.018, 0.004), DARK))
        grasps = [replace(grasp, point=grasp.point + 0.018 * Z) for grasp in grasps]
    return paint.name, parts, grasps + [_grasp("power", (0, 0, height * 0.5), Z, None, radius * 0.9)]


def _lamp(rng: np.random.Generator, paint: Paint) -> Build:
    height, foot = rng.uniform(0.25, 0.36), rng.uniform(0.06, 0.085)
    along = np.linspace(0, 1, 16)
    bend = rng.uniform(0, 0.1)
    stem = np.column_stack([0 * along, bend * along**2, 0.01 + (height - 0.01) * along])
    shade_radius = rng.uniform(0.06, 0.09)
    r = shade_radius
    if rng.random() < 0.5:  # a cone, as desk lamps have
        shade = [(r - 0.003, -0.03), (r, -0.03), (r * 0.6, 0.058), (r * 0.45, 0.07), (0.008, 0.072)]
    else:  # a drum of cloth
        shade = [(r - 0.003, -0.05), (r, -0.05), (r * 0.82, 0.05), (r * 0.82 - 0.003, 0.05), (r - 0.003, -0.05)]
    tilt = rx(rng.uniform(-0.5, 0.1))
    shade_color = paint.material(0.5) if rng.random() < 0.75 else {"color": linear_rgb((240, 236, 225))}
    base_material = paint.material(0.4)
    if shade_color.get("color") is not paint.color:
        paint = Paint("white", shade_color["color"])  # the shade is what one sees of a lamp
    bulb = lathe([(0, -0.028), (0.012, -0.024), (0.018, -0.012), (0.016, 0), (0.009, 0.016), (0.009, 0.05), (0, 0.05)])
    parts = [
        Part.of(_disc(foot, 0, 0.02, 0.008), **base_material),
        Part.of(tube(stem, 0.008), **(base_material if rng.random() < 0.5 else {"color": GRAY, "metalness": 0.6})),
        Part.of(place(lathe(shade), tilt, (0, bend, height)), **shade_color, crease_degrees=60),
        Part.of(place(bulb, tilt, (0, bend, height)), linear_rgb((255, 245, 220)), roughness=0.2),
    ]
    grasps = [_grasp("power", (0, bend * 0.16, height * 0.42), Z, None, 0.009)] * 3
    grasps += [
        _grasp("pinch", np.array([0, bend, height]) + tilt @ np.array([r * 0.95, 0, -0.02]), X, [-Z], 0.006),
        _grasp("power", (0, bend, height + 0.02), Z, None, r * 0.7),
    ]
    return paint.name, parts, grasps


def _keyboard(keys: tuple[int, int, int], ground: tuple[int, int, int]) -> np.ndarray:
    """(256, 512, 3) uint8: five rows of keys."""
    image = np.full((256, 512, 3), ground, np.uint8)
    for row in range(5):
        top, bottom = row * 50 + 6, row * 50 + 46
        x = 5
        while x < 500:
            width = 30 if row < 4 or x < 130 or x > 370 else 226
            cv2.rectangle(image, (x, top), (min(x + width, 506), bottom), keys, -1)
            x += width + 6
    return image


def _laptop(rng: np.random.Generator, paint: Paint) -> Build:
    width = rng.uniform(0.29, 0.35)
    depth, opening = width * 0.68, rng.uniform(1.2, 2.0)
    screen = np.full((8, 8, 3), 12, np.uint8)
    if rng.random() < 0.7:
        kind = str(rng.choice(["photo", "text", "poster", "noise"]))
        screen = make_texture(rng, kind, rng.uniform(30, 250, 3), rng.uniform(10, 250, 3), 256)
    shell = paint.material(0.4)
    dark_keys = paint.name != "white" or rng.random() < 0.3
    keyboard = _keyboard((22, 22, 24), (58, 58, 62)) if dark_keys else _keyboard((235, 235, 235), (205, 205, 208))
    swing = rx(np.pi - opening)  # 0 lies flat open; the lid's inner face looks up and back to the user
    hinge = np.array([0, depth / 2, 0.014])

    def lid(mesh: Mesh) -> Mesh:
        """From the lid's frame (y from the hinge to its free edge, z out of the screen) to where it stands."""
        return place(mesh, swing, hinge)

    parts = [
        Part.of(box((width, depth, 0.015), (0, 0, 0.0075)), **shell),
        Part.of(box((width * 0.88, depth * 0.46, 0.001), (0, depth * 0.13, 0.0152), 0.0004), texture=keyboard),
        Part.of(box((width * 0.3, depth * 0.26, 0.001), (0, -depth * 0.3, 0.0148), 0.0003), paint.color * 0.8),
        Part.of(lid(box((width, depth, 0.007), (0, depth / 2, -0.004), 0.003)), **shell),
        Part.of(lid(box((width * 0.97, depth * 0.94, 0.001), (0, depth / 2, -0.0005), 0.0003)), DARK, roughness=0.3),
        Part.of(lid(box((width * 0.93, depth * 0.87, 0.0006), (0, depth / 2 + 0.002, 0.0001), 0.0002)),
                (0.9, 0.9, 0.9), texture=screen, roughness=0.15),
        Part.of(place(tube([(-width * 0.4, 0, 0), (width * 0.4, 0, 0)], 0.006), t=hinge), DARK),
    ]  # fmt: skip
    edge = swing @ np.array([0, depth - 0.012, -0.004]) + hinge
    grasps = [
        _grasp("pinch", edge + k * width * X, -(swing @ Z), [-(swing @ Y)], 0.010) for k in (-0.35, -0.1, 0.1, 0.35)
    ]
    grasps = grasps * 2 + [_grasp("palm", (k * width * 0.3, -depth * 0.1, 0.018), X, [-Z], 0) for k in (-1, 1)]
    return paint.name, parts, grasps


def _storage_furniture(rng: np.random.Generator, paint: Paint) -> Build:
    width, depth, height = rng.uniform(0.22, 0.34), rng.uniform(0.2, 0.28), rng.uniform(0.2, 0.34)
    name, material = paint.name, paint.material(0.5)
    if rng.random() < 0.45:
        name, material = _wood(rng, ("brown", "brown", "beige", "white"))
    inner = {"color": paint.color * 0.7} if "texture" not in material else {"color": linear_rgb((150, 125, 95))}
    front = -depth / 2
    parts = [Part.of(box((width, depth, height), (0, 0, height / 2), 0.006), **material)]
    grasps: list[Grasp] = []
    drawers = int(rng.integers(1, 4))
    tall = height / drawers
    bar_handles = rng.random() < 0.5
    for k in range(drawers):
        z = tall * (k + 0.5)
        pulled = float(rng.choice([0.0, rng.uniform(0.03, 0.12)]))
        face = front - 0.010 - pulled  # y of the drawer's front
        parts.append(Part.of(box((width * 0.92, 0.012, tall * 0.86), (0, face + 0.006, z), 0.003), **material))
        if pulled:
            parts += _drawer(width * 0.84, pulled, tall * 0.6, face + 0.011, z - tall * 0.08, inner)
        if bar_handles:
            path = chaikin([(-0.04, face, z), (-0.04, face - 0.024, z), (0.04, face - 0.024, z), (0.04, face, z)])
            parts.append(Part.of(tube(path, 0.005), GRAY, metalness=0.7, roughness=0.3))
            grasps.append(_grasp("power", (0, face - 0.024, z), X, [Y, -Z, (0, 0.7, -0.7)], 0.008))
        else:
            knob = lathe([(0, 0), (0.006, 0), (0.008, 0.014), (0.014, 0.018), (0.012, 0.026), (0, 0.027)])
            parts.append(Part.of(place(knob, rx(np.pi / 2), (0, face, z)), GRAY, metalness=0.4))
            grasps.append(_grasp("pinch", (0, face - 0.02, z), X, [Y], 0.026))
    return name, parts, grasps * 2 + [_grasp("palm", (0, 0, height), X, [-Z], 0)]


def _drawer(width: float, pulled: float, tall: float, front: float, z: float, material: dict[str, Any]) -> list[Part]:
    """The open box behind a drawer's front that is pulled out: floor and two sides."""
    middle, length = front + pulled / 2, pulled + 0.01
    floor = box((width, length, 0.005), (0, middle, z - tall / 2), 0.001)
    sides = [box((0.006, length, tall), (side * width / 2, middle, z), 0.001) for side in (-1, 1)]
    return [Part.of(mesh, roughness=0.6, **material) for mesh in (floor, *sides)]


def _safe(rng: np.random.Generator, paint: Paint) -> Build:
    width, depth = rng.uniform(0.22, 0.26), rng.uniform(0.2, 0.28)
    height, front, wall = width, -depth / 2, 0.012
    angle = float(rng.choice([0.0, rng.uniform(0.3, 1.3)]))  # of the door, hinged on the left
    hinge, swing = np.array([-width / 2 + wall, front - 0.002, 0]), rz(-angle)

    def door(mesh: Mesh) -> Mesh:
        return place(mesh, swing, hinge)

    shell = paint.material(0.4)
    inside = {"color": linear_rgb((60, 60, 64)), "roughness": 0.8}
    half, middle = width / 2, height / 2
    parts = [
        Part.of(box((wall, depth, height), (-half + wall / 2, 0, middle), 0.005), **shell),
        Part.of(box((wall, depth, height), (half - wall / 2, 0, middle), 0.005), **shell),
        Part.of(box((width, depth, wall), (0, 0, wall / 2), 0.005), **shell),
        Part.of(box((width, depth, wall), (0, 0, height - wall / 2), 0.005), **shell),
        Part.of(box((width, wall, height), (0, depth / 2 - wall / 2, middle), 0.005), **shell),
        Part.of(
            box((width - 2 * wall, 0.004, height - 2 * wall), (0, depth / 2 - wall - 0.003, middle), 0.001), **inside
        ),
    ]
    dial_x = width * 0.66
    steel = {"color": GRAY, "metalness": 0.8, "roughness": 0.3}
    bar = [(dial_x, -0.012, height * 0.37), (dial_x, -0.034, height * 0.37), (dial_x, -0.034, height * 0.23),
           (dial_x, -0.012, height * 0.23)]  # fmt: skip
    pad = _keypad()
    parts += [
        Part.of(door(box((width - 2 * wall, 0.014, height - 2 * wall), (half - wall, -0.004, middle))),
                **{**shell, "color": paint.color * 0.85}),
        Part.of(door(box((0.06, 0.006, 0.07), (width * 0.32, -0.012, height * 0.62), 0.002)), texture=pad),
        Part.of(door(place(lathe([(0, 0), (0.024, 0), (0.022, 0.018), (0.018, 0.021), (0, 0.022)]), rx(np.pi / 2),
                           (dial_x, -0.01, height * 0.6))), **steel),
        Part.of(door(tube(chaikin(bar), 0.007)), **steel),
    ]  # fmt: skip

    def on_door(x: float, y: float, z: float) -> np.ndarray:
        return swing @ np.array([x, y, z]) + hinge

    grasps = [
        _grasp("pinch", on_door(dial_x, -0.024, height * 0.6), swing @ X, [swing @ Y], 0.044),
        _grasp("power", on_door(dial_x, -0.034, height * 0.3), swing @ Z, [swing @ Y, -(swing @ X)], 0.008),
        _grasp("palm", (0, 0, height), X, [-Z], 0),
    ]
    if angle:
        edge = on_door(width - 2 * wall - 0.006, -0.004, height * 0.5)
        grasps.append(_grasp("pinch", edge, swing @ Y, [-(swing @ X)], 0.014))
    return paint.name, parts, grasps


def _keypad() -> np.ndarray:
    """(64, 64, 3) uint8: twelve keys."""
    image = np.full((64, 64, 3), 30, np.uint8)
    for row in range(4):
        for column in range(3):
            x, y = 5 + column * 19, 4 + row * 15
            cv2.rectangle(image, (x, y), (x + 14, y + 10), (190, 190, 190), -1)
    return image


def _chair(rng: np.random.Generator, paint: Paint) -> Build:
    seat, height, back = rng.uniform(0.24, 0.32), rng.uniform(0.2, 0.28), rng.uniform(0.2, 0.3)
    name, material = paint.name, _surface(rng, paint, 0.2, 0.5, ["knit", "speckle", "plaid", "stripe"])
    wooden = rng.random() < 0.3
    if wooden:
        name, material = _wood(rng)
        frame = dict(material)
    else:
        frame = pick_paint(rng, ["gray", "black", "brown", "silver", "white", paint.name, paint.name]).material(0.4)
    bar = 0.011
    parts = [Part.of(box((seat, seat, 0.025), (0, 0, height), 0.01), **material)]
    for x in (-1, 1):
        for y in (-1, 1):
            leg = [(x * seat * 0.5, y * seat * 0.5, bar * 0.3), (x * seat * 0.44, y * seat * 0.44, height)]
            parts.append(Part.of(tube(leg, bar), **frame))
        post = [(x * seat * 0.44, seat * 0.46, height), (x * seat * 0.44, seat * 0.52, height + back * 0.97)]
        parts.append(Part.of(tube(post, bar), **frame))
    for y in (-1, 1):  # rails between the legs
        rail = [(-seat * 0.47, y * seat * 0.47, height * 0.45), (seat * 0.47, y * seat * 0.47, height * 0.45)]
        parts.append(Part.of(tube(rail, bar * 0.7), **frame))
    if rng.random() < 0.5:
        slats = [(0.45, 0.8)]
    else:
        slats = [(0.16, 0.45), (0.16, 0.67), (0.2, 0.9)]
    for tall, middle in slats:
        lean = seat * (0.46 + 0.06 * middle)
        parts.append(Part.of(box((seat * 0.98, 0.022, back * tall), (0, lean, height + back * middle), 0.009),
                             **material))  # fmt: skip
    grasps = [_grasp("pinch", (k * seat, seat * 0.52, height + back * 0.98), Y, [-Z], 0.024) for k in (-0.35, 0, 0.35)]
    grasps += [_grasp("power", (x * seat * 0.44, seat * 0.49, height + back * 0.3), Z, None, 0.012) for x in (-1, 1)]
    return name, parts, grasps


def _standing(outline: np.ndarray, width: float, y: float = 0.0, bevel: float = 0.0) -> Mesh:
    """An outline in the xz plane with thickness ``width`` along y, centred on ``y``."""
    return place(extrude(outline, width, -width / 2, bevel), rx(np.pi / 2), (0, y, 0))


def _toy_car(rng: np.random.Generator, paint: Paint) -> Build:
    length = rng.uniform(0.09, 0.17)
    width, height = length * rng.uniform(0.42, 0.5), length * rng.uniform(0.30, 0.38)
    wheel = height * 0.28
    style = rng.integers(3)  # saloon, van, lorry
    profiles = (
        [(-0.5, 0.2), (-0.5, 0.55), (-0.25, 0.62), (-0.12, 1), (0.22, 1), (0.34, 0.62), (0.5, 0.5), (0.5, 0.2)],
        [(-0.5, 0.2), (-0.5, 1), (0.3, 1), (0.42, 0.6), (0.5, 0.55), (0.5, 0.2)],
        [(-0.5, 0.2), (-0.5, 0.5), (0, 0.5), (0.02, 1), (0.32, 1), (0.4, 0.55), (0.5, 0.5), (0.5, 0.2)],
    )
    windows = (
        [(-0.19, 0.66), (-0.1, 0.94), (0.2, 0.94), (0.29, 0.66)],
        [(-0.3, 0.62), (-0.3, 0.9), (0.29, 0.9), (0.38, 0.62)],
        [(0.08, 0.62), (0.09, 0.92), (0.29, 0.92), (0.35, 0.62)],
    )
    scale = np.array([length, height])
    body = chaikin(np.array(profiles[style]) * scale, 2, closed=True)
    glass = np.array(windows[style]) * scale
    parts = [
        Part.of(_standing(body, width, bevel=width * 0.06), **paint.material(0.2)),
        Part.of(_standing(glass, width * 1.01), DARK, roughness=0.1),
    ]
    # The windscreen: a dark slab along the slope of the front.
    reach = length * (0.034 if style == 1 else 0.012)
    foot, roof = glass[3] + (reach, 0), glass[2] + (reach, 0)
    slab = np.array([foot - (0.012, 0), foot + (0.002, 0), roof + (0.002, 0), roof - (0.012, 0)])
    parts.append(Part.of(_standing(slab, width * 0.82), DARK, roughness=0.1))
    tyre = lathe([(0, -0.004), (wheel * 0.6, -0.005), (wheel * 0.94, -0.004), (wheel, -0.002), (wheel, 0.006),
                  (wheel * 0.94, 0.008), (0, 0.008)], 28)  # fmt: skip
    hub = lathe([(0, 0), (wheel * 0.5, 0), (wheel * 0.5, 0.0095), (0, 0.0095)], 20)
    for x in (-0.3, 0.3):
        for side in (-1, 1):
            turn, at = rx(-np.pi / 2 * side), (x * length, side * width * 0.46, wheel)
            parts.append(Part.of(place(tyre, turn, at), linear_rgb((22, 22, 22)), roughness=0.7))
            parts.append(Part.of(place(hub, turn, at), linear_rgb((180, 180, 180)), metalness=0.6))
    for side in (-1, 1):
        lamp = (length * 0.485, side * width * 0.32, height * 0.4)
        parts.append(Part.of(box((0.006, width * 0.16, height * 0.1), lamp, 0.002), linear_rgb((250, 245, 215))))
    if style == 2:  # what the lorry carries
        load = (length * 0.45, width * 0.9, height * 0.35)
        parts.append(Part.of(box(load, (-0.25 * length, 0, height * 0.64), 0.003),
                             paint.color if rng.random() < 0.6 else _other(rng)))  # fmt: skip
    elif rng.random() < 0.4:  # a stripe along the roof
        parts.append(Part.of(box((length * 0.3, width * 0.2, 0.002), (0.05 * length, 0, height), 0.0005), _other(rng)))
    grasps = [_grasp("pinch", (0.03 * length, 0, height * 0.72), Y, [-Z], width)] * 3
    return paint.name, parts, [*grasps, _grasp("pinch", (-0.1 * length, 0, height * 0.62), Y, [-Z], width)]


def _stapler(rng: np.random.Generator, paint: Paint) -> Build:
    length, width = rng.uniform(0.12, 0.15), rng.uniform(0.032, 0.038)
    opening = rng.uniform(0.08, 0.22)
    back = np.array([-length * 0.48, 0, 0.018])
    top_outline = chaikin(np.array([(0, 0), (0, 0.024), (length * 0.25, 0.027), (length * 0.9, 0.018), (length, 0.008),
                                    (length, 0)]), 2, closed=True)  # fmt: skip
    base = {"color": DARK} if rng.random() < 0.5 else paint.material()
    parts = [
        Part.of(box((length, width * 0.9, 0.012), (0, 0, 0.006)), **base),
        Part.of(box((0.02, width * 0.5, 0.002), (length * 0.4, 0, 0.0125), 0.0005), GRAY, metalness=0.8, roughness=0.3),
        Part.of(place(box((length * 0.95, width * 0.7, 0.012), (length * 0.475, 0, 0), 0.003), ry(-opening * 0.6), back),
                GRAY, metalness=0.7, roughness=0.3),
        Part.of(place(_standing(top_outline, width, bevel=0.006), ry(-opening), back + 0.004 * Z),
                **paint.material(0.35)),
        Part.of(box((0.03, width * 0.85, 0.026), (-length * 0.42, 0, 0.02)), DARK),
    ]  # fmt: skip
    press = ry(-opening) @ np.array([length * 0.8, 0, 0.024]) + back
    grasps = [_grasp("pinch", (0, 0, 0.036), Y, [-Z], width)] * 2
    return paint.name, parts, [*grasps, _grasp("palm", press, X, [-Z], 0)]


def _knife(rng: np.random.Generator, paint: Paint) -> Build:
    blade_length, handle = rng.uniform(0.1, 0.16), 0.1
    tip = rng.choice([0.012, -0.002])
    half = 0.013
    edge = [
        (0, -half),
        (blade_length * 0.75, -half),
        (blade_length * 0.93, -half * 0.6),
        (blade_length, tip),
        (0, 0.014),
    ]
    blade = extrude(edge, 0.002, 0.006)
    grip = chaikin(np.array([(-handle / 2, -0.012), (handle / 2, -0.012), (handle / 2, 0.012), (-handle * 0.1, 0.010),
                             (-handle / 2, 0.014)]), 2, closed=True)  # fmt: skip
    # It lies flat, the blade's side up: that is how a knife rests and how its outline shows from above.
    parts = [
        Part.of(place(blade, t=(handle / 2 - 0.002, 0, 0)), STEEL, metalness=0.75, roughness=0.25),
        Part.of(extrude(grip, 0.015, 0, 0.005), **paint.material(0.5)),
    ]
    for x in (-0.025, 0.025):
        parts.append(Part.of(_disc_at(0.003, 0.0145, 0.0155, (x, 0)), STEEL, metalness=0.9, roughness=0.3))
    grasps = [_grasp("power", (0, 0, 0.009), X, None, 0.011)] * 3
    return paint.name, parts, [*grasps, _grasp("pinch", (handle * 0.3, 0, 0.012), Y, [-Z], 0.024)]


def _disc_at(radius: float, low: float, high: float, at: Sequence[float]) -> Mesh:
    """A small disc, such as a button, at (x, y)."""
    return place(_disc(radius, low, high, segments=18), t=(at[0], at[1], 0))


def _scissors(rng: np.random.Generator, paint: Paint) -> Build:
    opening, length = rng.uniform(0.08, 0.3), rng.uniform(0.08, 0.11)
    around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    parts: list[Part] = []
    grasps: list[Grasp] = []
    for side in (-1, 1):
        blade_turn, handle_turn = rz(side * opening), rz(side * opening * 0.6)
        # The straight edge of each blade faces the other one.
        blade = [(-0.012, -0.006), (length * 0.95, -0.003), (length, -0.001), (length * 0.6, 0.007), (-0.012, 0.007)]
        blade = np.array(blade) * (1, side)
        parts.append(Part.of(place(extrude(blade, 0.0018, 0.004 + 0.001 * side), blade_turn), STEEL,
                             metalness=0.75, roughness=0.25))  # fmt: skip
        # The blades cross at the pivot: the one that turns left has its loop on the right.
        cx, cy = -0.062, -side * 0.026
        loop = np.column_stack([cx + 0.026 * np.cos(around), cy + 0.017 * np.sin(around), 0 * around + 0.006])
        shank = chaikin([(-0.036, cy * 0.7, 0.006), (-0.022, cy * 0.35, 0.006), (0.004, 0, 0.006)], 2)
        for mesh in (tube(loop, 0.005, closed=True), tube(shank, np.linspace(0.006, 0.0045, len(shank)))):
            parts.append(Part.of(place(mesh, handle_turn), **paint.material(0.4)))
        center = handle_turn @ np.array([cx, cy, 0.006])
        grasps.append(_grasp("pinch", center, Y, [-Z, X, (0.6, 0, -0.8)], 0.03))
    parts.append(Part.of(_disc(0.0045, 0.0015, 0.0085, 0.001), STEEL, metalness=0.9, roughness=0.3))
    return paint.name, parts, grasps


def _pliers(rng: np.random.Generator, paint: Paint) -> Build:
    opening = rng.uniform(0.08, 0.3)
    jaw_metal = {"color": linear_rgb((120, 122, 125)), "metalness": 0.9, "roughness": 0.35}
    long_nose = rng.random() < 0.4
    jaw_length = 0.07 if long_nose else 0.05
    parts = [Part.of(_disc(0.013, 0.002, 0.018, 0.002), **jaw_metal)]
    t = np.linspace(0, 1, 14)
    for side in (-1, 1):
        handle = np.column_stack([-0.13 * t, side * (0.006 + 0.022 * np.sin(t * 2.6)), 0 * t + 0.01])
        grip = tube(handle, np.linspace(0.006, 0.0085, len(t)))
        jaw = np.array([(0, -0.001 * side), (jaw_length, -0.001 * side), (jaw_length, side * (0.004 if long_nose else 0.008)),
                        (0.01, side * 0.014)])  # fmt: skip
        parts.append(Part.of(place(grip, rz(-side * opening * 0.3)), **paint.material(0.5)))
        parts.append(Part.of(place(extrude(jaw, 0.012, 0.004, 0.0015), rz(side * opening * 0.3)), **jaw_metal))
    return paint.name, parts, [_grasp("power", (-0.07, 0, 0.01), X, None, 0.022)] * 3


CATEGORY_MAKERS: dict[str, Maker] = {
    "toy car": _toy_car,
    "mug": _mug,
    "laptop": _laptop,
    "storage furniture": _storage_furniture,
    "bottle": _bottle,
    "safe": _safe,
    "bowl": _bowl,
    "bucket": _bucket,
    "scissors": _scissors,
    "pliers": _pliers,
    "kettle": _kettle,
    "knife": _knife,
    "trash can": _trash_can,
    "lamp": _lamp,
    "stapler": _stapler,
    "chair": _chair,
}

_METAL_PLAUSIBLE = {"mug", "bottle", "bowl", "bucket", "trash can", "lamp", "kettle", "laptop", "stapler", "toy car"}

_CATEGORY_COLORS: dict[str, Sequence[str]] = {
    "laptop": ("silver", "silver", "gray", "black", "white"),
    "safe": ("black", "gray", "white", "blue", "red", "beige"),
    "knife": ("black", "black", "red", "brown", "gray", "green", "blue", "white"),
    "pliers": ("red", "blue", "yellow", "orange", "green", "black"),
    "storage furniture": ("white", "gray", "brown", "beige", "black", "light blue", "green", "pink"),
}


# Everyday things outside the 16 categories


def _carton(rng: np.random.Generator, paint: Paint) -> Build:
    size = rng.uniform(0.04, 0.14, 3)
    name, material = paint.name, _surface(rng, paint, 0.8, 0.5, ["label"])
    if rng.random() < 0.3:
        name = "brown"
        card = np.array((170, 125, 80)) + rng.normal(0, 6, 3)
        material = {"color": linear_rgb(card), "roughness": 0.9}
        name = nearest_color(card, ("brown", "beige"))
    parts = [Part.of(box(size, (0, 0, size[2] / 2), 0.0015), **material)]
    narrow, axis = (size[0], X) if size[0] < size[1] else (size[1], Y)
    return name, parts, [_grasp("pinch", (0, 0, size[2] * 0.75), axis, [-Z], min(narrow, 0.09))]


def _ball(rng: np.random.Generator, paint: Paint) -> Build:
    radius = rng.uniform(0.025, 0.045)
    angles = np.linspace(-np.pi / 2, np.pi / 2, 24)
    profile = radius * np.column_stack([np.cos(angles), 1 + np.sin(angles)])
    profile[[0, -1], 0] = 0
    parts = [Part.of(lathe(profile), crease_degrees=80, **_surface(rng, paint, 0.3, rng.uniform(0.3, 0.8), ["stripe"]))]
    return paint.name, parts, [_grasp("pinch", (0, 0, radius), axis, [-Z], 2 * radius) for axis in (X, Y)]


def _can(rng: np.random.Generator, paint: Paint) -> Build:
    radius, height = rng.uniform(0.026, 0.036), rng.uniform(0.09, 0.15)
    body = [(0, 0.002), (radius * 0.78, 0), (radius * 0.84, 0), (radius, 0.008), (radius, height - 0.012)]
    body += [(radius * 0.86, height - 0.001), (radius * 0.84, height)]
    lid = [(radius * 0.84, height), (radius * 0.82, height), (radius * 0.78, height - 0.004), (0, height - 0.004)]
    steel = {"color": STEEL, "metalness": 0.75, "roughness": 0.25}
    parts = [
        Part.of(lathe(body), **_surface(rng, paint, 0.7, 0.3, ["label"])),
        Part.of(lathe(lid), **steel),
        Part.of(box((0.02, 0.012, 0.001), (0.004, 0, height - 0.003), 0.0004), **steel),
    ]
    return paint.name, parts, [_grasp("power", (0, 0, height * 0.5), Z, None, radius)]


def _book(rng: np.random.Generator, paint: Paint) -> Build:
    width, depth, thick = rng.uniform(0.11, 0.17), rng.uniform(0.16, 0.23), rng.uniform(0.01, 0.035)
    cover = _surface(rng, paint, 0.8, 0.4, ["poster"])
    board = 0.002
    parts = [
        Part.of(box((width, depth, board), (0, 0, thick - board / 2), 0.0006), **cover),
        Part.of(box((width, depth, board), (0, 0, board / 2), 0.0006), **paint.material(0.4)),
        Part.of(box((board, depth, thick), (-width / 2, 0, thick / 2), 0.0009), **paint.material(0.4)),
        Part.of(box((width - 0.006, depth - 0.008, thick - 2 * board), (-0.002, 0, thick / 2), 0.0005),
                linear_rgb((238, 232, 215)), roughness=0.9),
    ]  # fmt: skip
    grasps = [_grasp("pinch", (width / 2 - 0.012, y, thick / 2), Z, [-X], thick) for y in (-0.04, 0, 0.04)]
    return paint.name, parts, [*grasps, _grasp("palm", (0, 0, thick), X, [-Z], 0)]


def _rounded(width: float, depth: float, radius: float) -> np.ndarray:
    """(K, 2) rectangle with round corners."""
    centers = [
        (sx * (width / 2 - radius), sy * (depth / 2 - radius)) for sx, sy in ((1, 1), (-1, 1), (-1, -1), (1, -1))
    ]
    corner = np.linspace(0, np.pi / 2, 6)
    return np.array([(x + radius * np.cos(a + k * np.pi / 2), y + radius * np.sin(a + k * np.pi / 2))
                     for k, (x, y) in enumerate(centers) for a in corner])  # fmt: skip


def _phone(rng: np.random.Generator, paint: Paint) -> Build:
    width, depth, thick = rng.uniform(0.068, 0.078), rng.uniform(0.14, 0.162), 0.008
    face_up = rng.random() < 0.7
    parts = [Part.of(extrude(_rounded(width, depth, 0.011), thick, 0, 0.002), **paint.material(0.3))]
    name = paint.name
    if face_up:
        lit = rng.random() < 0.3
        glass = extrude(_rounded(width - 0.003, depth - 0.003, 0.01), 0.0006, thick - 0.0004)
        parts.append(Part.of(glass, linear_rgb((12, 12, 14)), roughness=0.08))
        if lit:  # a notice on the dark screen
            notice = box((width * 0.85, depth * 0.2, 0.0004), (0, depth * 0.15, thick + 0.0003), 0.0001)
            picture = make_texture(rng, "poster", rng.uniform(20, 250, 3), rng.uniform(20, 250, 3), 128)
            parts.append(Part.of(notice, texture=picture, roughness=0.1))
        name = "black"
    else:
        for k in range(int(rng.integers(1, 4))):
            at = (width * 0.28, depth * 0.36 - k * 0.018)
            parts.append(Part.of(_disc_at(0.006, thick - 0.001, thick + 0.0015, at), DARK, roughness=0.1))
    grasps = [_grasp("pinch", (0, y, thick / 2), X, [-Z], width) for y in (-0.03, 0, 0.03)]
    return name, parts, grasps


def _remote(rng: np.random.Generator, paint: Paint) -> Build:
    width, depth, thick = rng.uniform(0.038, 0.048), rng.uniform(0.15, 0.19), 0.018
    parts = [Part.of(extrude(_rounded(width, depth, 0.012), thick, 0, 0.005), **paint.material(0.5))]
    key_color = linear_rgb((200, 200, 200)) if paint.name in ("black", "gray", "blue") else DARK
    for row in range(6):
        for column in (-1, 0, 1):
            at = (column * width * 0.27, -depth * 0.3 + row * depth * 0.09)
            parts.append(Part.of(_disc_at(0.0038, thick - 0.001, thick + 0.0015, at), key_color, roughness=0.6))
    parts.append(Part.of(_disc_at(width * 0.28, thick - 0.001, thick + 0.001, (0, depth * 0.3)), key_color))
    parts.append(
        Part.of(_disc_at(0.005, thick, thick + 0.002, (-width * 0.25, depth * 0.43)), linear_rgb((210, 40, 40)))
    )
    return paint.name, parts, [_grasp("pinch", (0, y, thick * 0.5), X, [-Z], width) for y in (-0.04, 0, 0.03)]


def _pen(rng: np.random.Generator, paint: Paint) -> Build:
    radius, length = rng.uniform(0.004, 0.006), rng.uniform(0.12, 0.15)
    profile = [(0, 0), (radius * 0.2, 0.001), (radius * 0.9, 0.014), (radius, 0.02), (radius, length - 0.003)]
    pen = lathe([*profile, (radius * 0.7, length), (0, length)], 20)
    lying = ry(np.pi / 2)
    parts = [
        Part.of(place(pen, lying, (-length / 2, 0, radius)), **paint.material(0.3)),
        Part.of(box((0.035, 0.003, 0.002), (length * 0.3, 0, 2 * radius + 0.0005), 0.0008), STEEL, metalness=0.8),
    ]
    grasps = [_grasp("pinch", (x, 0, radius), Y, [-Z], 2 * radius) for x in (-0.02, 0, 0.02)]
    return paint.name, parts, grasps


def _round_fruit(radius: float, dimple: float, squash: float = 0.92) -> Mesh:
    """A ball with a dimple at its top, and a slight one below."""
    angles = np.linspace(0, np.pi, 26)
    reach = radius * (
        1 - dimple * np.exp(-(((np.pi - angles) / 0.35) ** 2)) - 0.5 * dimple * np.exp(-((angles / 0.3) ** 2))
    )
    profile = np.column_stack([reach * np.sin(angles), -squash * reach * np.cos(angles)])
    profile[[0, -1], 0] = 0
    profile[:, 1] -= profile[:, 1].min()
    return lathe(profile)


def _apple(rng: np.random.Generator, _: Paint) -> Build:
    paint = pick_paint(rng, ["red", "red", "green", "yellow"])
    if paint.name == "green":  # of leaves and bottles; apples are lighter
        paint = Paint("green", linear_rgb(np.array((112, 172, 62)) + rng.normal(0, 5, 3)))
    radius = rng.uniform(0.034, 0.042)
    body = _round_fruit(radius, 0.22)
    top = body[0][:, 2].max()
    stem = chaikin([(0, 0, top * 0.8), (0, 0, top * 0.98), (0.004, 0.002, top + 0.012)])
    parts = [
        Part.of(body, roughness=0.3, noise=(0.25, 60.0), crease_degrees=80, color=paint.color),
        Part.of(tube(stem, 0.0014, 8), linear_rgb((80, 55, 30))),
    ]
    return paint.name, parts, [_grasp("pinch", (0, 0, radius), axis, [-Z], 2 * radius) for axis in (X, Y)]


def _orange(rng: np.random.Generator, _: Paint) -> Build:
    paint = pick_paint(rng, ["orange"])
    radius = rng.uniform(0.033, 0.042)
    body = _round_fruit(radius, 0.05, 0.95)
    top = float(body[0][:, 2].max())
    parts = [
        Part.of(body, roughness=0.45, bump=0.35, bump_frequency=700.0, crease_degrees=80, color=paint.color),
        Part.of(_disc_at(0.003, top - 0.004, top, (0, 0)), linear_rgb((70, 90, 40))),
    ]
    return paint.name, parts, [_grasp("pinch", (0, 0, radius), axis, [-Z], 2 * radius) for axis in (X, Y)]


def _banana(rng: np.random.Generator, _: Paint) -> Build:
    paint = pick_paint(rng, ["yellow"])
    bend, thick = rng.uniform(0.08, 0.1), rng.uniform(0.015, 0.019)
    angles = np.linspace(-0.95, 0.95, 26)
    path = np.column_stack([bend * np.sin(angles), bend * np.cos(angles) - bend * 0.85, 0 * angles + thick])
    along = np.abs(angles / angles[-1])
    radius = thick * np.sqrt(np.clip(1 - along**4 * 0.93, 0.04, 1))
    parts = [
        # Five sides, nearly: what tells a banana from a sausage.
        Part.of(tube(path, radius, 10), roughness=0.5, noise=(0.12, 90.0), crease_degrees=30, color=paint.color),
        Part.of(tube([path[-1] + (-0.003, 0.002, 0), path[-1] + (0.012, -0.016, 0)], 0.0042, 8),
                linear_rgb((125, 110, 40))),
        Part.of(tube([path[0] + (0.001, 0, 0), path[0] + (-0.003, -0.004, 0)], 0.004, 8), linear_rgb((50, 40, 25))),
    ]  # fmt: skip
    middle = path[len(path) // 2]
    return paint.name, parts, [_grasp("pinch", middle, Y, [-Z], 2 * thick)] * 2


def _lidded_cup(rng: np.random.Generator, paint: Paint) -> Build:
    top, height = rng.uniform(0.038, 0.045), rng.uniform(0.10, 0.14)
    bottom = top * rng.uniform(0.65, 0.75)
    outside, _ = _vessel(bottom, top, height)
    lid_color = linear_rgb((240, 240, 238)) if rng.random() < 0.6 else linear_rgb((30, 30, 32))
    lid = lathe([(top - 0.002, height - 0.006), (top + 0.003, height - 0.006), (top + 0.003, height + 0.001),
                 (top - 0.003, height + 0.004), (top - 0.005, height + 0.012), (top - 0.008, height + 0.012),
                 (top - 0.010, height + 0.008), (0, height + 0.008)])  # fmt: skip
    parts = [Part.of(outside, **_surface(rng, paint, 0.6, 0.6, ["label"])), Part.of(lid, lid_color, roughness=0.3)]
    if rng.random() < 0.4:
        along = [(0.012, 0, height - 0.01), (0.018, 0.006, height + 0.07)]
        parts.append(Part.of(tube(along, 0.003, 10), _other(rng), roughness=0.3))
    return paint.name, parts, [_grasp("power", (0, 0, height * 0.5), Z, None, (top + bottom) / 2)]


def _paper(rng: np.random.Generator, _: Paint) -> Build:
    paint = pick_paint(rng, ["white"])
    width, depth = 0.15, 0.21
    if rng.random() < 0.4:
        width, depth = 0.21, 0.297
    steps = 12
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, steps), np.linspace(-0.5, 0.5, steps), indexing="ij")
    curl = rng.uniform(0, 0.02) * np.maximum(x * rng.choice([-1, 1]) + y, 0) ** 2 * 4
    vertices = np.column_stack([(x * width).ravel(), (y * depth).ravel(), (0.0006 + curl).ravel()])
    uv = np.column_stack([(x + 0.5).ravel(), (0.5 - y).ravel()])
    first = (np.arange(steps - 1)[:, None] * steps + np.arange(steps - 1)).ravel()
    faces = np.concatenate([np.column_stack([first, first + steps, first + steps + 1]),
                            np.column_stack([first, first + steps + 1, first + 1])])  # fmt: skip
    material: dict[str, Any] = {"color": paint.color}
    if rng.random() < 0.7:
        material = {"texture": make_texture(rng, "text", paint.srgb, (40, 40, 45), 256)}
    parts = [Part.of((vertices, faces, uv), roughness=0.9, crease_degrees=80, **material)]
    corner = (width * 0.47, -depth * 0.45, 0.002)
    return (
        paint.name,
        parts,
        [_grasp("pinch", corner, Z, [(-1, 1, 0)], 0.001), _grasp("palm", (0, 0, 0.002), X, [-Z], 0)],
    )


def _plate(rng: np.random.Generator, paint: Paint) -> Build:
    radius, height = rng.uniform(0.075, 0.11), rng.uniform(0.014, 0.022)
    outside = [
        (0, 0),
        (radius * 0.55, 0),
        (radius * 0.6, 0.002),
        (radius * 0.72, height * 0.5),
        (radius, height - 0.002),
    ]
    well = [(radius * 0.72, height * 0.68), (radius * 0.67, height * 0.6), (radius * 0.62, 0.006), (0, 0.0045)]
    upper = [(radius, height), (radius * 0.97, height), *well]
    parts = [Part.of(lathe(outside + upper[:1]), **paint.material(0.2)), Part.of(lathe(upper), **paint.material(0.2))]
    if rng.random() < 0.4:
        inner, outer = radius * 0.86, radius * 0.92
        slope = (height - height * 0.68) / (radius * 0.25)
        ring = [(r, height - (radius * 0.97 - r) * slope + 0.0004) for r in (outer, inner)]
        parts.append(Part.of(lathe(ring), _other(rng), roughness=0.2))
    return paint.name, parts, _rim_pinches(radius * 0.97, height + 0.008, 10, 0.005)


def _cloth(rng: np.random.Generator, paint: Paint) -> Build:
    """A cloth folded into layers that do not quite meet."""
    width, depth, layers = rng.uniform(0.11, 0.18), rng.uniform(0.11, 0.18), int(rng.integers(2, 5))
    thick = rng.uniform(0.006, 0.011)
    material = _surface(rng, paint, 0.7, 0.95, ["plaid", "stripe", "knit", "check", "floral"])
    parts = []
    for k in range(layers):
        shift = (*rng.normal(0, 0.002, 2), thick * (k + 0.5))
        layer = box((width * rng.uniform(0.96, 1), depth * rng.uniform(0.96, 1), thick * 1.05), bevel=thick * 0.5)
        parts.append(Part.of(place(layer, rz(rng.normal(0, 0.015)), shift), bump=0.3, bump_frequency=250.0, **material))
    top = thick * layers
    grasps = [_grasp("palm", (0, 0, top), X, [-Z], 0), _grasp("pinch", (0, -depth * 0.45, top * 0.5), Z, [Y], top)]
    return paint.name, parts, grasps


MISC_MAKERS: dict[str, Maker] = {
    "box": _carton,
    "ball": _ball,
    "can": _can,
    "book": _book,
    "phone": _phone,
    "remote": _remote,
    "pen": _pen,
    "apple": _apple,
    "banana": _banana,
    "orange": _orange,
    "cup": _lidded_cup,
    "paper": _paper,
    "plate": _plate,
    "cloth": _cloth,
}

_MISC_COLORS: dict[str, Sequence[str]] = {
    "phone": ("black", "white", "gray", "blue", "pink", "red", "purple"),
    "remote": ("black", "black", "gray", "white", "blue"),
    "plate": ("white", "white", "beige", "light blue", "green", "yellow", "pink", "gray", "black", "blue"),
    "cup": ("white", "white", "brown", "green", "beige", "red", "blue"),
}

_PLASTIC_COLORS = tuple(name for name in COLORS if name != "silver")


def _model(category: str, build: Build) -> ObjectModel:
    """The object, set down so that its lowest point is at z = 0."""
    color, parts, grasps = build
    down = -min(part.vertices[:, 2].min() for part in parts) * Z
    parts = [part.transformed(np.eye(3), down) for part in parts]
    return ObjectModel(category, color, parts, [replace(grasp, point=grasp.point + down) for grasp in grasps])


def make_object(category: str, rng: np.random.Generator, colors: Sequence[str] | None = None) -> ObjectModel:
    """An object of one of the 16 categories.

    Args:
        category: one of `annexe_demo.data.facts.CATEGORIES`.
        rng: source of every choice.
        colors: names to choose its paint from; by default those that suit the category. Kettles of metal and furniture
            of wood take the name of what they are made of all the same.

    Raises:
        ValueError: unknown category.
    """
    if category not in CATEGORY_MAKERS:
        raise ValueError(f"category must be one of {', '.join(CATEGORY_MAKERS)} but got {category!r}")
    default = _CATEGORY_COLORS.get(category, COLORS if category in _METAL_PLAUSIBLE else _PLASTIC_COLORS)
    return _model(category, CATEGORY_MAKERS[category](rng, pick_paint(rng, colors or default)))


def make_misc(rng: np.random.Generator, category: str | None = None) -> ObjectModel:
    """An everyday thing outside the 16 categories: one of `MISC_MAKERS`, chosen by ``rng`` if not named."""
    category = str(rng.choice(list(MISC_MAKERS))) if category is None else category
    if category not in MISC_MAKERS:
        raise ValueError(f"category must be one of {', '.join(MISC_MAKERS)} but got {category!r}")
    paint = pick_paint(rng, _MISC_COLORS.get(category, _PLASTIC_COLORS))
    return _model(category, MISC_MAKERS[category](rng, paint))
