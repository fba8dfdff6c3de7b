"""Conditions on samples: what they accept, and that nothing else runs."""

import pytest

from mhpdata.editing.where import FIELDS, Where
from mhpdata.errors import OptionError

CLASSES = ("background", "hat", "scarf")
SAMPLE = {
    "name": "0007",
    "split": "train",
    "persons": 4,
    "classes": frozenset({"background", "scarf"}),
    "contested": 90,
    "conflicting": 3,
    "gray": False,
    "duplicate": True,
    "height": 600,
    "width": 800,
    "source_height": 300,
    "source_width": 400,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("persons>=4 and 'scarf' in classes and conflicting<100", True),
        ("persons == 4.0", True),
        ("'hat' in classes", False),
        ("'hat' not in classes", True),
        ("not gray and duplicate", True),
        ("gray == False", True),
        ("2 < persons <= 4", True),
        ("2 < persons < 4", False),
        ("name in ('0007', '0008')", True),
        ("name in ['0008']", False),
        ("'train' in [split, 'val']", True),
        ("name < '0010' and split != 'val'", True),
        ("contested/(height*width)<0.001", True),
        ("contested/(persons-4)>1", False),  # a division by zero
        ("-persons + 5 == 1", True),
        ("(persons > 9 or duplicate) and not (gray or False)", True),
    ],
)
def test_conditions(text, expected):
    assert Where(text, CLASSES)(SAMPLE) is expected
    assert set(FIELDS) == set(SAMPLE)


def test_the_fields_that_a_condition_uses_are_known():
    assert Where("persons > 1 and 'hat' in classes", CLASSES).fields == {"persons", "classes"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a condition"),
        ("persons >", "is not a condition"),
        ("persons = 4", "is not a condition"),
        ("__import__('os').system('true')", "which is not supported"),
        ("classes.pop()", "which is not supported"),
        ("name[0] == '0'", "which is not supported"),
        ("(lambda: True)()", "which is not supported"),
        ("[x for x in classes] == 1", "which is not supported"),
        ("2 ** 99999 > 1", "which is not supported"),
        ("name % 'x' == 'x'", "which is not supported"),
        ("persons is 4", "which is not supported"),
        ("~persons == 1", "which is not supported"),
        ("persons == None", "which is not supported"),
        ("f'{name}' == 'x'", "which is not supported"),
        ("(persons := 4) > 1", "which is not supported"),
        ("True if gray else False", "which is not supported"),
        ("persons", "which is a number; expected true or false"),
        ("'x' * 4 == 'xxxx'", "which is a text; expected a number"),
        ("persons == 'four'", r"compares persons \(a number\) with 'four' \(a text\)"),
        ("gray > 0", r"compares gray \(true or false\) with 0 \(a number\)"),
        ("classes == 'hat'", "Write 'NAME' in classes."),
        ("person > 4", "has the unknown name 'person'.*Did you mean persons?"),
        ("scarf in classes", "Put names of classes in quotes."),
        ("'scraf' in classes", "which the dataset does not have.*Did you mean scarf?"),
        ("'a' in name", "which is a text; expected a set of texts"),
        ("name in (1, 2)", "which is a number; expected a text"),
        ("(" * 300 + "gray" + ")" * 300, "is not a condition"),
        ("not " * 3000 + "gray", "is (not a condition|nested too deeply)|characters"),
        ("gray or " * 2000 + "gray", "16004 characters; expected at most 10000"),
    ],
)
def test_anything_else_is_an_error(text, words):
    with pytest.raises(OptionError, match=f"(?s){words}"):
        Where(text, CLASSES)(SAMPLE)
