"""The lock of an output folder: one holder, until its descriptor is closed; the folder must still be the one named."""

import errno
import os

import pytest

from mhpdata.errors import OutputError
from mhpdata.filesystem import locks
from mhpdata.filesystem.locks import lock_folder


@pytest.fixture
def opened(tmp_path):
    """Return two descriptors of a folder."""
    (tmp_path / "out").mkdir()
    descriptors = [os.open(tmp_path / "out", os.O_RDONLY) for _ in range(2)]
    yield descriptors
    for one in descriptors:
        os.close(one)


def test_a_second_holder_is_refused_until_the_first_one_ends(tmp_path, opened):
    first = os.dup(opened[0])
    os.close(opened[0])
    lock_folder(first, tmp_path / "out", "mhp pack")
    with pytest.raises(OutputError, match=r"out: another mhp pack is writing here\. Wait until it ends"):
        lock_folder(opened[1], tmp_path / "out", "mhp pack")
    opened[0] = os.open(os.devnull, os.O_RDONLY)
    os.close(first)
    lock_folder(opened[1], tmp_path / "out", "mhp pack")


def test_a_folder_that_was_renamed_since_counts_as_taken(tmp_path, opened):
    part = tmp_path / "out"
    lock_folder(opened[0], part, "mhp synth", under=part)
    part.rename(tmp_path / "finished")
    for _ in range(2):  # without a folder of the name, and with another one
        with pytest.raises(OutputError, match="another mhp synth is writing here"):
            lock_folder(opened[0], part, "mhp synth", under=part)
        part.mkdir(exist_ok=True)


def test_a_disk_without_locks(tmp_path, opened, monkeypatch):
    def refuse(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.raises(OutputError, match=r"cannot be locked \(No locks available\)\. .* file system that supports"):
        lock_folder(opened[0], tmp_path / "out", "mhp export")
