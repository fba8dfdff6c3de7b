"""A shard's file is hashed while it is written; when many are read, only a few are open."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mhpdata.errors import ShardError
from mhpdata.storage.shards import file
from mhpdata.storage.shards.file import HashedFile, OpenFile, hash_file, most_open


@pytest.fixture
def paths(tmp_path):
    """Make twelve files, each of 100 bytes equal to its number."""
    made = [tmp_path / f"{i}.rec" for i in range(12)]
    for i, path in enumerate(made):
        path.write_bytes(bytes([i]) * 100)
    return made


def count_open(folder: Path) -> int:
    """Return the number of open files of this process below a folder."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += link.readlink().is_relative_to(folder)
        except OSError:  # the descriptor that lists the folder
            continue
    return count


def test_the_hash_is_that_of_the_file(tmp_path):
    written = HashedFile(tmp_path / "a")
    written.write(b"one", bytearray(b"two"), memoryview(b"three"))
    written.write()
    written.write(b"x" * 3_000_000)
    digest = written.close()
    assert digest.sha256 == hash_file(tmp_path / "a").sha256
    assert digest.sha256 == hashlib.sha256(b"onetwothree" + b"x" * 3_000_000).hexdigest()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells open files by /proc")
def test_only_a_few_are_open_and_all_can_be_read(paths, monkeypatch):
    monkeypatch.setattr(file, "most_open", lambda: 3)
    files = [OpenFile(path) for path in paths]
    assert count_open(paths[0].parent) == 3

    def read(i):
        out = np.empty(50, np.uint8)
        files[i].read_into(50, out, str, 0)
        files[i].expect(0, 100)
        return files[i].read(0, 50, "") + out.tobytes() == bytes([i]) * 100

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, np.random.default_rng(0).integers(0, 12, 2000).tolist()))
    assert count_open(paths[0].parent) <= 3
    assert read(0)  # concurrent threads may have closed each other's file; this one stays open
    assert 1 <= count_open(paths[0].parent) <= 3
    files.clear()
    assert count_open(paths[0].parent) == 0


def test_a_descriptor_in_use_is_not_closed(paths, monkeypatch):
    monkeypatch.setattr(file, "most_open", lambda: 1)
    first = OpenFile(paths[0])
    in_use = first._descriptor
    OpenFile(paths[1])
    assert first._descriptor is None
    assert os.pread(in_use.number, 3, 0) == bytes(3)


def test_another_file_in_its_place_is_an_error(paths, monkeypatch):
    monkeypatch.setattr(file, "most_open", lambda: 1)
    first, second = OpenFile(paths[0]), OpenFile(paths[1])
    assert second.read(0, 1, "") == b"\x01"
    assert first.read(0, 1, "") == b"\x00"
    second.read(0, 1, "")
    (paths[0].parent / "new").write_bytes(bytes(200))
    (paths[0].parent / "new").replace(paths[0])
    with pytest.raises(ShardError, match="was replaced by another file while it was open"):
        first.read(0, 1, "")


def test_a_closed_file_is_not_opened_anew(paths):
    opened = OpenFile(paths[0])
    opened.close()
    opened.close()
    with pytest.raises(ShardError, match="was closed"):
        opened.read(0, 1, "")


def test_no_descriptor_left_is_an_error_that_says_so(paths, monkeypatch):
    def refuse(*args, dir_fd=None):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(args[0]))

    monkeypatch.setattr(file.os, "open", refuse)
    with pytest.raises(ShardError, match=r"Too many open files.*ulimit -n"):
        OpenFile(paths[0])


def test_more_shards_than_the_system_lets_be_open(tmp_path):
    code = """if True:
        import resource, sys
        from pathlib import Path
        from mhpdata.storage.shards.recordio import Reader, Writer
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        stems = [Path(sys.argv[1]) / f"{i}" for i in range(100)]
        for stem in stems:
            writer = Writer(stem)
            writer.write(stem.name.encode())
            writer.close()
        readers = [Reader(stem, 1) for stem in stems]
        assert all(bytes(readers[i].read(0)) == b"%d" % i for i in (*range(100), *range(100)))
    """
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)


def test_the_limit_is_a_share_of_the_systems(monkeypatch):
    for soft, most in ((1024, 256), (256, 64), (3, 1), (1 << 20, 1024), (file.resource.RLIM_INFINITY, 1024)):
        monkeypatch.setattr(file.resource, "getrlimit", lambda kind, soft=soft: (soft, soft))
        assert most_open() == most
