"""The download: only regular files in it are read, while they are what the scan found; LV-MHP v1 goes by its lists."""

from __future__ import annotations

import errno
import os
import shutil
import socket

import pytest
from folder import write_folder, write_list

from mhpdata.errors import FolderError, OptionError, SourceChangedError, UnreadableError
from mhpdata.source import files as module
from mhpdata.source import scan as layouts
from mhpdata.source.files import Refused, SourceFile, read_file, scan_folder


@pytest.fixture
def root(tmp_path):
    """A folder with one file, in a folder with one more."""
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").write_bytes(b"content")
    return tmp_path / "root"


def test_scan_and_read(root):
    (root / "sub").mkdir()
    (root / "sub" / "inner").write_bytes(b"")
    found = scan_folder(root)
    state = (root / "file").stat()
    assert found == {"file": SourceFile("file", 7, state.st_mtime_ns, state.st_dev, state.st_ino, "./file")}
    assert read_file(root, found["file"]) == b"content"
    assert read_file(root, scan_folder(root, "sub")["inner"]) == b""
    assert scan_folder(root, "sub")["inner"].path == "sub/inner"


def fifo(path):
    os.mkfifo(path)


def device(path):
    try:
        os.mknod(path, 0o020600, os.makedev(1, 5))  # /dev/zero, which never ends
    except OSError:
        pytest.skip("only root may make a device file")


def unix_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))  # a socket's path is at most 107 bytes


def link_out(path):
    path.symlink_to("../outside")


def absolute_link_out(path):
    path.symlink_to("/etc/passwd")


def link_through_a_link(path):
    (path.parent / "way").symlink_to("..")
    path.symlink_to("way/outside")


def link_to_a_folder_outside(path):
    path.symlink_to("..")


def link_to_nothing(path):
    path.symlink_to("nothing")


def link_to_itself(path):
    path.symlink_to(path.name)


def link_to_a_device(path):
    path.symlink_to("/dev/zero")


REFUSED = [
    fifo, device, unix_socket, link_out, absolute_link_out, link_through_a_link, link_to_a_folder_outside,
    link_to_nothing, link_to_itself, link_to_a_device,
]  # fmt: skip


@pytest.mark.parametrize("make", REFUSED)
def test_what_must_not_be_read_is_refused(make, root, monkeypatch):
    monkeypatch.chdir(root)
    make(root / "odd")
    found = scan_folder(root)
    assert isinstance(found["odd"], Refused) and found["odd"].reason
    assert found["odd"].path == "odd"
    assert isinstance(found["file"], SourceFile)  # the rest is as before


def test_a_link_within_the_folder_is_a_file(root):
    (root / "alias").symlink_to("file")
    found = scan_folder(root)
    assert read_file(root, found["alias"]) == b"content"


