"""The files that an ONNX file's tensors name: only plain files of the same folder, whatever the messages say."""

from __future__ import annotations

import os

import pytest

from mhpdata.errors import CheckpointError
from mhpmodels.files.onnx_external import read_external


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def entry(key, value):
    return field(1, key.encode()) + field(2, value.encode())


def tensor(location):
    return field(13, entry("location", location)) + field(13, entry("offset", "0")) + varint(14 << 3) + varint(1)


WAYS = {
    "initializer": (7, 5),
    "constant": (7, 1, 5, 5),
    "branch of an if": (7, 1, 5, 6, 5),
    "sparse": (7, 15, 1),
    "list": (7, 1, 5, 10),
    "function": (25, 7, 5, 5),
    "default of a function": (25, 11, 5),
    "training": (20, 1, 5),
    "sparse list": (7, 1, 5, 23, 2),
}


def model(location, way="initializer"):
    content = tensor(location)
    for number in reversed(WAYS[way]):
        content = field(99, b"name") + field(number, content)
    return varint(1 << 3) + varint(8) + content


@pytest.fixture
def path(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.bin").write_bytes(b"weights")
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path / "in/a.onnx"


@pytest.mark.parametrize("way", WAYS)
def test_files_are_found_wherever_a_tensor_lies(path, way):
    assert read_external(model("a.bin", way), path, 100) == {"a.bin": b"weights"}


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "x/../../secret", "..", "", ".", "a\0b", "..\\secret"])
@pytest.mark.parametrize("way", ["initializer", "branch of an if"])
def test_a_path_is_refused(path, name, way):
    with pytest.raises(CheckpointError, match="expected a file name, in the same folder") as caught:
        read_external(model(name, way), path, 100)
    assert "onnx.save" in caught.value.remedy


def test_a_link_out_of_the_folder_is_refused(path):
    (path.parent / "link.bin").symlink_to(path.parent.parent / "secret")
    with pytest.raises(CheckpointError, match="a link to another folder") as caught:
        read_external(model("link.bin"), path, 100)
    assert "cp -rL" in caught.value.remedy
    (path.parent / "good.bin").symlink_to("a.bin")
    assert read_external(model("good.bin"), path, 100) == {"good.bin": b"weights"}


def test_what_is_missing_too_large_or_no_file_is_refused(path):
    os.mkfifo(path.parent / "fifo")
    for name, limit in (("gone.bin", 100), ("a.bin", 6), ("fifo", 100)):
        with pytest.raises(CheckpointError, match=name):
            read_external(model(name), path, limit)


def test_damaged_messages_are_refused(path):
    whole = model("a.bin", "branch of an if")
    for content in (whole[:-1], whole[:8], b"\x0b", b"\x80" * 20, field(7, b"\x2a\x05a"), b"\x09abc"):
        with pytest.raises(CheckpointError, match="is not an ONNX file"):
            read_external(content, path, 100)
    deep = b""
    for _ in range(200):
        deep = field(1, field(5, field(6, deep)))
    with pytest.raises(CheckpointError, match="nested too deeply"):
        read_external(field(7, deep), path, 100)
    assert read_external(b"", path, 100) == {}


@pytest.mark.parametrize("tag", [b"\xea\x80\x80\x80\x10", b"\xea\x80\x80\x80\x80\x01", b"\x02"])
def test_a_tag_that_onnxruntime_would_shorten_is_refused(path, tag):
    entry = field(1, b"location") + field(2, b"../secret")
    tensor = tag + bytes([len(entry)]) + entry
    with pytest.raises(CheckpointError, match="a field without a valid number"):
        read_external(field(7, field(5, tensor)), path, 100)
    overlong = b"\xea\x80\x80\x80\x00" + bytes([len(entry)]) + entry  # field 13 for all readers
    with pytest.raises(CheckpointError, match="expected a file name"):
        read_external(field(7, field(5, overlong)), path, 100)
