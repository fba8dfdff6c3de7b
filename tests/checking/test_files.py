"""Damaged bytes of a file are located by its blocks; one block can be checked without reading the rest."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mhpdata.checking.files import check_file, damaged_ranges
from mhpdata.storage.digests import BLOCK
from mhpdata.storage.packed import ShardFile
from mhpdata.storage.shards.file import hash_file

SIZE = 5 * BLOCK + 1000


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a file of five blocks and a partial one."""
    path = tmp_path_factory.mktemp("whole") / "train-00000.rec"
    path.write_bytes(np.random.default_rng(0).bytes(SIZE))
    return path


def described(path, version=2):
    found = hash_file(path)
    blocks = {"blocks": found.blocks} if version == 2 else {}
    return ShardFile(path.name, found.size, found.sha256, **blocks)


def spoil(path, *places):
    data = bytearray(path.read_bytes())
    for place in places:
        data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("places", "ranges"),
    [
        ([0], [(0, BLOCK - 1)]),
        ([BLOCK - 1, BLOCK], [(0, 2 * BLOCK - 1)]),
        ([2 * BLOCK + 5, SIZE - 1], [(2 * BLOCK, 3 * BLOCK - 1), (5 * BLOCK, SIZE - 1)]),
        (list(range(0, SIZE, BLOCK)), [(0, SIZE - 1)]),
    ],
)
def test_the_damaged_blocks_are_named(whole, tmp_path, places, ranges):
    file, copy = described(whole), tmp_path / whole.name
    copy.write_bytes(whole.read_bytes())
    assert check_file(tmp_path, file) is None
    spoil(copy, *places)
    assert damaged_ranges(file, hash_file(copy)) == ranges
    error = check_file(tmp_path, file)
    assert error is not None
    named = ", ".join(f"{first} to {last}" for first, last in ranges)
    assert error.found == f"its bytes are not those that were written (SHA-256 of bytes {named})"
    data = copy.read_bytes()
    for number, block in enumerate(file.blocks):
        right = hashlib.sha256(data[number * BLOCK : (number + 1) * BLOCK]).hexdigest() == block
        assert right != any(first <= number * BLOCK <= last for first, last in ranges)


def test_of_many_ranges_the_first_are_named(tmp_path):
    path = tmp_path / "train-00000.rec"
    path.write_bytes(bytes(9 * BLOCK + 1))
    file = described(path)
    spoil(path, *range(0, 9 * BLOCK + 1, 2 * BLOCK))
    error = check_file(tmp_path, file)
    assert error is not None and error.found.endswith(f", {6 * BLOCK} to {7 * BLOCK - 1} and 1 other range)")


def test_a_file_of_version_1_has_no_blocks(whole, tmp_path):
    file, copy = described(whole, version=1), tmp_path / whole.name
    copy.write_bytes(whole.read_bytes())
    assert check_file(tmp_path, file) is None
    spoil(copy, 7)
    error = check_file(tmp_path, file)
    assert error is not None and error.found == "its bytes are not those that were written (SHA-256)"


def test_a_file_whose_length_changes_while_it_is_read_is_damaged(whole, tmp_path, monkeypatch):
    file, copy = described(whole), tmp_path / whole.name
    copy.write_bytes(whole.read_bytes())
    half = tmp_path / "half"
    half.write_bytes(whole.read_bytes()[: SIZE // 2])
    monkeypatch.setattr("mhpdata.checking.files.hash_file", lambda path: hash_file(half))
    error = check_file(tmp_path, file)
    assert error is not None and error.found == f"has {SIZE // 2} bytes now"
