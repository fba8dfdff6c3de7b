"""Tables of labels: the common set, user-defined ones, and left and right after remapping."""

import json

import numpy as np
import pytest
from places import ROOT

from mhpdata.errors import OptionError
from mhpdata.labels import CIHP, COMMON, MHP_V1, MHP_V2, label_set
from mhpdata.remap import Remap, common, read_remap

SETS = [(labels.name, labels) for labels in (MHP_V1, MHP_V2, CIHP)]
SMALL = label_set(("background", "hat", "left arm", "right arm"), ((2, 3),))


def small(**table):
    """Return a table from SMALL to (background, a, b, c)."""
    names = {"background": "background", "hat": "a", "left arm": "b", "right arm": "c"}
    given = {name.replace("_", " "): new for name, new in table.items()}
    return Remap(("background", "a", "b", "c"), {"small": names | given})


@pytest.mark.parametrize("sets", [SETS, SETS[:1], SETS[1:2], SETS[2:], SETS[::-1]], ids=len)
def test_the_common_set_of_any_of_the_three(sets):
    assert common().labels(sets) is COMMON
    for layout, labels in sets:
        table = common().table(layout, labels)
        assert table[0] == 0 and set(table[: len(labels)]) == {*range(len(COMMON)), 255}, "every class is reached"
        assert (table[len(labels) :] == 255).all()


@pytest.mark.parametrize("layout,labels", SETS, ids=lambda one: str(one))
def test_mirroring_before_or_after_the_table_is_the_same(layout, labels):
    table = common().table(layout, labels)
    np.testing.assert_array_equal(table[labels.mirrored[: len(labels)]], COMMON.mirrored[table[: len(labels)]])


@pytest.mark.parametrize(
    "layout,old,new",
    [
        ("mhp-v1", "upper clothes", "upper-clothes"), ("mhp-v1", "left shoe", "left-shoe"), ("mhp-v1", "belt", None),
        ("mhp-v2", "left-hand", "left-arm"), ("mhp-v2", "right-foot", "right-leg"), ("mhp-v2", "robe", "dress"),
        ("mhp-v2", "right-highheel", "right-shoe"), ("mhp-v2", "helmet", "hat"), ("mhp-v2", "ball", None),
        ("cihp", "coat", "upper-clothes"), ("cihp", "glove", None), ("cihp", "right-leg", "right-leg"),
    ],
)  # fmt: skip
def test_entries_of_the_common_table(layout, old, new):
    assert common().maps[layout][old] == new


def test_a_table_goes_through_json_a_file_or_its_name(tmp_path):
    table = common()
    (tmp_path / "table.json").write_text(table.to_json())
    assert read_remap("common") == read_remap(tmp_path / "table.json") == read_remap(table.to_json()) == table


def test_left_and_right_follow_from_the_table():
    assert small().labels([("small", SMALL)]).flip_pairs == ((2, 3),)
    assert small(left_arm="c", right_arm="b").labels([("small", SMALL)]).flip_pairs == ((2, 3),)
    assert small(left_arm="a", right_arm="a").labels([("small", SMALL)]).flip_pairs == ()
    assert small(left_arm=None, right_arm=None).labels([("small", SMALL)]).flip_pairs == ()
    assert small(left_arm="b", right_arm="b").labels([("small", SMALL)]).palette.shape == (256, 3)


@pytest.mark.parametrize(
    "table,message",
    [
        ({"hat": "b"}, "makes left arm b and its mirror image right arm c, but .* hat b;.* a class other than b"),
        ({"right_arm": None}, 'makes right arm null .* left arm b;.* write null for "right arm" and "left arm", or'),
        ({"left_arm": None}, 'makes left arm null .* right arm c;.* write null for "left arm" and "right arm", or'),
    ],
)
def test_a_table_that_contradicts_itself_is_an_error(table, message):
    with pytest.raises(OptionError, match=message):
        small(**table).labels([("small", SMALL)])


def test_sets_that_contradict_each_other_are_an_error():
    crossed = {"background": "background", "hat": "a", "left arm": "b", "right arm": "b"}
    both = Remap(small().classes, {**small().maps, "other": crossed})
    with pytest.raises(OptionError, match='"other", write "c" for "right arm", as there, or null for both'):
        both.labels([("small", SMALL), ("other", SMALL)])


@pytest.mark.parametrize(
    "text,message",
    [
        ("{", "is not a label table"),
        ("[]", "is not a label table|missing"),
        ('{"classes": ["a"]}', "is not a label table"),
        ('{"classes": ["a"], "maps": {}}', "2 to 255 different names"),
        ('{"classes": ["a", "a"], "maps": {}}', "2 to 255 different names"),
        ('{"classes": ["a", 1], "maps": {}}', "is not a label table"),
        ('{"classes": ["a", "b"], "maps": {"x": {"y": 1}}}', "is not a label table"),
        (
            '{"classes": ["a", "b"], "maps": {"x": {"y": "c"}}}',
            "classes of x become c; expected names that the table lists under classes: a, b",
        ),
    ],
)
def test_what_is_no_table(text, message):
    with pytest.raises(OptionError, match=message):
        read_remap(text)


def test_a_table_must_name_each_class_of_a_dataset_and_no_other(tmp_path):
    content = json.loads(common().to_json())
    del content["maps"]["cihp"]["glove"]
    content["maps"]["mhp-v1"]["tail"] = None
    table = read_remap(json.dumps(content))
    for (layout, labels), says in ((SETS[2], "lacks glove"), (SETS[0], "has tail, not a class of mhp-v1")):
        with pytest.raises(OptionError, match=f"the map of {layout} {says}; expected exactly the classes"):
            table.table(layout, labels)
    with pytest.raises(OptionError, match="no map for lip"):
        table.table("lip", MHP_V1)
    with pytest.raises(OptionError, match="missing"):
        read_remap(tmp_path / "nowhere.json")


def test_the_table_in_the_docs_is_the_code():
    text = (ROOT / "docs" / "datasets.md").read_text()
    maps = common().maps
    for label, name in [*enumerate(COMMON.names), (255, None)]:
        cells = [", ".join(old for old, new in table.items() if new == name) for table in maps.values()]
        assert f"| {label} | {name or '*not counted*'} | {' | '.join(cells)} |" in text
