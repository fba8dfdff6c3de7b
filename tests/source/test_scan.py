"""The layout mhp-v1: lists and files become entries in order; faults become problems or remarks."""

from __future__ import annotations

import os
import shutil

import pytest
from folder import write_folder, write_list

from mhpdata.errors import FolderError, OptionError
from mhpdata.source import scan as layouts


@pytest.fixture
def copy(source, tmp_path):
    """Copy the tiny download, for changes."""
    return shutil.copytree(source, tmp_path / "copy")


def names(listing):
    return {split: [entry.name for entry in entries] for split, entries in listing.entries.items()}


def problems(listing):
    return [(problem.split, problem.name, str(problem.error)) for problem in listing.problems]


@pytest.mark.parametrize("layout", ["auto", "mhp-v1"])
def test_the_tiny_folder(source, layout):
    listing = layouts.scan(source, layout)
    assert (listing.layout, len(listing.labels), listing.problems, listing.remarks) == ("mhp-v1", 19, [], [])
    assert names(listing) == {
        "train": ["0001", "0002", "0003", "0004", "0005"],
        "val": ["0006"],
        "test": ["0007", "0008"],
    }
    entry = listing.entries["train"][1]
    assert (entry.split, entry.image.path) == ("train", "images/0002.jpg")
    assert [mask.path for mask in entry.masks] == [f"annotations/0002_03_{i:02d}.png" for i in (1, 2, 3)]
    assert [file.path for file in entry.files] == [entry.image.path, *(mask.path for mask in entry.masks)]


@pytest.mark.parametrize(("listed", "val"), [(1, 0), (3, 0), (4, 1), (5, 1), (7, 1), (8, 2)])
def test_val_is_the_last_quarter_rounded_down(listed, val, copy):
    write_list(copy / "test_list.txt", [])
    write_list(copy / "train_list.txt", [f"{i:04d}" for i in range(1, listed + 1)])
    found = names(layouts.scan(copy))
    assert (len(found["train"]), len(found["val"])) == (listed - val, val)
    assert found["train"] + found["val"] == [f"{i:04d}" for i in range(1, listed + 1)]


@pytest.mark.parametrize("layout", ["auto"])
def test_a_packed_folder_is_no_download(layout, tmp_path):
    for name in ("manifest.json", "build.json", "train-00000.rec"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(FolderError, match=r"is a packed folder; expected a download\. Check it with mhp verify SRC"):
        layouts.scan(tmp_path, layout)


def test_a_val_list_is_obeyed_and_leaves_train(copy):
    write_list(copy / "val_list.txt", ["0003", "0001"])
    found = names(layouts.scan(copy))
    assert found == {"train": ["0002", "0004", "0005", "0006"], "val": ["0003", "0001"], "test": ["0007", "0008"]}


def test_the_lists_order_not_the_directorys(copy):
    write_list(copy / "train_list.txt", ["0005", "0001", "0004"])
    assert names(layouts.scan(copy))["train"] == ["0005", "0001", "0004"]


def test_ids_are_never_matched_by_prefix(tmp_path):
    """1, 10, 100 and 0001, 00010 are five images; their persons do not mix."""
    root = write_folder(tmp_path / "root", images=5)
    ids = ["1", "10", "100", "0001", "00010"]
    for old, new in zip(["0004", "0005", "0003", "0001", "0002"], ids, strict=True):
        (root / "images" / f"{old}.jpg").rename(root / "images" / f"{new}.jpg.new")
        for path in (root / "annotations").glob(f"{old}_*.png"):
            path.rename(path.with_name(path.name.replace(old, new, 1) + ".new"))
    for path in root.glob("*/*.new"):
        path.rename(path.with_suffix(""))
    write_list(root / "train_list.txt", ids)
    write_list(root / "test_list.txt", [])
    listing = layouts.scan(root)
    assert (listing.problems, listing.remarks) == ([], [])
    entries = [*listing.entries["train"], *listing.entries["val"]]
    assert [(entry.name, len(entry.masks)) for entry in entries] == list(zip(ids, [3, 2, 2, 2, 3], strict=True))
    for entry in entries:
        assert {file.path.split("/")[1].split("_")[0].removesuffix(".jpg") for file in entry.files} == {entry.name}


def test_persons_go_by_number_not_by_directory_order(copy):
    for i in range(1, 12):
        (copy / "annotations" / f"0001_11_{i:02d}.png").write_bytes(b"")
    for path in copy.glob("annotations/0001_02_*.png"):
        path.unlink()
    entry = layouts.scan(copy).entries["train"][0]
    assert [mask.path[-6:-4] for mask in entry.masks] == [f"{i:02d}" for i in range(1, 12)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("../../etc/passwd", "'../../etc/passwd' leads out of the dataset; expected an image name such as 0001.jpg"),
        ("/etc/passwd", "leads out of the dataset; expected an image name"),
        ("../0001.jpg", "leads out of the dataset; expected an image name"),
        ("0001.tif", "expected an image name"),
        ("0001 .jpg", "expected an image name"),
        ("masks/0001.jpg", "expected an image name"),
        ("/data/images/0001.jpg", "expected an image name"),
        ("images/../0001.jpg", "'images/../0001.jpg'; expected an image name"),
        ("0001.jpg ", "lists 0001.jpg, as line 1 does; expected each image once"),
        ("images/0001.jpg", "lists 0001.jpg, as line 1 does; expected each image once"),
        ("\u0661.jpg", "expected an image name"),
        ("0001.jpg", "lists 0001.jpg, as line 1 does; expected each image once"),
        ("0007.jpg", "lists 0007.jpg, as test_list.txt line 1 does; expected each image once"),
    ],
)
def test_a_wrong_line_is_a_problem_of_every_split(line, found, copy):
    with (copy / "train_list.txt").open("a") as file:
        file.write(line + "\n")
    listing = layouts.scan(copy)
    assert [name for split in listing.entries for name in names(listing)[split]] == [f"{i:04d}" for i in range(1, 9)]
    ((split, _, text),) = problems(listing)
    assert split == "" and text.startswith("train_list.txt line 7: ") and found in text


