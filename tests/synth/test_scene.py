"""The generator end to end: what it writes, that it repeats itself exactly, and the geometry behind its hands."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from annexe_demo.data.facts import SceneFacts
from annexe_demo.synth.__main__ import main
from annexe_demo.synth.generate import Plan
from annexe_demo.synth.hand import HandModel

COUNT, SEED = 3, 5000


def _generate(out: Path, *extra: str) -> int:
    return main(["--count", str(COUNT), "--seed", str(SEED), "--size", "160x90", "--out", str(out), *extra])


def _files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("synth")
    assert _generate(root) == 0
    return root


def test_layout_is_complete(generated):
    names = [f"{number:08d}" for number in range(SEED, SEED + COUNT)]
    for folder, ending in (("RGB", "jpg"), ("depth", "png"), ("mask", "png"), ("facts", "json")):
        assert sorted(path.name for path in (generated / folder).iterdir()) == [f"{name}.{ending}" for name in names]
    assert sorted(path.stem for path in (generated / "dataset_split").rglob("*.json")) == names


def test_masks_show_what_the_facts_list(generated):
    for path in (generated / "facts").iterdir():
        facts = SceneFacts.from_dict(json.loads(path.read_text()))
        mask = cv2.imread(str(generated / "mask" / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (90, 160)
        hands = {hand.mask_id for hand in facts.hands}
        assert hands == set(np.unique(mask)) & {1, 2}
        objects = (facts.active, *facts.clutter) if facts.active else facts.clutter
        for item in objects:
            rows, columns = np.nonzero(mask == item.mask_id)
            assert len(rows) / mask.size == pytest.approx(item.area, abs=1e-4)
            assert (columns.mean() + 0.5) / 160 == pytest.approx(item.x, abs=1e-3)
            assert (rows.mean() + 0.5) / 90 == pytest.approx(item.y, abs=1e-3)
        assert (facts.active is not None) == any(hand.grasp for hand in facts.hands)


def test_depth_is_millimetres_of_a_desk_scene(generated):
    for path in (generated / "depth").iterdir():
        depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16
        assert 100 < np.median(depth[depth > 0]) < 4000


def test_same_arguments_same_bytes_whatever_the_range(generated, tmp_path):
    # The last scene alone: no scene may depend on the ones before it.
    number = SEED + COUNT - 1
    main(["--count", "1", "--seed", str(number), "--size", "160x90", "--out", str(tmp_path)])
    alone, whole = _files(tmp_path), _files(generated)
    assert len(alone) == 5
    assert alone == {name: whole[name] for name in alone}


def test_resume_keeps_complete_scenes_and_repairs_others(generated, tmp_path):
    before = _files(generated)
    query_file = next((generated / "dataset_split").rglob(f"{SEED:08d}.json"))
    kept = generated / "RGB" / f"{SEED + 1:08d}.jpg"
    kept_time = kept.stat().st_mtime_ns
    query_file.unlink()
    assert _generate(generated) == 0
    assert _files(generated) == before
    assert kept.stat().st_mtime_ns == kept_time


def test_worker_processes_write_the_same_scenes(generated, tmp_path):
    assert _generate(tmp_path, "--workers", "2") == 0
    assert _files(tmp_path) == _files(generated)


def test_splits_follow_the_fractions():
    plan = Plan(Path("unused"), 160, 90, (0.8, 0.1, 0.1))
    splits = [plan.split_of(number) for number in range(4000)]
    assert splits.count("val") == pytest.approx(400, abs=80)
    assert splits.count("test") == pytest.approx(400, abs=80)
    assert Plan(Path("unused"), 160, 90, split="test").split_of(7) == "test"


@pytest.mark.parametrize("arguments", (["--size", "640"], ["--count", "0"], ["--split-fractions", "0.5", "0.1", "0.1"]))
def test_bad_arguments_are_refused(arguments, tmp_path):
    with pytest.raises(SystemExit):
        main(["--count", "1", "--out", str(tmp_path), *arguments])


@pytest.fixture(scope="module")
def hand() -> HandModel:
    return HandModel()


def test_rest_pose_reproduces_the_mesh(hand):
    np.testing.assert_allclose(hand.skin(hand.pose({})), hand.vertices, atol=1e-9)


def test_power_grasp_closes_around_its_cylinder(hand):
    radius = 0.03
    angles, center = hand.power_angles(radius, np.random.default_rng(0))
    pose = hand.pose(angles)
    for finger in ("index", "middle", "ring", "pinky"):
        tip = hand.posed_joint(pose, hand.digits[finger][-1])
        assert radius * 0.8 < np.hypot(tip[1] - center[1], tip[2] - center[2]) < radius + 0.03
        assert tip[2] < -0.02  # on the palm's side


def test_pinch_opens_to_the_width_asked_for(hand):
    narrow, _, _ = hand.pinch_opening(0.01)
    wide, _, across = hand.pinch_opening(0.05)
    assert wide < narrow
    assert np.linalg.norm(across) == pytest.approx(1)


def test_what_a_scene_shows_is_drawn_apart_from_how_it_looks():
    """NumPy takes [n, s] and [n, s, 0] for the same seed; sharing it once gave every category a colour of its own."""
    from annexe_demo.synth.generate import CHOICE_STREAM, LANGUAGE_STREAM, MAX_ATTEMPTS

    assert np.random.default_rng([5, 1]).random() == np.random.default_rng([5, 1, 0]).random()
    streams = [CHOICE_STREAM, LANGUAGE_STREAM, *range(MAX_ATTEMPTS)]
    assert len({np.random.default_rng([5, 1, s]).random() for s in streams}) == len(streams)
