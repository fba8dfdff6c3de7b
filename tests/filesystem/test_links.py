"""Links out of the source: rejected unless --follow-links; then packed with the same bytes."""

from __future__ import annotations

import os
import shutil

import pytest
from click.testing import CliRunner
from folder import tree
from releases import IDS, write_cihp, write_v2

import mhpdata
from mhpdata.errors import FolderError
from mhpmodels.scoring.agreement import measure_agreement
from mhptools import pack, verify


def hugging_face(root, outside):
    """Make a snapshot: each file is a link to one named by its content."""
    for number, path in enumerate(sorted(path for path in root.rglob("*") if path.is_file())):
        blob = outside / f"{number:040x}"
        path.rename(blob)
        path.symlink_to(os.path.relpath(blob, path.parent))


def folder_elsewhere(root, outside):
    """Make a link like ``images -> /bigdisk/images``."""
    for path in [path for path in root.iterdir() if path.is_dir()]:
        path.rename(outside / path.name)
        path.symlink_to(outside / path.name)


@pytest.mark.parametrize("link", [hugging_face, folder_elsewhere])
@pytest.mark.parametrize("layout", ["mhp-v1", "mhp-v2", "cihp"])
def test_links_are_followed_where_that_is_asked_for(layout, link, source, tmp_path):
    root, outside = tmp_path / "source", tmp_path / "outside"
    outside.mkdir()
    if layout == "mhp-v1":
        shutil.copytree(source, root)
    else:
        (write_v2 if layout == "mhp-v2" else write_cihp)(root, IDS)
    mhpdata.pack(root, tmp_path / "plain", size=0, workers=1)
    link(root, outside)
    with pytest.raises(
        FolderError,
        match=r"(is a link|leads) to .*, outside --src.* or pass --follow-links \(in Python: follow_links=True\), if",
    ):
        mhpdata.pack(root, tmp_path / "rec", size=0)
    mhpdata.pack(root, tmp_path / "rec", size=0, workers=1, follow_links=True)
    assert tree(tmp_path / "rec") == tree(tmp_path / "plain")
    assert mhpdata.verify_source(root, workers=1, follow_links=True).clean


def test_the_commands_follow_links(source, tmp_path):
    root, outside = shutil.copytree(source, tmp_path / "source"), tmp_path / "outside"
    outside.mkdir()
    folder_elsewhere(root, outside)
    run = CliRunner().invoke
    arguments = ["--src", str(root), "--out", str(tmp_path / "rec"), "--size", "64"]
    refused = run(pack.main, arguments)
    assert (
        refused.exit_code == 3 and "or pass --follow-links" in refused.output and f"cp -r {outside}" in refused.output
    )
    assert run(pack.main, [*arguments, "--follow-links"]).exit_code == 0
    assert '"follow_links": true' in (tmp_path / "rec" / "build.json").read_text()
    assert "follow_links" not in (tmp_path / "rec" / "manifest.json").read_text()
    checked = run(verify.main, ["--src", str(root), "--follow-links"])
    assert checked.exit_code == 0 and "No problems found" in checked.output
    assert run(verify.main, ["--src", str(root)]).exit_code == 3
    assert run(verify.main, [str(tmp_path / "rec"), "--follow-links"]).exit_code == 2
    with pytest.raises(FolderError, match="outside --src"):
        measure_agreement(root)
    assert run(verify.main, ["--src", str(root), "--follow-links", "--agreement"]).exit_code == 0


def test_a_link_to_nothing_says_that_its_file_is_to_be_fetched(source, tmp_path):
    root = shutil.copytree(source, tmp_path / "source")
    (root / "images/0002.jpg").unlink()
    (root / "images/0002.jpg").symlink_to(".git/annex/objects/0002")
    with pytest.raises(
        FolderError, match=r"0002\.jpg: is a link to .*objects/0002, which is missing; .* Fetch the file .*git annex"
    ):
        mhpdata.pack(root, tmp_path / "rec")
