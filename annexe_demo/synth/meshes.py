"""Triangle meshes: the part that the renderer draws, and the primitives that everything in a scene is made of.

Lengths are metres and z is up. Every primitive returns ``(vertices, faces, uv)``, winds its faces counter-clockwise
seen from outside, and lays ``uv`` so that row 0 of a texture is the top of a standing shape and print reads from left
to right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import trimesh
from shapely.geometry import Polygon

Mesh = tuple[np.ndarray, np.ndarray, "np.ndarray | None"]


def linear_rgb(srgb255: Sequence[float] | np.ndarray) -> np.ndarray:
    """Linear RGB, 0 to 1, of an sRGB colour given as 0 to 255 (gamma 2.2); values outside are clipped."""
    return (np.clip(np.asarray(srgb255, float), 0, 255) / 255) ** 2.2


def srgb_255(linear: Sequence[float] | np.ndarray) -> np.ndarray:
    """sRGB colour, 0 to 255, of a linear colour, 0 to 1: the inverse of `linear_rgb`."""
    return 255 * np.clip(np.asarray(linear, float), 0, 1) ** (1 / 2.2)


def corner_normals(vertices: np.ndarray, faces: np.ndarray, crease_degrees: float = 38.0) -> np.ndarray:
    """Unit normals of every face corner, smooth across flat edges and sharp across creases.

    A corner averages, weighted by their angle there, the faces that meet at its position and turn less than
    ``crease_degrees`` from its own face. Vertices at the same place (texture seams) count as one.

    Args:
        vertices: (N, 3) positions.
        faces: (M, 3) vertex indices.
        crease_degrees: 70 and more smooths over every edge, which is also faster.

    Returns:
        (3M, 3) normals, in the order of ``faces.ravel()``.
    """
    triangles = vertices[faces]
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(cross, axis=1, keepdims=True)
    unit = np.where(area > 1e-14, cross / np.maximum(area, 1e-14), [0.0, 0.0, 1.0])
    own = np.repeat(unit, 3, axis=0)
    weighted = own * _corner_angles(triangles, area).reshape(-1, 1)
    # Weld by position on a grid of 5 micrometres; hashing the cell is much faster than a row-wise np.unique.
    cell = np.round(vertices * 2e5).astype(np.int64)
    key = cell[:, 0] * 73856093 + cell[:, 1] * 135956237 + cell[:, 2] * 10937552251
    _, welded = np.unique(key, return_inverse=True)
    place_of = welded.reshape(-1)[faces].ravel()
    if crease_degrees >= 70:
        total = np.stack([np.bincount(place_of, weighted[:, axis]) for axis in range(3)], axis=1)
        normals = total[place_of]
    else:
        order = np.argsort(place_of, kind="stable")  # corners, those at the same place in a row
        count = np.bincount(place_of)
        first = np.concatenate([[0], np.cumsum(count)[:-1]])
        normals = np.zeros((len(place_of), 3))
        cos_crease = np.cos(np.radians(crease_degrees))
        # One pass per neighbour rank; poles of a lathe have many, and 64 of them are enough for their average.
        for rank in range(min(int(count.max()), 64)):
            corner = np.flatnonzero(count[place_of] > rank)
            neighbour = order[first[place_of[corner]] + rank]
            smooth = np.einsum("ij,ij->i", own[neighbour], own[corner]) > cos_crease
            normals[corner[smooth]] += weighted[neighbour[smooth]]
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 1e-14, normals / np.maximum(length, 1e-14), own)


def _corner_angles(triangles: np.ndarray, area: np.ndarray) -> np.ndarray:
    """(M, 3) angles of (M, 3, 3) triangles, 0 throughout where the triangle has no area.

    As weights they make a normal independent of which diagonal splits a quad; areas would not.
    """
    angles = np.zeros(triangles.shape[:2])
    for k in range(3):
        a = triangles[:, (k + 1) % 3] - triangles[:, k]
        b = triangles[:, (k + 2) % 3] - triangles[:, k]
        # |a x b| is the same (twice the area) for all three corners.
        angles[:, k] = np.arctan2(area[:, 0], np.einsum("ij,ij->i", a, b))
    return np.where(area > 1e-14, angles, 0.0)


@dataclass
class Part:
    """A mesh with one material.

    Attributes:
        vertices: (N, 3) float positions.
        faces: (M, 3) int vertex indices.
        uv: (N, 2) texture coordinates, row 0 of the texture at v = 0, or None.
        normals: (3M, 3) unit normals per corner; made from ``crease_degrees`` when not given.
        vertex_colors: (N, 3) linear factors on the base colour, or None.
        color: (3,) linear RGB base colour, multiplied with the texture.
        texture: (H, W, 3) uint8 sRGB, or None.
        roughness: 0 mirror-like to 1 dull.
        metalness: 0 plastic, paint or cloth to 1 bare metal.
        skin: 1 for skin, which scatters light, else 0.
        bump: strength of fine relief in shading; 0 is smooth.
        bump_frequency: its cycles per metre.
        noise: (amplitude, frequency) of blotches in the base colour; None chooses slight ones for a plain part and
            none for a textured one.
        crease_degrees: edges that turn more than this are sharp; see `corner_normals`.
        mask_id: value of its pixels in the mask; 0 is background.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None = None
    normals: np.ndarray | None = field(default=None, repr=False)
    vertex_colors: np.ndarray | None = None
    color: np.ndarray = field(default_factory=lambda: np.ones(3))
    texture: np.ndarray | None = None
    roughness: float = 0.45
    metalness: float = 0.0
    skin: float = 0.0
    bump: float = 0.0
    bump_frequency: float = 200.0
    noise: tuple[float, float] | None = None
    crease_degrees: float = 38.0
    mask_id: int = 0

    def __post_init__(self) -> None:
        self.vertices = np.asarray(self.vertices, float)
        self.faces = np.asarray(self.faces, int)
        self.color = np.asarray(self.color, float)
        if self.texture is not None and self.uv is None:
            raise ValueError("a part with a texture needs uv of shape (N, 2) but got None")
        if self.normals is None:
            self.normals = corner_normals(self.vertices, self.faces, self.crease_degrees)
        if self.noise is None:
            self.noise = (0.06, 25.0) if self.texture is None else (0.0, 1.0)

    @classmethod
    def of(cls, mesh: Mesh, color: Sequence[float] | np.ndarray = (1.0, 1.0, 1.0), **material: Any) -> Part:
        """A part from a primitive's ``(vertices, faces, uv)``, a linear colour and any other attribute."""
        vertices, faces, uv = mesh
        return cls(vertices, faces, uv, color=np.asarray(color, float), **material)

    def transformed(self, R: np.ndarray, t: Sequence[float] | np.ndarray, mask_id: int | None = None) -> Part:
        """A copy rotated by ``R`` (3, 3), then moved by ``t`` (3,), with ``mask_id`` if given.

        Texture and uv are shared with the original, so a cache that knows a texture by identity keeps working.
        """
        R = np.asarray(R, float)
        return replace(
            self,
            vertices=self.vertices @ R.T + np.asarray(t, float),
            normals=self.normals @ R.T,
            mask_id=self.mask_id if mask_id is None else mask_id,
        )


