"""Hostile and damaged zip archives: right files are written, nothing else, and nothing outside the folder."""

from __future__ import annotations

import os
import random
import stat
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from released import list_of, tree, zipped

from mhpdata.errors import ArchiveError, MhpError, UnreadableError
from mhpdata.fetching import archive as archives
from mhpdata.fetching.archive import open_archive
from mhpdata.fetching.extract import extract, missing_files

FILES = {
    "train_list.txt": b"0001.jpg\n0002.jpg\n",
    "test_list.txt": b"0003.jpg\n",
    "images/0001.jpg": random.Random(1).randbytes(5000),
    "images/0002.jpg": bytes(30_000),
    "annotations/0001_02_01.png": random.Random(2).randbytes(700),
}


@pytest.fixture
def original(tmp_path):
    folder = tmp_path / "original"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def release(original):
    return list_of(original)


def write(path, entries, method=zipfile.ZIP_DEFLATED):
    """Write entries, pairs (name or ZipInfo, data), as they are."""
    with zipfile.ZipFile(path, "w", method) as target:
        for name, data in entries:
            target.writestr(name, data)
    return path


def good(root="LV-MHP-v1/"):
    return [(root + name, data) for name, data in FILES.items()]


def unpack(path, out, release):
    """Extract what is missing in ``out``; return the errors, and the names that were ignored."""
    with open_archive(path, release) as archive:
        errors = extract(archive, out, release, missing_files(out, release))
        return errors, archive.ignored


@pytest.mark.parametrize("root", ["LV-MHP-v1/", "", "a/b c/", "./", "C:/x/", "images/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_files_are_written_wherever_they_are_in_the_archive(tmp_path, release, root, method):
    errors, ignored = unpack(write(tmp_path / "a.zip", good(root), method), tmp_path / "out", release)
    assert errors == [] and ignored == []
    assert tree(tmp_path / "out") == FILES


def test_a_second_extraction_writes_nothing(tmp_path, original, release):
    path = zipped(original, tmp_path / "a.zip")
    unpack(path, tmp_path / "out", release)
    (tmp_path / "out/images/0001.jpg").unlink()
    before = {name: (tmp_path / "out" / name).stat().st_ino for name in FILES if "0001.jpg" not in name}
    assert missing_files(tmp_path / "out", release) == ["images/0001.jpg"]
    unpack(path, tmp_path / "out", release)
    assert tree(tmp_path / "out") == FILES
    assert before == {name: (tmp_path / "out" / name).stat().st_ino for name in before}


EVIL = ("../evil", "/evil", "LV-MHP-v1/../../evil", "LV-MHP-v1/images/../../../evil", "..\\evil", "C:\\evil", "~/evil")
OTHERS = (
    "__MACOSX/LV-MHP-v1/._train_list.txt",
    "LV-MHP-v1/images/0001.JPG",
    "LV-MHP-v1/IMAGES/0001.jpg",
    "evil\x1b[2J",
)
NAMES = (*EVIL, *OTHERS, "LV-MHP-v1/images/0001.jpg/x", "LV-MHP-v1/Thumbs.db", "LV-MHP-v1//images/0001.jpg")


def test_no_name_in_the_archive_is_a_path(tmp_path, release):
    (tmp_path / "jail").mkdir()
    errors, ignored = unpack(
        write(tmp_path / "a.zip", [*((name, b"evil") for name in NAMES), *good()]), tmp_path / "jail/out", release
    )
    assert errors == [] and sorted(ignored) == sorted(NAMES)
    assert tree(tmp_path / "jail") == {f"out/{name}": data for name, data in FILES.items()}
    assert {path.name for path in tmp_path.iterdir()} == {"jail", "a.zip", "original"}


def test_files_of_the_release_below_a_hostile_folder_are_not_the_release(tmp_path, release):
    for root in ("../", "/", "..\\", "x/../"):
        with pytest.raises(ArchiveError, match="none of its 5 files is one of the release"):
            unpack(write(tmp_path / "a.zip", good(root)), tmp_path / "out", release)
    assert not (tmp_path / "out").exists()


def test_an_entry_may_have_no_name(tmp_path, release):
    """zipfile ends a name at a NUL, so that one which begins with it is empty."""
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**FILES, "12": b"nameless"}.items():
            archive.writestr(name, content)
    before, _, after = path.read_bytes().rpartition(b"12")
    path.write_bytes(before + b"\0x" + after)
    with open_archive(path, release) as archive:
        assert all(archive.has(name) for name in FILES)


def test_a_name_with_a_nul_is_not_its_beginning(tmp_path, release):
    path = write(tmp_path / "a.zip", [*good()[1:], ("LV-MHP-v1/train_list.txtXevil", FILES["train_list.txt"])])
    path.write_bytes(path.read_bytes().replace(b"txtXevil", b"txt\0evil"))
    errors, ignored = unpack(path, tmp_path / "out", release)
    assert len(errors) == 1 and len(ignored) == 1 and not (tmp_path / "out/train_list.txt").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR])
