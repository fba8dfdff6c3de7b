"""The classes that sets share."""

from __future__ import annotations

from itertools import combinations

import pytest

from mhpdata.label_sets.built_in import NAMES, table_of
from mhpdata.label_sets.sharing import share
from mhpdata.remap import Remap, common, read_remap


def test_of_the_three_datasets_it_is_the_common_set():
    labels, maps = share([table_of(name) for name in ("mhp-v1", "mhp-v2", "cihp")])
    assert labels.names == common().classes and maps == common().maps
    assert labels.names == (
        "background", "hat", "hair", "sunglasses", "upper-clothes", "skirt", "pants", "dress", "scarf", "face",
        "torso-skin", "left-arm", "right-arm", "left-leg", "right-leg", "left-shoe", "right-shoe",
    )  # fmt: skip
    assert labels.flip_pairs == ((11, 12), (13, 14), (15, 16)) and labels.classes[4].color == (255, 85, 0)


@pytest.mark.parametrize(
    "sets,classes",
    [
        (["mhp-v1", "mhp-v2"], {"belt", "bag", "torso-skin"}),
        (["cihp", "lip"], {"coat", "glove", "socks"}),
        (["mhp-v1", "fashn-18"], {"arms", "legs", "glasses"}),
        (["mhp-v1", "sapiens-28"], {"lower-clothes", "left-arm"}),
        (["cihp", "pascal-person-part"], {"head"}),
    ],
)
def test_shared_classes_are_as_fine_as_the_sets_permit(sets, classes):
    labels, _ = share([table_of(name) for name in sets])
    assert classes <= set(labels.names)
    assert not {"left-arm"} & set(labels.names) or "arms" not in labels.names


@pytest.mark.parametrize("pair", list(combinations(NAMES, 2)), ids="-".join)
def test_every_set_has_every_shared_class_and_the_tables_can_be_used(pair):
    labels, maps = share([table_of(name) for name in pair])
    for name in pair:
        assert set(maps[name].values()) - {None} == set(labels.names)
    remap = Remap(labels.names, maps)
    assert read_remap(remap.to_json()) == remap
    assert remap.labels([(name, table_of(name).labels) for name in pair]).names == labels.names
    assert share([table_of(name) for name in pair[::-1]])[0] == labels


def test_of_one_set_all_its_meanings_are_shared():
    labels, maps = share([table_of("cihp")])
    assert len(labels) == 20 and None not in maps["cihp"].values()
