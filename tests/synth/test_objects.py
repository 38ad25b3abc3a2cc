"""Meshes, textures and objects: what the renderer, the scene and the truth of its facts rely on."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from annexe_demo.data.facts import CATEGORIES, COLORS
from annexe_demo.synth.meshes import Part, box, corner_normals, extrude, lathe, linear_rgb, rotation, rz, srgb_255, tube
from annexe_demo.synth.objects import (
    CATEGORY_MAKERS,
    MISC_MAKERS,
    PALETTE,
    ObjectModel,
    make_misc,
    make_object,
    nearest_color,
    pick_paint,
)
from annexe_demo.synth.textures import KINDS, TextureBank, fractal_noise, make_texture

SEEDS = range(2)
NAMED_BY_HANDLE = {"scissors", "pliers", "knife"}


def make(category: str, seed: int) -> ObjectModel:
    rng = np.random.default_rng(seed)
    return make_object(category, rng) if category in CATEGORY_MAKERS else make_misc(rng, category)


@pytest.fixture(scope="module")
def models() -> list[ObjectModel]:
    return [make(category, seed) for category in (*CATEGORY_MAKERS, *MISC_MAKERS) for seed in SEEDS]


def welded(mesh) -> trimesh.Trimesh:
    result = trimesh.Trimesh(np.round(mesh[0], 6), mesh[1], process=False)
    result.merge_vertices(merge_tex=True, merge_norm=True)
    return result


# Meshes


@pytest.mark.parametrize(
    ("mesh", "volume"),
    [
        (box((0.1, 0.2, 0.3), (1, 2, 3), bevel=0.001), 0.006),
        (lathe([(0, 0), (0.1, 0), (0.1, 0.2), (0, 0.2)], 200), np.pi * 0.01 * 0.2),
        (tube([(0, 0, 0), (0, 0, 0.5), (0, 0, 1)], 0.1, 100), np.pi * 0.01),
        (extrude([(0, 0), (1, 0), (1, 1), (0.5, 0.5), (0, 1)], 0.2), 0.15),
        (extrude([(0, 1), (0.5, 0.5), (1, 1), (1, 0), (0, 0)], 0.2, bevel=0.01), 0.15),  # clockwise
    ],
)
def test_solids_are_closed_wound_outward_and_as_large_as_asked(mesh, volume):
    solid = welded(mesh)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(volume, rel=0.02)  # negative if wound inward


def test_closed_tube_is_a_ring_without_caps():
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = welded(tube(np.column_stack([np.cos(angles), np.sin(angles), 0 * angles]), 0.1, 40, closed=True))
    assert ring.is_watertight
    assert ring.euler_number == 0
    assert ring.volume == pytest.approx(2 * np.pi**2 * 0.01, rel=0.02)


def test_normals_are_flat_across_a_crease_and_smooth_below_it():
    # Two unit squares that meet at 90 degrees along the y axis.
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, -1], [0, 0, -1]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])
    sharp = corner_normals(vertices, faces, 60)
    assert np.allclose(sharp[:6], [0, 0, 1]) and np.allclose(sharp[6:], [-1, 0, 0])
    smooth = corner_normals(vertices, faces, 95)
    assert np.allclose(smooth[0], np.array([-1, 0, 1]) / np.sqrt(2))


def test_normals_ignore_a_texture_seam():
    vertices, faces, _ = lathe([(0.1, 0), (0.1, 0.2)], 24)
    normals = corner_normals(vertices, faces, 38)
    radial = vertices[faces.ravel()] * [1, 1, 0] / 0.1
    assert np.allclose(normals, radial, atol=1e-2)


def test_front_of_a_box_shows_its_texture_upright_and_unmirrored():
    vertices, _, uv = box((1, 1, 1), bevel=0.01)
    for outward, rightward in (((0, -1, 0), (1, 0, 0)), ((1, 0, 0), (0, 1, 0)), ((0, 1, 0), (-1, 0, 0))):
        side = vertices @ outward > 0.499
        assert np.corrcoef(vertices[side] @ rightward, uv[side, 0])[0, 1] > 0.99
        assert np.corrcoef(vertices[side][:, 2], uv[side, 1])[0, 1] < -0.99


def test_transformed_moves_geometry_and_keeps_the_texture_object():
    texture = np.zeros((4, 4, 3), np.uint8)
    part = Part.of(box((1, 2, 3)), texture=texture, mask_id=2)
    moved = part.transformed(rz(np.pi / 2), (10, 0, 0), mask_id=7)
    assert np.allclose(np.ptp(moved.vertices, axis=0), [2, 1, 3])
    assert np.allclose(moved.normals, part.normals @ rz(np.pi / 2).T)
    assert moved.texture is texture and moved.mask_id == 7
    assert part.transformed(np.eye(3), (0, 0, 0)).mask_id == 2
    assert np.abs(part.vertices).max() < 2  # the original stays


def test_rotation_is_right_handed_and_refuses_no_axis():
    assert np.allclose(rotation((0, 0, 5), np.pi / 2) @ [1, 0, 0], [0, 1, 0])
    with pytest.raises(ValueError, match="zero vector"):
        rotation((0, 0, 0), 1)


def test_bad_geometry_is_refused():
    with pytest.raises(ValueError, match="simple polygon"):
        extrude([(0, 0), (1, 1), (1, 0), (0, 1)], 1)
    with pytest.raises(ValueError, match="2 points"):
        tube([(0, 0, 0)], 1)
    with pytest.raises(ValueError, match="uv"):
        Part(np.zeros((3, 3)), np.array([[0, 1, 2]]), texture=np.zeros((2, 2, 3), np.uint8))


def test_linear_rgb_round_trip():
    assert np.allclose(srgb_255(linear_rgb((0, 100, 255))), (0, 100, 255))


# Textures


@pytest.mark.parametrize("kind", KINDS)
def test_every_texture_kind_is_an_image_with_content(kind):
    texture = make_texture(np.random.default_rng(0), kind, (200, 60, 60), (40, 60, 200), 96)
    assert texture.shape == (96, 96, 3) and texture.dtype == np.uint8
    assert texture.reshape(-1, 3).std(axis=0).max() > 2


def test_unknown_texture_kind_names_the_known_ones():
    with pytest.raises(ValueError, match="wood.*but got 'velvet'"):
        make_texture(np.random.default_rng(0), "velvet", (0, 0, 0), (0, 0, 0))
    with pytest.raises(ValueError, match="but got 'velvet'"):
        TextureBank(0).get("velvet", np.random.default_rng(0))


def test_bank_textures_depend_on_seed_kind_and_index_alone_and_are_kept():
    first, second = TextureBank(5, size=64), TextureBank(5, size=64)
    second.at("plaid", 0)  # other requests must not matter
    assert np.array_equal(first.at("wood", 3), second.at("wood", 3))
    assert first.at("wood", 3) is first.at("wood", 3)
    assert not np.array_equal(first.at("wood", 3), first.at("wood", 4))
    assert not np.array_equal(first.at("wood", 3), TextureBank(6, size=64).at("wood", 3))
    assert all(TextureBank(1, size=32).get(kind, np.random.default_rng(1)).shape == (32, 32, 3) for kind in KINDS)


def test_noise_spans_zero_to_one():
    noise = fractal_noise(np.random.default_rng(0), 64)
    assert noise.min() == 0 and noise.max() == 1


# Colours


def test_palette_has_every_colour_name_and_paint_keeps_its_name():
    assert set(PALETTE) == set(COLORS)
    rng = np.random.default_rng(0)
    for name in COLORS:
        for _ in range(10):
            paint = pick_paint(rng, [name])
            assert paint.name == name
            assert name == "silver" or nearest_color(paint.srgb) == name
    assert pick_paint(rng, ["silver"]).material()["metalness"] > 0.5


def color_shares(model: ObjectModel) -> dict[str, float]:
    """Share of the object's area by the colour name nearest to what each face shows; bare metal counts as silver."""
    shares: dict[str, float] = {}
    for part in model.parts:
        corners = part.vertices[part.faces]
        areas = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        if part.metalness > 0.5:
            shares["silver"] = shares.get("silver", 0) + areas.sum()
            continue
        srgb = srgb_255(part.color)[None]
        weights = areas.sum(keepdims=True)
        if part.texture is not None:
            keep = np.argsort(areas)[-60:]
            places = part.uv[part.faces[keep]].mean(axis=1) % 1
            side = np.array(part.texture.shape[:2])
            rows, columns = (places[:, ::-1] * side).astype(int).T
            srgb = srgb_255(part.color * linear_rgb(part.texture[rows, columns]))
            weights = areas[keep] * areas.sum() / areas[keep].sum()
        for color, weight in zip(srgb, weights, strict=True):
            name = nearest_color(color)
            shares[name] = shares.get(name, 0) + weight
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def test_the_named_colour_is_the_one_that_most_of_the_surface_shows(models):
    wrong = []
    for model in models:
        shares = color_shares(model)
        if model.category not in NAMED_BY_HANDLE and shares.get(model.color, 0) < max(shares.values()) - 0.02:
            wrong.append((model.category, model.color, shares))
    # The chequer of a pattern or a shaded lining may fall to a neighbouring name now and then.
    assert len(wrong) <= 0.05 * len(models), wrong
    for model in models:
        if model.category in NAMED_BY_HANDLE:
            assert color_shares(model).get(model.color, 0) > 0.25