def test_links_and_devices_are_not_made(tmp_path, release, kind):
    info = zipfile.ZipInfo("LV-MHP-v1/images/0001.jpg")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    entries = [(info, b"/etc/passwd"), *(one for one in good() if not one[0].endswith("0001.jpg"))]
    errors, _ = unpack(write(tmp_path / "a.zip", entries), tmp_path / "out", release)
    assert [error.found for error in errors] == ["is a link or a special file"]
    assert tree(tmp_path / "out") == {name: data for name, data in FILES.items() if name != "images/0001.jpg"}


def test_a_name_that_stands_twice_is_ambiguous(tmp_path, release):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = write(tmp_path / "a.zip", [*good(), ("LV-MHP-v1/images/0001.jpg", FILES["images/0001.jpg"])])
    errors, _ = unpack(path, tmp_path / "out", release)
    assert [(error.place, error.found, error.expected) for error in errors] == [
        (f"{path}: images/0001.jpg", "stands 2 times in the archive", "each file once")
    ]
    assert len(tree(tmp_path / "out")) == 4


def test_other_bytes_are_not_written(tmp_path, release):
    other = bytearray(FILES["images/0001.jpg"])
    other[2000] ^= 1
    entries = [(name, bytes(other) if name.endswith("0001.jpg") else data) for name, data in good()]
    entries[1] = ("LV-MHP-v1/test_list.txt", b"longer than the list\n")
    errors, _ = unpack(write(tmp_path / "a.zip", entries), tmp_path / "out", release)
    assert sorted(error.found for error in errors) == [
        "differs from the file of the release",
        f"has 21 bytes instead of {len(FILES['test_list.txt'])}",
    ]
    assert set(tree(tmp_path / "out")) == set(FILES) - {"images/0001.jpg", "test_list.txt"}


def patched(path, name, offset, data, central=True, local=True):
    """Change fields in the headers of an entry; ``offset`` counts from its central header, without the signature."""
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
        directory = archive.start_dir
    at = raw.index(name.encode(), directory) - 46
    assert raw[at : at + 4] == b"PK\x01\x02"
    if central:
        raw[at + offset : at + offset + len(data)] = data
    if local:
        there = info.header_offset + offset - 2
        raw[there : there + len(data)] = data
    path.write_bytes(bytes(raw))
    return path


IMAGE = "LV-MHP-v1/images/0001.jpg"
FLAGS, METHOD, CRC, PACKED, SIZE, START = 8, 10, 16, 20, 24, 42
"""Offsets of the fields in a central header."""


@pytest.mark.parametrize(
    ("field", "data", "found"),
    [
        (FLAGS, b"\x01\x00", "is encrypted"),
        (METHOD, b"\x0e\x00", "has compression method 14, which mhp does not read"),
        (METHOD, b"\x0c\x00", "has compression method 12, which mhp does not read"),
        (METHOD, b"\x63\x00", "has compression method 99, which mhp does not read"),
        (CRC, b"\x01\x02\x03\x04", "is damaged (Bad CRC-32"),
        (SIZE, struct.pack("<I", 1 << 31), "has 2147483648 bytes instead of 5000"),
        (SIZE, struct.pack("<I", 4999), "has 4999 bytes instead of 5000"),
        (PACKED, struct.pack("<I", 9), ("is damaged", "differs")),
        (START, struct.pack("<I", 7), "is damaged"),
        (START, struct.pack("<I", 0xFFFFFFF0), "is damaged"),
    ],
)
def test_headers_that_lie(tmp_path, original, release, field, data, found):
    path = patched(zipped(original, tmp_path / "a.zip"), IMAGE, field, data, local=field < START)
    errors, _ = unpack(path, tmp_path / "out", release)
    texts = {error.place.rpartition(" ")[2]: error.found for error in errors}
    assert texts["images/0001.jpg"].startswith(found)
    assert tree(tmp_path / "out") == {name: data for name, data in FILES.items() if name not in texts}
    assert len(texts) <= 4


def test_a_local_header_of_another_name(tmp_path, original, release):
    path = zipped(original, tmp_path / "a.zip")
    path.write_bytes(path.read_bytes().replace(IMAGE.encode(), b"../../../../../../../evil"[: len(IMAGE)], 1))
    errors, _ = unpack(path, tmp_path / "out", release)
    assert [error.found[:10] for error in errors] == ["is damaged"]


