"""A person's mask as runs: equal to the slow twin, exact round trip, and checks that reject all invalid input."""

from __future__ import annotations

import zlib

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mhpdata.errors import OptionError, RecordError
from mhpdata.masks.mask_runs import deflate_mask, draw_mask, inflate_mask, inflate_runs, mask_runs

SHAPES = [(1, 1), (1, 2), (1, 7), (1, 8), (1, 9), (9, 1), (3, 64), (3, 65), (11, 200)]


def random_mask(rng, shape, change):
    """Return a mask that changes at a share of the pixels."""
    pick = np.cumsum(rng.random(shape) < change, axis=1) + rng.integers(0, 99)
    return rng.choice([0, 0, 255, *range(19)], 5000)[pick].astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("change", [0.0, 0.03, 0.5, 1.0])
def test_mask_there_and_back(shape, change):
    mask = random_mask(np.random.default_rng([7, *shape, int(100 * change)]), shape, change)
    runs, data = mask_runs(mask), deflate_mask(mask)
    assert runs.size == shape and runs.area == ((mask != 0) & (mask != 255)).sum()
    assert zlib.decompress(data) == naive.mask_body(mask)
    np.testing.assert_array_equal(inflate_mask(data, shape), mask)
    for mine, theirs in zip(runs, inflate_runs(data, shape), strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    out = np.full(shape, 77, np.uint8)
    assert inflate_mask(data, shape, out) is out
    np.testing.assert_array_equal(out, mask)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    mask=arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 70)), elements=st.sampled_from([0, 0, 1, 255])
    )
)
def test_any_mask(mask):
    assert zlib.decompress(deflate_mask(mask)) == naive.mask_body(mask)
    np.testing.assert_array_equal(inflate_mask(deflate_mask(mask), mask.shape), mask)


def stream(counts, lengths, labels, tail=b""):
    return zlib.compress(np.array(counts, "<u2").tobytes() + np.array(lengths, "<u2").tobytes() + bytes(labels) + tail)


MASK = stream([2, 1], [3, 2, 5], [0, 4, 0])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", r"0 bytes of counts\); expected 4"),
        (b"not a zlib stream", r"is damaged \(zlib: "),
        (MASK[:-1], "no end after the labels"),
        (MASK[:-5], "labels|no end|bytes of"),
        (MASK[:9], "bytes of"),
        (MASK[:-2] + b"zz", r"is damaged \(zlib: "),
        (MASK + b"x", "more bytes after the labels"),
        (MASK + MASK, "more bytes after the labels"),
        (stream([2, 1], [3, 2, 5], [0, 4, 0], b"x"), "more bytes after the labels"),
        (stream([2, 1], [3, 2, 5], [0, 4]), r"2 bytes of labels\); expected 3"),
        (stream([2, 1], [3], []), r"2 bytes of lengths\); expected 6"),
        (stream([2, 0], [3, 2], [0, 4]), r"is damaged \(0 to 2 runs per row\); expected 1 to 5"),
        (stream([6, 1], [1] * 7, [1] * 7), "1 to 6 runs per row"),
        (stream([2, 1], [3, 1, 5], [0, 4, 0]), "row 0 do not fill"),
        (stream([2, 1], [3, 3, 5], [0, 4, 0]), "row 0 do not fill"),
        (stream([2, 1], [5, 0, 5], [0, 4, 0]), "row 0 do not fill"),
        (stream([2, 1], [3, 2, 65535], [0, 4, 0]), "row 1 do not fill"),
        (stream([2, 1], [3, 2, 4], [0, 4, 0]), "row 1 do not fill"),
    ],
)
def test_damaged_masks(data, text):
    assert inflate_mask(MASK, (2, 5)).tolist() == [[0, 0, 0, 4, 4], [0] * 5]
    with pytest.raises(RecordError, match=text) as caught:
        inflate_mask(data, (2, 5))
    assert caught.value.place == "mask"


def test_a_bomb_is_not_inflated():
    """50 MB of zeros after valid counts, and after a valid mask: neither is held in memory."""
    for head in (np.array([1, 1], "<u2").tobytes(), zlib.decompress(MASK)):
        bomb = zlib.compress(head + bytes(50_000_000))
        with pytest.raises(RecordError):
            inflate_mask(bomb, (2, 5))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    counts=st.lists(st.integers(0, 6), min_size=2, max_size=2),
    lengths=st.lists(st.integers(0, 6) | st.just(65535), max_size=12),
    flip=st.integers(-1, 60),
)
def test_junk_is_refused_or_decoded(counts, lengths, flip):
    data = bytearray(stream(counts, lengths, range(1, len(lengths) + 1)))
    if 0 <= flip < len(data):
        data[flip] ^= 0x5A
    try:
        mask = inflate_mask(bytes(data), (2, 5))
    except RecordError:
        return
    assert mask.shape == (2, 5)
    assert flip < 0 or flip >= len(data)


def test_the_widest_row():
    mask = np.zeros((2, 65535), np.uint8)
    mask[0, 65534], mask[1, ::2] = 3, 1
    assert mask_runs(mask).size == mask.shape
    np.testing.assert_array_equal(inflate_mask(deflate_mask(mask), mask.shape), mask)


PLANE = np.zeros((2, 3), np.uint8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: deflate_mask(PLANE[0]),
        lambda: mask_runs(PLANE.astype(np.int64)),
        lambda: deflate_mask(np.zeros((65536, 1), np.uint8)),
        lambda: inflate_runs(MASK, (0, 5)),
        lambda: inflate_mask(MASK, (2, 65536)),
        lambda: inflate_mask(MASK, (2, 5), PLANE),
        lambda: draw_mask(mask_runs(PLANE), (2, 3), np.zeros((3, 2), np.uint8).T),
    ],
)
def test_refuses(call):
    with pytest.raises(OptionError):
        call()
