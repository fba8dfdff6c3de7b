"""The sets that ship with mhp: whole, sourced, and with the numbers of classes that their names state."""

from __future__ import annotations

import pytest

from mhpdata.errors import OptionError
from mhpdata.label_sets.built_in import NAMES, find_table, table_of
from mhpdata.label_sets.meanings import DATA, meanings
from mhpdata.label_sets.sides import mirror_name

CLASSES = {"mhp-v1": 19, "mhp-v2": 59, "cihp": 20, "lip": 20, "ccihp": 22, "atr": 18, "pascal-person-part": 7}


def test_each_file_is_a_set_and_each_set_a_file():
    assert {path.stem for path in DATA.glob("*.json")} == {*NAMES, "meanings"}


@pytest.mark.parametrize("name", NAMES)
def test_a_set_is_whole(name):
    table = table_of(name)
    assert table.name == name == table.layout and table is table_of(name) is find_table(name)
    assert len(table.labels) == CLASSES.get(name, int(name.rpartition("-")[2]) if name not in CLASSES else 0)
    assert table.labels.names[0] == "background" and table.labels.classes[0].color == (255, 255, 255)
    assert table.texts["source"].startswith("https://") and table.texts["title"] and table.texts["colours"]
    assert table.values == tuple(range(len(table.labels))), "labels are the values in masks"
    given = [meaning for meaning in table.meanings if meaning]
    assert len(set(given)) == len(given) and set(given) <= set(meanings())
    for one in table.labels.classes:
        mirror = mirror_name(one.name)
        assert (None if one.mirror is None else table.labels.names[one.mirror]) == mirror


def test_facts_of_single_sets():
    lip, atr, cihp = (table_of(name).labels for name in ("lip", "atr", "cihp"))
    assert lip.names[10] == "jumpsuits" and cihp.names[10] == "torso-skin"
    assert lip.names[:10] + lip.names[11:] == cihp.names[:10] + cihp.names[11:]
    assert atr.names == tuple(name.replace(" ", "-") for name in table_of("mhp-v1").labels.names[:18])
    assert table_of("ccihp").labels.names[20:] == ("bag", "others") and "dress" not in table_of("ccihp").labels.names
    assert "Eyeglass" in table_of("sapiens-29").labels.names and len(table_of("sapiens-28").labels.flip_pairs) == 8
    assert table_of("viton-14").labels.names[11:] == ("left-arm", "face", "right-arm")
    assert table_of("viton-14").labels.flip_pairs == ((5, 6), (9, 10), (11, 13))
    assert not table_of("fashn-18").labels.flip_pairs and not table_of("pascal-person-part").labels.flip_pairs


def test_an_unknown_set_is_an_error(tmp_path):
    with pytest.raises(OptionError, match=r"no set 'chip'; expected mhp-v1, .* or fashn-18\. Run mhp labels"):
        find_table("chip")
    with pytest.raises(OptionError, match="missing; expected a JSON file"):
        find_table(tmp_path / "mine.json")