def test_a_bomb_is_read_up_to_the_size_of_the_list(tmp_path, release):
    """One kilobyte of the archive becomes one megabyte; the list says 5,000 bytes, and so does the header."""
    path = write(tmp_path / "a.zip", [(IMAGE, bytes(64 << 20)), *(one for one in good() if one[0] != IMAGE)])
    patched(path, IMAGE, SIZE, struct.pack("<I", 5000))
    tracemalloc.start()
    try:
        errors, _ = unpack(path, tmp_path / "out", release)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(errors) == 1 and peak < 4 << 20
    assert "images/0001.jpg" not in tree(tmp_path / "out")


def test_overlapping_entries_cost_only_themselves(tmp_path, original, release):
    """Two entries share the bytes of one, as in bombs that hold petabytes."""
    path = zipped(original, tmp_path / "a.zip")
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("LV-MHP-v1/images/0002.jpg").header_offset
    patched(path, IMAGE, START, struct.pack("<I", start), local=False)
    errors, _ = unpack(path, tmp_path / "out", release)
    found = tree(tmp_path / "out")
    assert "images/0001.jpg" not in found and len(found) + len(errors) == len(FILES)
    assert all(FILES[name] == data for name, data in found.items())


def test_zip64_is_read(tmp_path, release):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in good():
            with target.open(name, "w", force_zip64=True) as file:
                file.write(data)
    errors, _ = unpack(tmp_path / "a.zip", tmp_path / "out", release)
    assert errors == [] and tree(tmp_path / "out") == FILES


def test_bytes_before_the_archive_are_allowed(tmp_path, original, release):
    path = zipped(original, tmp_path / "a.zip")
    path.write_bytes(b"#!/bin/sh\n" * 50 + path.read_bytes())
    errors, _ = unpack(path, tmp_path / "out", release)
    assert errors == [] and tree(tmp_path / "out") == FILES


def test_a_directory_of_too_many_entries_is_not_loaded(tmp_path, original, release, monkeypatch):
    path = zipped(original, tmp_path / "a.zip")
    monkeypatch.setattr(archives, "MAX_DIRECTORY", 200)
    with pytest.raises(ArchiveError, match=r"a directory of [0-9]+ bytes"):
        unpack(path, tmp_path / "out", release)


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"<html>", b"PK\x03\x04" + bytes(200), b"PK\x05\x06" + bytes(18)])
def test_not_an_archive(tmp_path, release, data):
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ArchiveError, match=r"a\.zip: (is not a complete zip archive|has no files; expected LV-MHP-v1)"):
        unpack(tmp_path / "a.zip", tmp_path / "out", release)
    assert not (tmp_path / "out").exists()


def test_paths_that_are_no_files(tmp_path, release):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none.zip", tmp_path, tmp_path / "pipe"):
        with pytest.raises(UnreadableError, match=str(path)):
            unpack(path, tmp_path / "out", release)


def test_damaged_anywhere(tmp_path, original, release):
    """Random bytes, cuts and repeats: right files, errors of ours, or both; nothing outside, and little memory."""
    path = zipped(original, tmp_path / "a.zip")
    whole = path.read_bytes()
    (tmp_path / "jail").mkdir()
    for seed in range(250):
        chance = random.Random(seed)
        raw = bytearray(whole)
        for _ in range(chance.choice((1, 1, 3, 20))):
            at = chance.randrange(len(raw)) if seed % 2 else chance.randrange(len(raw) - 500, len(raw))
            if chance.random() < 0.8:
                raw[at] = chance.choice((0, 255, raw[at] ^ (1 << chance.randrange(8))))
            else:
                del raw[at : at + chance.randrange(1, 40)]
        path.write_bytes(bytes(raw))
        out = tmp_path / "jail" / str(seed)
        try:
            errors, _ = unpack(path, out, release)
        except MhpError:
            assert not out.exists()
            continue
        found = tree(out)
        assert all(FILES[name] == data for name, data in found.items())
        assert len(found) + len(errors) == len(FILES)
    assert {path.name for path in tmp_path.iterdir()} == {"jail", "a.zip", "original"}


def test_the_stream_ends_early(tmp_path, release):
    """The compressed data is a valid stream of fewer bytes than the header says."""
    path = write(tmp_path / "a.zip", good())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("LV-MHP-v1/images/0002.jpg")
    short = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = short.compress(bytes(100)) + short.flush()
    raw = bytearray(path.read_bytes())
    at = info.header_offset + 30 + len(info.filename)
    raw[at : at + len(data)] = data
    path.write_bytes(bytes(raw))
    errors, _ = unpack(path, tmp_path / "out", release)
    assert len(errors) == 1 and len(tree(tmp_path / "out")) == 4