# Rotations


def rotation(axis: Sequence[float] | np.ndarray, angle: float) -> np.ndarray:
    """(3, 3) matrix of a right-handed turn by ``angle`` radians about ``axis``, which need not have length 1."""
    axis = np.asarray(axis, float)
    length = np.linalg.norm(axis)
    if length < 1e-12:
        raise ValueError(f"rotation axis must not be the zero vector but got {axis.tolist()}")
    x, y, z = axis / length
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def rx(angle: float) -> np.ndarray:
    """Turn about x, in radians."""
    return rotation((1, 0, 0), angle)


def ry(angle: float) -> np.ndarray:
    """Turn about y, in radians."""
    return rotation((0, 1, 0), angle)


def rz(angle: float) -> np.ndarray:
    """Turn about z, in radians."""
    return rotation((0, 0, 1), angle)


def place(mesh: Mesh, R: np.ndarray | None = None, t: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0)) -> Mesh:
    """The mesh rotated by ``R``, then moved by ``t``."""
    vertices, faces, uv = mesh
    rotated = vertices if R is None else vertices @ np.asarray(R, float).T
    return rotated + np.asarray(t, float), faces, uv


# Curves


def chaikin(points: Sequence[Sequence[float]] | np.ndarray, rounds: int = 2, closed: bool = False) -> np.ndarray:
    """Round the corners of a (K, D) polyline by cutting them ``rounds`` times; an open one keeps its ends."""
    points = np.asarray(points, float)
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0) if closed else points[1:]
        start = points if closed else points[:-1]
        cut = np.stack([0.75 * start + 0.25 * following, 0.25 * start + 0.75 * following], axis=1)
        cut = cut.reshape(-1, points.shape[1])
        points = cut if closed else np.concatenate([points[:1], cut, points[-1:]])
    return points


