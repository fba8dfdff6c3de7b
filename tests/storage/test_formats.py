"""The contract of shard formats: exact round trips in any thread; a damaged shard is a ShardError."""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from make_golden import GOLDEN, STEM, record_bytes

from mhpdata.errors import ShardError
from mhpdata.options import FORMATS
from mhpdata.storage.shards.formats import SUFFIXES, reader, writer

MAGIC = bytes.fromhex("0a23d7ce")


def payload(seed, size):
    return np.random.default_rng(seed).bytes(size)


RECORDS = [payload(i, size) for i, size in enumerate([1, 2, 3, 4, 5, 8, 1000, 0, 4097, 3_000_001])] + [MAGIC, MAGIC * 9]


def write(format, stem, records=RECORDS):
    shard = writer(format, stem)
    for record in records:
        shard.write(record)
    shard.close()
    return [stem.with_suffix(suffix) for suffix in SUFFIXES[format]]


@pytest.fixture
def stem(tmp_path):
    return tmp_path / STEM


each_format = pytest.mark.parametrize("format", FORMATS)


@each_format
def test_there_and_back(format, stem):
    write(format, stem)
    shard = reader(format, stem, len(RECORDS))
    assert len(shard) == len(RECORDS)
    assert [bytes(shard.read(i)) for i in range(len(RECORDS))] == RECORDS
    assert bytes(shard.read(3)) == RECORDS[3]  # in any order, again
    shard.close()


@each_format
def test_close_gives_the_hash_of_each_file(format, stem):
    shard = writer(format, stem)
    for record in RECORDS:
        shard.write(record)
    hashes = shard.close()
    files = [stem.with_suffix(suffix).read_bytes() for suffix in SUFFIXES[format]]
    assert [found.sha256 for found in hashes] == [hashlib.sha256(data).hexdigest() for data in files]
    assert [found.size for found in hashes] == list(map(len, files))


@each_format
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_records_may_be_reused_after_writing(format, kind, stem):
    record = bytearray(b"first")
    shard = writer(format, stem)
    shard.write(kind(record))
    record[:] = b"other"
    shard.write(kind(record))
    shard.close()
    got = reader(format, stem, 2)
    assert [bytes(got.read(i)) for i in range(2)] == [b"first", b"other"]


@each_format
def test_the_same_records_give_the_same_bytes_and_only_the_shards_files(format, tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        write(format, folder / STEM)
        assert sorted(path.name for path in folder.iterdir()) == sorted(STEM + suffix for suffix in SUFFIXES[format])
    for suffix in SUFFIXES[format]:
        assert len({(folder / (STEM + suffix)).read_bytes() for folder in folders}) == 1


@each_format
def test_size_counts_what_is_written(format, stem):
    shard = writer(format, stem)
    assert shard.size == 0
    for record in RECORDS:
        before = shard.size
        shard.write(record)
        assert len(record) <= shard.size - before <= 3 * len(record) + 11  # RecordIO takes 8 bytes and padding per part
    shard.close()
    if format == "recordio":
        assert shard.size == stem.with_suffix(".rec").stat().st_size


@each_format
def test_no_records(format, stem):
    write(format, stem, [])
    shard = reader(format, stem, 0)
    assert len(shard) == 0
    with pytest.raises(IndexError):
        shard.read(0)


@each_format
@pytest.mark.parametrize("records", [0, len(RECORDS) - 1, len(RECORDS) + 1])
def test_another_number_of_records_is_refused(format, records, stem):
    write(format, stem)
    with pytest.raises(ShardError, match=f"{len(RECORDS)} records; expected {records}"):
        reader(format, stem, records)


@each_format
def test_eight_threads_on_one_reader(format, stem):
    records = [payload(i, 500 + 37 * i) for i in range(64)]
    write(format, stem, records)
    shard = reader(format, stem, len(records))
    order = np.random.default_rng(0).integers(0, len(records), 4000).tolist()
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda i: bytes(shard.read(i)) == records[i], order))


@each_format
def test_two_readers_and_a_reader_that_outlives_the_file(format, stem):
    files = write(format, stem)
    first, second = (reader(format, stem, len(RECORDS)) for _ in range(2))
    first.close()
    first.close()  # closing twice is allowed
    for file in files:
        file.unlink()
    assert bytes(second.read(9)) == RECORDS[9]


