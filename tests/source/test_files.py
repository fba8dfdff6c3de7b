"""The download: only regular files inside it are read, if unchanged since the scan; LV-MHP v1 uses its lists."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from mhpdata.errors import FolderError, SourceChangedError, UnreadableError
from mhpdata.source import files as module
from mhpdata.source.files import read_file, scan_folder
from mhpdata.source.source_file import Refused, SourceFile


@pytest.fixture
def root(tmp_path):
    """Make a folder with one file, inside a folder with another."""
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
    with pytest.raises(FolderError, match=r"^\.: no such folder"):
        scan_folder(root / "missing")


def grow(path):
    path.write_bytes(b"content, and more")


def shrink(path):
    path.write_bytes(b"cont")


def touch(path):
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def change_in_secret(change):
    """Apply the change and reset the file's time."""

    def changed(path):
        before = path.stat().st_mtime_ns
        change(path)
        os.utime(path, ns=(0, before))

    changed.__name__ = change.__name__ + "_in_secret"
    return changed


def replace_by_a_twin(path):
    """Replace by another file of the same size and time."""
    before = path.stat()
    path.with_name("twin").write_bytes(b"CONTENT")
    os.utime(path.with_name("twin"), ns=(before.st_atime_ns, before.st_mtime_ns))
    path.with_name("twin").rename(path)


def replace_by_a_link(path):
    """Replace by a link out of the source, to a file of the same size and time."""
    before = path.stat()
    outside = path.parent.parent / "outside"
    outside.write_bytes(b"secrets")
    os.utime(outside, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.unlink()
    path.symlink_to(outside)


def replace_by_a_link_to_itself(path):
    """Move the file elsewhere and link to it."""
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
    """These lead to the same file: size, time, device and inode are as scanned, but the path has a link."""
    (root / "sub").mkdir()
    (root / "sub" / "inner").write_bytes(b"content")
    file = scan_folder(root, "sub")["inner"]
    (root / "sub").rename(root.parent / "moved")
    (root / "sub").symlink_to("../moved")
    with pytest.raises(SourceChangedError, match="the file or its folder was replaced by a link after the"):
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


def test_a_link_that_is_replaced_while_it_is_resolved_is_not_followed(root, monkeypatch):
    """``os.path.realpath`` then raises the error of ``readlink`` for a file that is no longer a link."""

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
