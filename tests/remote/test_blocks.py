"""Blocks through the cache: fetched once, compared with their digest, and again once if they are wrong."""

import hashlib
import threading

import pytest

from mhpdata.errors import ShardError
from mhpdata.remote.blocks import Block, Blocks
from mhpdata.remote.disk import BlockDisk

DATA = bytes(range(256)) * 4
BLOCK = Block(hashlib.sha256(DATA).digest(), 1000, 1000 + len(DATA), "s3://box/train-00000.rec", "train-00000.rec")


class Source:
    """Fetches the block; ``wrong`` times with a wrong byte."""

    def __init__(self, wrong=0):
        self.asked, self.wrong, self.gate = [], wrong, threading.Event()
        self.gate.set()

    def __call__(self, start, end):
        self.asked.append((start, end))
        assert self.gate.wait(30)
        return memoryview(b"x" + DATA[1:] if len(self.asked) <= self.wrong else DATA)


@pytest.fixture
def blocks(tmp_path):
    return Blocks(BlockDisk(tmp_path, 1 << 20, 1 << 12))


def read(blocks, source, offset=0, length=None):
    out = bytearray(length or len(DATA))
    blocks.read(BLOCK, offset, memoryview(out), source)
    return bytes(out)


def test_a_block_is_fetched_once(blocks):
    source = Source()
    assert read(blocks, source) == DATA
    assert read(blocks, source, 5, 10) == DATA[5:15]
    assert source.asked == [(1000, 1000 + len(DATA))]


def test_readers_wait_for_a_block_that_was_asked_for(blocks):
    source, found = Source(), []
    source.gate.clear()
    for _ in range(3):
        blocks.ask(BLOCK, source)
    threads = [threading.Thread(target=lambda: found.append(read(blocks, source))) for _ in range(3)]
    for thread in threads:
        thread.start()
    source.gate.set()
    for thread in threads:
        thread.join()
    assert found == [DATA] * 3
    assert len(source.asked) == 1
    assert not blocks._under_way


def test_a_wrong_block_is_fetched_again_once(blocks):
    source = Source(wrong=1)
    assert read(blocks, source) == DATA
    assert len(source.asked) == 2


def test_a_block_that_stays_wrong_is_one_error_and_is_not_kept(blocks):
    source = Source(wrong=2)
    with pytest.raises(
        ShardError, match=r"s3://box/train-00000.rec: bytes 1000 to 2023 are not those .* fetched twice"
    ):
        read(blocks, source)
    assert len(source.asked) == 2
    assert not blocks._disk.has(BLOCK.digest)
    assert read(blocks, source) == DATA, "the next reader tries again"


def test_only_wrong_blocks_are_discarded(blocks):
    assert not blocks.discard(BLOCK)
    read(blocks, Source())
    assert not blocks.discard(BLOCK)
    blocks._disk._path(BLOCK.digest).write_bytes(b"x" + DATA[1:])
    assert blocks.discard(BLOCK)
    assert not blocks._disk.has(BLOCK.digest)


def test_a_full_disk_of_other_blocks_does_not_keep_a_reader_from_its_bytes(tmp_path):
    blocks = Blocks(BlockDisk(tmp_path, 10, 1 << 12))
    assert read(blocks, Source()) == DATA
