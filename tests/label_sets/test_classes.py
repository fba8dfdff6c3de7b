"""The look-ups of a label set."""

from __future__ import annotations

import numpy as np

from mhpdata.label_sets.classes import Class, LabelSet, voc_color

SET = LabelSet(
    "x", (Class(0, "background", (255, 255, 255)), Class(1, "left", (1, 2, 3), 2), Class(2, "right", (4, 5, 6), 1))
)


def test_look_ups():
    assert len(SET) == 3 and SET.names == ("background", "left", "right") and SET.flip_pairs == ((1, 2),)
    assert SET.mirrored[:4].tolist() == [0, 2, 1, 3] and SET.mirrored.dtype == np.uint8
    assert SET.palette[:4].tolist() == [[255, 255, 255], [1, 2, 3], [4, 5, 6], [0, 0, 0]]


def test_the_colour_map_of_voc():
    assert [voc_color(label) for label in (0, 1, 2, 15, 20)] == [
        (255, 255, 255), (128, 0, 0), (0, 128, 0), (192, 128, 128), (0, 64, 128),
    ]  # fmt: skip
