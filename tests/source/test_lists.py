"""Excessive lists are rejected early; hostile names are treated as text, never as paths."""

from __future__ import annotations

import shutil

import pytest
from allocation import at_most
from folder import write_folder
from releases import IDS, write_cihp, write_v2

import mhpdata
from mhpdata.errors import FolderError
from mhpdata.source import scan as layouts
from mhpdata.source.lists import MAX_BYTES, MAX_WRONG


@pytest.fixture
def copy(source, tmp_path):
    return shutil.copytree(source, tmp_path / "copy")


@pytest.mark.parametrize("lines", [10_000_000, 1 << 33])
def test_a_list_of_ten_million_lines_is_refused_unread(lines, copy):
    with (copy / "train_list.txt").open("r+b") as file:
        file.truncate(9 * lines)
    with at_most(1 << 20), pytest.raises(FolderError, match=rf"train_list\.txt: .* at most {MAX_BYTES}"):
        layouts.scan(copy)


@pytest.mark.parametrize("line", ["x", "0001.jpg", "../0001.jpg", "\u0661.jpg"])
def test_a_list_of_wrong_lines_is_no_list(line, copy):
    path = copy / "test_list.txt"
    whole = path.read_text()
    path.write_text(whole + f"{line}\n" * MAX_WRONG)
    assert len(layouts.scan(copy).problems) == MAX_WRONG
    path.write_text(whole + f"{line}\n" * MAX_WRONG + "0009.jpg\n")
    assert len(layouts.scan(copy).problems) == MAX_WRONG + 1, "the last line is valid, but its image is missing"
    path.write_bytes((whole + f"{line}\n" * MAX_WRONG).replace("\n", "\r\n").encode())
    assert len(layouts.scan(copy).problems) == MAX_WRONG + 1, "line ends are none of the lines"
    path.write_text(whole + f"{line}\n" * 300_000)
    with at_most(64 << 20), pytest.raises(FolderError, match=f"{MAX_WRONG} lines before it are also invalid"):
        layouts.scan(copy)


@pytest.mark.parametrize(
    ("write", "place", "example"),
    [
        (write_folder, "test_list.txt", "an image name such as 0001.jpg"),
        (lambda root: write_v2(root, IDS), "list/train.txt", "an id such as 10"),
        (lambda root: write_cihp(root, IDS), "Training/train_id.txt", "an id such as 0000006"),
    ],
    ids=["mhp-v1", "mhp-v2", "cihp"],
)
def test_a_list_that_is_not_text_says_what_its_lines_are(write, place, example, tmp_path):
    root = write(tmp_path / "source")
    (root / place).write_bytes(b"\xff\xfe")
    with pytest.raises(FolderError, match=rf"{place}: is not text; expected {example} on each line\. Extract"):
        mhpdata.pack(root, tmp_path / "rec")


def test_names_of_any_bytes_are_names(copy):
    for name in (b"0001\n.jpg", b"\xff\xfe.jpg", b"..\\0001.jpg", b"0001.jpg\x1b[2J", b"-rf"):
        for folder in ("images", "annotations"):
            (copy / folder / name.decode("utf-8", "surrogateescape")).write_bytes(b"")
    listing = layouts.scan(copy)
    assert sum(map(len, listing.entries.values())) == 8 and not listing.problems
    assert len(listing.remarks) == 10
