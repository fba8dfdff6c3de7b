"""Codes of faults in a source: every error that a pack can skip has one, independent of its wording."""

from __future__ import annotations

import ast
import pickle
import re
import string

import pytest
from places import ROOT, files

from mhpdata.errors import ImageError
from mhpdata.faults import FAULTS, OTHER, RENAMED, WORDS, Renamed, counted_code, describe

CLASSES = {"FolderError", "ImageError", "MaskError", "UnreadableError", "SourceChangedError"}
RAISED = ("scan.py", "exported.py", "entry.py")
"""Files of mhpdata/source whose errors end the command."""


def calls():
    """Return all code locations that create an error for which a pack may skip an entry or a line."""
    for room in ("mhpdata/images", "mhpdata/source", "mhpdata/packing"):
        for path in files(room):
            for node in ast.walk(ast.parse(path.read_text())):
                known = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES
                if known and path.name not in RAISED:
                    yield path, node


def constants(node):
    """Return the string constants that may be an expression's first element, if they can be determined."""
    return {inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant) and isinstance(inner.value, str)}


def test_every_error_of_a_source_has_a_code():
    found = list(calls())
    assert len(found) > 40
    for path, node in found:
        where = f"{path.relative_to(ROOT)}:{node.lineno}"
        (fault,) = [keyword.value for keyword in node.keywords if keyword.arg == "fault"] or [None]
        assert fault is not None, where
        if isinstance(fault, ast.Tuple) and isinstance(fault.elts[0], ast.Constant):
            assert fault.elts[0].value in FAULTS, where


def test_every_code_is_used_and_described():
    text = "".join(path.read_text() for path in files("mhpdata") if path.name != "faults.py")
    names = {"UNREADABLE": "unreadable", "CHANGED": "changed", "WORDS": WORDS}
    for code in FAULTS.keys() - {OTHER}:
        assert f'"{code}"' in text or any(value == code and name in text for name, value in names.items()), code
    rows = re.findall(r"^\| ([a-z, -]+) \|", (ROOT / "docs/format.md").read_text(), re.MULTILINE)
    documented = {code for row in rows for code in row.split(", ")}
    assert documented >= {*FAULTS, *RENAMED} - {WORDS}


@pytest.mark.parametrize("table", [FAULTS, RENAMED])
def test_sentences_number_their_values_from_0(table):
    for code, sentence in table.items():
        numbers = {int(name) for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}
        assert code == WORDS or numbers == set(range(len(numbers))), code


def test_a_code_of_another_mhp_or_with_other_values_is_shown_as_it_is():
    assert describe(FAULTS, "label", (19, 18)) == "holds label 19; the highest is 18"
    assert describe(FAULTS, "of-tomorrow", (1, "two")) == "of-tomorrow 1 two"
    assert describe(FAULTS, "label", (19,)) == "label 19"
    assert describe(FAULTS, "empty", ("{0}",)) == "is an empty file"
    assert describe(RENAMED, "file", ("{1}", "{x.__class__}")).endswith("name: {1} for {x.__class__}")


def test_one_and_several():
    assert Renamed("", "list", *counted_code(1, "empty-line", 4)).text == "list: 1 empty line ignored, line 4"
    text = Renamed("", "list", *counted_code(3, "empty-line", 4)).text
    assert text == "list: 3 empty lines ignored, such as line 4"


def test_an_error_keeps_its_code_wherever_it_goes():
    error = ImageError("a.jpg", "is empty", "an image", "Copy it again to SRC/a.jpg.", fault=("empty",))
    assert pickle.loads(pickle.dumps(error)).fault == ("empty",)
    assert error.below("MHP").fault == ("empty",) and error.below("MHP").place == "MHP/a.jpg"
    assert ImageError("a.jpg", "is odd").fault == (OTHER,)
