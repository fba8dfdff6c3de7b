"""Extraction into a folder: what is there already, what is in the way, and what a killed command leaves."""

from __future__ import annotations

import os
import re

import pytest
from released import list_of, tree, zipped

from mhpdata.errors import OutputError
from mhpdata.fetching import extract as extracting
from mhpdata.fetching.archive import open_archive
from mhpdata.fetching.extract import extract, missing_files

FILES = {"README.txt": b"read me\n", "images/0001.jpg": bytes(range(256)) * 9, "annotations/0001_01_01.png": b"png"}


@pytest.fixture
def original(tmp_path):
    for name, data in FILES.items():
        path = tmp_path / "original" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "original"


@pytest.fixture
def release(original):
    return list_of(original)


@pytest.fixture
def unpack(original, release, tmp_path):
    path = zipped(original, tmp_path / "a.zip")

    def run(out):
        with open_archive(path, release) as archive:
            return extract(archive, out, release, missing_files(out, release))

    return run


def test_a_folder_that_does_not_exist_misses_everything(tmp_path, release):
    assert missing_files(tmp_path / "none", release) == list(release)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("data", [b"", b"mine, and longer", b"Read me\n"])
def test_a_file_with_other_bytes_is_never_replaced(tmp_path, unpack, data):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/README.txt").write_bytes(data)
    with pytest.raises(
        OutputError, match=r"out/README\.txt: differs from the file of the release; mhp does not replace"
    ):
        unpack(tmp_path / "out")
    assert tree(tmp_path / "out") == {"README.txt": data}


@pytest.mark.parametrize("place", ["README.txt", "images", "images/0001.jpg"])
@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "other"])
def test_links_and_other_types_are_in_the_way(tmp_path, original, unpack, place, kind):
    path = tmp_path / "out" / place
    path.parent.mkdir(parents=True)
    if kind == "link":
        path.symlink_to(original / place)
    elif kind == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    elif kind == "fifo":
        os.mkfifo(path)
    elif place == "images":
        path.write_bytes(b"a file")
    else:
        path.mkdir()
    with pytest.raises(OutputError, match=re.escape(str(path))):
        unpack(tmp_path / "out")
    assert not (tmp_path / "nowhere").exists() and tree(original) == FILES


def test_files_of_others_stay(tmp_path, unpack):
    (tmp_path / "out/images").mkdir(parents=True)
    for name in ("notes.txt", "images/mine.jpg", "images/.0001.jpg.mine"):
        (tmp_path / "out" / name).write_bytes(b"mine")
    assert unpack(tmp_path / "out") == []
    mine = dict.fromkeys(("notes.txt", "images/mine.jpg", "images/.0001.jpg.mine"), b"mine")
    assert tree(tmp_path / "out") == {**FILES, **mine}


def test_a_link_to_the_folder_is_the_user_s_own(tmp_path, unpack):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    assert unpack(tmp_path / "out") == [] and tree(tmp_path / "disk") == FILES


def test_an_interrupt_leaves_whole_files_only(tmp_path, unpack, monkeypatch):
    before, written = extracting.write_atomically, []

    def interrupted(path, data, sync):
        if written:
            path.with_name(f".{path.name}.part").write_bytes(data[:1])  # as a kill would leave it
            raise KeyboardInterrupt
        written.append(path)
        before(path, data, sync)

    monkeypatch.setattr(extracting, "write_atomically", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack(tmp_path / "out")
    monkeypatch.undo()
    assert len(missing_files(tmp_path / "out", list_of(tmp_path / "original"))) == 2
    assert unpack(tmp_path / "out") == [] and tree(tmp_path / "out") == FILES


def test_a_full_disk(tmp_path, unpack, monkeypatch):
    def full(path, data, sync):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(extracting, "write_atomically", full)
    with pytest.raises(OutputError, match=r"No space left on device.*Free space"):
        unpack(tmp_path / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_must_not_be_written(tmp_path, unpack):
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        unpack(tmp_path / "out")
