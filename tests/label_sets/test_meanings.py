"""Meanings, and the tables from one set to another that follow from them."""

from __future__ import annotations

import pytest

from mhpdata.label_sets.built_in import NAMES, table_of
from mhpdata.label_sets.meanings import convert, meanings, nearest, outwards
from mhpdata.label_sets.sides import mirror_name
from mhpdata.remap import to_set


def test_meanings_form_a_hierarchy_without_circles_and_with_both_sides():
    known = meanings()
    for name, one in known.items():
        assert set(one.within) <= set(known) and name not in outwards(name)[1:]
        mirror = mirror_name(name)
        if mirror is not None:
            assert {mirror_name(wider) or wider for wider in one.within} == set(known[mirror].within)
    assert len({one.color for one in known.values()}) == len(known)


def test_the_nearest_meaning():
    assert outwards("left-hand") == ["left-hand", "left-arm", "hands", "arms"]
    assert nearest("left-hand", {"arms", "hands"}) == "hands" and nearest("left-hand", {"arms"}) == "arms"
    assert nearest("hat", {"helmet"}) is None and nearest(None, {"hat"}) is None


@pytest.mark.parametrize(
    "source,target,old,new",
    [
        ("cihp", "lip", "torso-skin", None), ("cihp", "lip", "coat", "coat"), ("lip", "cihp", "jumpsuits", "dress"),
        ("cihp", "mhp-v1", "coat", "upper clothes"), ("mhp-v1", "cihp", "upper clothes", "upper-clothes"),
        ("mhp-v1", "cihp", "bag", None), ("mhp-v2", "lip", "left-highheel", "left-shoe"),
        ("mhp-v2", "sapiens-28", "skirt", "Lower_Clothing"), ("sapiens-28", "mhp-v2", "Lower_Clothing", None),
        ("sapiens-28", "cihp", "Left_Upper_Arm", "left-arm"), ("fashn-18", "cihp", "arms", None),
        ("cihp", "fashn-18", "left-arm", "arms"), ("mhp-v2", "fashn-18", "left-hand", "hands"),
        ("cihp", "pascal-person-part", "hair", "head"), ("cihp", "pascal-person-part", "left-arm", None),
        ("cihp", "viton-13", "torso-skin", "background"), ("cihp", "viton-13", "glove", "noise"),
        ("lip", "viton-14", "left-leg", "left-leg"), ("mhp-v1", "atr", "torso skin", None),
    ],
)  # fmt: skip
def test_entries_of_tables(source, target, old, new):
    assert convert(table_of(source), table_of(target)).table[old] == new


def test_what_a_conversion_says():
    one = convert(table_of("lip"), table_of("cihp"))
    assert one.lost == [] and one.empty == ["torso-skin"] and one.merged == {"dress": ["dress", "jumpsuits"]}
    assert convert(table_of("mhp-v1"), table_of("sapiens-28")).differs == ["sapiens-28: Face_Neck includes the neck"]


@pytest.mark.parametrize("target", NAMES)
def test_every_table_is_whole_and_keeps_left_and_right_apart(target):
    remap = to_set(target)
    for source in NAMES:
        table, labels = convert(table_of(source), table_of(target)).table, table_of(source).labels
        assert list(table) == list(labels.names) and table["background"] == "background"
        remap.labels([(source, labels)])  # raises for a contradiction
        if source == target:
            assert all(old == new for old, new in table.items())
