"""Files appear under their name only when complete; names of unfinished files."""

import os
from pathlib import Path

import pytest

from mhpdata.errors import OutputError
from mhpdata.filesystem.atomic import parse_part, part_of, replacing, sync_folder, write_atomically


def test_written_whole_and_nothing_left_beside_it(tmp_path):
    path = tmp_path / "manifest.json"
    for data in ("a\nlonger text, Ü\n", b"other\r\n"):
        write_atomically(path, data)
        assert path.read_bytes() == (data.encode() if isinstance(data, str) else data)
        assert [p.name for p in tmp_path.iterdir()] == ["manifest.json"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "manifest.json"
    write_atomically(path, "before")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "after")
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("sync", [False, True])
def test_a_file_is_synced_before_its_name_and_the_folder_after_it(tmp_path, monkeypatch, sync):
    path, events, synced, renamed = tmp_path / "a.json", [], os.fsync, os.replace

    def sync_one(descriptor):
        events.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        synced(descriptor)

    def rename(source, target, **options):
        events.append("renamed")
        renamed(source, target, **options)

    monkeypatch.setattr(os, "fsync", sync_one)
    monkeypatch.setattr(os, "replace", rename)
    monkeypatch.setattr(Path, "replace", lambda path, target: rename(path, target))  # Python 3.10 keeps os.replace
    write_atomically(path, "text", sync=sync)
    assert events == ([str(part_of(path)), "renamed", str(tmp_path)] if sync else ["renamed"])


def test_what_a_kill_left_is_replaced_and_a_link_is_not(tmp_path):
    path = tmp_path / "a.json"
    part_of(path).write_text("half")
    write_atomically(path, "whole")
    assert path.read_text() == "whole" and not part_of(path).exists()
    mine = tmp_path / "mine"
    mine.write_text("mine")
    part_of(path).symlink_to(mine)
    with pytest.raises(OutputError, match="is a link"):
        write_atomically(path, "again")
    assert part_of(path).is_symlink() and mine.read_text() == "mine"
    part_of(path).unlink()
    path.unlink()
    path.symlink_to(mine)
    with pytest.raises(OutputError, match="is a link"):
        write_atomically(path, "again")
    assert mine.read_text() == "mine"


def test_a_block_that_raises_removes_its_part_only(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["weights.pt"]


def test_several_writers_have_a_part_each(tmp_path):
    path = tmp_path / "0001.png"
    with replacing(path, shared=True) as first, replacing(path, shared=True) as second:
        assert first != second and part_of(path) not in (first, second)
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["0001.png"]


@pytest.mark.parametrize("name", ["manifest.json", "0001.png", ".hidden", "epoch_0001", "a.part", "a\nb", "ü.jpg"])
def test_a_part_tells_the_name_of_its_file(tmp_path, name):
    assert parse_part(part_of(tmp_path / name).name) == (name, "")
    kept, owner = parse_part(part_of(tmp_path / name, shared=True).name)
    assert kept == name and len(owner) == 32


def test_a_long_name_has_a_part_of_a_name_that_a_disk_takes(tmp_path):
    path = tmp_path / ("é" * 122 + "long.jpg")
    for shared in (False, True):
        with replacing(path, shared=shared) as part:
            part.write_text("x")
            name, _ = parse_part(part.name)
            assert len(name) == 64
    assert path.read_text() == "x"


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        (".part-epoch_0001.params", ("epoch_0001.params", "")),  # 0.1's
        (".0001.png.4711.part", ("0001.png", "4711")),
        (".manifest.json.part", ("manifest.json", "")),
        ("train-00000.part", None),
        ("0001.jpg.part", None),
        ("..part", None),
        (".part", None),
        ("epoch_0001.params", None),
    ],
)
def test_names_of_the_version_before_and_of_others(name, parsed):
    assert parse_part(name) == parsed


def test_a_folder_that_cannot_be_opened_cannot_be_synced(tmp_path):
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "nowhere")
