"""Composes first-person scenes: a surface in a room, objects, the wearer's hands and arms, light and a head camera.

World frame: metres, z up, the surface at z = 0, the wearer at the origin looking along +y, so -x is the wearer's left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np

from annexe_demo.data.facts import CATEGORIES, HandFact, ObjectFact, SceneFacts, Side
from annexe_demo.synth.camera import Camera, horizontal_to_vertical_fov
from annexe_demo.synth.hand import FINGERS, HandAngles, HandModel, axis_rotation, unit
from annexe_demo.synth.meshes import Part, box, linear_rgb, rz
from annexe_demo.synth.objects import Grasp, ObjectModel, make_misc, make_object
from annexe_demo.synth.renderer import Environment, Light
from annexe_demo.synth.textures import TextureBank

Content = Literal["interaction", "idle hands", "no hands"]

LEFT_HAND_ID, RIGHT_HAND_ID, ACTIVE_ID, FIRST_CLUTTER_ID = 1, 2, 3, 4
HAND_IDS: dict[Side, int] = {"left": LEFT_HAND_ID, "right": RIGHT_HAND_ID}

# Shares of the picture below which something does not count as visible.
MIN_HAND_AREA = 0.006
MIN_ACTIVE_AREA = 0.006
MIN_THIN_ACTIVE_AREA = 0.004
MIN_CLUTTER_AREA = 0.0012
MAX_HAND_AREA = 0.40
MAX_ACTIVE_AREA = 0.55
THIN_CATEGORIES = {"knife", "scissors", "pliers", "stapler"}

# What stands on the surface without being lifted, and what has a front that faces the wearer.
HEAVY_CATEGORIES = {"laptop", "storage furniture", "safe", "chair"}
FRONTED_CATEGORIES = {"laptop", "storage furniture", "safe"}
FLOOR_CATEGORIES = {"bucket", "trash can", "storage furniture"}
CLUTTER_CATEGORIES = (
    "toy car", "mug", "bottle", "bowl", "scissors", "pliers", "kettle", "knife", "stapler", "lamp", "trash can", "bucket",
)  # fmt: skip

BIG_RADIUS = 0.15  # metres; the wearer leans back from objects that are larger
MIN_GRASP_SCORE = 0.45
UPPER_ARM_LENGTH, FOREARM_LENGTH = 0.31, 0.275

# sRGB, from very pale to very dark.
SKIN_TONES = (
    (255, 230, 214), (255, 219, 196), (241, 194, 160), (226, 172, 135), (205, 150, 112), (178, 122, 88), (141, 92, 62),
    (100, 64, 44), (66, 42, 30),
)  # fmt: skip

_X, _Y, _Z = np.eye(3)


@dataclass
class Scene:
    """All that is drawn, and what is meant to be seen of it. What is really seen, `scene_facts` reads off the picture.

    Attributes:
        parts: world-space geometry with mask ids.
        camera, lights, environment: as the renderer takes them.
        center: (3,) the object in the middle of attention.
        active: the object that hands touch or hold, or None.
        grasps: how each hand of the scene touches it; None for an idle hand.
        lifted: the active object is off its surface.
        surface: "table" or "floor".
        clutter: objects by mask id.
    """

    parts: list[Part]
    camera: Camera
    lights: tuple[Light, Light]
    environment: Environment
    center: np.ndarray
    active: ObjectModel | None
    grasps: dict[Side, str | None]
    lifted: bool
    surface: Literal["table", "floor"]
    clutter: dict[int, ObjectModel] = field(default_factory=dict)


@dataclass(frozen=True)
class _Look:
    """How the wearer's arms look in this scene, the same for both.

    Attributes:
        skin: (3,) linear colour.
        redness, palm_paleness: strength of the colour variation over the hand.
        roughness, bump: of the skin.
        scale: of the hand.
        thickness: of the arm.
        sleeve_start: where the sleeve begins, 0 at the wrist to 1 at the elbow; None for bare arms.
        sleeve_looseness: sleeve radius over arm radius.
        cloth: texture of the sleeve.
    """

    skin: np.ndarray
    redness: float
    palm_paleness: float
    roughness: float
    bump: float
    scale: float
    thickness: float
    sleeve_start: float | None
    sleeve_looseness: float
    cloth: np.ndarray


@dataclass(frozen=True)
class _HandPlacement:
    """A posed hand in the world: canonical point p goes to ``scale * rotation @ mirror(p) + translation``."""

    score: float
    rotation: np.ndarray
    translation: np.ndarray
    angles: HandAngles
    grasp: Grasp


# --- what the picture shows -----------------------------------------------------------------------------------------


def is_acceptable(scene: Scene, ids: np.ndarray) -> bool:
    """Whether the (H, W) mask ids show enough of the active object and of every hand, and not too much of one."""
    area = _areas(ids)
    if scene.active is not None:
        smallest = MIN_THIN_ACTIVE_AREA if scene.active.category in THIN_CATEGORIES else MIN_ACTIVE_AREA
        if not smallest <= area[ACTIVE_ID] <= MAX_ACTIVE_AREA:
            return False
    for side, grasp in scene.grasps.items():
        if not MIN_HAND_AREA <= area[HAND_IDS[side]] <= MAX_HAND_AREA:
            return False
        if grasp is not None and not _touch(ids, HAND_IDS[side], ACTIVE_ID):
            return False  # the hand itself is out of the picture and only its arm shows
    return bool(scene.grasps) or area[FIRST_CLUTTER_ID:].max() >= MIN_ACTIVE_AREA


def scene_facts(scene: Scene, ids: np.ndarray) -> SceneFacts:
    """What is true of the scene as the (H, W) mask ids show it; hidden clutter is left out."""
    area = _areas(ids)
    clutter = [
        _object_fact(model, mask_id, ids)
        for mask_id, model in scene.clutter.items()
        if area[mask_id] >= MIN_CLUTTER_AREA and model.category in CATEGORIES
    ]
    return SceneFacts(
        active=None if scene.active is None else _object_fact(scene.active, ACTIVE_ID, ids),
        hands=tuple(
            HandFact(side=side, grasp=scene.grasps[side], mask_id=HAND_IDS[side])
            for side in ("left", "right")
            if side in scene.grasps
        ),
        lifted=scene.lifted,
        surface=scene.surface,
        clutter=tuple(clutter),
    )


def _touch(ids: np.ndarray, first: int, second: int) -> bool:
    """Whether two mask ids come within about 1/60 of the picture's width of each other."""
    reach = max(ids.shape[1] // 60, 1)
    grown = cv2.dilate((ids == first).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    return bool((grown.astype(bool) & (ids == second)).any())


def _areas(ids: np.ndarray) -> np.ndarray:
    return np.bincount(ids.ravel(), minlength=256) / ids.size


def _object_fact(model: ObjectModel, mask_id: int, ids: np.ndarray) -> ObjectFact:
    rows, columns = np.nonzero(ids == mask_id)
    height, width = ids.shape
    return ObjectFact(
        category=model.category,
        color=model.color,
        mask_id=mask_id,
        x=round(float((columns.mean() + 0.5) / width), 4),
        y=round(float((rows.mean() + 0.5) / height), 4),
        area=round(float(len(rows) / ids.size), 5),
    )


# --- scenes ---------------------------------------------------------------------------------------------------------


class SceneSampler:
    """Draws scenes. Holds nothing that changes: the same generator state gives the same scene.

    Args:
        textures: for rooms, cloth and sleeves.
        aspect: width over height of the pictures, which framing depends on.
    """

    def __init__(self, textures: TextureBank, aspect: float) -> None:
        self.textures = textures
        self.aspect = aspect

    def sample(self, rng: np.random.Generator, category: str, content: Content = "interaction") -> Scene | None:
        """One scene around an object of the category, or None when no hand finds a comfortable grasp."""
        focus = make_object(category, rng)
        big = focus.radius > BIG_RADIUS
        on_floor = category == "chair" or (category in FLOOR_CATEGORIES and rng.random() < 0.3)
        desk = _Desk(
            near=rng.uniform(0.02, 0.14), width=rng.uniform(0.75, 1.5), depth=rng.uniform(0.5, 0.8), floor=on_floor
        )
        sides = self._choose_hands(rng, content, focus)

        position = np.array([rng.normal(0, 0.09), rng.uniform(0.32, 0.47) + 0.06 * big, 0.0])
        if len(sides) == 1:  # an object held in one hand tends to be on that hand's side
            position[0] += rng.uniform(-0.02, 0.1) * (1 if sides[0] == "right" else -1)
        lifted = content == "interaction" and category not in HEAVY_CATEGORIES and rng.random() < 0.65
        focus_id = ACTIVE_ID if content == "interaction" else FIRST_CLUTTER_ID
        focus_parts, rotation, position = _stand_object(focus, position, lifted, rng, focus_id)

        head = np.array(
            [
                rng.normal(0, 0.05),
                rng.uniform(-0.20, -0.02) - 0.05 * big,
                rng.uniform(0.42, 0.82) + 0.12 * big + 0.1 * on_floor,
            ]
        )
        camera = self._frame(focus_parts, position + [0, 0, 0.4 * focus.height], head, rng)
        torso = head + 0.5 * (camera.eye - head)  # leaning in brings the shoulders along half the way

        parts, surface_color, wall_color = self._room(desk, position, rng)
        parts += focus_parts
        grasps = [_grasp_in_world(grasp, rotation, position) for grasp in focus.grasps]
        holding = [grasp for grasp in grasps if grasp.kind != "palm"]
        if lifted and holding:  # a flat hand on top does not lift anything
            grasps = holding
        look = self._look(rng)
        hands: dict[Side, str | None] = {}
        hand_spots: list[np.ndarray] = []
        if content == "interaction":
            for side in sides:
                shoulder = _shoulder(torso, side, rng)
                other = hand_spots[0] if hand_spots else None
                placement = _place_hand(grasps, side, shoulder, look.scale, rng, other)
                if placement is None or placement.score < MIN_GRASP_SCORE:
                    if not hands:
                        return None
                    continue  # the first hand manages alone
                parts += _arm_parts(placement, side, shoulder, look, desk, rng)
                hands[side] = placement.grasp.kind
                hand_spots.append(placement.grasp.point)
            idle_sides = [side for side in HAND_IDS if side not in sides] if rng.random() < 0.18 else []
        else:
            idle_sides = sides
        for side in idle_sides:
            placement, shoulder = self._idle_hand(side, torso, position, desk, focus, look.scale, rng)
            parts += _arm_parts(placement, side, shoulder, look, desk, rng)
            hands[side] = None

        clutter = {} if content == "interaction" else {FIRST_CLUTTER_ID: focus}
        occupied = [(position[:2], focus.radius + 0.03), *((spot[:2], 0.09) for spot in hand_spots)]
        clutter_parts, more_clutter = self._clutter(category, big, desk, occupied, parts, len(clutter), rng)
        lights, environment = self._illumination(position, surface_color, wall_color, rng)
        return Scene(
            parts=parts + clutter_parts,
            camera=camera,
            lights=lights,
            environment=environment,
            center=position,
            active=focus if content == "interaction" else None,
            grasps=hands,
            lifted=bool(lifted),
            surface="floor" if on_floor else "table",
            clutter=clutter | more_clutter,
        )

    @staticmethod
    def _choose_hands(rng: np.random.Generator, content: Content, focus: ObjectModel) -> list[Side]:
        if content == "no hands":
            return []
        first: Side = "right" if rng.random() < 0.6 else "left"
        second: Side = "left" if first == "right" else "right"
        both = rng.random() < (0.45 if focus.radius > 0.09 else 0.22)
        return [first, second] if both else [first]

    def _frame(self, focus_parts: list[Part], focus: np.ndarray, head: np.ndarray, rng: np.random.Generator) -> Camera:
        """A camera at the head, moved and zoomed until the object fills a drawn share of the picture."""
        points = np.concatenate([part.vertices[::3] for part in focus_parts])
        wanted = float(np.clip(np.exp(rng.normal(np.log(0.085), 0.6)), 0.02, 0.32))
        tangent = np.tan(np.radians(rng.uniform(35, 85)) / 2)
        roll = rng.normal(0, 0.07)
        up = np.array([np.sin(roll), 0, np.cos(roll)])
        shift = np.array([rng.uniform(-0.4, 0.4), rng.uniform(-0.45, 0.3)])  # of the aim, in half pictures

        def camera_at(eye: np.ndarray, half_width: float) -> Camera:
            fov = horizontal_to_vertical_fov(2 * np.arctan(half_width), self.aspect)
            right, upward = Camera(eye, focus, up, fov).view_matrix()[:2, :3]
            reach = np.linalg.norm(focus - eye) * half_width
            target = focus + reach * (shift[0] * right + shift[1] / self.aspect * upward)
            return Camera(eye, target, up, fov)

        def share(camera: Camera) -> float:
            projected = camera.project(points, self.aspect)
            if len(projected) < 3:
                return 4.0
            return cv2.contourArea(cv2.convexHull(projected.astype(np.float32))) / 4

        distance = np.linalg.norm(head - focus)
        ratio = np.sqrt(max(share(camera_at(head, tangent)), 1e-6) / wanted)
        nearer = np.clip(distance * ratio, max(0.33, 0.75 * distance - 0.1), 1.05 * distance)
        eye = focus + (head - focus) * nearer / distance
        ratio = np.sqrt(max(share(camera_at(eye, tangent)), 1e-6) / wanted)
        tangent = np.clip(tangent * ratio, np.tan(np.radians(35) / 2), np.tan(np.radians(85) / 2))
        return camera_at(eye, tangent)

    # --- the room ---------------------------------------------------------------------------------------------------

    def _room(
        self, desk: _Desk, position: np.ndarray, rng: np.random.Generator
    ) -> tuple[list[Part], np.ndarray, np.ndarray]:
        """Floor, desk, tablecloth, wall and furniture; with the surface's and the wall's mean linear colour."""
        floor_z = 0.0 if desk.floor else -rng.uniform(0.4, 0.75)
        floor_texture = self._texture(rng, "wood", "tile", "noise", "speckle", "tile", "carpet")
        floor = _textured_box(
            (6, 6, 0.02),
            (0, 1.5, floor_z - 0.01),
            floor_texture,
            rng,
            repeat=rng.uniform(4, 8),
            roughness=rng.uniform(0.2, 0.8),
        )
        parts, surface = [floor], _mean_color(floor)
        if not desk.floor:
            top_texture = self._texture(rng, "wood", "wood", "wood", "noise", "noise", "speckle", "marble", "floral")
            top = _textured_box(
                (desk.width, desk.depth, 0.03),
                (0, desk.near + desk.depth / 2, -0.015),
                top_texture,
                rng,
                repeat=rng.uniform(1, 2),
                bevel=0.006,
                roughness=rng.uniform(0.28, 0.9),
            )
            parts.append(top)
            surface = _mean_color(top)
            for side in (-1, 1):
                leg = box(
                    (0.05, desk.depth * 0.9, -floor_z),
                    (side * desk.width * 0.46, desk.near + desk.depth / 2, floor_z / 2 - 0.03),
                )
                parts.append(Part.of(leg, surface * 0.7))
        if rng.random() < 0.35:
            cloth = self._texture(rng, "plaid", "floral", "stripe", "check", "noise", "knit")
            width, depth = rng.uniform(0.45, 0.9), rng.uniform(0.35, 0.6)
            center_y = min(desk.near + 0.02 + depth / 2, position[1])
            mat = _textured_box(
                (width, depth, 0.004), (position[0] * 0.5, center_y, 0.001), cloth, rng, bevel=0.002, roughness=0.95
            )
            mat.bump, mat.bump_frequency = 0.3, 220.0
            parts.append(mat)
            surface = 0.5 * surface + 0.5 * _mean_color(mat)
        wall_y = rng.uniform(0.9, 2.4) + desk.near
        wall = self._wall(wall_y, floor_z, rng)
        parts.append(wall)
        parts += self._furniture(desk, wall_y, floor_z, rng)
        return parts, surface, _mean_color(wall)

    def _wall(self, y: float, floor_z: float, rng: np.random.Generator) -> Part:
        if rng.random() < 0.3:
            return _curtain(y, floor_z, rng)
        texture = self._texture(rng, "noise", "noise", "speckle", "tile", "brick", "books", "poster")
        return _textured_box((7, 0.05, 4), (0, y, 1 + floor_z), texture, rng, repeat=4, roughness=0.9)

    def _furniture(self, desk: _Desk, wall_y: float, floor_z: float, rng: np.random.Generator) -> list[Part]:
        parts = []
        for _ in range(rng.integers(0, 4)):
            size = rng.uniform([0.3, 0.25, 0.3], [1.1, 0.6, 0.9])
            side = rng.choice([-1, 1])
            x, y = side * rng.uniform(0.3, 1.3), rng.uniform(desk.near + 0.2, wall_y - 0.3)
            if desk.floor:
                x = side * max(abs(x), size[0] / 2 + 0.45)
            else:
                x = side * max(abs(x), desk.width / 2 + size[0] / 2 + 0.05)
            texture = self._texture(rng, "noise", "wood", "plaid", "floral", "stripe", "books", "carpet")
            center = (x, y, floor_z + size[2] / 2)
            block = _textured_box(size, center, texture, rng, bevel=rng.choice([0.01, 0.06]), roughness=0.85)
            block.bump, block.bump_frequency = 0.2, 150.0
            parts.append(block)
        return parts

    def _texture(self, rng: np.random.Generator, *kinds: str) -> np.ndarray:
        return self.textures.get(str(rng.choice(kinds)), rng)

    # --- hands ------------------------------------------------------------------------------------------------------

    def _look(self, rng: np.random.Generator) -> _Look:
        tone = rng.uniform(0, len(SKIN_TONES) - 1)
        lower = int(tone)
        pale, dark = np.array(SKIN_TONES[lower]), np.array(SKIN_TONES[min(lower + 1, len(SKIN_TONES) - 1)])
        srgb = pale + (dark - pale) * (tone - lower)
        return _Look(
            skin=linear_rgb(srgb * rng.uniform(0.93, 1.04) + rng.normal(0, 4, 3)).clip(0.008, 1),
            redness=rng.uniform(0.4, 1.3),
            palm_paleness=rng.uniform(0.5, 1.8),
            roughness=rng.uniform(0.42, 0.7),
            bump=rng.uniform(0.08, 0.3),
            scale=rng.uniform(0.8, 1.12),
            thickness=rng.uniform(0.85, 1.15),
            sleeve_start=rng.uniform(0.08, 0.75) if rng.random() < 0.5 else None,
            sleeve_looseness=rng.uniform(1.05, 1.28),
            cloth=self._texture(rng, "noise", "noise", "knit", "knit", "stripe", "plaid", "check"),
        )

    @staticmethod
    def _idle_hand(
        side: Side,
        torso: np.ndarray,
        position: np.ndarray,
        desk: _Desk,
        focus: ObjectModel,
        scale: float,
        rng: np.random.Generator,
    ) -> tuple[_HandPlacement, np.ndarray]:
        """A hand that rests beside the object or hovers over the surface, touching nothing."""
        outward = 1 if side == "right" else -1
        away = focus.radius + rng.uniform(0.09, 0.16)
        point = np.array(
            [
                position[0] * 0.5 + outward * max(away, 0.1 + rng.uniform(0, 0.08)),
                max(position[1] - rng.uniform(0.0, 0.2), desk.near + 0.04),
                rng.uniform(0.01, 0.03) if rng.random() < 0.6 else rng.uniform(0.04, 0.14),
            ]
        )
        shoulder = _shoulder(torso, side, rng)
        rest = Grasp(kind="palm", point=point, axis=_X, approach=[-_Z], width=0.0)
        placement = _place_hand([rest], side, shoulder, scale, rng, lowest=-0.1)
        angles = _HAND.relaxed_angles(rng) if point[2] > 0.04 else placement.angles
        return _HandPlacement(placement.score, placement.rotation, placement.translation, angles, rest), shoulder

    # --- clutter and light ------------------------------------------------------------------------------------------

    @staticmethod
    def _clutter(
        category: str,
        big: bool,
        desk: _Desk,
        occupied: list[tuple[np.ndarray, float]],
        parts: list[Part],
        already: int,
        rng: np.random.Generator,
    ) -> tuple[list[Part], dict[int, ObjectModel]]:
        """Objects around, clear of each other and of the arms; often some of the focus object's own kind."""
        arms = [part.vertices[::7] for part in parts if part.mask_id in HAND_IDS.values()]
        arm_points = np.concatenate(arms) if arms else np.zeros((0, 3))
        same_kind = rng.random() < 0.5 and not big
        clutter: dict[int, ObjectModel] = {}
        clutter_parts: list[Part] = []
        for _ in range(rng.integers(2, 9)):
            if rng.random() < 0.25:
                model = make_misc(rng)
            else:
                kind = category if same_kind and rng.random() < 0.7 else str(rng.choice(CLUTTER_CATEGORIES))
                model = make_object(kind, rng)
            for _ in range(12):
                spot = np.array(
                    [
                        rng.uniform(-0.46, 0.46) * desk.width,
                        rng.uniform(desk.near + 0.08, desk.near + desk.depth - 0.06),
                    ]
                )
                crowded = any(np.linalg.norm(spot - center) < radius + model.radius for center, radius in occupied)
                near_arm = np.linalg.norm(arm_points[:, :2] - spot, axis=1) < model.radius + 0.01
                if not crowded and not (near_arm & (arm_points[:, 2] < model.height + 0.02)).any():
                    break
            else:
                continue
            mask_id = FIRST_CLUTTER_ID + already + len(clutter)
            turn = rz(rng.uniform(0, 2 * np.pi))
            clutter_parts += [part.transformed(turn, (*spot, 0.002), mask_id) for part in model.parts]
            clutter[mask_id] = model
            occupied = [*occupied, (spot, model.radius)]
        return clutter_parts, clutter

    @staticmethod
    def _illumination(
        position: np.ndarray, surface_color: np.ndarray, wall_color: np.ndarray, rng: np.random.Generator
    ) -> tuple[tuple[Light, Light], Environment]:
        """A sun or a lamp as key light, a lamp overhead as fill, and the room's ambient light."""
        azimuth, elevation = rng.uniform(-2.6, 2.6) + np.pi / 2, rng.uniform(0.45, 1.2)
        toward = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
        key_color = _color_temperature(rng.random()) * rng.uniform(0.7, 1.8)
        gobo_kind = 0
        if rng.random() < 0.45:
            gobo_kind = int(rng.integers(1, 3))
            key = Light(
                toward * 10,
                position,
                key_color,
                size=rng.uniform(0.15, 1.2),
                directional=True,
                gobo=bool(rng.random() < 0.4),
            )
        else:
            key = Light(
                position + toward * rng.uniform(1.3, 2.2),
                position,
                key_color * rng.uniform(2.6, 5.0),
                size=rng.uniform(0.8, 2.5),
                spot_cosine=rng.uniform(0.1, 0.6),
            )
        overhead = position + np.array([rng.normal(0, 0.7), rng.normal(0, 0.6), rng.uniform(1.3, 2.0)])
        fill_color = _color_temperature(rng.random()) * rng.uniform(0.1, 1.1)
        fill = Light(overhead, position, fill_color, size=rng.uniform(1.5, 3), spot_cosine=0.1)
        ambient = rng.uniform(0.16, 0.46)
        environment = Environment(
            sky=_color_temperature(rng.random()) * ambient,
            ground=surface_color * ambient * 0.5 + 0.03,
            bounce=surface_color * key_color.mean() * 0.35 * toward[2],
            wall=wall_color * ambient,
            rotation=rz(rng.uniform(0, 2 * np.pi)),
            window=_color_temperature(rng.random()) * rng.uniform(0.5, 3),
            gobo=(gobo_kind, rng.uniform(4, 14), rng.uniform(-3, 3), rng.random()),
        )
        return (key, fill), environment


@dataclass(frozen=True)
class _Desk:
    """The surface's near edge, width and depth in metres, and whether it is really the floor."""

    near: float
    width: float
    depth: float
    floor: bool


def _color_temperature(warmth: float) -> np.ndarray:
    """(3,) linear colour of light, from daylight at 0 to a warm lamp at 1."""
    return np.array([1.0, 0.93, 0.84]) * warmth + np.array([0.86, 0.93, 1.0]) * (1 - warmth)


def _textured_box(
    size: Sequence[float],
    center: Sequence[float],
    texture: np.ndarray,
    rng: np.random.Generator,
    repeat: float = 1.0,
    bevel: float = 0.004,
    roughness: float = 0.8,
) -> Part:
    """A box of a bank's texture, in a tint of its own so that scenes that share a texture still differ."""
    tint = (rng.uniform(0.72, 1.0) * rng.normal(1, 0.05, 3)).clip(0.4, 1.1)
    part = Part.of(box(size, center, bevel), tint, texture=texture, roughness=roughness)
    part.uv = part.uv * repeat
    return part


def _mean_color(part: Part) -> np.ndarray:
    """(3,) mean linear colour of a part."""
    if part.texture is None:
        return part.color
    return part.color * linear_rgb(part.texture[::8, ::8].mean((0, 1)))


def _curtain(y: float, floor_z: float, rng: np.random.Generator) -> Part:
    columns = 240
    x = np.linspace(-3, 3, columns)
    folds = 0.05 * np.sin(x * rng.uniform(15, 40) + 2 * np.sin(3 * x)) + y
    bottom = np.c_[x, folds, np.full(columns, floor_z)]
    top = np.c_[x, folds, np.full(columns, 2.2)]
    i = np.arange(columns - 1)
    faces = np.r_[np.c_[i, i + 1, i + columns + 1], np.c_[i, i + columns + 1, i + columns]]
    color = linear_rgb((rng.uniform(60, 220) + rng.normal(0, 22, 3)).clip(15, 240))
    return Part.of((np.r_[bottom, top], faces, None), color, roughness=0.95)


def _stand_object(
    model: ObjectModel, position: np.ndarray, lifted: bool, rng: np.random.Generator, mask_id: int
) -> tuple[list[Part], np.ndarray, np.ndarray]:
    """Puts an object on or above the surface; returns its parts, rotation and final position."""
    if model.category in FRONTED_CATEGORIES or model.category == "chair":
        rotation = rz(rng.normal(0, 0.35))
    else:
        rotation = rz(rng.uniform(0, 2 * np.pi))
    height = 0.002
    if lifted:
        rotation = axis_rotation(rng.normal(size=3) * [1, 1, 0.2], rng.normal(0, 0.22)) @ rotation
        height += rng.uniform(0.02, 0.16)
    position = np.array([position[0], position[1], height])
    lowest = min(float((part.vertices @ rotation[2]).min()) for part in model.parts) + position[2]
    position[2] += max(0.0, 0.001 - lowest)  # a tilted object must not dip into the surface
    return [part.transformed(rotation, position, mask_id) for part in model.parts], rotation, position


def _grasp_in_world(grasp: Grasp, rotation: np.ndarray, position: np.ndarray) -> Grasp:
    return Grasp(
        kind=grasp.kind,
        point=rotation @ np.asarray(grasp.point, float) + position,
        axis=rotation @ np.asarray(grasp.axis, float),
        approach=None if grasp.approach is None else [rotation @ np.asarray(a, float) for a in grasp.approach],
        width=grasp.width,
    )


def _shoulder(torso: np.ndarray, side: Side, rng: np.random.Generator) -> np.ndarray:
    outward = 1 if side == "right" else -1
    return torso + np.array([outward * rng.uniform(0.11, 0.24), -0.12, -0.30])


# --- placing a hand -------------------------------------------------------------------------------------------------

_HAND = HandModel()


def _mirror(side: Side) -> np.ndarray:
    return np.array([1.0 if side == "right" else -1.0, 1.0, 1.0])


def _hand_poses(
    grasp: Grasp, side: Side, scale: float, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, HandAngles]]:
    """Every (rotation, translation, finger angles) in which a hand could perform the grasp."""
    poses = {"power": _power_poses, "pinch": _pinch_poses, "palm": _palm_poses}[grasp.kind]
    for rotation, anchor, angles in poses(grasp, side, scale, rng):
        yield rotation, grasp.point - scale * rotation @ anchor, angles


def _around(axis: np.ndarray, count: int = 24) -> list[np.ndarray]:
    """Unit vectors at right angles to an axis, all the way around."""
    first = unit(np.cross(axis, [0.3, 0.5, 0.8]))
    second = np.cross(axis, first)
    return [np.cos(t) * first + np.sin(t) * second for t in np.linspace(0, 2 * np.pi, count, endpoint=False)]


def _power_poses(grasp: Grasp, side: Side, scale: float, rng: np.random.Generator):
    axis = unit(grasp.axis)
    angles, center = _HAND.power_angles(grasp.width / scale, rng)
    for approach in grasp.approach if grasp.approach is not None else _around(axis):
        palm_normal = unit(approach - axis * (axis @ approach))
        for sign in (-1, 1):
            x = axis_rotation(palm_normal, rng.uniform(-0.25, 0.25)) @ (sign * axis)
            rotation = np.stack([x, np.cross(-palm_normal, x), -palm_normal], axis=1)
            yield rotation, center * _mirror(side), angles


def _pinch_poses(grasp: Grasp, side: Side, scale: float, rng: np.random.Generator):
    axis = unit(grasp.axis)
    closure, middle, across = _HAND.pinch_opening((grasp.width + 0.004) / scale)
    angles = _HAND.pinch_angles(closure, rng.normal(size=4))
    reach = unit(middle - np.array([0, -0.02, 0.01]))  # from the palm to between the pads
    reach = unit(reach - across * (reach @ across))
    middle, across, reach = (vector * _mirror(side) for vector in (middle, across, reach))
    hand_frame = np.stack([across, reach, np.cross(across, reach)], axis=1)
    for approach in grasp.approach or [-_Z]:
        for sign in (-1, 1):
            for tilt in (-0.5, -0.2, 0.1, 0.5):
                target_across = sign * axis
                level = approach - target_across * (target_across @ approach)
                target_reach = axis_rotation(target_across, tilt) @ unit(level)
                world_frame = np.stack([target_across, target_reach, np.cross(target_across, target_reach)], axis=1)
                yield world_frame @ hand_frame.T, middle, angles


def _palm_poses(grasp: Grasp, side: Side, scale: float, rng: np.random.Generator):
    palm_normal = unit(grasp.approach[0]) if grasp.approach else -_Z
    angles = _HAND.palm_angles(rng)
    for fingers in _around(palm_normal):
        rotation = np.stack([np.cross(fingers, -palm_normal), fingers, -palm_normal], axis=1)
        yield rotation, np.array([0, 0.03, -0.006]), angles


def _place_hand(
    grasps: Sequence[Grasp],
    side: Side,
    shoulder: np.ndarray,
    scale: float,
    rng: np.random.Generator,
    other_hand: np.ndarray | None = None,
    lowest: float = 0.0,
) -> _HandPlacement | None:
    """The most comfortable way to perform one of the grasps, or None when the other hand is in the way of all."""
    if other_hand is None and len(grasps) > 3:  # leave some out, so that the same object is not always held alike
        keep = max(3, int(len(grasps) * 0.75))
        grasps = [grasps[k] for k in rng.permutation(len(grasps))[:keep]]
    best: _HandPlacement | None = None
    wrist_rest = scale * _HAND.joint_positions[_HAND.wrist] * _mirror(side)
    for grasp in grasps:
        if other_hand is not None and np.linalg.norm(grasp.point - other_hand) < 0.1:
            continue
        preference = rng.normal(0, 0.12)
        for rotation, translation, angles in _hand_poses(grasp, side, scale, rng):
            wrist = rotation @ wrist_rest + translation
            score = preference + _comfort(rotation, wrist, side, shoulder, lowest)
            if best is None or score > best.score:
                best = _HandPlacement(score, rotation, translation, angles, grasp)
    return best


def _comfort(rotation: np.ndarray, wrist: np.ndarray, side: Side, shoulder: np.ndarray, lowest: float) -> float:
    """How natural a hand pose is for an arm from this shoulder; about 1.5 at best."""
    outward = 1 if side == "right" else -1
    fingers, palm_normal, thumb = rotation[:, 1], -rotation[:, 2], -rotation[:, 0] * outward
    straightness = -float(fingers @ unit(shoulder - wrist))  # 1 when the hand continues the line of the arm
    return (
        1.6 * min(straightness, 0.93)
        - 1.5 * max(0.0, 0.45 - straightness)
        - 1.2 * max(0.0, palm_normal[2] - 0.2)  # palm up
        - 1.0 * max(0.0, palm_normal[0] * outward - 0.25)  # palm turned outward
        - 0.8 * max(0.0, -thumb[2] - 0.2)  # thumb down
        - 20 * max(0.0, lowest + 0.03 - wrist[2])  # wrist in the table
    )


# --- building an arm ------------------------------------------------------------------------------------------------


def _arm_parts(
    placement: _HandPlacement, side: Side, shoulder: np.ndarray, look: _Look, desk: _Desk, rng: np.random.Generator
) -> list[Part]:
    """Hand, forearm and upper arm in one skin, and a sleeve if the wearer has one."""
    rotation, scale = placement.rotation, look.scale
    mirror = _mirror(side)
    jittered = {
        digit: tuple(np.asarray(angles) + rng.normal(0, 0.03, 4) * [1, 1, 1, 0.5])
        for digit, angles in placement.angles.items()
    }
    posed = _HAND.skin(_HAND.pose(jittered))
    hand_colors = _hand_colors(look)

    def to_world(points: np.ndarray) -> np.ndarray:
        return (points * mirror) @ rotation.T * scale + placement.translation

    loop = _HAND.wrist_loop
    wrist_ring = posed[loop]
    wrist = to_world(wrist_ring.mean(0))
    elbow = _elbow(wrist, shoulder, side, desk, rng)
    path, forearm_steps = _arm_path(wrist, elbow, shoulder, rotation[:, 1])
    frames = _ring_frames(path, rotation[:, 0] * mirror[0], rotation[:, 2])
    forearm_length = float(np.linalg.norm(elbow - wrist))

    offsets = wrist_ring - wrist_ring.mean(0)
    angles = np.arctan2(offsets[:, 2], offsets[:, 0])
    ring_radius = np.hypot(offsets[:, 0], offsets[:, 2])
    rings = [to_world(wrist_ring)]
    for k in range(1, len(path)):
        along = min(k / (forearm_steps - 1), 1.0)
        half_width, half_height = _arm_radii(along, look.thickness)
        ellipse = half_width * half_height / np.hypot(half_height * np.cos(angles), half_width * np.sin(angles))
        # The first 5 cm blend from the hand's own outline into the ellipse of the arm.
        blend = min(along * forearm_length / 0.05, 1.0)
        blend = blend * blend * (3 - 2 * blend)
        radius = scale * (ring_radius * (1 - blend) + ellipse * blend)
        wide, high, tangent = frames[k]
        ring = path[k] + radius[:, None] * (np.cos(angles)[:, None] * wide + np.sin(angles)[:, None] * high)
        rings.append(ring - tangent * (scale * offsets[:, 1] * (1 - blend))[:, None])
    arm_vertices = np.concatenate(rings)
    arm_faces = _closed_grid_faces(len(rings), len(loop))

    tan_line = 1 + 0.04 * np.sin(np.tile(angles, len(rings)))[:, None] * np.array([-1, -1.2, -1.2]) * look.palm_paleness
    from_hand = np.repeat(1 - np.clip(np.arange(len(rings)) / 4, 0, 1), len(loop))[:, None]
    arm_colors = np.tile(hand_colors[loop], (len(rings), 1)) * from_hand + look.skin * tan_line * (1 - from_hand)

    hand_faces = _HAND.faces if side == "right" else _HAND.faces[:, ::-1]
    skin = Part(
        vertices=np.r_[to_world(posed), arm_vertices],
        faces=np.r_[hand_faces, arm_faces + len(posed)],
        vertex_colors=np.r_[hand_colors, arm_colors],
        roughness=look.roughness,
        skin=1.0,
        bump=look.bump,
        bump_frequency=900.0,
        noise=(0.10, 70.0),
        crease_degrees=75.0,
        mask_id=HAND_IDS[side],
    )
    if look.sleeve_start is None:
        return [skin]
    return [skin, _sleeve(path, frames, forearm_steps, forearm_length, look, HAND_IDS[side], rng)]


def _hand_colors(look: _Look) -> np.ndarray:
    """(V, 3) linear colours of the hand: redder finger tips and knuckles, a paler palm, nails."""
    vertices, normals = _HAND.vertices, _HAND.normals
    back, palm = np.clip(normals[:, 2], 0, 1), np.clip(-normals[:, 2], 0, 1)
    tips = 0.5 * np.exp(-((_HAND.tip_distance / 0.012) ** 2))
    knuckles = np.zeros(len(vertices))
    for finger in FINGERS:
        for joint in _HAND.digits[finger][1:4]:
            distance = np.linalg.norm(vertices - _HAND.joint_positions[joint], axis=1)
            knuckles += np.exp(-((distance / 0.009) ** 2))
    colors = np.tile(look.skin, (len(vertices), 1))
    colors *= 1 - (tips + 0.35 * knuckles * back)[:, None] * np.array([0.02, 0.28, 0.30]) * look.redness
    colors *= 1 + palm[:, None] * np.array([0.10, 0.04, 0.04]) * look.palm_paleness
    nail = np.clip(look.skin * 1.12 + np.array([0.06, 0.02, 0.03]), 0, 1)
    for joints in _HAND.digits.values():
        tip, frame = joints[-1], _HAND.joint_frames[joints[-1]]
        local = (vertices - _HAND.joint_positions[tip]) @ frame
        on_nail = np.exp(-((local[:, 0] / 0.0052) ** 4 + ((local[:, 2] - 0.001) / 0.0058) ** 4))
        on_nail = 0.75 * on_nail * (normals @ frame[:, 1] > 0.45)
        colors = colors * (1 - on_nail[:, None]) + nail * on_nail[:, None]
    return colors


def _elbow(wrist: np.ndarray, shoulder: np.ndarray, side: Side, desk: _Desk, rng: np.random.Generator) -> np.ndarray:
    """Two-bone inverse kinematics with the elbow out and down, kept above the desk."""
    reach = shoulder - wrist
    distance = float(np.linalg.norm(reach))
    along = reach / distance
    if 0.08 < distance < UPPER_ARM_LENGTH + FOREARM_LENGTH - 0.01:
        foot = (FOREARM_LENGTH**2 - UPPER_ARM_LENGTH**2 + distance**2) / (2 * distance)
        bend = np.sqrt(max(FOREARM_LENGTH**2 - foot**2, 0.0))
        pole = np.array([0.45 if side == "right" else -0.45, -0.1, -1.0]) + rng.normal(0, 0.15, 3)
        elbow = wrist + along * foot + unit(pole - along * (pole @ along)) * bend
    else:
        elbow = wrist + along * FOREARM_LENGTH
    if elbow[2] < 0.05 and elbow[1] > desk.near - 0.03:
        elbow[2] = 0.05
    return elbow


def _hermite(start: np.ndarray, end: np.ndarray, tangent_0: np.ndarray, tangent_1: np.ndarray, s: np.ndarray):
    s = s[:, None]
    return (
        (2 * s**3 - 3 * s**2 + 1) * start
        + (s**3 - 2 * s**2 + s) * tangent_0
        + (3 * s**2 - 2 * s**3) * end
        + (s**3 - s**2) * tangent_1
    )


def _arm_path(
    wrist: np.ndarray, elbow: np.ndarray, shoulder: np.ndarray, fingers: np.ndarray
) -> tuple[np.ndarray, int]:
    """(K, 3) points from wrist over elbow to shoulder, so that the arm always leaves the picture; and how many of
    them belong to the forearm."""
    forearm_steps, upper_arm_steps = 26, 10
    length = np.linalg.norm(elbow - wrist)
    at_elbow = (elbow - wrist) * 1.1 + unit(shoulder - elbow) * 0.05
    s = np.linspace(0, 1, forearm_steps)[1:]
    forearm = _hermite(wrist, elbow, -fingers * length * 0.45, at_elbow, s)
    s = np.linspace(0, 1, upper_arm_steps + 1)[1:]
    upper_arm = _hermite(elbow, shoulder, at_elbow * 0.7, shoulder - elbow, s)
    return np.r_[wrist[None], forearm, upper_arm], forearm_steps


def _ring_frames(
    path: np.ndarray, wide: np.ndarray, hand_back: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For every point of the path: the arm's wide axis, its high axis (towards the back of the hand), its tangent."""
    tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    frames = []
    for tangent in tangents:
        wide = unit(wide - tangent * (wide @ tangent))
        high = np.cross(tangent, wide)
        frames.append((wide, high if high @ hand_back > 0 else -high, tangent))
    return frames


def _arm_radii(along: float, thickness: float) -> tuple[float, float]:
    """Half width and half height of the forearm, metres, from the wrist (0) to the elbow (1)."""
    muscle = np.sin(min(along / 0.75, 1) * np.pi / 2) ** 1.5
    return (0.0275 + 0.012 * muscle) * thickness, (0.0205 + 0.016 * muscle) * thickness


def _closed_grid_faces(rings: int, count: int) -> np.ndarray:
    """Triangles between consecutive rings of ``count`` vertices each."""
    start = np.arange(rings - 1)[:, None] * count
    here = np.arange(count)
    following = (here + 1) % count
    first = np.stack([start + here, start + count + here, start + count + following], axis=-1)
    second = np.stack([start + here, start + count + following, start + following], axis=-1)
    return np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])


