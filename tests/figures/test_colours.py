"""The colours of classes in figures are distinguishable, also for colour-blind people."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from mhpdata.labels import CIHP, COMMON, LABEL_SETS, MHP_V1, MHP_V2
from mhpmodels.figures.colours import picture_palette

# Machado, Oliveira, Fernandes: A Physiologically-based Model for Simulation of Color Vision Deficiency. IEEE TVCG
# 15(6), 2009, severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
# sRGB to XYZ, D65: IEC 61966-2-1; XYZ to CIELAB: CIE 15.
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def cielab(color, vision):
    """Return L*, a*, b* of an sRGB colour, 0..255, as seen with this type of vision."""
    value = np.asarray(color) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    x, y, z = XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / XYZ.sum(1)
    fx, fy, fz = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def distance(a, b, vision):
    """Return the CIE76 difference."""
    return float(np.linalg.norm(cielab(a, vision) - cielab(b, vision)))


def test_the_distance_is_cielabs():
    assert distance((255, 255, 255), (0, 0, 0), "normal") == pytest.approx(100, abs=0.1)
    assert cielab((255, 0, 0), "normal") == pytest.approx([53.24, 80.09, 67.20], abs=0.1)
    red, green = (214, 39, 40), (44, 160, 44)
    assert distance(red, green, "normal") > 100 > 60 > distance(red, green, "deuteranopia")


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("labels", [MHP_V1, CIHP, COMMON, LABEL_SETS["lip"]], ids=lambda labels: labels.name)
def test_any_two_classes_have_colours_apart(labels, vision):
    palette = picture_palette(labels)
    for a, b in combinations(range(len(labels)), 2):
        assert distance(palette[a], palette[b], vision) >= 18, (labels.names[a], labels.names[b])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("labels", LABEL_SETS.values(), ids=LABEL_SETS)
def test_left_and_right_are_far_apart(labels, vision):
    palette = picture_palette(labels)
    for left, right in labels.flip_pairs:
        assert distance(palette[left], palette[right], vision) >= 30, labels.names[left]
        assert cielab(palette[left], vision)[0] > cielab(palette[right], vision)[0]


def test_hat_and_upper_clothes_are_far_apart_and_files_keep_gluoncvs_palette():
    assert (MHP_V1.palette[1] == MHP_V1.palette[4]).all()
    palette = picture_palette(MHP_V1)
    assert min(distance(palette[1], palette[4], vision) for vision in VISION) > 50
    assert min(distance(palette[14], palette[15], vision) for vision in VISION) > 100


@pytest.mark.parametrize("labels", LABEL_SETS.values(), ids=LABEL_SETS)
def test_background_is_white_what_is_no_class_black_and_no_colour_is_there_twice(labels):
    palette = picture_palette(labels)
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    assert (palette[0] == 255).all() and not palette[len(labels) :].any()
    assert len(np.unique(palette[: len(labels)], axis=0)) == len(labels)
    assert len(MHP_V2) == 59
