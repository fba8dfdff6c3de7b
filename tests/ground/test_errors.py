"""Errors say what to do: in the message, across processes, and wherever one is raised."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from mhpdata import errors
from mhpdata.errors import (
    FIND_AGAIN,
    FIND_UPDATE,
    PACK_AGAIN,
    UPDATE,
    FolderError,
    ImageError,
    MhpError,
    RecordError,
    caused,
    copy_again,
)
from mhpdata.images.header import AS_ONE, CONVERT
from mhpdata.masks.joint_runs import check_runs
from mhpdata.masks.mask_runs import inflate_mask
from mhpdata.remedy import Kind
from mhpdata.wording import to_read, to_write

KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, MhpError)}
FIELDS = ("place", "found", "expected", "remedy")


def raised(path: Path) -> list[tuple[int, dict[str, ast.expr]]]:
    """Return the line and the arguments of every error that a file creates."""
    return [
        (node.lineno, dict(zip(FIELDS, node.args, strict=False)) | {k.arg: k.value for k in node.keywords})
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS
    ]


@pytest.mark.parametrize("package", ["mhpdata", "mhpmodels"])
def test_every_error_has_a_remedy(package):
    files = sorted((ROOT / package).rglob("*.py"))
    found = [(path, line, arguments) for path in files for line, arguments in raised(path)]
    assert len(found) > 100
    for path, line, arguments in found:
        remedy = arguments.get("remedy")
        assert remedy is not None, f"{path}:{line}: no remedy"
        assert not (isinstance(remedy, ast.Constant) and not remedy.value), f"{path}:{line}: an empty remedy"


def test_nobody_is_told_to_install_a_package_of_this_name_from_elsewhere():
    """mhp is installed from its source; ``mhp`` on the package index is another project."""
    here = ROOT
    files = [here / "README.md", *(here / "docs").glob("*.md")]
    files += [path for folder in ("mhpdata", "mhpmodels", "tools") for path in (here / folder).rglob("*.py")]
    told = re.compile(r"pip install (?:-\S+ )*[\"']?mhp\b")
    assert [str(path) for path in files if told.search(path.read_text(encoding="utf-8"))] == []


def test_the_message_has_all_four_and_they_cross_processes():
    error = FolderError("images/1.jpg", "missing", "an image", "Unpack it again.")
    assert str(error) == "images/1.jpg: missing; expected an image. Unpack it again."
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is FolderError and vars(again) == vars(error) and str(again) == str(error)
    assert str(error.below("MHP")) == "MHP/images/1.jpg: missing; expected an image. Unpack it again."


def test_an_error_at_another_place_keeps_its_class_its_cause_and_what_is_not_given():
    cause = OSError(5, "Input/output error")
    error = caused(RecordError("record 3", "is damaged", "a whole one", "Copy it."), cause)
    again = error.at("a.rec, record 3")
    assert str(again) == "a.rec, record 3: is damaged; expected a whole one. Copy it."
    assert type(again) is RecordError and again.__cause__ is cause and error.place == "record 3"
    assert str(error.at("b", "Go.", "is lost")) == "b: is lost; expected a whole one. Go."
    assert str(error.at("b", "")) == "b: is damaged; expected a whole one."


@pytest.mark.parametrize(
    ("remedy", "kind"), [(FIND_UPDATE, Kind.NEWER), (AS_ONE, Kind.ONE_IMAGE), (CONVERT, Kind.CONVERT), ("x", None)]
)
def test_a_remedy_tells_its_kind_in_other_processes_too(remedy, kind):
    error = ImageError("a.jpg", "wrong", "", remedy)
    assert error.kind is kind and pickle.loads(pickle.dumps(error)).kind is kind and error.at("b").kind is kind
    assert error.remedy == str(remedy) and type(str(error.remedy)) is str


def test_a_record_of_a_known_shard_names_the_file_or_the_newer_mhp():
    for remedy in (FIND_AGAIN, PACK_AGAIN):
        found = RecordError("record 3", "is damaged", "", remedy).in_shard("rec/a.rec, record 3", "a.rec")
        assert found.place == "rec/a.rec, record 3" and found.remedy == copy_again("a.rec")
    again = RecordError("record 3", "is newer", "", FIND_UPDATE).in_shard("rec/a.rec, record 3", "a.rec")
    assert again.remedy == UPDATE and again.kind is Kind.NEWER


@pytest.mark.parametrize("package", ["mhpdata", "mhpmodels", "tools"])
def test_errors_are_placed_by_at_and_their_texts_decide_nothing(package):
    """Errors are rebuilt only to change their class; no code compares or splits messages."""
    for path in sorted((ROOT / package).rglob("*.py")):
        if path.name == "errors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                taken = [value.attr for value in node.args if isinstance(value, ast.Attribute)]
                again = {"found", "expected", "remedy"} <= set(taken)
                renamed = isinstance(node.func, ast.Name) and node.func.id in ("MaskError", "PredictionError")
                assert not again or renamed, f"{path}:{node.lineno}: use at()"
                method = isinstance(node.func, ast.Attribute) and node.func.attr in ("replace", "endswith", "partition")
                value = node.func.value if method else None
                text = isinstance(value, ast.Attribute) and value.attr in FIELDS[1:]
                text |= isinstance(value, ast.Name) and value.id in ("place", "remedy", "message")
                assert not text, f"{path}:{node.lineno}: decided by a text"
            if isinstance(node, ast.Compare):
                sides = [side for side in (node.left, *node.comparators) if isinstance(side, ast.Attribute)]
                texts = [
                    s for s in sides if s.attr in FIELDS[1:] and isinstance(s.value, ast.Name) and "error" in s.value.id
                ]
                assert not texts, f"{path}:{node.lineno}: decided by a text"


@pytest.mark.parametrize(
    "read",
    [
        lambda: inflate_mask(b"garbage", (4, 4)),
        lambda: check_runs(np.zeros(3, np.uint32), np.zeros(1, np.uint32), (4, 4), 19),
        lambda: check_runs(np.array([0, 1], np.uint32), np.array([3], np.uint32), (1, 4), 19),
    ],
)
def test_damaged_runs_say_what_to_do(read):
    todo = r"mhp verify --deep .* copy the shard again .*; otherwise pack again with mhp pack --overwrite\.$"
    with pytest.raises(RecordError, match=rf"^(labels: are|mask: is) damaged .* {todo}"):
        read()


def test_the_source_folder_is_named_in_the_remedy():
    error = FolderError("images", "a link", "", "Delete the link SRC/images.").below("MHP")
    assert str(error) == "MHP/images: a link. Delete the link MHP/images."


def test_a_path_that_leads_through_a_file_names_the_file(tmp_path):
    (tmp_path / "gray.jpg").touch()
    with pytest.raises(OSError) as caught:
        (tmp_path / "gray.jpg" / "out").mkdir(parents=True)
    path = tmp_path / "gray.jpg" / "out"
    assert to_write(caught.value, path).startswith(f"Move the file {tmp_path}/gray.jpg away, or choose another path")
    assert to_read(caught.value, path, "") == f'Correct the path "{path}": {tmp_path}/gray.jpg is a file, not a folder.'