# Objects


def test_makers_cover_the_categories_and_nothing_else():
    assert set(CATEGORY_MAKERS) == set(CATEGORIES)
    assert not set(MISC_MAKERS) & set(CATEGORIES)


def test_meshes_are_sound(models):
    for model in models:
        assert sum(len(part.faces) for part in model.parts) < 40_000
        for part in model.parts:
            where = model.category
            assert np.isfinite(part.vertices).all(), where
            assert part.faces.min() >= 0 and part.faces.max() < len(part.vertices), where
            assert part.normals.shape == (3 * len(part.faces), 3), where
            assert np.allclose(np.linalg.norm(part.normals, axis=1), 1), where
            assert part.texture is None or (part.texture.dtype == np.uint8 and len(part.uv) == len(part.vertices)), (
                where
            )
            assert (part.color >= 0).all() and (part.color <= 1).all(), where


def test_objects_rest_on_the_ground_around_the_origin(models):
    for model in models:
        points = np.concatenate([part.vertices for part in model.parts])
        assert points[:, 2].min() == pytest.approx(0, abs=1e-9), model.category
        assert model.height == pytest.approx(points[:, 2].max())
        assert model.radius == pytest.approx(np.linalg.norm(points[:, :2], axis=1).max())
        assert 0.02 < model.radius < 0.4 and 0.0001 < model.height < 0.6, model.category
        assert model.color in COLORS


