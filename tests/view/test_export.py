import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from annexe_demo.events import Grounding
from annexe_demo.view.export import (
    mask_filename,
    mask_to_box,
    mask_to_rle,
    result_to_json,
    rle_to_mask,
    save_result,
    slugify,
)

SIZE = (53, 31)  # height, width: a portrait, and odd


def make_mask(seed=0, size=SIZE) -> np.ndarray:
    return np.random.default_rng(seed).random(size) < 0.3


def make_result(*groundings, indicator=0.97):
    return SimpleNamespace(
        analysis="A hand.", answer="It is <MSK_0>.", groundings=list(groundings), indicator=indicator
    )


def make_grounding(index=0, label="right hand", mask=None) -> Grounding:
    return Grounding(index, label, make_mask(index) if mask is None else mask, np.float32(0.5), (0, 2))


@pytest.mark.parametrize(
    "mask", [make_mask(), np.zeros(SIZE, bool), np.ones(SIZE, bool), make_mask()[:, ::-1], make_mask(1, (300, 700)).T]
)
def test_rle_round_trip_also_through_json(mask):
    rle = json.loads(json.dumps(mask_to_rle(mask)))
    assert rle["size"] == list(mask.shape) and isinstance(rle["counts"], str)
    back = rle_to_mask(rle)
    assert back.dtype == bool and np.array_equal(back, mask)


def test_rle_is_what_coco_tools_read():
    from pycocotools import mask as coco

    mask = np.zeros(SIZE, bool)
    mask[10:20, 5:9] = True
    rle = mask_to_rle(mask)
    assert coco.area(rle) == 40 and coco.toBbox(rle).tolist() == [5, 10, 4, 10] == mask_to_box(mask)
    assert mask_to_box(np.zeros(SIZE, bool)) == [0, 0, 0, 0]
    assert np.array_equal(rle_to_mask(mask_to_rle(mask.astype(np.uint8) * 255)), mask)


@pytest.mark.parametrize(
    ("label", "slug"),
    [
        ("right hand", "right-hand"),
        ("  Toy Car! ", "toy-car"),
        ("../../etc/passwd", "etc-passwd"),
        ("Café", "cafe"),
        ("左手", "target"),
        ("", "target"),
        ("a" * 200, "a" * 40),
    ],
)
def test_slugs_are_safe_file_names(label, slug):
    assert slugify(label) == slug


def test_json_has_the_whole_schema():
    mask = np.zeros(SIZE, bool)
    mask[2:4, 3:8] = True
    got = json.loads(json.dumps(result_to_json(make_result(make_grounding(mask=mask)), "Where?", (31, 53))))
    rle = got["groundings"][0].pop("rle")
    assert np.array_equal(rle_to_mask(rle), mask)
    assert got == {
        "photo": {"width": 31, "height": 53},
        "query": "Where?",
        "analysis": "A hand.",
        "answer": "It is <MSK_0>.",
        "indicator": 0.97,
        "groundings": [{"label": "right hand", "score": 0.5, "span": [0, 2], "area": 10, "bbox": [3, 2, 5, 2]}],
    }
    assert result_to_json(make_result(indicator=None), "q", (31, 53))["indicator"] is None


def test_size_in_the_wrong_order_is_refused():
    with pytest.raises(ValueError, match=r"\(31, 53\) but got \(53, 31\)"):
        result_to_json(make_result(make_grounding()), "q", (53, 31))


def test_files_have_the_photos_own_size(tmp_path):
    image = np.full((*SIZE, 3), 90, np.uint8)
    targets = [make_grounding(0, "right hand"), make_grounding(1, "mug"), make_grounding(2, "mug")]
    written = save_result(tmp_path / "new" / "folder", make_result(*targets), "q", image)
    assert [p.name for p in written] == [
        "result.json", "mask_0_right-hand.png", "mask_1_mug.png", "mask_2_mug.png", "overlay.png",
    ]  # fmt: skip
    for target in targets:
        with Image.open(tmp_path / "new" / "folder" / mask_filename(target)) as png:
            assert png.mode == "L" and png.size == (31, 53)
            pixels = np.asarray(png)
        assert set(np.unique(pixels)) == {0, 255} and np.array_equal(pixels > 0, target.mask)
    with Image.open(written[-1]) as png:
        assert png.mode == "RGB" and png.size == (31, 53)


def test_masks_of_an_earlier_result_do_not_linger(tmp_path):
    image = np.zeros((*SIZE, 3), np.uint8)
    (tmp_path / "mask_9_mine.png").write_bytes(b"someone else's")
    save_result(tmp_path / "a", make_result(make_grounding(0), make_grounding(1, "mug")), "q", image)
    (tmp_path / "a" / "notes.txt").write_text("keep")
    save_result(tmp_path / "a", make_result(), "q", image)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["notes.txt", "overlay.png", "result.json"]
    save_result(tmp_path, make_result(), "q", image)
    assert (tmp_path / "mask_9_mine.png").exists(), "no result.json stood beside it: it is not ours"
