"""Records: exact round trips, the layout of docs/format.md (read by a second parser), detection of all damage."""

from __future__ import annotations

import dataclasses
import re
import struct
import zlib
from itertools import pairwise

import cv2
import make_golden
import numpy as np
import pytest
from allocation import at_most
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from make_golden import GOLDEN, SIZE, SOURCE_SIZE

from mhpdata.errors import RecordError
from mhpdata.masks.joint_runs import encode_runs
from mhpdata.masks.mask_runs import deflate_mask
from mhpdata.storage.record import FOOTER, encode_record, number_record, parse_record
from mhpdata.storage.sample import decode_record

RECORDS = make_golden.records()
DATA = make_golden.record_bytes()
LABELLED = DATA["labelled"]
CLASSES = 19


def plain(record):
    """Return a record's fields as comparable values."""
    fields = vars(record) | {"image": bytes(record.image), "masks": [bytes(mask) for mask in record.masks]}
    for name in ("row_offsets", "runs"):
        fields[name] = None if fields[name] is None else fields[name].tolist()
    return fields


def by_the_document(data):
    """Parse a record with struct, from docs/format.md alone; return its fields as comparable values."""
    footer = struct.Struct("<H2B6H5I32sI4s")
    assert footer.size == 76
    version, codec, flags, height, width, source_height, source_width, *rest = footer.unpack(data[-76:])
    persons, name_bytes, image_bytes, run_count, masks_bytes, contested, conflicting, sha256, crc32, magic = rest
    assert (version, magic) == (1, b"mhp1")
    assert zlib.crc32(data[24:-8]) == crc32
    flag, label, index, id2 = struct.unpack("<IfQQ", data[:24])
    assert (flag, label, id2) == (0, 0.0, 0)
    image, at = data[24 : 24 + image_bytes], 24 + image_bytes
    padding = data[at : (at + 7) // 8 * 8]
    assert padding == bytes(len(padding))
    at += len(padding)
    row_offsets = runs = None
    if flags & 1:
        row_offsets = list(struct.unpack_from(f"<{height + 1}I", data, at))
        runs = list(struct.unpack_from(f"<{run_count}I", data, at + 4 * (height + 1)))
        at += 4 * (height + 1 + run_count)
    mask_ends = struct.unpack_from(f"<{persons}I", data, at)
    at += 4 * persons
    masks = [data[at + a : at + b] for a, b in zip((0, *mask_ends), mask_ends, strict=False)]
    at += masks_bytes
    name = data[at : at + name_bytes].decode()
    assert at + name_bytes + 76 == len(data)
    return {
        "index": index, "name": name, "codec": codec, "size": (height, width),
        "source_size": (source_height, source_width), "image": image, "row_offsets": row_offsets, "runs": runs,
        "masks": masks, "contested": contested, "conflicting": conflicting, "gray": bool(flags & 2),
        "verbatim": bool(flags & 4), "source_sha256": sha256,
    }  # fmt: skip


def maps_by_the_document(row_offsets, runs, size):
    """Decode labels and persons from runs, pixel by pixel."""
    labels, persons = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    for y, (first, stop) in enumerate(pairwise(row_offsets)):
        begin = 0
        for run in runs[first:stop]:
            labels[y, begin : run & 0xFFFF], persons[y, begin : run & 0xFFFF] = run >> 16 & 0xFF, run >> 24
            begin = run & 0xFFFF
        assert begin == size[1]
    return labels, persons


def mask_by_the_document(stream, size):
    """Decode one person's mask from its zlib stream."""
    body = zlib.decompress(stream)
    counts = struct.unpack_from(f"<{size[0]}H", body)
    total = sum(counts)
    lengths = struct.unpack_from(f"<{total}H", body, 2 * size[0])
    labels = body[2 * (size[0] + total) :]
    assert len(labels) == total
    rows = np.repeat(np.frombuffer(labels, np.uint8), lengths)
    assert all(sum(lengths[sum(counts[:y]) : sum(counts[: y + 1])]) == size[1] for y in range(size[0]))
    return rows.reshape(size)


def patch(data, **fields):
    """Return a record with changed values in its footer and a correct CRC."""
    data = bytearray(data)
    for name, value in fields.items():
        dtype, offset = FOOTER.fields[name][:2]
        struct.pack_into({1: "<B", 2: "<H", 4: "<I"}[dtype.itemsize], data, len(data) - 76 + offset, value)
    return with_crc(data)


def with_crc(data):
    """Return a record of any content with a correct CRC."""
    data = bytearray(data)
    struct.pack_into("<I", data, len(data) - 8, zlib.crc32(data[24:-8]))
    return bytes(data)


def read(data, index=0):
    """Read everything of a record, including its masks."""
    sample = decode_record(parse_record(data, index), index, CLASSES)
    return sample, sample.masks


@pytest.mark.parametrize("name", RECORDS)
def test_there_and_back(name):
    index = list(RECORDS).index(name)
    assert plain(parse_record(DATA[name], index)) == plain(RECORDS[name])


def test_samples_have_the_arrays():
    image = cv2.imread(str(GOLDEN / "photo.png"))[..., ::-1]
    labels, persons = make_golden.maps()
    for index, (name, data) in enumerate(DATA.items()):
        sample, masks = read(data, index)
        np.testing.assert_array_equal(sample.image, make_golden.raw_image() if name == "raw" else image)
        assert (sample.index, sample.name) == (index, RECORDS[name].name)
        if name == "unlabelled":
            assert (sample.labels, sample.persons, masks) == (None, None, [])
        else:
            np.testing.assert_array_equal(sample.labels, labels)
            np.testing.assert_array_equal(sample.persons, persons)
            np.testing.assert_array_equal(masks, make_golden.masks())


@pytest.mark.parametrize("name", RECORDS)
def test_the_document_and_the_code_agree(name):
    read_by_it = by_the_document(DATA[name])
    index = read_by_it.pop("index")
    ours = parse_record(DATA[name], index)
    assert read_by_it == plain(ours)
    if ours.runs is not None:
        sample, masks = read(DATA[name], index)
        labels, persons = maps_by_the_document(read_by_it["row_offsets"], read_by_it["runs"], SIZE)
        np.testing.assert_array_equal(sample.labels, labels)
        np.testing.assert_array_equal(sample.persons, persons)
        np.testing.assert_array_equal(masks, [mask_by_the_document(mask, SOURCE_SIZE) for mask in read_by_it["masks"]])


def test_the_footer_is_the_documents_table():
    assert FOOTER.itemsize == 76
    places = {name: offset for name, (_, offset, *_) in FOOTER.fields.items()}
    assert places == {
        "version": 0, "codec": 2, "flags": 3, "height": 4, "width": 6, "source_height": 8, "source_width": 10,
        "persons": 12, "name_bytes": 14, "image_bytes": 16, "run_count": 20, "masks_bytes": 24, "contested": 28,
        "conflicting": 32, "source_sha256": 36, "crc32": 68, "magic": 72,
    }  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_golden_bytes(name):
    """Encoding the same fields again gives the golden bytes; reading those gives the fields."""
    golden = (GOLDEN / f"{name}.record").read_bytes()
    index = list(RECORDS).index(name)
    assert plain(parse_record(golden, index)) | {"masks": None} == plain(RECORDS[name]) | {"masks": None}
    if RECORDS[name].masks:
        np.testing.assert_array_equal(read(golden, index)[1], make_golden.masks())
        if not re.fullmatch(r"1\.[23](\.\d+)*", zlib.ZLIB_RUNTIME_VERSION):
            pytest.skip(f"zlib {zlib.ZLIB_RUNTIME_VERSION} is not zlib's own 1.2 or 1.3: others deflate to other bytes")
    assert DATA[name] == golden


@st.composite
def any_record(draw):
    """Return a record of random fields; its image is random bytes, since only a decoder reads it."""
    size = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    source_size = draw(st.sampled_from([(1, 1), (1, 65535), (65535, 1024), (8192, 8192), (768, 1024)]))
    labelled = draw(st.booleans())
    row_offsets = runs = None
    masks = draw(st.lists(st.binary(max_size=20), max_size=5)) if labelled else []
    if labelled:
        labels = draw(arrays.arrays(np.uint8, size, elements=st.integers(0, 18)))
        row_offsets, runs = encode_runs(labels, (labels > 0).astype(np.uint8))
    counts = st.integers(0, 2**32 - 1)
    return dataclasses.replace(
        RECORDS["labelled"], name=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
        codec=draw(st.sampled_from([0, 2])), size=size, source_size=source_size, image=draw(st.binary(max_size=40)),
        row_offsets=row_offsets, runs=runs, masks=masks, contested=draw(counts), conflicting=draw(counts),
        gray=draw(st.booleans()), verbatim=draw(st.booleans()), source_sha256=draw(st.binary(min_size=32, max_size=32)),
    )  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=150)
