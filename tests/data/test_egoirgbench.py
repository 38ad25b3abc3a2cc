import json

import cv2
import numpy as np
import pytest

from annexe_demo.data.egoirgbench import DatasetError, EgoIRGBench, Group, is_written, write_sample
from annexe_demo.data.facts import HandFact, ObjectFact, SceneFacts

FACTS = SceneFacts(
    active=ObjectFact("mug", "red", 3, 0.5, 0.4, 0.02),
    hands=(HandFact("right", "power", 2),),
    lifted=True,
    surface="table",
    clutter=(ObjectFact("bowl", "white", 4, 0.2, 0.3, 0.01),),
)


def group(**changes):
    return {
        "masks_idx": [2, 3, 0, 0],
        "with_mask": 1,
        "caption": "The right hand of the person is holding a red mug.",
        "answer": "The mask of the right hand is <MSK_0>, the mask of mug is <MSK_1>.",
        "tokens": ["right hand", "mug", "", ""],
        "questions": [{"query": "Hands and objects in interaction.", "is_sentence": 0, "id": 7}],
        **changes,
    }


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (80, 60), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((60, 80), np.int64)
    mask[10:20, 30:50], mask[20:40, 60:70] = 2, 3
    depth = np.linspace(300, 2000, 60 * 80).reshape(60, 80)
    return image, mask, depth


@pytest.fixture
def benchmark(tmp_path, arrays):
    """A folder as the real benchmark's: no kind, no facts."""
    image, mask, _ = arrays
    for folder in ("RGB", "depth", "mask", "dataset_split/train"):
        (tmp_path / folder).mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "RGB/a.jpg"), image)
    cv2.imwrite(str(tmp_path / "mask/a.png"), mask.astype(np.uint8))
    cv2.imwrite(str(tmp_path / "depth/a.png"), np.full((60, 80), 200, np.uint8))
    (tmp_path / "dataset_split/train/a.json").write_text(json.dumps([group()]))
    return tmp_path


def test_what_is_written_is_read_back(tmp_path, arrays):
    image, mask, depth = arrays
    write_sample(tmp_path, "val", "000001", image, mask, depth, [group(kind="multi")], FACTS)
    data = EgoIRGBench(tmp_path, "val")
    assert len(data) == 1 and is_written(tmp_path, "val", "000001")
    sample = data[0]
    assert sample.name == "000001" and sample.facts == FACTS
    assert sample.load_mask().dtype == np.uint8 and np.array_equal(sample.load_mask(), mask)
    assert sample.load_depth().dtype == np.float32
    assert np.abs(sample.load_depth() - depth).max() <= 0.5  # rounded to millimetres
    loaded = sample.load_image()
    assert loaded.dtype == np.uint8 and loaded.shape == (60, 80, 3)
    assert np.abs(loaded.astype(int) - image).mean() < 4  # JPEG; channels in the wrong order would be far off
    assert sample.groups[0].to_dict() == group(kind="multi")


def test_red_stays_red(tmp_path):
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 250
    write_sample(tmp_path, "train", "a", red, np.zeros((16, 16), np.uint8), None, [group()])
    sample = EgoIRGBench(tmp_path, "train")[0]
    assert sample.load_image()[8, 8, 0] > 230 and sample.load_image()[8, 8, 2] < 25
    assert sample.load_depth() is None and sample.facts is None


def test_depth_is_clipped_to_sixteen_bits_and_holes_are_zero(tmp_path):
    depth = np.array([[np.nan, np.inf], [-5.0, 1e6]])
    write_sample(tmp_path, "train", "a", np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8), depth, [group()])
    assert EgoIRGBench(tmp_path, "train")[0].load_depth().tolist() == [[0, 0], [0, 65535]]


def test_a_sample_without_its_query_file_does_not_count(tmp_path, arrays, monkeypatch):
    image, mask, depth = arrays

    def fail(*_):
        raise OSError("disk full")

    write_sample(tmp_path, "train", "whole", image, mask, depth, [group()])
    monkeypatch.setattr("annexe_demo.data.egoirgbench.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_sample(tmp_path, "train", "half", image, mask, depth, [group()])
    assert EgoIRGBench(tmp_path, "train").names == ["whole"]
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and "half" in p.name]  # no temporary file left


