"""RecordIO: byte-identical with MXNet in both directions, mainly for payloads that hold the magic; strict reading."""

from __future__ import annotations

import struct

import make_golden
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_golden import GOLDEN, STEM

from mhpdata.errors import ShardError
from mhpdata.storage.shards.recordio import MAGIC, MAX_PAYLOAD, Reader, Writer, frame, read_index, unframe

MAGIC_BYTES = struct.pack("<I", MAGIC)


def part(flag, payload, magic=MAGIC):
    return struct.pack("<II", magic, flag << 29 | len(payload)) + payload + bytes(-len(payload) % 4)


def framed(payload):
    return b"".join(frame(payload))


def payloads():
    """Every small length, and magics at every relevant offset."""
    rng = np.random.default_rng(0)
    yield from (rng.bytes(length) for length in range(17))
    yield from (MAGIC_BYTES * count for count in (1, 2, 3, 10))
    yield from (MAGIC_BYTES[:length] for length in (1, 2, 3))
    yield from (bytes(lead) + MAGIC_BYTES + bytes(tail) for lead in range(9) for tail in range(5))  # aligned or not
    yield from (MAGIC_BYTES + bytes(gap) + MAGIC_BYTES for gap in range(9))
    yield MAGIC_BYTES[1:] + MAGIC_BYTES + MAGIC_BYTES[:1]  # aligned only across joined parts
    words = np.array([0, MAGIC, 0xFFFFFFFF], "<u4")
    for _ in range(300):
        yield rng.choice(words, rng.integers(0, 30)).tobytes() + rng.bytes(rng.integers(0, 4))
    for _ in range(300):
        yield MAGIC_BYTES.join(rng.bytes(rng.integers(0, 9)) for _ in range(rng.integers(1, 9)))
    yield rng.bytes(100_003)


PAYLOADS = list(payloads())


def test_the_parts_of_a_payload():
    """Encode by the format's description, independently of mhp."""
    assert framed(b"") == part(0, b"")
    assert framed(b"abcde") == part(0, b"abcde")
    assert framed(b"abcd" + MAGIC_BYTES + b"ef") == part(1, b"abcd") + part(3, b"ef")
    assert framed(MAGIC_BYTES) == part(1, b"") + part(3, b"")
    assert framed(MAGIC_BYTES * 2 + b"x") == part(1, b"") + part(2, b"") + part(3, b"x")
    assert framed(b"ab" + MAGIC_BYTES) == part(0, b"ab" + MAGIC_BYTES)  # not at a multiple of four


def test_framed_payloads_come_back():
    for payload in PAYLOADS:
        for kind in (bytes, bytearray, memoryview):
            assert bytes(unframe(b"".join(frame(kind(payload))), "here")) == payload


@settings(derandomize=True, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=9), st.just(MAGIC_BYTES))).map(b"".join))
def test_any_payload_comes_back(payload):
    data = framed(payload)
    assert len(data) % 4 == 0
    assert bytes(unframe(data + b"more", "here")) == payload


def test_one_part_is_not_copied():
    data = framed(b"payload")
    assert unframe(data, "here").obj is data


def test_a_payload_that_is_too_large():
    class Huge(bytes):
        def __len__(self):
            return MAX_PAYLOAD + 1

    with pytest.raises(ShardError, match="a record of 536870912 bytes; expected at most 536870911"):
        frame(Huge())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        part(0, b"abcd")[:7],
        part(0, b"abcd")[:-1],
        part(0, b"abcd", MAGIC ^ 1),
        part(2, b"abcd"),
        part(3, b"abcd"),
        part(4, b"abcd"),
        part(7, b"abcd"),
        part(1, b"abcd"),
        part(1, b"abcd") + part(2, b"abcd"),
        part(1, b"abcd") + part(0, b"abcd"),
        part(1, b"abcd") + part(1, b"abcd"),
        part(1, b"abcd") + part(3, b"abcd", 0),
        part(1, b"abcde")[:-3] + part(3, b""),
        struct.pack("<II", MAGIC, MAX_PAYLOAD),
    ],
    ids=str,
)
def test_what_is_no_payload(data):
    with pytest.raises(ShardError) as caught:
        unframe(data, "train-00000.rec record 3")
    assert caught.value.place == "train-00000.rec record 3" and caught.value.remedy


def test_index(tmp_path):
    path = tmp_path / "a.idx"
    path.write_bytes(b"0\t0\n1\t16\n2\t9223372036854775807\n")
    assert read_index(path, 3).tolist() == [0, 16, 2**63 - 1]