@given(any_record(), st.integers(0, 2**64 - 1))
def test_any_record_goes_there_and_back(record, index):
    data = encode_record(record)
    number_record(data, index)
    assert plain(parse_record(bytes(data), index)) == plain(record)
    assert by_the_document(bytes(data))["name"] == record.name


@pytest.mark.parametrize("length", range(9))
def test_what_follows_the_image_is_aligned(length):
    data = encode_record(dataclasses.replace(RECORDS["labelled"], image=bytes(100 + length)))
    rows = (24 + 100 + length + 7) // 8 * 8
    assert data[24 + 100 + length : rows] == bytes(rows - 124 - length)
    assert struct.unpack_from("<25I", data, rows) == tuple(RECORDS["labelled"].row_offsets)
    assert parse_record(data, 0).runs.flags.aligned


def test_numbering_touches_only_the_index():
    data = encode_record(RECORDS["labelled"])
    before = bytes(data)
    number_record(data, 2**40 + 7)
    assert (data[:8], data[16:]) == (before[:8], before[16:])
    assert int.from_bytes(data[8:16], "little") == 2**40 + 7
    parse_record(data, 2**40 + 7)
    for other in (0, 7, 2**40 + 8):
        with pytest.raises(RecordError, match=f"^record {other}: has the header of record {2**40 + 7}"):
            parse_record(data, other)


