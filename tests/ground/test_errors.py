"""Errors say what to do: in the message, through processes, and at every place that raises one."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from mhpdata import errors
from mhpdata.errors import FolderError, MhpError, RecordError
from mhpdata.masks.joint_runs import check_runs
from mhpdata.masks.mask_runs import inflate_mask
from mhpdata.wording import to_read, to_write

KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, MhpError)}
FIELDS = ("place", "found", "expected", "remedy")


def raised(path: Path) -> list[tuple[int, dict[str, ast.expr]]]:
    """The line and the arguments of every error that a file makes."""
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
    """mhp is installed from its source; what a package index has under the name ``mhp`` is another's."""
    here = ROOT
    files = [here / "README.md", *(here / "docs").glob("*.md")]
    files += [path for folder in ("mhpdata", "mhpmodels", "tools") for path in (here / folder).rglob("*.py")]
    told = re.compile(r"pip install (?:-\S+ )*[\"']?mhp\b")
    assert [str(path) for path in files if told.search(path.read_text(encoding="utf-8"))] == []


def test_the_message_has_all_four_and_they_cross_processes():
    error = FolderError("images/1.jpg", "missing", "a photo", "Unpack it again.")
    assert str(error) == "images/1.jpg: missing; expected a photo. Unpack it again."
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is FolderError and vars(again) == vars(error) and str(again) == str(error)
    assert str(error.below("MHP")) == "MHP/images/1.jpg: missing; expected a photo. Unpack it again."


@pytest.mark.parametrize(
    "read",
    [
        lambda: inflate_mask(b"garbage", (4, 4)),
        lambda: check_runs(np.zeros(3, np.uint32), np.zeros(1, np.uint32), (4, 4), 19),
        lambda: check_runs(np.array([0, 1], np.uint32), np.array([3], np.uint32), (1, 4), 19),
    ],
)
def test_damaged_runs_say_what_to_do(read):
    todo = r"mhp-verify --deep .* copy the shard again .*; otherwise pack again with mhp-pack --overwrite\.$"
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
    assert to_write(caught.value, path).startswith(f"{tmp_path}/gray.jpg is a file, in which no folder can be made")
    assert to_read(caught.value, path, "") == f"{tmp_path}/gray.jpg is a file, no folder: correct the path {path}."