@pytest.mark.parametrize(
    "text",
    [
        b"0",
        b"0\t0\n1\n",
        b"0\tx\n",
        b"0\t1.5\n",
        b"0\t1e3\n",
        b"0\t0x10\n",
        b"0\t1_0\n",
        b"0\t-5\n",
        b"0\t99999999999999999999999\n",
        b"0\t" + b"9" * 5000,
        b"0\tnan\n",
        b"1\t0\n",
        b"0\t0\n0\t8\n",
        b"0\t0\n2\t8\n",
        b"1\t0\n0\t8\n",
        b"\xff\xfe0\0",
        bytes(16),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_index(text, tmp_path):
    (tmp_path / "a.idx").write_bytes(text)
    with pytest.raises(ShardError) as caught:
        read_index(tmp_path / "a.idx", 3)
    assert caught.value.place == str(tmp_path / "a.idx") and caught.value.remedy


@pytest.mark.parametrize("offsets", [(0, 0), (16, 0), (0, 32), (0, 2**63), (2**64 - 1, 0), (0, 1), (4, 16)])
def test_offsets_that_lead_astray(offsets, tmp_path):
    (tmp_path / "a.rec").write_bytes(part(0, b"abcdefgh") + part(0, b"abcdefgh"))
    (tmp_path / "a.idx").write_text("".join(f"{i}\t{offset}\n" for i, offset in enumerate(offsets)))
    with pytest.raises(ShardError):
        shard = Reader(tmp_path / "a", 2)
        for index in range(2):
            assert bytes(shard.read(index)) == b"abcdefgh"


def test_golden_bytes(tmp_path):
    """Writing the golden records again gives the golden files."""
    shard = Writer(tmp_path / STEM)
    for name in make_golden.records():
        shard.write((GOLDEN / f"{name}.record").read_bytes())
    shard.close()
    for suffix in (".rec", ".idx"):
        assert (tmp_path / (STEM + suffix)).read_bytes() == (GOLDEN / (STEM + suffix)).read_bytes()
    (word,) = struct.unpack_from(
        "<I", (GOLDEN / f"{STEM}.rec").read_bytes(), int(read_index(GOLDEN / f"{STEM}.idx", 3)[1]) + 4
    )
    assert word >> 29 == 1, "the second golden record is in parts"


def test_mxnet_writes_our_bytes(mx, tmp_path):
    theirs = mx.recordio.MXIndexedRecordIO(str(tmp_path / "theirs.idx"), str(tmp_path / "theirs.rec"), "w")
    ours = Writer(tmp_path / "ours")
    for key, payload in enumerate(PAYLOADS):
        theirs.write_idx(key, payload)
        ours.write(payload)
    theirs.close()
    ours.close()
    for suffix in (".rec", ".idx"):
        assert (tmp_path / ("theirs" + suffix)).read_bytes() == (tmp_path / ("ours" + suffix)).read_bytes()


def test_mxnet_reads_what_we_write(mx, tmp_path):
    ours = Writer(tmp_path / "a")
    for payload in PAYLOADS:
        ours.write(payload)
    ours.close()
    theirs = mx.recordio.MXIndexedRecordIO(str(tmp_path / "a.idx"), str(tmp_path / "a.rec"), "r")
    assert theirs.keys == list(range(len(PAYLOADS)))
    # MXNet reads an empty payload as None, which it also returns at the file's end.
    assert [theirs.read_idx(key) or b"" for key in range(len(PAYLOADS))] == PAYLOADS
    theirs.close()


@pytest.mark.filterwarnings("ignore:tostring:DeprecationWarning")  # raised by NumPy in MXNet's pack_img
def test_we_read_what_mxnet_writes(mx, tmp_path):
    """This includes records of MXNet: a header with several labels, and an image packed by pack_img."""
    header = mx.recordio.IRHeader(0, [1.0, 2.5, 3.0], 7, 0)
    image = mx.recordio.pack_img(header, make_golden.ramp((24, 32)), quality=90)
    payloads = [*PAYLOADS, mx.recordio.pack(header, b"anything"), image]
    theirs = mx.recordio.MXIndexedRecordIO(str(tmp_path / "a.idx"), str(tmp_path / "a.rec"), "w")
    for key, payload in enumerate(payloads):
        theirs.write_idx(key, payload)
    theirs.close()
    ours = Reader(tmp_path / "a", len(payloads))
    assert [bytes(ours.read(i)) for i in range(len(payloads))] == payloads