def test_grasps_are_on_the_object_and_within_reach_of_a_hand(models):
    for model in models:
        assert model.grasps, model.category
        points = np.concatenate(
            [
                trimesh.sample.sample_surface(trimesh.Trimesh(part.vertices, part.faces, process=False), 400, seed=0)[0]
                for part in model.parts
            ]
        )
        for grasp in model.grasps:
            assert grasp.kind in ("power", "pinch", "palm")
            assert np.linalg.norm(grasp.axis) == pytest.approx(1)
            assert all(np.linalg.norm(way) == pytest.approx(1) for way in grasp.approach or [])
            assert grasp.kind == "palm" or 0 < grasp.width <= 0.1, (model.category, grasp)
            nearest = np.linalg.norm(points - grasp.point, axis=1).min()
            reach = {"power": grasp.width, "pinch": grasp.width / 2, "palm": 0.12}[grasp.kind]
            assert nearest < reach + 0.02, (model.category, grasp, nearest)
            assert -0.001 < grasp.point[2] < model.height + 0.02, (model.category, grasp)


@pytest.mark.parametrize("category", ["mug", "storage furniture"])
def test_an_object_is_a_function_of_its_seed(category):
    first, again, other = make(category, 1), make(category, 1), make(category, 2)
    assert all(np.array_equal(a.vertices, b.vertices) for a, b in zip(first.parts, again.parts, strict=True))
    assert first.color == again.color
    assert not np.array_equal(first.parts[0].vertices, other.parts[0].vertices)


def test_colours_can_be_asked_for():
    rng = np.random.default_rng(0)
    assert {make_object("bowl", rng, colors=["red"]).color for _ in range(3)} == {"red"}


def test_unknown_categories_are_refused():
    with pytest.raises(ValueError, match="toy car.*but got 'spoon'"):
        make_object("spoon", np.random.default_rng(0))
    with pytest.raises(ValueError, match="book.*but got 'spoon'"):
        make_misc(np.random.default_rng(0), "spoon")