# Primitives


def _grid_faces(rows: int, columns: int) -> np.ndarray:
    """Faces of a rows x columns grid of vertices, outward where (along a row) x (to the next row) is outward."""
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    lower = np.stack([first, first + 1, first + columns + 1], axis=1)
    upper = np.stack([first, first + columns + 1, first + columns], axis=1)
    return np.concatenate([lower, upper])


def _without_slivers(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The faces that have an area: the pole of a lathe or the cap of a tube is a row of coincident vertices."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return faces[np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-13]


def box(
    size: Sequence[float] | np.ndarray, center: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0), bevel: float = 0.004
) -> Mesh:
    """A box with rounded edges.

    Args:
        size: (3,) full lengths along x, y and z.
        center: (3,).
        bevel: radius of the edges; at most just under half of the shortest side is used.
    """
    half = np.asarray(size, float) / 2
    bevel = min(bevel, float(half.min()) * 0.95)
    steps = 3  # vertices across each bevel
    all_vertices, all_faces, all_uv = [], [], []
    for normal_axis in range(3):
        i, j = (axis for axis in range(3) if axis != normal_axis)
        span_i, span_j = (
            np.concatenate([np.linspace(-h, -h + bevel, steps), np.linspace(h - bevel, h, steps)])
            for h in (half[i], half[j])
        )
        grid_i, grid_j = np.meshgrid(span_i, span_j, indexing="ij")
        for side in (-1, 1):
            points = np.zeros((*grid_i.shape, 3))
            points[..., i], points[..., j], points[..., normal_axis] = grid_i, grid_j, side * half[normal_axis]
            # Pull every point onto the sphere swept around the box shrunk by the bevel.
            core = np.clip(points, -half + bevel, half - bevel)
            offset = points - core
            points = core + offset / np.maximum(np.linalg.norm(offset, axis=-1, keepdims=True), 1e-9) * bevel
            faces = _grid_faces(*grid_i.shape)
            # The grid runs j first, so it faces -(i x j); i x j is -y for the pair (x, z) and positive otherwise.
            grid_side = 1 if normal_axis == 1 else -1
            if side != grid_side:
                faces = faces[:, ::-1]
            u, v = grid_i / (2 * half[i]) + 0.5, 0.5 - grid_j / (2 * half[j])
            if side == grid_side:
                u = 1 - u
            all_faces.append(faces + sum(len(part) for part in all_vertices))
            all_vertices.append(points.reshape(-1, 3))
            all_uv.append(np.stack([u, v], axis=-1).reshape(-1, 2))
    return np.concatenate(all_vertices) + np.asarray(center, float), np.concatenate(all_faces), np.concatenate(all_uv)


def tube(
    path: Sequence[Sequence[float]] | np.ndarray,
    radius: float | Sequence[float] | np.ndarray,
    segments: int = 14,
    closed: bool = False,
) -> Mesh:
    """A round bar along a path, with flat caps.

    Args:
        path: (K, 3) points, K at least 2.
        radius: one for all or (K,).
        segments: sides of the cross-section.
        closed: join the end to the start (for planar loops) instead of capping; do not repeat the first point.
    """
    path = np.asarray(path, float)
    if len(path) < 2:
        raise ValueError(f"tube path must have 2 points or more but got {len(path)}")
    radius = np.broadcast_to(np.asarray(radius, float), (len(path),))
    tangents = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0) if closed else np.gradient(path, axis=0)
    if closed:
        path, radius = np.concatenate([path, path[:1]]), np.concatenate([radius, radius[:1]])
        tangents = np.concatenate([tangents, tangents[:1]])
    tangents = tangents / np.linalg.norm(tangents, axis=1, keepdims=True)
    across = np.cross(tangents[0], (0.0, 0.0, 1.0))
    if np.linalg.norm(across) < 0.1:
        across = np.cross(tangents[0], (1.0, 0.0, 0.0))
    angles = np.linspace(0, 2 * np.pi, segments + 1)[:, None]
    rings = []
    for point, tangent, ring_radius in zip(path, tangents, radius, strict=True):
        # Carry the frame along by projection, so that the bar does not twist.
        across = across - tangent * (across @ tangent)
        across /= np.linalg.norm(across)
        rings.append(point + ring_radius * (np.cos(angles) * across + np.sin(angles) * np.cross(tangent, across)))
    if not closed:
        rings = [np.repeat(path[:1], segments + 1, axis=0), *rings, np.repeat(path[-1:], segments + 1, axis=0)]
    vertices = np.concatenate(rings)
    along, around = np.meshgrid(np.linspace(0, 1, len(rings)), np.linspace(0, 1, segments + 1), indexing="ij")
    uv = np.stack([along, around], axis=-1).reshape(-1, 2)
    return vertices, _without_slivers(vertices, _grid_faces(len(rings), segments + 1)), uv