def _sleeve(
    path: np.ndarray,
    frames: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    forearm_steps: int,
    forearm_length: float,
    look: _Look,
    mask_id: int,
    rng: np.random.Generator,
) -> Part:
    """A tube of cloth around the arm, with folds and a cuff."""
    last = len(path) - 1
    stations = np.r_[
        np.linspace(look.sleeve_start * (forearm_steps - 1), forearm_steps - 1, 18), np.linspace(forearm_steps, last, 6)
    ]
    segments = 36
    around = np.linspace(0, 2 * np.pi, segments + 1)
    phase = rng.uniform(0, 6, 2)
    rings = []
    for n, station in enumerate(stations):
        before = int(min(station, last - 1))
        weight = station - before
        center = path[before] * (1 - weight) + path[before + 1] * weight
        wide, high, _ = frames[before]
        muscle = np.sin(min(station / (forearm_steps - 1) / 0.75, 1) * np.pi / 2) ** 1.5
        base = (0.030 + 0.013 * muscle) * look.thickness * look.scale * look.sleeve_looseness
        folds = 0.05 * np.sin(3 * around + phase[0] + 0.7 * n)
        folds += 0.06 * np.sin(1.3 * n + phase[1] + 2 * np.sin(around)) * (0.4 + n / len(stations))
        cuff = {0: 1.03, 1: 1.05}.get(n, 1.0)
        radius = (base * (1 + folds) * cuff)[:, None]
        ring = center + radius * (np.cos(around)[:, None] * wide * 1.05 + np.sin(around)[:, None] * high * 0.9)
        rings.append(ring)
    rings.insert(0, rings[0] * 0.93 + 0.07 * rings[0].mean(0))  # the hem turns in
    count = len(rings)
    i = (np.arange(count - 1)[:, None] * (segments + 1) + np.arange(segments)).ravel()
    faces = np.concatenate([np.c_[i, i + 1, i + segments + 2], np.c_[i, i + segments + 2, i + segments + 1]])
    along = np.linspace(0, forearm_length * 4 * (1 - look.sleeve_start), count)
    uv = np.stack(np.meshgrid(along, np.linspace(0, 1, segments + 1), indexing="ij"), axis=-1).reshape(-1, 2)
    return Part(
        vertices=np.concatenate(rings),
        faces=faces,
        uv=uv,
        texture=look.cloth,
        roughness=0.9,
        bump=0.35,
        bump_frequency=260.0,
        noise=(0.15, 40.0),
        crease_degrees=70.0,
        mask_id=mask_id,
    )
