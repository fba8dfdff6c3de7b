"""Label tables from names, and tables between the classes of a network and those of the data."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mhpdata.errors import OptionError
from mhpdata.label_sets.built_in import table_of
from mhpdata.label_sets.naming import (
    conversion_between,
    conversion_lines,
    lookup,
    table_of_labels,
    table_of_names,
    table_of_outputs,
)
from mhpdata.labels import COMMON, LABEL_SETS, label_set


def test_names_of_a_built_in_set_are_that_set():
    for name, labels in LABEL_SETS.items():
        if name != COMMON.name:
            assert table_of_labels(labels) is table_of(name)
    assert table_of_labels(COMMON).meanings == COMMON.names


def test_other_names_have_a_meaning_if_they_are_one():
    table = table_of_names(["Background", "Left-Shoe", "Right-Shoe", "beak"], "mine")
    assert table.meanings == ("background", "left-shoe", "right-shoe", None)
    assert table.labels.flip_pairs == ((1, 2),) and not table.built_in
    own = label_set(("background", "fore", "hind"), ((1, 2),))
    assert table_of_labels(own).labels.flip_pairs == ((1, 2),)
    with pytest.raises(OptionError, match=r'config\.json.*"beak" twice'):
        table_of_names(["a", "beak", "beak"], "mine", place="config.json")


def test_a_label_set_has_one_class_per_output(tmp_path):
    assert table_of_outputs("lip", 20) is table_of("lip")
    with pytest.raises(OptionError, match="lip has 20 classes; expected 18, one per output"):
        table_of_outputs("lip", 18)
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"name": "mine", "classes": ["hair", "background"], "background": "background"}))
    with pytest.raises(OptionError, match="its values are not the outputs") as caught:
        table_of_outputs(str(file), 2)
    assert "in the order of the outputs" in caught.value.remedy


def test_a_class_without_a_counterpart_becomes_background():
    one = conversion_between(table_of("lip"), table_of("mhp-v1"))
    assert one is not None and one.lost
    table, old, new = lookup(one), table_of("lip").labels.names, table_of("mhp-v1").labels.names
    for label, name in enumerate(old):
        assert table[label] == (0 if name in one.lost else new.index(one.table[name]))
    assert (table[len(old) :] == 255).all() and table.dtype == np.uint8
    text = "\n".join(conversion_lines(one))
    assert text.startswith("Labels of lip, converted to those of mhp-v1.\n")
    for names in (one.lost, one.empty, *one.merged.values()):
        assert ", ".join(names) in text


def test_the_same_classes_need_no_table_and_unrelated_ones_have_none():
    assert conversion_between(table_of("cihp"), table_of("cihp")) is None
    with pytest.raises(OptionError, match="no class of pascal-person-part has a counterpart in mhp-v1") as caught:
        conversion_between(table_of("pascal-person-part"), table_of("mhp-v1"))
    assert "another label set" in caught.value.remedy


def test_a_table_is_for_the_classes_of_a_set_not_for_its_name(tmp_path):
    other = table_of_names(["background", "hair", "beak"], "cihp")
    target = table_of("viton-13")
    assert "cihp" in target.given, "or the test tests nothing"
    one = conversion_between(other, target)
    assert one is not None and one.table == {"background": "background", "hair": "hair", "beak": None}
    content = {"name": "own", "classes": ["background", "head"], "from": {"cihp": {"hair": "head", "background": None}}}
    (tmp_path / "own.json").write_text(json.dumps(content))
    with pytest.raises(OptionError, match=r'^own: its table from cihp has no class "beak"'):
        conversion_between(other, table_of_outputs(str(tmp_path / "own.json")))
