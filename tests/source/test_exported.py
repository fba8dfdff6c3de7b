"""An export in the folders of another dataset is not read with that dataset's classes."""

from __future__ import annotations

import json

import pytest
from exports import same_samples
from folder import write_folder

import mhpdata
from mhpdata.errors import FolderError
from mhpdata.exporting.output import NAME
from mhpdata.source import exported
from mhpdata.source.scan import scan
from mhpdata.synth.writing.folder import synthesize


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    """Hold rec, a pack of LV-MHP v1, and its exports cihp and lip."""
    root = tmp_path_factory.mktemp("exported")
    write_folder(root / "LV-MHP-v1", images=8)
    mhpdata.pack(root / "LV-MHP-v1", root / "rec", size=0, workers=1)
    for form in ("cihp", "lip"):
        mhpdata.export(root / "rec", root / form, form)
    return root


@pytest.fixture
def copy(rec, tmp_path):
    """Return the folder of CIHP without its export.json, and the content of that."""
    out = tmp_path / "cihp"
    mhpdata.export(rec / "rec", out, "cihp")
    content = json.loads((out / NAME).read_text())
    (out / NAME).unlink()
    return out, content


@pytest.mark.parametrize("form", ["cihp", "lip"])
@pytest.mark.parametrize("named", [True, False])
def test_other_classes_are_refused(rec, tmp_path, form, named):
    layout = form if named else "auto"
    says = (
        rf"{NAME}: this folder is an export of data with the classes of mhp-v1; expected the classes of {form}\. "
        r"Pack the original dataset, or export the packed folder with --to mhp-v1 and pack that export\."
    )
    with pytest.raises(FolderError, match=says):
        mhpdata.pack(rec / form, tmp_path / "rec", layout=layout)
    with pytest.raises(FolderError, match=says):
        mhpdata.verify_source(rec / form, layout=layout)
    assert not (tmp_path / "rec").exists()


@pytest.mark.parametrize("layout", ["cihp", "lip"])
def test_the_right_classes_are_packed_again(tmp_path, layout):
    synthesize(tmp_path / "src", images=8, workers=1, scale=0.1, layout=layout)
    mhpdata.pack(tmp_path / "src", tmp_path / "one", size=0, workers=1)
    mhpdata.export(tmp_path / "one", tmp_path / "out", layout)
    mhpdata.pack(tmp_path / "out", tmp_path / "two", size=0, workers=1)
    assert same_samples(tmp_path / "one", tmp_path / "two") == 8
    other = {"cihp": "lip", "lip": "cihp"}[layout]
    mhpdata.export(tmp_path / "one", tmp_path / "other", other)
    with pytest.raises(FolderError, match=rf"with --to {layout} and pack that export"):
        scan(tmp_path / "other")


def test_ccihp_in_the_folders_of_cihp_must_be_named(tmp_path):
    synthesize(tmp_path / "src", images=8, workers=1, scale=0.1, layout="ccihp")
    mhpdata.pack(tmp_path / "src", tmp_path / "one", size=0, workers=1, layout="ccihp")
    mhpdata.export(tmp_path / "one", tmp_path / "out", "cihp")
    with pytest.raises(FolderError, match=r"Pass --layout ccihp\."):
        scan(tmp_path / "out")
    assert len(scan(tmp_path / "out", "ccihp").entries["train"]) == len(mhpdata.open(tmp_path / "one", "train"))


@pytest.mark.parametrize("classes", [None, [], [1], "background", {"a": 1}, ["background", "hat"]])
def test_unknown_classes_are_refused(copy, classes):
    out, content = copy
    (out / NAME).write_text(json.dumps({**content, "classes": classes}))
    with pytest.raises(FolderError, match=r"with other classes; .*--layout folder --labels mine\.json"):
        scan(out)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', "[" * 100_000, "\udcff", "1" * 5000])
def test_a_file_of_others_is_not_read_as_one_of_mhp(copy, text):
    out, _ = copy
    (out / NAME).write_bytes(text.encode(errors="surrogateescape"))
    assert len(scan(out).entries["train"]) == 5


def test_a_huge_file_is_not_read_and_a_link_is_not_followed(copy, tmp_path, monkeypatch):
    out, content = copy
    (out / NAME).write_text(json.dumps(content))
    with monkeypatch.context() as patch:
        patch.setattr(exported, "MAX_BYTES", 100)
        assert len(scan(out).entries["train"]) == 5
    (out / NAME).rename(tmp_path / "elsewhere")
    (out / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FolderError, match=rf"{NAME}: is a link to .*, outside --src"):
        scan(out)
    with pytest.raises(FolderError, match="the classes of mhp-v1"):
        scan(out, follow_links=True)
