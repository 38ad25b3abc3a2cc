import numpy as np
import pytest

from annexe_demo.events import Grounding
from annexe_demo.view.overlay import OverlayAnnotator
from annexe_demo.view.palette import color_for, to_rgb


def box(y0, y1, x0, x1, size=(60, 80)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def grounding(index, label, mask) -> Grounding:
    return Grounding(index, label, mask, 0.9, (0, 1))


def rgb(g: Grounding) -> np.ndarray:
    return np.array(to_rgb(color_for(g.index, g.label)), float)


LARGE = grounding(0, "table", box(5, 55, 5, 75))
SMALL = grounding(1, "mug", box(20, 30, 20, 30))


@pytest.mark.parametrize("order", [[LARGE, SMALL], [SMALL, LARGE]])
def test_small_masks_stay_visible_whatever_the_order(order):
    image = np.full((60, 80, 3), 100, np.uint8)
    got = OverlayAnnotator(opacity=0.5, outline=False).annotate(image, order)
    assert np.abs(got[25, 25] - (50 + rgb(SMALL) / 2)).max() <= 1
    assert np.abs(got[50, 50] - (50 + rgb(LARGE) / 2)).max() <= 1


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("opacity", [0.0, 0.3, 1.0])
def test_arithmetic_does_not_overflow(value, opacity):
    image = np.full((60, 80, 3), value, np.uint8)
    stack = [grounding(i, f"thing {i}", box(10, 50, 10, 70)) for i in range(30)]
    got = OverlayAnnotator(opacity, outline=False).annotate(image, stack)
    expected = value * (1 - opacity) + rgb(stack[-1]) * opacity
    assert got.dtype == np.uint8
    assert np.abs(got[30, 30] - expected).max() <= 1


def test_the_photo_is_neither_changed_nor_touched_outside_the_masks():
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    before = image.copy()
    got = OverlayAnnotator().annotate(image, [SMALL])
    assert np.array_equal(image, before) and got is not image
    near = box(16, 34, 16, 34)
    assert np.array_equal(got[~near], image[~near])
    assert not np.array_equal(got[near], image[near])
    assert np.array_equal(OverlayAnnotator().annotate(image, []), image)
    assert np.array_equal(OverlayAnnotator().annotate(image, [grounding(0, "x", np.zeros((60, 80), bool))]), image)


def test_outline_marks_the_edge_and_grows_with_the_picture():
    def width(size):
        h, w = size
        mask = box(h // 4, 3 * h // 4, w // 4, 3 * w // 4, size)
        got = OverlayAnnotator(opacity=0.0).annotate(np.full((*size, 3), 128, np.uint8), [grounding(0, "mug", mask)])
        return int((got[h // 2, : w // 2] != 128).any(axis=1).sum())

    assert 1 <= width((60, 80)) < width((1080, 1920)) <= 20


def test_holes_get_an_outline_too():
    ring = box(10, 50, 10, 70)
    ring[25:35, 35:45] = False
    got = OverlayAnnotator(opacity=0.0).annotate(np.full((60, 80, 3), 128, np.uint8), [grounding(0, "mug", ring)])
    assert (got[24:26, 40] != 128).any()


def test_highlight_brings_to_the_front_and_dims_the_others():
    image = np.full((60, 80, 3), 100, np.uint8)
    annotator = OverlayAnnotator(opacity=0.5, outline=False)
    got = annotator.annotate(image, [LARGE, SMALL], highlight=LARGE.index)
    assert np.abs(got[25, 25] - (50 + rgb(LARGE) / 2)).max() <= 1
    other = annotator.annotate(image, [LARGE, SMALL], highlight=SMALL.index)
    tint = np.abs(other[50, 50] - 100.0).max()
    assert 0 < tint < np.abs(annotator.annotate(image, [LARGE])[50, 50] - 100.0).max()
    plain = annotator.annotate(image, [LARGE, SMALL])
    assert np.array_equal(annotator.annotate(image, [LARGE, SMALL], highlight=9), plain)


def test_what_does_not_fit_is_refused():
    image = np.zeros((60, 80, 3), np.uint8)
    with pytest.raises(ValueError, match=r"'mug'.*\(60, 80\).*\(80, 60\)"):
        OverlayAnnotator().annotate(image, [grounding(0, "mug", np.ones((80, 60), bool))])
    with pytest.raises(ValueError, match="uint8"):
        OverlayAnnotator().annotate(image.astype(float), [])
    with pytest.raises(ValueError, match="0 to 1 but got 45"):
        OverlayAnnotator(opacity=45)
