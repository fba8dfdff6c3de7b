"""Sequences of digests; the hash of a file in one pass, for any chunks of its bytes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mhpdata.storage.digests import BLOCK, Digests, FileHash, blocks_of, digests_at

TWO = [hashlib.sha256(name).hexdigest() for name in (b"a", b"b")]


def test_digests_are_a_sequence():
    digests = Digests.of(TWO)
    assert list(digests) == TWO and digests[-1] == TWO[1] and digests.raw(0).hex() == TWO[0]
    assert list(digests[1:]) == TWO[1:] and len(digests) == 2
    assert digests == Digests.of(iter(TWO)) != Digests.of(TWO[::-1])
    assert digests != Digests(bytes.fromhex("".join(TWO)), 16), "four of another size"
    assert not Digests() and hash(digests) == hash(Digests.of(TWO))
    with pytest.raises(IndexError):
        _ = digests[2]


def test_there_and_back():
    digests = Digests.of(TWO)
    assert digests_at(digests.hex(), "photos", 2) == digests
    assert len(digests_at(digests.hex(), "sources", 4, 16)) == 4
    for wrong in ("", digests.hex()[1:], digests.hex().upper(), "g" * 128, None, [digests.hex()]):
        with pytest.raises(ValueError, match=r"^hashes has .* not 2 digests"):
            digests_at(wrong, "hashes", 2)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 12345])
@pytest.mark.parametrize("step", [1000, 300_007, BLOCK, 3 * BLOCK])
def test_blocks_are_hashed_however_the_bytes_come(size, step):
    data = np.random.default_rng(size).bytes(size)
    found = FileHash()
    for at in range(0, size, step):
        found.update(memoryview(data)[at : at + step])
    assert (found.size, found.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert list(found.blocks) == [hashlib.sha256(data[at : at + BLOCK]).hexdigest() for at in range(0, size, BLOCK)]
    assert len(found.blocks) == blocks_of(size)
    found.update(b"more")
    assert found.sha256 == hashlib.sha256(data + b"more").hexdigest(), "asking changes nothing"
