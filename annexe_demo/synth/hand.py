"""A rigged hand: loading, posing, and finger angles for the grasps.

The mesh is the generic hand of the WebXR input profiles (MIT, see ``assets/``) with the 25 joints of the WebXR Hand
Input specification. Everything here lives in the canonical frame of a right hand, metres: origin in the palm,
+Y along the fingers, -Z out of the palm, -X to the thumb's side. A left hand is its mirror image in X.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

HAND_MESH = Path(__file__).parent / "assets" / "generic_hand_right.glb"
FINGERS = ("index", "middle", "ring", "pinky")
DIGITS = (*FINGERS, "thumb")
NUM_JOINTS = 25

# Axes and origin of the mesh file -> canonical frame.
_FILE_TO_CANONICAL = np.array([[0.0, 0, 1], [0, -1, 0], [1, 0, 0]])
_CANONICAL_ORIGIN = np.array([0.015, 0.02, 0.020])
_SKIN_THICKNESS = 0.0085  # metres from a finger bone to the skin of its pad

# Angles of one digit: flexion of its three joints and the spread (fingers) or opposition (thumb), radians.
DigitAngles = tuple[float, float, float, float]
HandAngles = dict[str, DigitAngles]


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector at length one."""
    vector = np.asarray(vector, float)
    return vector / max(np.linalg.norm(vector), 1e-9)


def axis_rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """(3, 3) rotation about an axis by an angle in radians (Rodrigues)."""
    x, y, z = unit(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _quaternion_matrix(quaternion: np.ndarray) -> np.ndarray:
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@dataclass
class _RiggedMesh:
    vertices: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3)
    weights: np.ndarray  # (V, 25) skinning weights, rows sum to one
    joint_names: list[str]
    joint_positions: np.ndarray  # (25, 3)
    joint_frames: np.ndarray  # (25, 3, 3) rotations of the bind pose


