import numpy as np
import pytest

from annexe_demo.data.augment import View, augment, camera, crop_and_scale, mirror, mix_background, visible_facts
from annexe_demo.data.egoirgbench import EgoIRGBench, Group
from annexe_demo.data.language import annotate
from annexe_demo.data.training import mirror_group, with_known_indices
from tests.drawn_scenes import draw_scene, write_drawn_dataset


def view_of(seed):
    image, mask, depth, facts = draw_scene(seed)
    return View(image, mask, depth), facts


def test_mirror_swaps_the_hands_in_picture_and_mask():
    view, facts = view_of(0)
    twin = mirror(view)
    assert np.array_equal(twin.image, view.image[:, ::-1])
    assert np.array_equal(twin.mask == 1, (view.mask == 2)[:, ::-1])
    assert np.array_equal(twin.mask == 3, (view.mask == 3)[:, ::-1])
    sides = {h.side for h in facts.hands}
    swapped = visible_facts(facts, twin.mask, mirrored=True)
    assert {h.side for h in swapped.hands} == {"left" if s == "right" else "right" for s in sides}
    assert swapped.active.x == pytest.approx(1 - facts.active.x, abs=0.02)
    assert np.array_equal(mirror(twin).mask, view.mask) and not mirror(twin).mirrored


@pytest.mark.parametrize("seed", range(6))
def test_facts_of_an_augmented_view_hold_in_it(seed):
    view, facts = view_of(seed)
    rng = np.random.default_rng(seed)
    out = augment(view, (96, 160), rng)
    assert out.image.shape == (96, 160, 3) and out.image.dtype == np.uint8
    assert out.mask.shape == out.depth.shape == (96, 160)
    seen = visible_facts(facts, out.mask, out.mirrored)
    for hand in seen.hands:
        assert (out.mask == hand.mask_id).any() and hand.mask_id == {"left": 1, "right": 2}[hand.side]
    if seen.active:
        y, x = np.nonzero(out.mask == 3)
        assert seen.active.area == pytest.approx(len(x) / out.mask.size)
        assert seen.active.x == pytest.approx(x.mean() / 160)


def test_what_a_cut_removes_is_not_mentioned():
    view, facts = view_of(1)
    gone = view.mask.copy()
    gone[np.isin(gone, (1, 2))] = 0
    seen = visible_facts(facts, gone)
    assert seen.hands == () and seen.active is None, "without a hand no object is active"
    gone = view.mask.copy()
    gone[gone == 3] = 0
    seen = visible_facts(facts, gone)
    assert seen.active is None and all(h.grasp is None for h in seen.hands) and seen.hands


@pytest.mark.parametrize("size", [(96, 160), (160, 96), (128, 128)])
def test_crops_keep_most_of_hands_and_object(size):
    for seed in range(8):
        view, _ = view_of(seed)
        out = crop_and_scale(view, size, np.random.default_rng(seed))
        assert out.mask.shape == size and (out.mask == 3).any()


def test_background_mixing_leaves_hands_and_objects():
    view, _ = view_of(2)
    other = np.zeros((60, 80, 3), np.uint8)
    out = mix_background(view, other, np.random.default_rng(0))
    inside = np.zeros_like(view.mask, bool)
    inside[3:-3, 3:-3] = True
    from scipy.ndimage import binary_erosion

    core = binary_erosion(view.mask > 0, iterations=4) & inside
    assert np.abs(out.image[core].astype(int) - view.image[core]).max() <= 12
    far = ~(binary_erosion(~(view.mask == 0), iterations=1) | (view.mask > 0))
    assert out.image[far].mean() < view.image[far].mean() / 2
    assert (out.depth[view.mask == 0] == 0).all()


def test_camera_is_a_function_of_its_generator():
    image = draw_scene(3)[0]
    assert np.array_equal(camera(image, np.random.default_rng(5)), camera(image, np.random.default_rng(5)))
    assert not np.array_equal(camera(image, np.random.default_rng(5)), camera(image, np.random.default_rng(6)))


def test_benchmark_indices_are_read_from_the_tokens(tmp_path):
    write_drawn_dataset(tmp_path, {"train": 4}, with_facts=False)
    for sample in EgoIRGBench(tmp_path, "train"):
        mask = sample.load_mask()
        shuffled = np.array([0, 7, 4, 9], np.uint8)  # another numbering, as the benchmark may have
        from dataclasses import replace

        groups = [replace(g, masks_idx=tuple(int(shuffled[i]) for i in g.masks_idx)) for g in sample.groups]
        again, known = with_known_indices(replace(sample, groups=groups), shuffled[mask])
        named = {i for g in sample.groups for i in g.masks_idx}
        assert [g.masks_idx for g in again.groups] == [g.masks_idx for g in sample.groups]
        assert all(np.array_equal(known == i, mask == i) for i in named)


def test_mirrored_groups_name_the_other_hand():
    _, facts = view_of(0)
    groups = [Group.from_dict(g) for g in annotate(facts, np.random.default_rng(0), "train")]
    for group in groups:
        twin = mirror_group(group)
        assert twin.caption.count("left") == group.caption.count("right")
        if {1, 2} <= set(group.masks_idx):
            assert (twin.tokens, twin.masks_idx, twin.answer) == (group.tokens, group.masks_idx, group.answer)
        else:
            assert [{"left hand": 1, "right hand": 2}.get(t, 3) for t in twin.tokens] == list(twin.masks_idx)