def test_parts_are_views_that_cannot_be_written():
    record = parse_record(bytearray(LABELLED), 0)
    with pytest.raises(TypeError):
        record.image[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        record.runs[0] = 0


def test_every_changed_byte_is_noticed():
    data = bytearray(LABELLED)
    for place in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            data[place] ^= change
            with pytest.raises(RecordError):
                parse_record(data, 0)
            data[place] ^= change


def test_every_length_is_noticed():
    for length in range(len(LABELLED)):
        with pytest.raises(RecordError):
            parse_record(LABELLED[:length], 0)
    for more in (LABELLED + b"\0", LABELLED + LABELLED, b"\0" * 8 + LABELLED):
        with pytest.raises(RecordError):
            parse_record(more, 0)


def test_another_version_says_update():
    with pytest.raises(
        RecordError, match=r"version 2; expected version 1\. .* Install a newer mhpkit \(build\.json .* names the"
    ):
        parse_record(patch(LABELLED, version=2), 0)


SIZED = (
    "height",
    "width",
    "source_height",
    "source_width",
    "persons",
    "name_bytes",
    "image_bytes",
    "run_count",
    "masks_bytes",
)


@pytest.mark.parametrize("field", SIZED)
@pytest.mark.parametrize("name", ["labelled", "raw"])
def test_a_false_size_is_an_error_and_takes_no_memory(name, field):
    data, index = DATA[name], list(DATA).index(name)
    true = int(np.frombuffer(data[-76:], FOOTER)[0][field])
    top = 256 ** FOOTER.fields[field][0].itemsize - 1
    for value in {0, 1, true - 1, true + 1, top // 2, top - 1, top} - {true}:
        with at_most(8 << 20), pytest.raises(RecordError):
            read(patch(data, **{field: value}), index)


def test_a_huge_source_size_takes_no_memory():
    """A few bytes of zlib declare 2000 x 65535 pixels: no image is that large, so no mask may be."""
    runs = np.ones(2000, "<u2").tobytes() + np.full(2000, 65535, "<u2").tobytes() + bytes(2000)
    bomb = dataclasses.replace(RECORDS["labelled"], masks=[zlib.compress(runs)] * 2, source_size=(2000, 65535))
    for data in (encode_record(bomb), patch(LABELLED, source_height=65535, source_width=65535)):
        with at_most(8 << 20), pytest.raises(RecordError):
            read(bytes(data))


def test_a_picture_of_no_pixels_is_an_error():
    for size in ((0, 5), (5, 0), (0, 0)):
        nothing = dataclasses.replace(RECORDS["unlabelled"], codec=2, size=size, source_size=size, image=b"")
        with pytest.raises(RecordError):
            read(encode_record(nothing))


@pytest.mark.parametrize("flags", [8, 16, 128])
def test_flags_that_do_not_exist_are_an_error(flags):
    with pytest.raises(RecordError):
        parse_record(patch(LABELLED, flags=1 | flags), 0)


def test_a_record_without_labels_has_no_runs_and_no_persons():
    with pytest.raises(RecordError):
        parse_record(patch(LABELLED, flags=0), 0)
    unlabelled = DATA["unlabelled"]
    with pytest.raises(RecordError):
        parse_record(patch(unlabelled, flags=1), 2)
    at = len(unlabelled) - 76 - len(RECORDS["unlabelled"].name.encode())
    for field in ("run_count", "persons"):  # space for one, so that the length is correct
        with pytest.raises(RecordError):
            parse_record(patch(unlabelled[:at] + bytes(4) + unlabelled[at:], **{field: 1}), 2)


TOTAL = sum(map(len, RECORDS["labelled"].masks))


@pytest.mark.parametrize("ends", [(5, 4), (TOTAL, TOTAL - 1), (TOTAL + 1, TOTAL), (2**32 - 1, TOTAL), (0, 2**32 - 1)])
def test_mask_ends_that_do_not_rise_to_the_end(ends):
    at = len(LABELLED) - 76 - len(RECORDS["labelled"].name) - TOTAL - 8
    with pytest.raises(RecordError, match="ascending offsets"):
        parse_record(with_crc(LABELLED[:at] + struct.pack("<2I", *ends) + LABELLED[at + 8 :]), 0)


def test_a_name_that_is_not_utf8():
    at = len(LABELLED) - 77
    with pytest.raises(RecordError, match="UTF-8"):
        parse_record(with_crc(LABELLED[:at] + b"\xff" + LABELLED[at + 1 :]), 0)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"runs": RECORDS["labelled"].runs | 19 << 16}, "label"),
        ({"runs": RECORDS["labelled"].runs | 7 << 24}, "person"),
        ({"masks": RECORDS["labelled"].masks[:1]}, "person 2"),
        ({"row_offsets": RECORDS["labelled"].row_offsets[::-1].copy()}, "row offsets"),
        ({"image": b"\xff\xd8\xff\xd9"}, "image"),
        ({"codec": 2}, "image"),
        ({"codec": 7}, "codec"),
    ],
)
def test_parts_that_are_wrong_are_named_with_their_record(change, found):
    """The CRC is correct, so the writer is at fault, not damage."""
    data = encode_record(dataclasses.replace(RECORDS["labelled"], **change))
    with pytest.raises(RecordError, match=found) as caught:
        read(data)
    assert caught.value.place.startswith("record 0 (1528)")
    assert caught.value.remedy


WRONG_MASKS = {
    "nothing": b"",
    "no zlib": b"no zlib",
    "nothing inside": zlib.compress(b""),
    "another size": deflate_mask(np.zeros((3, 4), np.uint8)),
}


@pytest.mark.parametrize("what", WRONG_MASKS)
def test_a_wrong_mask_is_named_with_its_record(what):
    wrong = dataclasses.replace(RECORDS["labelled"], masks=[WRONG_MASKS[what]] * 2)
    sample = decode_record(parse_record(encode_record(wrong), 0), 0, CLASSES)
    with pytest.raises(RecordError, match="mask") as caught:
        _ = sample.masks
    assert "1528" in caught.value.place
