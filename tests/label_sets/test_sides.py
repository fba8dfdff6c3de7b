"""Left and right by name: what counts as the word, and tables that are refused."""

from __future__ import annotations

import pytest

from mhpdata.errors import OptionError
from mhpdata.label_sets.classes import Class, LabelSet
from mhpdata.label_sets.sides import mirror_name, pair_sides, remarks_on_sides


@pytest.mark.parametrize(
    "name,mirror",
    [
        ("left arm", "right arm"), ("right-shoe", "left-shoe"), ("Left_Lower_Arm", "Right_Lower_Arm"),
        ("LeftArm", "RightArm"), ("leftArm", "rightArm"), ("armLeft", "armRight"), ("arm.left", "arm.right"),
        ("LEFT_ARM", "RIGHT_ARM"), ("left", "right"), ("leftover", None), ("bright", None), ("copyright", None),
        ("upright-bag", None), ("arm", None), ("Left", "Right"), ("cleft", None),
    ],
)  # fmt: skip
def test_the_mirror_name(name, mirror):
    assert mirror_name(name) == mirror
    assert mirror is None or mirror_name(mirror) == name


def test_pairs_follow_from_the_names_and_others_are_added():
    names = ("background", "left-arm", "right-arm", "arm_l", "arm_r", "hat")
    found = pair_sides(names, [("arm_l", "arm_r")])
    assert found == {"left-arm": "right-arm", "right-arm": "left-arm", "arm_l": "arm_r", "arm_r": "arm_l"}
    assert pair_sides(names, [("right-arm", "left-arm"), ("arm_r", "arm_l")]) == found


@pytest.mark.parametrize(
    "names,pairs,found,remedy",
    [
        (["background", "left-arm"], [], 'has "left-arm" but not "right-arm"', 'Add "right-arm"'),
        (["background", "Right_Leg", "left_leg"], [], 'has "Right_Leg" but not "Left_Leg"', 'Add "Left_Leg"'),
        (["a", "left b", "right b", "c"], [("left b", "c")], 'makes "c" the mirror image of "left b"', "Correct this"),
        (["a", "b", "c", "d"], [("b", "c"), ("c", "d")], 'makes "d" the mirror image of "c"', '"c" with "d"'),
        (["a", "b"], [("b", "b")], 'makes "b" the mirror image of "b"', "Correct this"),
        (["a", "b"], [("b", "x")], '"pairs" names "x"', 'add "x"'),
    ],
)  # fmt: skip
def test_a_table_that_would_swap_wrong_labels_is_refused(names, pairs, found, remedy):
    with pytest.raises(OptionError) as caught:
        pair_sides(names, pairs)
    assert found in caught.value.found and remedy in caught.value.remedy


@pytest.mark.parametrize(
    "names,pairs",
    [
        (["arm_l", "arm_r", "l-leg", "r-leg"], '[["arm_l", "arm_r"], ["l-leg", "r-leg"]]'),
        (["L arm", "R arm"], '[["L arm", "R arm"]]'), (["arm_l", "leg_r"], None), (["hail", "hair"], None),
    ],
)  # fmt: skip
def test_classes_that_look_like_left_and_right_are_named(names, pairs):
    labels = LabelSet("mine", tuple(Class(k, name, (0, 0, 0)) for k, name in enumerate(["background", *names])))
    found = remarks_on_sides(labels)
    if pairs is None:
        assert not found
    else:
        assert len(found) == 1 and found[0].endswith(f'if they are left and right, add "pairs": {pairs}')


def test_classes_that_are_paired_are_not_named():
    names = ["background", "arm_l", "arm_r"]
    mirrors = [None, 2, 1]
    both = tuple(Class(k, name, (0, 0, 0), mirror) for k, (name, mirror) in enumerate(zip(names, mirrors, strict=True)))
    assert not remarks_on_sides(LabelSet("mine", both))
