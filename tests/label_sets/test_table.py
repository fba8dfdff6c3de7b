"""Tables of classes from JSON: what they may say, and the errors for the others."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mhpdata.errors import OptionError
from mhpdata.label_sets.classes import voc_color
from mhpdata.label_sets.table import NO_VALUE, parse_table, read_table

KNOWN = frozenset({"background", "hair", "upper-clothes"})


def parse(content):
    return parse_table(json.dumps(content).encode(), "mine.json", KNOWN)


def test_names_alone_are_enough():
    table = parse({"name": "mine", "classes": ["background", "hair", "left-arm", "right-arm"]})
    assert table.labels.names == ("background", "hair", "left-arm", "right-arm")
    assert table.labels.flip_pairs == ((2, 3),) and table.labels.classes[3].color == voc_color(3)
    assert table.meanings == ("background", "hair", None, None) and table.values == (0, 1, 2, 3)
    assert table.ignored == (255,) and not table.texts and table.folder is None and table.layout == "folder"


def test_everything_that_a_table_may_say():
    table = parse(
        {
            "name": "mine",
            "source": "https://example.org",
            "note": None,
            "classes": [
                {"name": "shirt", "value": 30, "color": [1, 2, 3], "meaning": "upper-clothes", "differs": "with coats"},
                "arm_l",
                "arm_r",
                {"name": "nothing", "value": 0},
                {"name": "hair", "meaning": None, "value": 9},
            ],
            "pairs": [["arm_l", "arm_r"]],
            "background": "nothing",
            "ignore": [254, 255],
            "folder": {"form": "maps"},
        }
    )
    assert table.labels.names == ("nothing", "shirt", "arm_l", "arm_r", "hair"), "background is label 0"
    assert table.labels.flip_pairs == ((2, 3),) and table.labels.classes[1].color == (1, 2, 3)
    assert table.meanings == ("background", "upper-clothes", None, None, None)
    assert table.differs[1] == "with coats" and table.texts == {"source": "https://example.org"}
    assert table.folder == {"form": "maps"}
    lut = table.of_values
    assert lut[[0, 30, 1, 2, 9, 254, 255]].tolist() == [0, 1, 2, 3, 4, 255, 255]
    assert (np.delete(lut, [0, 30, 1, 2, 9, 254, 255]) == NO_VALUE).all()


@pytest.mark.parametrize(
    "change,found",
    [
        ({"classes": ["background"]}, "lists 1 class, not 2 to 255"),
        ({"classes": ["background", "hat", "hat"]}, '"hat" twice'),
        ({"classes": ["background", "Face mask", "face_mask"]}, '"Face mask" and "face_mask"'),
        ({"classes": "hat"}, "classes is "), ({"classes": ["background", 7]}, "classes[1]"),
        ({"classes": ["background", ""]}, "classes[1].name"), ({"classes": ["background", "a\nb"]}, "printable"),
        ({"classes": ["background", {"name": "hat", "colour": [0, 0, 0]}]}, 'unknown key "colour"'),
        ({"classes": ["background", {"name": "hat", "color": [0, 0]}]}, "2 numbers, not 3"),
        ({"classes": ["background", {"name": "hat", "color": [0, 0, 256]}]}, "from 0 to 255"),
        ({"classes": ["background", {"name": "hat", "value": 0}]}, 'value 0 belongs to both "background" and "hat"'),
        ({"classes": ["background", {"name": "hat", "value": 255}]}, 'belongs to both "ignore" and "hat"'),
        ({"classes": ["background", {"name": "hat", "meaning": "cap"}]}, '"cap" is not a meaning'),
        ({"classes": ["background", "left-arm"]}, 'has "left-arm" but not "right-arm"'),
        ({"classes": ["left", "right"]}, "is the background and has a left and right side"),
        ({"background": "sky"}, 'which "classes" does not list'), ({"ignore": "255"}, "ignore has"),
        ({"pairs": [["hat"]]}, "1 name, not 2"), ({"pairs": [["hat", "cap"]]}, '"pairs" names "cap"'),
        ({"clases": []}, 'unknown key "clases"'), ({"name": None}, "name has null"), ({"folder": []}, "folder is"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_an_error_that_says_where(change, found):
    with pytest.raises(OptionError) as caught:
        parse({"name": "mine", "classes": ["background", "hat"]} | change)
    assert caught.value.place == "mine.json" and found in str(caught.value), caught.value


@pytest.mark.parametrize("name", ["background", "Background", "__background__"])
def test_a_background_that_is_not_the_first_class_is_named(name):
    content = {"name": "mine", "classes": ["head", "body", name]}
    with pytest.raises(OptionError) as caught:
        parse(content)
    assert f'the first class, "head", would be the background, although "{name}" is listed' in str(caught.value)
    assert f'Add "background": "{name}", which keeps' in str(caught.value)
    table = parse(content | {"background": name})
    assert table.labels.names == (name, "head", "body") and table.values == (2, 0, 1)
    assert parse(content | {"background": "head"}).labels.names[0] == "head"


def test_a_comma_too_many_is_an_error_of_the_json():
    with pytest.raises(OptionError, match=r"mine\.json: is not JSON \(.*line 1.*no comma after a last item"):
        parse_table(b'{"name": "mine", "classes": ["background", "hair",]}', "mine.json")


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"name": "x"}'])
def test_what_is_no_table_is_an_error(data):
    with pytest.raises(OptionError, match=r"mine\.json: .*docs/datasets\.md has an example"):
        parse_table(data, "mine.json")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(OptionError, match="expected a JSON file with classes"):
            read_table(path)
    (tmp_path / "large.json").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(OptionError, match="larger than"):
        read_table(tmp_path / "large.json")