def test_lists_that_are_no_text_or_converted_or_missing(copy):
    path = copy / "train_list.txt"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"\n", b"\r\n"))
    listing = layouts.scan(copy)
    assert len(listing.entries["train"]) == 5 and "Windows line endings (CRLF); expected LF" in problems(listing)[0][2]
    path.write_bytes(b"\xef\xbb\xbf" + whole.rstrip(b"\n"))  # a byte-order mark, and no last newline
    assert len(layouts.scan(copy).entries["train"]) == 5
    path.write_bytes(b"\xff" + whole)
    with pytest.raises(FolderError, match=r"train_list\.txt: is not text"):
        layouts.scan(copy)
    path.unlink()
    assert problems(layouts.scan(copy))[0][2].startswith("train_list.txt: missing")
    path.symlink_to("/etc/passwd")
    with pytest.raises(
        FolderError,
        match=r"train_list\.txt: is a link to /etc/passwd, outside --src; expected a text file\. Replace it",
    ):
        layouts.scan(copy)


def test_defects_of_one_image_leave_the_others(copy):
    (copy / "images/0001.jpg").unlink()
    (copy / "annotations/0002_03_02.png").unlink()
    (copy / "annotations/0003_02_03.png").write_bytes(b"")
    (copy / "annotations/0004_02_01.png").write_bytes(b"")
    for path in copy.glob("annotations/0005_*"):
        path.unlink()
    (copy / "images/0006.jpg").unlink()
    (copy / "images/0006.jpg").symlink_to("/etc/passwd")
    (copy / "annotations/0007_02_01.png").unlink()
    os.mkfifo(copy / "annotations/0007_02_01.png")
    listing = layouts.scan(copy)
    assert names(listing) == {"train": [], "val": [], "test": ["0008"]}
    assert [(split, name) for split, name, _ in problems(listing)] == [
        *(("train", f"{i:04d}") for i in range(1, 6)), ("val", "0006"), ("test", "0007"),
    ]  # fmt: skip
    for (_, _, text), found in zip(
        problems(listing),
        [
            "images/0001.jpg: missing",
            "0002_03_02.png is missing; expected 3 masks for image 0002, found only persons 1 and 3. Extract",
            "image 0003 has a mask for person 3 (0003_02_03.png); expected persons 1 and 2. Delete this",
            "masks of image 0004 declare 2 and 3 persons (0004_02_01.png and 0004_03_01.png); expected one",
            "image 0005 has no masks",
            "images/0006.jpg: is a link to /etc/passwd, outside --src; expected a regular file. Replace it",
            "annotations/0007_02_01.png: is neither a file nor a folder",
        ],
        strict=True,
    ):
        assert found in text


def test_files_that_belong_to_no_entry_are_remarked(copy):
    (copy / "annotations/0009_01_01.png").write_bytes(b"")
    (copy / "annotations/Thumbs.db").write_bytes(b"")
    (copy / "images/0009.jpg").write_bytes(b"")
    listing = layouts.scan(copy)
    assert listing.problems == []
    assert [remark.split(":")[0] for remark in listing.remarks] == [
        "annotations/Thumbs.db",
        "annotations",
        "images/0009.jpg",
    ]


def test_no_folder_of_a_known_layout(tmp_path, source):
    with pytest.raises(FolderError, match="no known dataset layout"):
        layouts.scan(tmp_path)
    with pytest.raises(FolderError, match="no such folder"):
        layouts.scan(tmp_path / "missing")
    with pytest.raises(FolderError, match="images: no such folder"):
        layouts.scan(tmp_path, "mhp-v1")
    with pytest.raises(OptionError, match=r"layout: .*expected auto, mhp-v1, mhp-v2, cihp, lip, ccihp or folder"):
        layouts.scan(source, "mhp-v9")