def test_reads_the_benchmark_without_kind_facts_and_with_eight_bit_depth(benchmark):
    sample = EgoIRGBench(benchmark, "train")[0]
    assert sample.facts is None
    assert sample.load_depth().dtype == np.float32 and sample.load_depth().max() == 200
    read = sample.groups[0]
    assert read.kind == "multi" and read.tokens == ("right hand", "mug") and read.masks_idx == (2, 3)
    assert read.questions[0].query == "Hands and objects in interaction." and not read.questions[0].is_sentence


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "multi"),
        ({"tokens": ["right hand", "", "", ""], "masks_idx": [2, 0, 0, 0]}, "single"),
        ({"tokens": ["", "", "", ""], "masks_idx": [0, 0, 0, 0], "with_mask": 0}, "no-target"),
        ({"with_mask": 0}, "no-target"),
        ({"with_mask": 0, "kind": "chat"}, "chat"),
    ],
)
def test_kind_is_inferred(changes, kind):
    read = Group.from_dict(group(**changes))
    assert read.kind == kind
    assert len(read.tokens) == len(read.masks_idx) == {"multi": 2, "single": 1}.get(kind, 0)


def test_every_group_is_kept(benchmark):
    path = benchmark / "dataset_split/train/a.json"
    path.write_text(json.dumps([group(answer=f"answer {n}") for n in range(3)]))
    assert [g.answer for g in EgoIRGBench(benchmark, "train")[0].groups] == ["answer 0", "answer 1", "answer 2"]


def test_index_map_saved_as_gray_rgb_is_read(benchmark, arrays):
    cv2.imwrite(str(benchmark / "mask/a.png"), np.repeat(arrays[1].astype(np.uint8)[..., None], 3, axis=2))
    assert np.array_equal(EgoIRGBench(benchmark, "train")[0].load_mask(), arrays[1])


def test_errors_name_file_and_expectation(benchmark):
    with pytest.raises(DatasetError, match="train, val, test but got 'trian'"):
        EgoIRGBench(benchmark, "trian")
    with pytest.raises(DatasetError, match=r"dataset_split.val"):
        EgoIRGBench(benchmark, "val")

    data = EgoIRGBench(benchmark, "train")
    query_file = benchmark / "dataset_split/train/a.json"
    broken = group()
    del broken["caption"]
    query_file.write_text(json.dumps([broken]))
    with pytest.raises(DatasetError, match=r"a\.json, group 0 must have 'caption'"):
        data[0]
    query_file.write_text(json.dumps([group(masks_idx=[1])]))
    with pytest.raises(DatasetError, match="equally long but got 4 and 1"):
        data[0]
    query_file.write_text("{")
    with pytest.raises(DatasetError, match=r"a\.json must be JSON"):
        data[0]
    query_file.write_text(json.dumps([group()]))
    sample = data[0]
    (benchmark / "mask/a.png").write_bytes(b"nonsense")
    with pytest.raises(DatasetError, match=r"a\.png must be a JPEG or PNG picture, but its 8 bytes"):
        sample.load_mask()
    (benchmark / "mask/a.png").unlink()
    with pytest.raises(DatasetError, match=r"index map of 'a'"):
        data[0]
    (benchmark / "RGB/a.jpg").unlink()
    with pytest.raises(DatasetError, match=r"photo of 'a'"):
        data[0]


@pytest.mark.parametrize(
    ("name", "image", "mask", "message"),
    [
        ("a/b", np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), int), "plain file name"),
        ("a", np.zeros((4, 4, 3), float), np.zeros((4, 4), int), "float64"),
        ("a", np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), int), r"\(4, 5\)"),
        ("a", np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 256), "0 to 255"),
    ],
)
def test_write_sample_rejects_what_the_layout_cannot_hold(tmp_path, name, image, mask, message):
    with pytest.raises(DatasetError, match=message):
        write_sample(tmp_path, "train", name, image, mask, None, [group()])
    assert not any(tmp_path.iterdir())
