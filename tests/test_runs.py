"""Runs and masks: equal to the slow twin, there and back, and nothing untrusted gets past the checks."""

from __future__ import annotations

import zlib

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mhpdata.errors import OptionError, RecordError
from mhpdata.resize import resize_labels
from mhpdata.runs import check_runs, count_labels, decode_runs, deflate_mask, encode_runs, inflate_mask, resize_runs

SHAPES = [(1, 1), (1, 2), (1, 7), (1, 8), (1, 9), (9, 1), (3, 64), (3, 65), (11, 200)]
SIZE = (3, 6)


def maps(rng, shape, change):
    """Labels and persons that go together, and change at a share of the pixels."""
    pick = np.cumsum(rng.random(shape) < change, axis=1) + rng.integers(0, 99)
    labels = rng.choice([0, 0, 255, *range(19)], 5000)[pick].astype(np.uint8)
    persons = rng.integers(1, 256, 5000)[pick].astype(np.uint8)
    persons[(labels == 0) | (labels == 255)] = 0
    return labels, persons


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("change", [0.0, 0.03, 0.5, 1.0])
def test_equals_the_twin(shape, change):
    labels, persons = maps(np.random.default_rng([*shape, int(100 * change)]), shape, change)
    offsets, runs = encode_runs(labels, persons)
    want_offsets, want_runs = naive.encode_runs(labels, persons)
    np.testing.assert_array_equal(offsets, want_offsets)
    np.testing.assert_array_equal(runs, want_runs)
    assert offsets.dtype == runs.dtype == np.uint32
    check_runs(offsets, runs, shape, 19)
    for decode in (decode_runs, naive.decode_runs):
        got_labels, got_persons = decode(offsets, runs, shape)
        np.testing.assert_array_equal(got_labels, labels)
        np.testing.assert_array_equal(got_persons, persons)


def test_the_widest_row():
    labels = np.zeros((2, 65535), np.uint8)
    labels[0, 65534], labels[1, ::2] = 3, 1
    offsets, runs = encode_runs(labels, labels)
    assert runs[:2].tolist() == [65534, 65535 | 3 << 16 | 3 << 24]
    check_runs(offsets, runs, labels.shape, 4, 3)
    np.testing.assert_array_equal(decode_runs(offsets, runs, labels.shape)[0], labels)
    np.testing.assert_array_equal(inflate_mask(deflate_mask(labels), labels.shape), labels)


def test_from_a_record_at_an_odd_place_and_read_only():
    labels, persons = maps(np.random.default_rng(1), (5, 40), 0.2)
    offsets, runs = encode_runs(labels, persons)
    data = b"x" + offsets.tobytes() + runs.tobytes()
    offsets = np.frombuffer(data, "<u4", 6, 1)
    runs = np.frombuffer(data, "<u4", -1, 25)
    check_runs(offsets, runs, (5, 40), 19)
    np.testing.assert_array_equal(decode_runs(offsets, runs, (5, 40))[1], persons)


def run(end, label=0, person=0):
    return end | label << 16 | person << 24


GOOD = [run(2), run(4, 3, 1), run(6), run(6, 255), run(1, 4, 2), run(6, 18, 2)]
OFFSETS = [0, 3, 4, 6]


@pytest.mark.parametrize(
    ("offsets", "change", "text"),
    [
        (OFFSETS[:-1], {}, "row_offsets: 3 entries; expected 4"),
        ([*OFFSETS, 6], {}, "row_offsets: 5 entries"),
        ([1, 3, 4, 6], {}, "row_offsets: starts at 1"),
        ([0, 3, 4, 5], {}, "row_offsets: ends at 5; expected run_count 6"),
        ([0, 3, 4, 7], {}, "row_offsets: ends at 7"),
        ([0, 4, 3, 6], {2: run(5), 3: run(6)}, "row_offsets: row 1 ends at 3; expected 4 or more"),
        ([0, 2**32 - 1, 4, 6], {}, "row_offsets: row 0 ends at 4294967295"),
        ([0, 3, 3, 6], {}, "runs: row 1 does not end at 6"),
        ([0, 0, 4, 6], {}, "runs: row 0 does not end at 6"),
        (OFFSETS, {0: run(0)}, "runs: run 0 of row 0 ends at 0"),
        (OFFSETS, {1: run(2, 3, 1)}, "runs: run 1 of row 0 ends at 2, not after the run before"),
        (OFFSETS, {1: run(1, 3, 1)}, "runs: run 1 of row 0 ends at 1"),
        (OFFSETS, {2: run(5)}, "runs: row 0 does not end at 6"),
        (OFFSETS, {5: run(5, 18, 2)}, "runs: row 2 does not end at 6"),
        (OFFSETS, {2: run(7)}, "runs: run 2 of row 0 ends at 7"),
        (OFFSETS, {2: run(65535)}, "runs: run 2 of row 0 ends at 65535"),
        (OFFSETS, {4: run(1, 19, 2)}, "runs: label 19 in row 2; expected below 19, or 255"),
        (OFFSETS, {4: run(1, 254, 2)}, "runs: label 254"),
        (OFFSETS, {4: run(1, 4, 0)}, "runs: label 4 with person 0 in row 2"),
        (OFFSETS, {3: run(6, 255, 1)}, "runs: label 255 with person 1 in row 1"),
        (OFFSETS, {0: run(2, 0, 2)}, "runs: label 0 with person 2 in row 0"),
        (OFFSETS, {4: run(1, 4, 3)}, "runs: person 3 in row 2; expected at most 2"),
    ],
)
def test_check_says_what_is_wrong(offsets, change, text):
    runs = np.array([change.get(i, word) for i, word in enumerate(GOOD)], np.uint32)
    check_runs(np.array(OFFSETS, np.uint32), np.array(GOOD, np.uint32), SIZE, 19, 2)
    with pytest.raises(RecordError, match=text):
        check_runs(np.array(offsets, np.uint32), runs, SIZE, 19, 2)