def _load_rigged_mesh(path: Path) -> _RiggedMesh:
    """Reads the one skinned mesh of a binary glTF file into the canonical frame."""
    content = path.read_bytes()
    json_length = struct.unpack("<I", content[12:16])[0]
    document = json.loads(content[20 : 20 + json_length])
    binary = content[28 + json_length :]

    def read_accessor(index: int) -> np.ndarray:
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        dtype = {5126: "f4", 5121: "u1", 5123: "u2"}[accessor["componentType"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor["type"]]
        offset = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        return np.frombuffer(binary, dtype, accessor["count"] * width, offset).reshape(-1, width)

    primitive = document["meshes"][0]["primitives"][0]
    attributes = primitive["attributes"]
    vertices = read_accessor(attributes["POSITION"]).astype(float)
    faces = read_accessor(primitive["indices"]).reshape(-1, 3).astype(int)
    joint_indices = read_accessor(attributes["JOINTS_0"]).astype(int)
    joint_weights = read_accessor(attributes["WEIGHTS_0"]).astype(float)
    weights = np.zeros((len(vertices), NUM_JOINTS))
    np.add.at(weights, (np.repeat(np.arange(len(vertices)), 4), joint_indices.ravel()), joint_weights.ravel())

    # Weld the vertices that the file splits at texture seams, so that subdivision does not tear the mesh there.
    _, first, welded = np.unique(
        np.round(vertices * 1e6).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    faces = welded.ravel()[faces]
    degenerate = (faces[:, 0] == faces[:, 1]) | (faces[:, 1] == faces[:, 2]) | (faces[:, 0] == faces[:, 2])
    weights = weights[first]

    nodes = [document["nodes"][k] for k in document["skins"][0]["joints"]]
    positions = np.array([node["translation"] for node in nodes])
    frames = np.array([_quaternion_matrix(node["rotation"]) for node in nodes])
    return _RiggedMesh(
        vertices=vertices[first] @ _FILE_TO_CANONICAL.T - _CANONICAL_ORIGIN,
        faces=faces[~degenerate],
        weights=weights / weights.sum(1, keepdims=True),
        joint_names=[node["name"] for node in nodes],
        joint_positions=positions @ _FILE_TO_CANONICAL.T - _CANONICAL_ORIGIN,
        joint_frames=np.einsum("ij,njk->nik", _FILE_TO_CANONICAL, frames),
    )


def _loop_subdivide(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One step of Loop subdivision of a triangle mesh; borders stay where they are, skinning weights are averaged."""
    corners_from = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges, edge_of_corner, uses = np.unique(
        np.sort(corners_from, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    edge_of_corner = edge_of_corner.ravel()
    start, end = edges.T

    valence = np.bincount(edges.ravel(), minlength=len(vertices)).astype(float)
    neighbour_sum = np.zeros_like(vertices)
    np.add.at(neighbour_sum, start, vertices[end])
    np.add.at(neighbour_sum, end, vertices[start])
    beta = np.where(valence == 3, 3 / 16, 3 / (8 * valence))
    moved = vertices * (1 - valence * beta)[:, None] + neighbour_sum * beta[:, None]
    border = np.unique(edges[uses == 1])
    moved[border] = vertices[border]

    opposite_sum = np.zeros((len(edges), 3))
    np.add.at(opposite_sum, edge_of_corner, vertices[np.concatenate([faces[:, 2], faces[:, 0], faces[:, 1]])])
    along = vertices[start] + vertices[end]
    midpoints = np.where((uses == 2)[:, None], 0.375 * along + 0.125 * opposite_sum, 0.5 * along)

    count = len(faces)
    ab, bc, ca = (len(vertices) + edge_of_corner[k * count : (k + 1) * count] for k in range(3))
    a, b, c = faces.T
    finer = np.concatenate([np.c_[a, ab, ca], np.c_[ab, b, bc], np.c_[ca, bc, c], np.c_[ab, bc, ca]])
    return np.r_[moved, midpoints], finer, np.r_[weights, 0.5 * (weights[start] + weights[end])]


def _longest_boundary_loop(faces: np.ndarray) -> np.ndarray:
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    directed = {tuple(edge) for edge in edges}
    following = {a: b for a, b in edges if (b, a) not in directed}
    loops = []
    while following:
        first = next(iter(following))
        loop, vertex = [first], following.pop(first)
        while vertex != first and vertex in following:
            loop.append(vertex)
            vertex = following.pop(vertex)
        loops.append(loop)
    return np.array(max(loops, key=len))


class HandModel:
    """The rigged right hand, cut open behind the wrist so that a forearm can be attached.

    Attributes:
        vertices: (V, 3) rest pose.
        faces: (F, 3).
        normals: (V, 3) of the rest pose.
        joint_positions: (25, 3) rest pose.
        wrist_loop: (L,) vertex indices around the opening behind the wrist.
        digits: joint indices of each digit, from the palm to the tip.
    """

    def __init__(self, path: Path = HAND_MESH) -> None:
        mesh = _load_rigged_mesh(path)
        self.joint_positions = mesh.joint_positions
        self.joint_frames = mesh.joint_frames
        index = {name: i for i, name in enumerate(mesh.joint_names)}
        self.wrist = index["wrist"]
        bones = ("metacarpal", "phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")
        self.digits = {finger: [index[f"{finger}-finger-{bone}"] for bone in bones] for finger in FINGERS}
        self.digits["thumb"] = [index[f"thumb-{bone}"] for bone in bones if bone != "phalanx-intermediate"]
        self._parent = {
            joint: (joints[k - 1] if k else self.wrist)
            for joints in self.digits.values()
            for k, joint in enumerate(joints)
        }

        self.vertices, faces, self.weights = _loop_subdivide(mesh.vertices, mesh.faces, mesh.weights)
        cut_height = self.joint_positions[self.wrist][1] - 0.010
        self.faces = faces[self.vertices[faces][:, :, 1].mean(1) > cut_height]
        self.wrist_loop = _longest_boundary_loop(self.faces)
        self.normals = self._rest_normals()

    def _rest_normals(self) -> np.ndarray:
        triangles = self.vertices[self.faces]
        face_normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        normals = np.zeros_like(self.vertices)
        for corner in range(3):
            np.add.at(normals, self.faces[:, corner], face_normals)
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)

    @cached_property
    def tip_distance(self) -> np.ndarray:
        """(V,) distance of each rest vertex to the nearest finger tip, metres."""
        tips = [self.joint_positions[joints[-1]] for joints in self.digits.values()]
        return np.min([np.linalg.norm(self.vertices - tip, axis=1) for tip in tips], axis=0)

    def local_rotations(self, angles: HandAngles) -> dict[int, np.ndarray]:
        """Rotations of the joints in their own bind frames.

        Flexion turns about the joint's -X (WebXR: -Z points to the tip, +Y to the back of the hand); the thumb's
        opposition turns its metacarpal about the hand's +Y.
        """
        flex_axis, spread_axis = (1, 0, 0), (0, 1, 0)
        rotations = {}
        for digit, (first, second, third, sideways) in angles.items():
            joints = self.digits[digit]
            if digit == "thumb":
                frame = self.joint_frames[joints[0]]
                opposition = frame.T @ axis_rotation(spread_axis, -sideways) @ frame
                rotations[joints[0]] = opposition @ axis_rotation(flex_axis, -first)
                rotations[joints[1]] = axis_rotation(flex_axis, -second)
                rotations[joints[2]] = axis_rotation(flex_axis, -third)
            else:
                rotations[joints[1]] = axis_rotation(spread_axis, sideways) @ axis_rotation(flex_axis, -first)
                rotations[joints[2]] = axis_rotation(flex_axis, -second)
                rotations[joints[3]] = axis_rotation(flex_axis, -third)
        return rotations

    def pose(self, angles: HandAngles, digits: tuple[str, ...] = DIGITS) -> np.ndarray:
        """Forward kinematics: (25, 4, 4) transforms from the rest pose. Only the named digits move."""
        rotations = self.local_rotations({digit: a for digit, a in angles.items() if digit in digits})
        transforms = np.tile(np.eye(4), (NUM_JOINTS, 1, 1))
        for digit in digits:
            for joint in self.digits[digit]:
                local = np.eye(4)
                if joint in rotations:
                    frame, position = self.joint_frames[joint], self.joint_positions[joint]
                    turn = frame @ rotations[joint] @ frame.T
                    local[:3, :3], local[:3, 3] = turn, position - turn @ position
                transforms[joint] = transforms[self._parent[joint]] @ local
        return transforms

    def posed_joint(self, transforms: np.ndarray, joint: int) -> np.ndarray:
        """(3,) position of a joint in the posed hand."""
        return transforms[joint, :3, :3] @ self.joint_positions[joint] + transforms[joint, :3, 3]

    def skin(self, transforms: np.ndarray) -> np.ndarray:
        """Linear blend skinning: (V, 3) vertices of the posed hand."""
        blended = np.einsum("nj,jab->nab", self.weights, transforms)
        return np.einsum("nab,nb->na", blended[:, :3, :3], self.vertices) + blended[:, :3, 3]

    # --- grasps -------------------------------------------------------------------------------------------------

    def palm_angles(self, rng: np.random.Generator) -> HandAngles:
        """An open, slightly bent hand that lies flat on something."""
        bend = rng.uniform(0.05, 0.3)
        angles: HandAngles = {finger: (bend, bend * 1.2, bend * 0.6, 0.0) for finger in FINGERS}
        angles["thumb"] = (0.0, 0.1, 0.1, rng.uniform(0, 0.4))
        return angles

    def relaxed_angles(self, rng: np.random.Generator) -> HandAngles:
        """An empty hand at rest: fingers curled by a random amount, more so towards the little finger."""
        bend = rng.uniform(0.1, 0.9)
        angles: HandAngles = {
            finger: (bend * (0.7 + 0.1 * k), bend * (0.9 + 0.08 * k), bend * 0.6, 0.0)
            for k, finger in enumerate(FINGERS)
        }
        angles["thumb"] = (0.0, 0.15 + 0.3 * bend, 0.2 * bend, rng.uniform(0.1, 0.6))
        return angles

    def power_angles(self, radius: float, rng: np.random.Generator) -> tuple[HandAngles, np.ndarray]:
        """Closes the hand around a cylinder until every finger link touches it.

        Args:
            radius: of the cylinder, metres.
            rng: varies the thumb on thin cylinders, around which it has nothing to touch.

        Returns:
            The angles and the (3,) centre of the cylinder, whose axis is the hand's X.
        """
        center = np.array([0.0, 0.010, -radius - 0.001])
        angles: HandAngles = {}
        for digit in DIGITS:
            if digit == "thumb" and radius < 0.018:
                angles[digit] = (0.05, 0.35 + rng.uniform(-0.1, 0.2), 0.45 + rng.uniform(-0.2, 0.2), 0.75)
            else:
                angles[digit] = self._close_digit_on_cylinder(digit, center, radius)
        return angles, center

    def _close_digit_on_cylinder(self, digit: str, center: np.ndarray, radius: float) -> DigitAngles:
        if digit == "thumb":
            links, opposition = self.digits[digit], float(np.clip(0.35 + radius * 12, 0.5, 1.0))
            flexion, step, limit = np.zeros(3), np.array([0.03, 0.05, 0.05]), np.array([0.5, 0.9, 1.0])
        else:
            links, opposition = self.digits[digit][1:], 0.0
            flexion, step = np.array([0.15, 0.15, 0.05]), np.array([0.06, 0.065, 0.04])
            limit = np.array([1.45, 1.75, 1.1])
        along_link = np.linspace(0.25, 1, 5)[:, None]
        free = np.ones(3, bool)  # joints that nothing has stopped yet
        for _ in range(34):
            trial = np.minimum(flexion + step * free, limit)
            transforms = self.pose({digit: (*trial, opposition)}, (digit,))
            joints = [self.posed_joint(transforms, joint) for joint in links]
            for k in range(3):
                samples = joints[k] * (1 - along_link) + joints[k + 1] * along_link
                gap = np.hypot(samples[:, 1] - center[1], samples[:, 2] - center[2]) - radius
                if gap.min() < _SKIN_THICKNESS:
                    free[: k + 1] = False  # a link that touches stops every joint before it
            flexion = np.where(free, trial, flexion)
            if not free.any():
                break
        return (*(float(v) for v in flexion), opposition)

    @staticmethod
    def pinch_angles(closure: float, jitter: np.ndarray | None = None) -> HandAngles:
        """Thumb against fingers; ``closure`` runs from below 0 (wide open) to above 1 (tips together)."""
        jitter = np.zeros(4) if jitter is None else jitter
        angles: HandAngles = {
            finger: (
                0.25 + 0.85 * closure + 0.04 * k * (k - 1) + 0.1 * float(jitter[k]),
                0.30 + 0.60 * closure + 0.05 * k,
                0.12 + 0.3 * closure,
                0.0,
            )
            for k, finger in enumerate(FINGERS)
        }
        angles["thumb"] = (0.05 + 0.1 * closure, 0.05 + 0.3 * closure, 0.05 + 0.4 * closure, 0.95)
        return angles

    @cached_property
    def _pinch_table(self) -> np.ndarray:
        """Rows of (closure, gap, middle xyz, direction xyz) by falling gap between the pads."""
        rows = []
        for closure in np.linspace(-0.25, 1.2, 30):
            transforms = self.pose(self.pinch_angles(closure))
            finger_pad = 0.6 * self._pad(transforms, "index") + 0.4 * self._pad(transforms, "middle")
            thumb_pad = self._pad(transforms, "thumb")
            across = finger_pad - thumb_pad
            rows.append((closure, np.linalg.norm(across), *(0.5 * (finger_pad + thumb_pad)), *unit(across)))
        table = np.array(rows)
        return table[: table[:, 1].argmin() + 1]

    def _pad(self, transforms: np.ndarray, digit: str) -> np.ndarray:
        tip = self.digits[digit][-1]
        offset = self.joint_frames[tip] @ np.array([0, -0.007, 0.004])
        return self.posed_joint(transforms, tip) + transforms[tip, :3, :3] @ offset

    def pinch_opening(self, width: float) -> tuple[float, np.ndarray, np.ndarray]:
        """How to pinch something that is ``width`` metres wide.

        Returns:
            closure for `pinch_angles`, (3,) middle between the pads, (3,) unit direction from thumb to fingers.
        """
        by_gap = self._pinch_table[::-1]
        values = [np.interp(width, by_gap[:, 1], by_gap[:, column]) for column in (0, 2, 3, 4, 5, 6, 7)]
        return float(values[0]), np.array(values[1:4]), unit(values[4:7])