def test_the_folder_itself_may_be_a_link(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    assert read_file(tmp_path / "link", scan_folder(tmp_path / "link")["file"]) == b"content"


def test_folders_that_cannot_be_scanned(root):
    (root / "out").symlink_to("..")
    (root / "loop").symlink_to("loop")
    for folder in ("missing", "file", "out", "../", "loop"):
        with pytest.raises(FolderError) as caught:
            scan_folder(root, folder)
        assert caught.value.place == folder and caught.value.remedy
    with pytest.raises(FolderError, match=r"^\.: folder not found"):
        scan_folder(root / "missing")


def grow(path):
    path.write_bytes(b"content, and more")


def shrink(path):
    path.write_bytes(b"cont")


def touch(path):
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def change_in_secret(change):
    """The change, with the file's time set back."""

    def changed(path):
        before = path.stat().st_mtime_ns
        change(path)
        os.utime(path, ns=(0, before))

    changed.__name__ = change.__name__ + "_in_secret"
    return changed


def replace_by_a_twin(path):
    """Another file of the same size and time."""
    before = path.stat()
    path.with_name("twin").write_bytes(b"CONTENT")
    os.utime(path.with_name("twin"), ns=(before.st_atime_ns, before.st_mtime_ns))
    path.with_name("twin").rename(path)


def replace_by_a_link(path):
    """A link out of the source, to a file of the same size and time."""
    before = path.stat()
    outside = path.parent.parent / "outside"
    outside.write_bytes(b"secrets")
    os.utime(outside, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.unlink()
    path.symlink_to(outside)


def replace_by_a_link_to_itself(path):
    """A link to the very file, which now lies elsewhere."""
    path.rename(path.parent.parent / "moved")
    path.symlink_to(path.parent.parent / "moved")


def replace_by_a_fifo(path):
    path.unlink()
    os.mkfifo(path)  # opening it must not wait for a writer


def replace_by_a_folder(path):
    path.unlink()
    path.mkdir()


CHANGES = [
    os.unlink, grow, shrink, touch, change_in_secret(grow), change_in_secret(shrink), replace_by_a_fifo,
    replace_by_a_twin, replace_by_a_link, replace_by_a_link_to_itself,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_after_the_scan(change, root):
    file = scan_folder(root)["file"]
    change(root / "file")
    with pytest.raises(SourceChangedError) as caught:
        read_file(root, file)
    assert caught.value.place == "file" and "after the command began" in caught.value.found and caught.value.remedy


@pytest.mark.parametrize("change", [replace_by_a_twin, grow, os.unlink, replace_by_a_fifo])
def test_what_a_followed_link_leads_to_must_be_the_file_that_was_found(change, root):
    (root / "link").symlink_to("../outside")
    file = scan_folder(root, follow_links=True)["link"]
    assert read_file(root, file) == b"secret"
    change(root.parent / "outside")
    with pytest.raises(SourceChangedError):
        read_file(root, file)


def test_no_folder_on_the_way_may_become_a_link(root):
    """Of the same file: size, time, device and inode are those that were found, the way is not."""
    (root / "sub").mkdir()
    (root / "sub" / "inner").write_bytes(b"content")
    file = scan_folder(root, "sub")["inner"]
    (root / "sub").rename(root.parent / "moved")
    (root / "sub").symlink_to("../moved")
    with pytest.raises(SourceChangedError, match="it or its folder was replaced by a link after the"):
        read_file(root, file)


def test_a_link_within_the_folder_is_read_where_it_led_when_it_was_found(root):
    (root / "other").write_bytes(b"another")
    (root / "alias").symlink_to("file")
    file = scan_folder(root)["alias"]
    (root / "alias").unlink()
    (root / "alias").symlink_to("../outside")
    assert read_file(root, file) == b"content"


def test_a_folder_in_the_files_place(root):
    file = scan_folder(root)["file"]
    replace_by_a_folder(root / "file")
    with pytest.raises((SourceChangedError, UnreadableError)):
        read_file(root, file)


def test_a_huge_file_is_not_read(root):
    with (root / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FolderError, match=f"huge: has {1 << 40} bytes; expected at most {module.MAX_FILE_BYTES}"):
        read_file(root, scan_folder(root)["huge"])


# The layout mhp-v1


@pytest.fixture
def copy(source, tmp_path):
    """The tiny download, to be changed."""
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
        ("../../etc/passwd", "'../../etc/passwd'; expected an image name such as 0001.jpg"),
        ("/etc/passwd", "expected an image name"),
        ("../0001.jpg", "expected an image name"),
        ("0001.tif", "expected an image name"),
        ("0001 .jpg", "expected an image name"),
        ("masks/0001.jpg", "expected an image name"),
        ("/data/images/0001.jpg", "expected an image name"),
        ("images/../0001.jpg", "expected an image name"),
        ("0001.jpg ", "0001.jpg again; expected one mention (train_list.txt line 1 has it)"),
        ("images/0001.jpg", "0001.jpg again; expected one mention (train_list.txt line 1 has it)"),
        ("\u0661.jpg", "expected an image name"),
        ("0001.jpg", "0001.jpg again; expected one mention (train_list.txt line 1 has it)"),
        ("0007.jpg", "0007.jpg again; expected one mention (test_list.txt line 1 has it)"),
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
    assert len(listing.entries["train"]) == 5 and "lines end with CR LF" in problems(listing)[0][2]
    path.write_bytes(b"\xef\xbb\xbf" + whole.rstrip(b"\n"))  # a byte-order mark, and no last newline
    assert len(layouts.scan(copy).entries["train"]) == 5
    path.write_bytes(b"\xff" + whole)
    with pytest.raises(FolderError, match=r"train_list\.txt: is not text"):
        layouts.scan(copy)
    path.unlink()
    assert problems(layouts.scan(copy))[0][2].startswith("train_list.txt: missing")
    path.symlink_to("/etc/passwd")
    with pytest.raises(FolderError, match=r"train_list\.txt: a link out of the source folder"):
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
            "image 0002 names 3 persons but has masks for 1, 3; person 2 is missing",
            "image 0003 names 2 persons but has masks for 1, 2, 3; person 3 is extra",
            "masks of image 0004 declare 2 and 3 persons",
            "image 0005 has no masks",
            "images/0006.jpg: a link out of the source folder",
            "annotations/0007_02_01.png: neither a file nor a folder",
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
    with pytest.raises(FolderError, match="unknown layout"):
        layouts.scan(tmp_path)
    with pytest.raises(FolderError, match="cannot be listed"):
        layouts.scan(tmp_path / "missing")
    with pytest.raises(FolderError, match="images: folder not found"):
        layouts.scan(tmp_path, "mhp-v1")
    with pytest.raises(OptionError, match=r"layout: .*expected auto or"):
        layouts.scan(source, "mhp-v9")


def test_a_link_that_is_replaced_while_it_is_resolved_is_not_followed(root, monkeypatch):
    """``os.path.realpath`` then raises what ``readlink`` says of a file that is no link any more."""

    def replaced(path, **options):
        raise OSError(errno.EINVAL, "Invalid argument", path)

    (root / "link").symlink_to("../outside")
    (root / "folder").symlink_to("..")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(os, "readlink", replaced)
        found = scan_folder(root)
        with pytest.raises(FolderError, match="folder"):
            scan_folder(root, "folder")
    assert read_file(root, found["file"]) == b"content"
    with pytest.raises(SourceChangedError, match="replaced by a link after"):
        read_file(root, found["link"])
