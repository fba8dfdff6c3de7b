"""The cache on disk: its limit, eviction, sharing, kills in mid-download, and other people's files."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mhpdata.errors import OutputError
from mhpdata.remote.disk import FOLDER, LEDGER, BlockDisk

BLOCK = 1000


def block(number, size=BLOCK):
    data = random.Random(number).randbytes(size)
    return hashlib.sha256(data).digest(), memoryview(data)


def put(disk, number, size=BLOCK):
    digest, data = block(number, size)
    return disk.fetch(digest, size, lambda: data, bool)


def held(folder):
    return [path for path in (folder / FOLDER).glob("??/*") if path.is_file()]


def size_of(folder):
    return sum(path.stat().st_size for path in held(folder))


def read(disk, number, size=BLOCK):
    out = bytearray(size)
    return bytes(out) if disk.read(block(number, size)[0], 0, memoryview(out)) else None


def test_blocks_come_back(tmp_path):
    disk = BlockDisk(tmp_path / "new" / "cache", 10 * BLOCK, BLOCK)
    assert read(disk, 1) is None
    assert put(disk, 1) == block(1)[1]
    assert read(disk, 1) == block(1)[1]
    part = bytearray(10)
    assert disk.read(block(1)[0], 500, memoryview(part))
    assert part == block(1)[1][500:510]
    assert put(disk, 1) is None, "another one has fetched it"


def test_the_limit_holds_and_the_least_recently_used_go_first(tmp_path):
    disk = BlockDisk(tmp_path, 5 * BLOCK, BLOCK)
    for number in range(5):
        put(disk, number)
        os.utime(disk._path(block(number)[0]), ns=(number, number))
    disk._touched.clear()
    assert read(disk, 0), "used now"
    put(disk, 5)
    assert size_of(tmp_path) <= 5 * BLOCK
    assert read(disk, 0)
    assert read(disk, 5)
    assert read(disk, 1) is None
    assert int((tmp_path / FOLDER / LEDGER).read_text()) == size_of(tmp_path)


def test_a_block_without_space_is_served_but_not_kept(tmp_path):
    disk = BlockDisk(tmp_path, BLOCK // 2, BLOCK)
    assert put(disk, 1) == block(1)[1]
    assert held(tmp_path) == []


def test_a_failed_download_leaves_nothing(tmp_path):
    disk = BlockDisk(tmp_path, 5 * BLOCK, BLOCK)
    with pytest.raises(ZeroDivisionError):
        disk.fetch(block(1)[0], BLOCK, lambda: memoryview(bytes(1 // 0)), bool)
    assert held(tmp_path) == []
    assert int((tmp_path / FOLDER / LEDGER).read_text()) == 0


def test_two_threads_fetch_a_block_once(tmp_path):
    disks = [BlockDisk(tmp_path, 5 * BLOCK, BLOCK) for _ in range(2)]
    digest, data = block(1)
    begun, go, downloads = threading.Event(), threading.Event(), []

    def download():
        begun.set()
        go.wait(30)
        downloads.append(1)
        return data

    results = []
    threads = [
        threading.Thread(target=lambda disk=disk: results.append(disk.fetch(digest, BLOCK, download, bool)))
        for disk in disks
    ]
    threads[0].start()
    begun.wait(30)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join()
    assert len(downloads) == 1
    assert sorted(map(str, results)) == sorted(map(str, [None, data]))


def test_other_peoples_files_stay(tmp_path):
    disk = BlockDisk(tmp_path, 2 * BLOCK, BLOCK)
    mine = [tmp_path / "thesis.txt", tmp_path / FOLDER / "notes", tmp_path / FOLDER / "ab" / "readme.md"]
    mine += [tmp_path / FOLDER / "ab" / f".{'x' * 64}.part", tmp_path / FOLDER / "ab" / "ab"]
    (tmp_path / FOLDER / "ab").mkdir()
    for path in mine:
        path.write_bytes(b"x" * BLOCK)
    for number in range(20):
        put(disk, number)
    assert all(path.read_bytes() == b"x" * BLOCK for path in mine)


def test_a_link_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / FOLDER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="is a link"):
        BlockDisk(tmp_path, 5 * BLOCK, BLOCK)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        BlockDisk(tmp_path / "file" / "cache", 5 * BLOCK, BLOCK)


def test_a_ledger_that_a_kill_left_wrong_is_corrected(tmp_path):
    disk = BlockDisk(tmp_path, 5 * BLOCK, BLOCK)
    put(disk, 1)
    for text in (b"%020d\n" % (5 * BLOCK), b"", b"nonsense"):
        (tmp_path / FOLDER / LEDGER).write_bytes(text)
        put(disk, int.from_bytes(hashlib.sha256(text).digest()[:4], "little"))
        assert int((tmp_path / FOLDER / LEDGER).read_text()) == size_of(tmp_path)
        assert read(disk, 1), "there is space for it"


WRITER = """
import sys, random, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_disk import BLOCK, block
from mhpdata.remote.disk import BlockDisk
disk = BlockDisk(Path(sys.argv[2]), int(sys.argv[3]) * BLOCK, BLOCK)
rng = random.Random(int(sys.argv[4]))
print("ready", flush=True)
end = time.monotonic() + float(sys.argv[5])
while time.monotonic() < end:
    number = rng.randrange(30)
    digest, data = block(number)
    def download():
        time.sleep(rng.random() / 500)
        return data
    out = bytearray(BLOCK)
    if disk.read(digest, 0, memoryview(out)):
        assert out == data
    else:
        disk.fetch(digest, BLOCK, download, bool)
"""


def writers(tmp_path, count, limit, seconds):
    here = str(Path(__file__).parent)
    return [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, here, str(tmp_path), str(limit), str(seed), str(seconds)],
            stdout=subprocess.PIPE,
        )
        for seed in range(count)
    ]


def test_processes_share_a_cache_under_its_limit(tmp_path):
    processes = writers(tmp_path, 3, 12, 1.5)
    largest = 0
    while any(process.poll() is None for process in processes):
        with contextlib.suppress(FileNotFoundError):  # a block was removed meanwhile
            largest = max(largest, size_of(tmp_path))
        time.sleep(0.005)
    assert [process.wait() for process in processes] == [0, 0, 0]
    for process in processes:
        process.stdout.close()
    assert 6 * BLOCK <= largest <= 12 * BLOCK
    assert int((tmp_path / FOLDER / LEDGER).read_text()) == size_of(tmp_path)


def check_kills(tmp_path, kills):
    rng = random.Random(7)
    for _ in range(kills):
        process = writers(tmp_path, 1, 12, 60)[0]
        process.stdout.readline()
        time.sleep(rng.random() / 20)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        digests = {block(number)[0].hex(): block(number)[1] for number in range(30)}
        for path in held(tmp_path):
            assert path.name.endswith(".part") or path.read_bytes() == digests[path.name]
        assert size_of(tmp_path) <= 12 * BLOCK
    disk = BlockDisk(tmp_path, 12 * BLOCK, BLOCK)
    for number in range(60):
        put(disk, number)
    assert not [path for path in held(tmp_path) if path.name.endswith(".part")], "what kills left is removed"
    assert int((tmp_path / FOLDER / LEDGER).read_text()) == size_of(tmp_path)


def test_a_kill_leaves_no_wrong_byte(tmp_path):
    check_kills(tmp_path, 4)


@pytest.mark.slow
def test_a_hundred_kills_leave_no_wrong_byte(tmp_path):
    check_kills(tmp_path, 100)
