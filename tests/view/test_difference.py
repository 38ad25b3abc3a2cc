import numpy as np
import pytest

from annexe_demo.view.difference import DIFFERENCE_COLORS, difference_map
from annexe_demo.view.palette import to_rgb

IMAGE = np.full((4, 4, 3), 120, np.uint8)
TRUTH = np.zeros((4, 4), bool)
TRUTH[:2] = True
PREDICTED = np.zeros((4, 4), bool)
PREDICTED[1:3] = True


def nearest(pixel) -> str:
    return min(DIFFERENCE_COLORS, key=lambda name: np.abs(np.int32(to_rgb(DIFFERENCE_COLORS[name])) - pixel).sum())


def test_each_pixel_tells_which_mask_it_is_in():
    drawn = difference_map(IMAGE, PREDICTED, TRUTH)
    assert [nearest(drawn[row, 0]) for row in range(3)] == ["missed", "agreed", "extra"]
    assert len(set(drawn[3, 0])) == 1


def test_without_masks_the_photo_is_grey():
    image = np.random.default_rng(0).integers(0, 255, (4, 4, 3)).astype(np.uint8)
    drawn = difference_map(image, None, None)
    assert (drawn == drawn[..., :1]).all() and drawn.shape == image.shape


def test_one_missing_mask_is_an_empty_one():
    assert nearest(difference_map(IMAGE, None, TRUTH)[1, 0]) == "missed"
    assert nearest(difference_map(IMAGE, PREDICTED, None)[1, 0]) == "extra"


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"truth must be of the photo's size \(4, 4\) but got \(2, 2\)"):
        difference_map(IMAGE, PREDICTED, np.ones((2, 2), bool))
