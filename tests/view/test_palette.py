import itertools

import numpy as np
import pytest

from annexe_demo.view.palette import (
    LEFT_HAND_COLOR,
    OBJECT_COLORS,
    RIGHT_HAND_COLOR,
    color_for,
    luminance,
    text_color_on,
    to_rgb,
)


@pytest.mark.parametrize("index", [0, 1, 7, 500])
def test_hands_keep_their_colours(index):
    assert color_for(index, "left hand") == color_for(index, "The Left Hand") == LEFT_HAND_COLOR
    assert color_for(index, "right hand") == RIGHT_HAND_COLOR


def test_a_label_naming_both_hands_takes_neither_colour():
    assert color_for(0, "left hand and right hand") not in (LEFT_HAND_COLOR, RIGHT_HAND_COLOR)


def test_colours_never_run_out_and_stay_apart():
    colors = [color_for(i, "mug") for i in range(20)]
    assert all(len(c) == 7 and to_rgb(c) for c in colors)
    for a, b in itertools.combinations([*colors, LEFT_HAND_COLOR, RIGHT_HAND_COLOR], 2):
        assert np.abs(np.subtract(to_rgb(a), to_rgb(b))).max() >= 24, (a, b)
    assert len({color_for(i, "mug") for i in range(10_000)}) > 1000


# Viénot, Brettel and Mollon 1999: what a dichromat sees, on linear RGB.
PROTANOPIA = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
DEUTERANOPIA = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])


@pytest.mark.parametrize("seen_as", [np.eye(3), PROTANOPIA, DEUTERANOPIA])
def test_the_usual_targets_stay_apart_for_the_colour_blind(seen_as):
    usual = [LEFT_HAND_COLOR, RIGHT_HAND_COLOR, *OBJECT_COLORS[:3]]
    seen = [np.clip(seen_as @ (np.array(to_rgb(c)) / 255) ** 2.2, 0, 1) ** (1 / 2.2) * 255 for c in usual]
    for (i, a), (j, b) in itertools.combinations(enumerate(seen), 2):
        assert np.linalg.norm(a - b) > 45, (usual[i], usual[j])


@pytest.mark.parametrize("color", [color_for(i, "x") for i in range(60)] + [LEFT_HAND_COLOR, RIGHT_HAND_COLOR])
def test_text_is_readable_on_every_colour(color):
    light, dark = sorted((luminance(color), luminance(text_color_on(color))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_bad_arguments():
    with pytest.raises(ValueError, match="0 or more but got -1"):
        color_for(-1, "mug")
    with pytest.raises(ValueError, match="#rrggbb"):
        to_rgb("red")
