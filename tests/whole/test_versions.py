"""Tools that compare two versions of mhp: benchmarks/digests.py and benchmarks/peers/versions.py."""

from __future__ import annotations

import struct
from itertools import product

import numpy as np
import pytest
from places import ROOT

import mhpdata
from mhpdata.storage.shards import hdf5, recordio

SHARDS = {".rec": recordio, ".h5": hdf5}


@pytest.fixture(scope="module", autouse=True)
def benchmarks():
    """Put benchmarks/ on the import path: benchmarks import one another by file name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield


@pytest.mark.parametrize("suffix", SHARDS)
def test_records_are_read_from_the_format_alone(suffix, tmp_path):
    import digests

    magic = struct.pack("<I", digests.MAGIC)
    rng = np.random.default_rng(0)
    written = [b"", b"abc", magic, magic * 3, b"abcd" + magic + b"e", b"ab" + magic, *(rng.bytes(n) for n in range(40))]
    written = [record for record in written if record or suffix == ".rec"]  # hdf5 rejects an empty record
    writer = SHARDS[suffix].Writer(tmp_path / "train-00000")
    for record in written:
        writer.write(record)
    writer.close()
    assert list(digests.records(tmp_path / f"train-00000{suffix}")) == written


def test_a_changed_record_has_another_digest(source, tmp_path):
    import digests

    for name, overlap in (("one", "first"), ("two", "first"), ("three", "last")):
        mhpdata.pack(source, tmp_path / name, size=64, overlap=overlap, workers=1)
    one, two, three = (digests.record_digests(tmp_path / name) for name in ("one", "two", "three"))
    assert len(one) == len(list((source / "images").iterdir())) and one == two
    assert one.keys() == three.keys() and all(one[key] != three[key] for key in one)


def test_what_differs_is_named():
    import digests

    before = {"record: a: train 0": "1", "packs of before: batch: b": "2", "record: gone": "3"}
    after = {"record: a: train 0": "1", "packs of before: batch: b": "2", "packs of after: batch: b": "2"}
    assert digests.differences(before, after) == ["record: gone: missing after"]
    after |= {"record: a: train 0": "9", "packs of after: batch: b": "9", "packs of after: batch: c": "1"}
    assert digests.differences(before, after) == [
        "packs of after: batch: b: differs",
        "packs of after: batch: c: missing before",
        "record: a: train 0: differs",
        "record: gone: missing after",
    ]


def test_levels_are_all_that_this_machine_has():
    import digests

    from mhpdata.drawing.vectors import instructions
    from mhpdata.loading import region

    assert [(level, region.LEVEL) for level in digests.levels()] == [(n, n) for n in range(instructions.LEVEL + 1)]


def test_ratios_are_of_a_round():
    from peers.variant import Variant
    from peers.versions import COLUMNS, rows_of

    def variant(*figures):
        return Variant("", [], runs=[dict.fromkeys(COLUMNS, figure) for figure in figures])

    rows = rows_of({"load raw": [variant(10, 20), variant(11, 18), variant(10, 20), variant(11, 22)]})
    assert [(row["what"], row["column"]) for row in rows] == list(product(["load raw"], COLUMNS))
    row = rows[0]
    np.testing.assert_allclose([row["lowest"], row["highest"], row["after / before"]], [1.0, 1.1, 1.05])
    np.testing.assert_allclose([row["same, lowest"], row["same, highest"]], [1.0, 22 / 18])
