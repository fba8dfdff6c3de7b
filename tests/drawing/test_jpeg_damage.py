"""The JPEG decoder on damaged or hostile bytes: cut, changed and random bytes, false tables and sizes."""

import os
import struct
import subprocess
import sys

import fuzz
import jpeg_attack
import naive_jpeg as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jpegs import JPEG, changed, decode, encode, equal, luma, rough, written

from mhpdata.drawing.jpeg import codes, grid, planes, segments
from mhpdata.drawing.jpeg import scan as scans
from mhpdata.drawing.jpeg.scan import read_scan


@pytest.mark.compiled
def test_a_cut_scan_is_found_wherever_it_is_cut():
    begin = read_scan(JPEG).begin
    for end in range(begin, len(JPEG) - 2):
        assert decode(JPEG[:end]) is None
        assert decode(JPEG[:end] + b"\xff\xd9") is None
    for end in range(begin):
        assert read_scan(JPEG[:end]) is None
    assert decode(JPEG[:-2]) is not None


@pytest.mark.compiled
def test_a_cut_behind_the_part_is_not_looked_for():
    data = encode(rough((80, 40)), 90)
    top = naive.decode(data)[0][:16]
    np.testing.assert_array_equal(decode(data[: 2 * len(data) // 3], (0, 16))[0][:16], top)


def test_a_missing_restart_marker_ends_the_decoding():
    data, _ = written(7, restart=1)
    at = data.index(b"\xff\xd1")
    assert decode(data[:at] + data[at + 2 :]) is None
    assert decode(data[:at] + b"\xff\xd9" + data[at + 2 :]) is None


@pytest.mark.compiled
@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_byte_changed(flip):
    whole = encode(rough((20, 20)), 60)
    same = 0
    for at in range(2, len(whole)):
        data = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
        scan = read_scan(data)
        if scan is None or scan.size != (20, 20):
            continue
        found = decode(data)
        try:
            expected = luma(data)
        except ValueError:
            continue
        # where libjpeg gives no warning, neither do we
        assert found is not None, at
        same += np.array_equal(found[0], expected)
    assert same > 100


@pytest.mark.compiled
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_bytes_give_what_the_twin_gives(seed):
    data = jpeg_attack.random_jpeg(np.random.default_rng(seed))
    try:
        expected = naive.decode(data)
    except naive.DamagedError:
        assert decode(data) is None
    else:
        equal(decode(data), expected)
    equal(decode(JPEG), naive.decode(JPEG))  # no state remains


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200))
def test_random_headers(data):
    read_scan(data)
    read_scan(b"\xff\xd8" + data)
    read_scan(JPEG[:20] + data + JPEG[20:])


def test_a_huge_size_is_only_a_claim(monkeypatch):
    monkeypatch.setattr(grid, "grid", None)
    monkeypatch.setattr(planes, "Workplace", None)
    scan = read_scan(changed(JPEG, 0xC0, lambda part: part[:1] + b"\xff\xff\xff\xff" + part[5:]))
    assert scan.size == (65535, 65535)


@pytest.mark.compiled
def test_hostile_tables_do_not_pile_up():
    before = scans.tables_of.cache_info().maxsize
    rng = np.random.default_rng(0)
    for _ in range(2 * before):
        code = naive.random_code(rng, np.arange(255))
        data = changed(JPEG, 0xC4, lambda part, code=code: part if part[0] < 16 else part[:1] + b"".join(code))
        scan = read_scan(data)
        assert sum(len(b"".join(code)) for pair in scan.codes for code in pair) < 4 * 300
        assert not any(isinstance(field, codes.Tables) for field in scan)
    assert scans.tables_of.cache_info().currsize == before


@pytest.mark.compiled
@pytest.mark.skipif(not hasattr(os, "fork"), reason="memory is guarded as POSIX does it")
@pytest.mark.parametrize("checked", ["guarded", "bounds checked"])
def test_no_bytes_reach_beyond_the_arrays(checked):
    # guarded memory ends the process on any access past the end; bounds checks also cover the start of arrays
    environment = fuzz.environment() if checked == "bounds checked" else dict(os.environ)
    done = subprocess.run(
        [sys.executable, "-W", "error", jpeg_attack.__file__, "0", "200"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 500


def test_spare_is_as_much_as_the_longest_unit_needs():
    blocks = max(rows * columns for rows, columns in scans._FACTORS) + 2
    bits = blocks * 64 * (16 + 15)
    assert bits // 8 + 7 + 8 <= segments.SPARE
    for factors in jpeg_attack.FACTORS:
        scan = read_scan(jpeg_attack.longest(factors, 1))
        units = len(jpeg_attack.longest(factors, 1)) - scan.begin
        assert units == (factors[0] * factors[1] + 2) * 64 * 31 // 8
    assert set(jpeg_attack.FACTORS) == scans._FACTORS


def test_a_restart_interval_longer_than_the_picture():
    for interval in 0, 65535:
        data = b"\xff\xd8" + naive.part(0xDD, struct.pack(">H", interval)) + JPEG[2:]
        assert read_scan(data).restart == interval
        equal(decode(data), naive.decode(JPEG))
