"""The explorer's benchmark, on a folder small enough for a test."""

from annexe_demo.data.egoirgbench import EgoIRGBench
from annexe_demo.explorer_benchmark import FILTERS, format_times, run, write_large_folder


def test_the_folder_is_in_the_layout(tmp_path):
    write_large_folder(tmp_path, 20)
    counts = [len(EgoIRGBench(tmp_path, split)) for split in ("train", "val", "test")]
    assert counts == [16, 2, 2]
    sample = EgoIRGBench(tmp_path, "test")[0]
    assert sample.load_image().shape[:2] == sample.load_mask().shape == sample.load_depth().shape
    assert sample.groups


def test_every_filter_is_timed_and_the_limits_are_told():
    times = run(30, 1)
    assert {f"filter: {name}" for name in FILTERS} < times.keys() and all(t > 0 for t in times.values())
    text = format_times(times | {"first page, no index yet": 2.5}, 30)
    assert "first page 2.500 s, limit 2.0 s: MISSED" in text and "slowest filter" in text
