"""The list of LV-MHP v1's files that mhp ships, and verify_source's comparison of a download with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from places import TESTS
from released import list_of, pretend
from verified import build, image

from mhpdata.checking import release
from mhpdata.checking.packed import verify_source
from mhpdata.checking.release import DIGEST_BYTES, LISTS, release_files
from mhpdata.errors import FolderError

SCRIPT = TESTS / "support/make_release_list.py"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Read-only."""
    folder = build(tmp_path_factory.mktemp("release") / "LV-MHP-v1")
    (folder / "README.txt").write_text("as released\n")
    return folder


@pytest.fixture
def source(original, tmp_path, monkeypatch):
    pretend(monkeypatch, original)
    return shutil.copytree(original, tmp_path / "MHP")


def test_the_list_has_the_files_of_the_release():
    files = release_files("mhp-v1")
    assert len(files) == 19953 and list(files) == sorted(files)
    folders = [path.rpartition("/")[0] for path in files]
    assert {name: folders.count(name) for name in folders} == {"": 4, "images": 4980, "annotations": 14969}
    assert len({path.lower() for path in files}) == len(files), "no two names differ only in case"
    assert sum(file.size for file in files.values()) == 908863959
    assert all(len(file.digest) == DIGEST_BYTES for file in files.values())
    assert len({file.digest for path, file in files.items() if path.startswith("images/")}) == 4980 - 512 + 244


def test_a_complete_copy(source):
    report = verify_source(source)
    assert report.clean, report.text()
    count = len(list_of(source))
    assert f"{count} of {count} files are those of the LV-MHP v1 release" in report.remarks
    nothing = {"missing": [], "changed": [], "unread": [], "extra": []}
    assert report.as_dict()["release"] == {"name": "LV-MHP v1", "files": count, "same": count, **nothing}


def test_every_difference_is_named(source):
    changed = source / "annotations/0002_02_01.png"
    shutil.copy(source / "annotations/0002_02_02.png", changed)  # decodes, with other labels
    flipped = bytearray(image(source, "0003").read_bytes())
    flipped[-40] ^= 1  # the same size
    image(source, "0003").write_bytes(flipped)
    (source / "README.txt").unlink()
    (source / "notes.txt").write_text("mine")
    report = verify_source(source)
    found = {"missing": ["README.txt"], "unread": [], "extra": ["notes.txt"]}
    found["changed"] = ["annotations/0002_02_01.png", "images/0003.jpg"]
    count = len(release.release_files("mhp-v1"))
    assert report.release == {"name": "LV-MHP v1", "files": count, "same": count - 3, **found}
    summary = f"{count - 3} of {count} files are those of the LV-MHP v1 release, 1 missing, 2 changed, 1 extra"
    assert summary in report.remarks
    assert "README.txt: missing, but in the LV-MHP v1 release" in report.remarks
    assert "notes.txt: not in the LV-MHP v1 release" in report.remarks
    findings = {error.place: str(error) for error in report.findings}
    assert set(findings) == {f"{source}/{path}" for path in found["changed"]} and len(report.findings) == 2
    assert "differs from the file of the LV-MHP v1 release" in findings[f"{source}/annotations/0002_02_01.png"]


def test_the_missing_files_of_a_subset_are_one_remark(source):
    lost = [f"images/{name}" for name in ("0001.jpg", "0002.jpg")] + ["README.txt"]
    lost += sorted(path.relative_to(source).as_posix() for path in source.glob("annotations/000[12]_*"))
    for name in lost:
        (source / name).unlink()
    lines = (source / "train_list.txt").read_text().splitlines(keepends=True)
    (source / "train_list.txt").write_text("".join(lines[2:]))
    report = verify_source(source)
    assert report.clean and sorted(report.release["missing"]) == sorted(lost)
    remark = f"{len(lost)} files: missing, but in the LV-MHP v1 release"
    (found,) = (text for text in report.remarks if "missing, but" in text)
    assert found == f"{remark} ({', '.join(sorted(lost)[:3])}, ...; --all lists them)"
    assert report.text(50).count("missing, but") == 1
    assert all(f"\n  {name}: missing, but in the LV-MHP v1 release\n" in report.text() for name in lost)


def test_damage_has_one_finding(source):
    image(source, "0004").write_bytes(image(source, "0004").read_bytes()[:-900])
    report = verify_source(source)
    assert len(report.findings) == 1 and report.release["changed"] == ["images/0004.jpg"]


def test_lists_may_differ_on_purpose(source):
    lines = (source / "train_list.txt").read_text().splitlines(keepends=True)
    (source / "train_list.txt").write_text("".join(lines[:-1]))
    report = verify_source(source)
    assert report.clean and report.release["changed"] == ["train_list.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_cannot_be_read_is_not_called_changed(source):
    (source / "README.txt").chmod(0)
    assert verify_source(source).release["unread"] == ["README.txt"]


def test_a_link_is_not_followed(source, tmp_path):
    shutil.move(source / "README.txt", tmp_path / "README.txt")
    (source / "README.txt").symlink_to(tmp_path / "README.txt")
    assert verify_source(source).release["unread"] == ["README.txt"]
    assert verify_source(source, follow_links=True).release["unread"] == []


def test_another_dataset_in_this_layout_is_one_line(original):
    report = verify_source(original)
    assert report.clean
    lines = [remark for remark in report.remarks if "LV-MHP v1" in remark]
    assert lines == ["not the LV-MHP v1 release: none of its 19,953 files found in this folder"]
    assert report.as_dict()["release"] == {"name": "LV-MHP v1", "files": 19953, "same": 0}


def test_a_dataset_that_was_encoded_again_is_not_damaged(source):
    for folder in ("images", "annotations"):
        for path in (source / folder).iterdir():
            path.write_bytes(path.read_bytes() + b"\0")
    report = verify_source(source)
    assert not [error for error in report.findings if "release" in str(error)]
    assert any(remark.startswith("not the LV-MHP v1 release: 3 of its ") for remark in report.remarks)


def test_layouts_without_a_list_are_not_compared(tmp_path):
    assert set(LISTS) == {"mhp-v1"}
    assert release.compare_with_release(tmp_path, "cihp", {}) is None


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FolderError):
        release.compare_with_release(tmp_path, "mhp-v1", {})


def test_the_script_gives_the_same_list_from_a_table_and_from_a_folder(original, tmp_path):
    table = tmp_path / "files.tsv"
    rows = sorted((path.relative_to(original).as_posix(), path) for path in original.rglob("*") if path.is_file())
    lines = [
        f"LV-MHP-v1/{name}\t{path.stat().st_size}\t{release.hashlib.sha256(path.read_bytes()).hexdigest()}"
        for name, path in rows
    ]
    table.write_text("\n".join(lines) + "\n")
    for flag, given in (("--tsv", table), ("--folder", original)):
        run = [sys.executable, SCRIPT, flag, given, "--out", tmp_path / f"{flag}.gz"]
        subprocess.run(run, check=True, capture_output=True)
    assert (tmp_path / "--tsv.gz").read_bytes() == (tmp_path / "--folder.gz").read_bytes()