@each_format
def test_a_missing_file(format, stem):
    for suffix in SUFFIXES[format]:
        files = write(format, stem)
        stem.with_suffix(suffix).unlink()
        with pytest.raises(ShardError) as caught:
            reader(format, stem, len(RECORDS))
        assert suffix in caught.value.place and caught.value.remedy
        for file in files:
            file.unlink(missing_ok=True)


def outcome(format, stem, records):
    """Read all records of a damaged shard; return the error, or the number of unchanged records."""
    try:
        shard = reader(format, stem, len(records))
        return sum(bytes(shard.read(i)) == record for i, record in enumerate(records))
    except ShardError as error:
        assert STEM in error.place and error.remedy
        return "ShardError"


def some(places):
    """Return all offsets of a small file; about 500 of a large one (HDF5 takes 3 ms to open), including the last 50."""
    return range(places) if places < 500 else [*range(0, places, places // 450), *range(places - 50, places)]


@each_format
def test_a_file_cut_anywhere_is_refused(format, stem):
    """Truncate at every length, except in the padding after the last record of RecordIO, which is empty."""
    records = [b"first", b"", payload(0, 50), MAGIC * 3, b"last"]
    for file in write(format, stem, records):
        whole = file.read_bytes()
        for length in some(len(whole)):
            file.write_bytes(whole[:length])
            got = outcome(format, stem, records)
            assert got == "ShardError", f"{file.name} cut to {length} of {len(whole)} bytes: {got}"
        file.write_bytes(whole)
    assert outcome(format, stem, records) == len(records)


@each_format
def test_a_file_cut_while_it_is_read(format, stem):
    files = write(format, stem)
    shard = reader(format, stem, len(RECORDS))
    os.truncate(files[0], files[0].stat().st_size // 2)
    with pytest.raises(ShardError):
        shard.read(9)  # the large file


@each_format
def test_any_flipped_bit_is_an_error_or_other_bytes_but_nothing_else(format, stem):
    """Records have checksums, containers have none, so this only excludes other exceptions."""
    records = [b"first", payload(0, 50), MAGIC * 3, b"last"]
    for file in write(format, stem, records):
        whole = bytearray(file.read_bytes())
        for place in some(len(whole)):
            whole[place] ^= 1 << place % 8
            file.write_bytes(whole)
            outcome(format, stem, records)
            whole[place] ^= 1 << place % 8
        file.write_bytes(whole)


@each_format
def test_a_file_of_something_else(format, stem):
    for suffix in SUFFIXES[format]:
        for content in (b"", b"text, not a shard\n", bytes(5000), payload(0, 5000)):
            write(format, stem, [b"record"])
            stem.with_suffix(suffix).write_bytes(content)
            assert outcome(format, stem, [b"record"]) == "ShardError"


@each_format
def test_a_folder_in_the_files_place(format, stem):
    for suffix in SUFFIXES[format]:
        write(format, stem, [b"record"])
        stem.with_suffix(suffix).unlink()
        stem.with_suffix(suffix).mkdir()
        assert outcome(format, stem, [b"record"]) == "ShardError"
        stem.with_suffix(suffix).rmdir()


@each_format
def test_abort_leaves_nothing_that_reads_as_a_whole_shard(format, stem):
    shard = writer(format, stem)
    for record in RECORDS:
        shard.write(record)
    shard.abort()
    shard.abort()
    assert not stem.with_suffix(".spool").exists()
    if format == "hdf5":  # RecordIO's files may be complete by chance: packing publishes only closed files
        assert outcome(format, stem, RECORDS) == "ShardError"


@each_format
def test_abort_after_close_does_nothing(format, stem):
    shard = writer(format, stem)
    shard.write(b"record")
    shard.close()
    shard.abort()
    assert outcome(format, stem, [b"record"]) == 1


@each_format
def test_a_writer_replaces_what_a_killed_one_left(format, stem):
    for suffix in (*SUFFIXES[format], ".spool"):
        stem.with_suffix(suffix).write_bytes(payload(1, 100_000))
    write(format, stem)
    assert outcome(format, stem, RECORDS) == len(RECORDS)


@each_format
def test_golden_shards_are_read(format, tmp_path):
    for suffix in SUFFIXES[format]:
        shutil.copy(GOLDEN / (STEM + suffix), tmp_path)  # never open the golden files for writing
    shard = reader(format, tmp_path / STEM, 3)
    names = ("labelled", "raw", "unlabelled")
    assert [bytes(shard.read(i)) for i in range(3)] == [(GOLDEN / f"{name}.record").read_bytes() for name in names]
    assert list(record_bytes()) == list(names)