def test_check_of_no_runs_at_all():
    with pytest.raises(RecordError, match="row 0 does not end"):
        check_runs(np.zeros(4, np.uint32), np.zeros(0, np.uint32), SIZE, 19)
    with pytest.raises(RecordError):
        check_runs(np.zeros(0, np.uint32), np.zeros(0, np.uint32), SIZE, 19)


WORDS = st.integers(0, 2**32 - 1) | st.builds(
    run, st.integers(0, 8), st.integers(0, 20) | st.just(255), st.integers(0, 3)
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    offsets=st.lists(st.integers(0, 8) | st.integers(0, 2**32 - 1), min_size=3, max_size=5),
    runs=st.lists(WORDS, max_size=7),
    at=st.integers(0, 5),
    good=st.booleans(),
)
def test_check_agrees_with_the_twin(offsets, runs, at, good):
    if good:  # one word of a right record changed
        offsets, runs = OFFSETS, [*GOOD[:at], *runs[:1], *GOOD[at + len(runs[:1]) :]]
    words = np.array(offsets, np.uint32), np.array(runs, np.uint32)
    try:
        check_runs(*words, SIZE, 19, 2)
        passed = True
    except RecordError:
        passed = False
    assert passed == naive.runs_are_right(offsets, runs, SIZE, 19, 2)
    if passed:
        np.testing.assert_array_equal(decode_runs(*words, SIZE), naive.decode_runs(*words, SIZE))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("change", [0.0, 0.03, 0.5, 1.0])
def test_mask_there_and_back(shape, change):
    mask, _ = maps(np.random.default_rng([7, *shape, int(100 * change)]), shape, change)
    data = deflate_mask(mask)
    assert zlib.decompress(data) == naive.mask_body(mask)
    np.testing.assert_array_equal(inflate_mask(data, shape), mask)
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
    np.testing.assert_array_equal(encode_runs(mask, mask[:, ::-1])[1], naive.encode_runs(mask, mask[:, ::-1])[1])


def stream(counts, lengths, labels, tail=b""):
    return zlib.compress(np.array(counts, "<u2").tobytes() + np.array(lengths, "<u2").tobytes() + bytes(labels) + tail)


MASK = stream([2, 1], [3, 2, 5], [0, 4, 0])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "0 bytes of counts; expected 4"),
        (b"not a zlib stream", "damaged zlib stream"),
        (MASK[:-1], "no end after the labels"),
        (MASK[:-5], "labels|no end|bytes of"),
        (MASK[:9], "bytes of"),
        (MASK[:-2] + b"zz", "damaged zlib stream"),
        (MASK + b"x", "more bytes after the labels"),
        (MASK + MASK, "more bytes after the labels"),
        (stream([2, 1], [3, 2, 5], [0, 4, 0], b"x"), "more bytes after the labels"),
        (stream([2, 1], [3, 2, 5], [0, 4]), "2 bytes of labels; expected 3"),
        (stream([2, 1], [3], []), "2 bytes of lengths; expected 6"),
        (stream([2, 0], [3, 2], [0, 4]), "0 to 2 runs a row; expected 1..5"),
        (stream([6, 1], [1] * 7, [1] * 7), "1 to 6 runs a row"),
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
    """50 MB of zeros behind good counts, and behind a good mask: neither is ever held."""
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


PLANE = np.zeros((2, 3), np.uint8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode_runs(PLANE, PLANE[:, :2]),
        lambda: encode_runs(PLANE.astype(np.int64), PLANE),
        lambda: encode_runs(np.zeros((1, 65536), np.uint8), np.zeros((1, 65536), np.uint8)),
        lambda: encode_runs(PLANE[:0], PLANE[:0]),
        lambda: deflate_mask(PLANE[0]),
        lambda: deflate_mask(np.zeros((65536, 1), np.uint8)),
        lambda: inflate_mask(MASK, (0, 5)),
        lambda: inflate_mask(MASK, (2, 65536)),
        lambda: inflate_mask(MASK, (2, 5), PLANE),
        lambda: inflate_mask(MASK, (2, 5), np.zeros((5, 2), np.uint8).T),
    ],
)
def test_refuses(call):
    with pytest.raises(OptionError):
        call()


@pytest.mark.parametrize("new", [(1, 1), (7, 3), (13, 29), (40, 8), (26, 58), (5, 97)])
@pytest.mark.parametrize("size", [(1, 1), (13, 29), (3, 50)])
def test_resized_runs_are_the_runs_of_the_resized_maps(size, new):
    rng = np.random.default_rng([*size, *new])
    labels = np.repeat(rng.integers(0, 4, (size[0], size[1] // 3 + 1), np.uint8), 3, axis=1)[:, : size[1]]
    persons = np.where(labels, rng.integers(1, 3, size, np.uint8), 0).astype(np.uint8)
    resized = resize_runs(*encode_runs(labels, persons), size, new)
    expected = encode_runs(resize_labels(labels, new), resize_labels(persons, new))
    np.testing.assert_array_equal(resized[0], expected[0])
    np.testing.assert_array_equal(resized[1], expected[1])


def test_labels_are_counted_from_runs():
    labels = np.random.default_rng(0).integers(0, 256, (9, 31), np.uint8)
    counts = count_labels(*encode_runs(labels, labels))
    np.testing.assert_array_equal(counts, np.bincount(labels.ravel(), minlength=256))