def lathe(profile: Sequence[Sequence[float]] | np.ndarray, segments: int = 56) -> Mesh:
    """A profile turned about z.

    Args:
        profile: (K, 2) points (radius, z); the outside is on the right of the direction of travel, so a solid goes
            from its bottom centre out and up to its top centre.
        segments: steps of the full turn.

    Returns:
        The mesh; u runs around, v from 0 at the top to 1 at the bottom.
    """
    profile = np.asarray(profile, float)
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    radius, z = profile[:, :1], np.repeat(profile[:, 1:], segments + 1, axis=1)
    vertices = np.stack([radius * np.cos(angles), radius * np.sin(angles), z], axis=-1).reshape(-1, 3)
    height = max(float(np.ptp(profile[:, 1])), 1e-9)
    u = np.tile(angles / (2 * np.pi), (len(profile), 1))
    uv = np.stack([u, (profile[:, 1].max() - z) / height], axis=-1).reshape(-1, 2)
    return vertices, _without_slivers(vertices, _grid_faces(len(profile), segments + 1)), uv


def extrude(outline: Sequence[Sequence[float]] | np.ndarray, height: float, z: float = 0.0, bevel: float = 0.0) -> Mesh:
    """A flat outline raised along z.

    Args:
        outline: (K, 2) simple polygon in the xy plane, either direction, without its first point repeated.
        height: thickness.
        z: of its lower side.
        bevel: radius of the rims; the upper and lower sides shrink by it, so it must be small beside the outline's
            narrowest place.
    """
    ring = np.asarray(outline, float)
    polygon = Polygon(ring)
    if not polygon.is_valid or polygon.area == 0:
        raise ValueError(f"extrude needs a simple polygon with an area but got {ring.tolist()}")
    if not polygon.exterior.is_ccw:
        ring = ring[::-1]
    bevel = min(bevel, height * 0.48)
    # Shrink every corner along its bisector (mitred, at most doubled) to keep one vertex per corner at all levels.
    edges = np.roll(ring, -1, axis=0) - ring
    outward = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1, keepdims=True)
    bisector = outward + np.roll(outward, 1, axis=0)
    bisector /= np.maximum(np.linalg.norm(bisector, axis=1, keepdims=True), 1e-9)
    mitre = bisector / np.clip((bisector * outward).sum(axis=1, keepdims=True), 0.5, 1)
    angles = np.linspace(0, np.pi / 2, 4) if bevel > 0 else np.array([np.pi / 2])
    insets = bevel * (1 - np.sin(angles))
    rises = bevel * (1 - np.cos(angles))
    levels = [(inset, z + rise) for inset, rise in zip(insets, rises, strict=True)]
    levels += [(inset, z + height - rise) for inset, rise in zip(insets[::-1], rises[::-1], strict=True)]
    loops = [np.column_stack([ring - inset * mitre, np.full(len(ring), level)]) for inset, level in levels]
    wall = np.concatenate([np.concatenate([loop, loop[:1]]) for loop in loops])
    wall_faces = _without_slivers(wall, _grid_faces(len(loops), len(ring) + 1))
    cap_outline, cap = trimesh.creation.triangulate_polygon(Polygon(loops[0][:, :2]), engine="earcut")
    corners = cap_outline[cap]
    turn = np.cross(
        np.pad(corners[:, 1] - corners[:, 0], ((0, 0), (0, 1))), np.pad(corners[:, 2] - corners[:, 0], ((0, 0), (0, 1)))
    )[:, 2]
    cap = np.where(turn[:, None] < 0, cap[:, ::-1], cap)
    lower = np.column_stack([cap_outline, np.full(len(cap_outline), z)])
    upper = np.column_stack([cap_outline, np.full(len(cap_outline), z + height)])
    vertices = np.concatenate([wall, lower, upper])
    faces = np.concatenate([wall_faces, cap[:, ::-1] + len(wall), cap + len(wall) + len(lower)])
    low, extent = ring.min(axis=0), np.maximum(np.ptp(ring, axis=0), 1e-9)
    uv = (vertices[:, :2] - low) / extent
    uv[:, 1] = 1 - uv[:, 1]
    return vertices, _without_slivers(vertices, faces), uv
