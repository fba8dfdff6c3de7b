"""Packed folders at an address: the same samples, few requests, no listing, checked bytes, and errors that help."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest
from loading import write_packed
from stored import NEEDS_OBSTORE, ask_singly, served

import mhpdata
from mhpdata.errors import ManifestError, OptionError, ShardChangedError, ShardError
from mhpdata.storage.manifest import read_manifest

pytestmark = NEEDS_OBSTORE


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("remote"), images=("jpeg",))


@pytest.fixture(scope="module")
def rec(packed):
    return packed["jpeg", "recordio"]


@pytest.fixture
def copied(rec, tmp_path):
    return shutil.copytree(rec, tmp_path / "rec")


def rec_of(split):
    return split.folder / "train-00000.rec"


def test_samples_equal_those_of_the_local_folder(rec, cache):
    local = mhpdata.open(rec, "train")
    with served(rec) as (server, address):
        remote = mhpdata.open(address, "train", cache=cache)
        assert (len(remote), remote.classes, remote.names) == (len(local), local.classes, local.names)
        assert str(remote.folder) == address
        for here, there in zip(local, remote, strict=True):
            assert here.name == there.name
            np.testing.assert_array_equal(here.image, there.image)
            np.testing.assert_array_equal(here.labels, there.labels)
            np.testing.assert_array_equal(here.persons, there.persons)
        assert {path.rpartition("/")[2] for _, path, _ in server.requests} == {
            "manifest.json",
            "train-00000.rec",
            "train-00000.idx",
        }
        remote.close()
        with pytest.raises(ShardError, match="was closed"):
            remote[0]


def test_opening_takes_two_requests_per_shard_and_one_for_the_manifest(rec, cache):
    with served(rec) as (server, address):
        mhpdata.open(address, "val", cache=cache)
        found = sorted((method, path.rpartition("/")[2]) for method, path, _ in server.requests)
    assert found == [("GET", "manifest.json"), ("GET", "val-00000.idx"), ("HEAD", "val-00000.rec")]


def test_a_pickle_has_the_address_and_nothing_else(rec, cache):
    with served(rec) as (_, address):
        split = mhpdata.open(address, "train", cache=cache)
        data = pickle.dumps(split)
        assert len(data) < 600
        again = pickle.loads(data)
        assert again.names == split.names
        assert again[3].name == split[3].name
        assert repr(split) == f"<18 samples of {address}, split train>"


def test_verify_finds_a_clean_folder_clean_and_says_what_it_does_not_look_for(rec):
    with served(rec, faults=("wrong", "short", "500"), share=0.2, seed=3) as (server, address):
        report = mhpdata.verify_packed(address, deep=True)
        assert report.clean, report.text()
        assert any("an address is never listed" in remark for remark in report.remarks)
        assert server.injected["wrong"], "and no fault of the network is taken for damage"


def test_verify_names_damaged_bytes(copied):
    data = bytearray((copied / "train-00000.rec").read_bytes())
    data[5000] ^= 1
    (copied / "train-00000.rec").write_bytes(data)
    (copied / "val-00000.idx").unlink()
    with served(copied) as (_, address):
        found = [str(error) for error in mhpdata.verify_packed(address).findings]
    assert any(f"{address}/train-00000.rec: its bytes are not those that were written" in one for one in found)
    assert any(f"{address}/train-00000.rec, record" in one for one in found)
    assert any(f"{address}/val-00000.idx: missing" in one for one in found)


def test_wrong_bytes_are_an_error_that_names_the_object(copied, cache):
    data = bytearray((copied / "train-00000.rec").read_bytes())
    data[len(data) // 2] ^= 1
    (copied / "train-00000.rec").write_bytes(data)
    with served(copied) as (server, address):
        split = mhpdata.open(address, "train", cache=cache)
        with pytest.raises((mhpdata.errors.RecordError, ShardError), match=f"{address}/train-00000.rec"):
            list(split)
        gets = [one for one in server.requests if one[0] == "GET" and one[1].endswith(".rec")]
        assert gets[-1] == gets[-2], "it was requested again once"
        assert len(gets) == len(set(gets)) + 1


@pytest.mark.parametrize("name", ["train-00000.rec", "train-00000.idx"])
def test_objects_that_differ_from_the_manifest_are_errors(copied, name):
    path = copied / name
    data = path.read_bytes()
    for change, found in ((data + b"0", "bytes"), (data[:-1], "bytes"), (None, "missing")):
        path.unlink() if change is None else path.write_bytes(change)
        with served(copied) as (_, address), pytest.raises(ShardError, match=f"{address}/{name}: .*{found}"):
            mhpdata.open(address, "train")


def test_a_replaced_object_is_noticed_without_a_cache(copied):
    with served(copied) as (_, address):
        split = mhpdata.open(address, "train")
        first = split[0].name
        os.utime(copied / "train-00000.rec", ns=(1, 1))  # another ETag
        with pytest.raises(ShardChangedError, match="replaced by another object"):
            split.raw(0)
        assert split[0].name == first, "opened again, and checked"


def test_a_cached_block_that_the_disk_damaged_is_fetched_again(rec, tmp_path):
    cache = mhpdata.Cache(tmp_path, 1)
    with served(rec) as (server, address):
        assert len(list(mhpdata.open(address, "train", cache=cache))) == 18
        (block,) = (path for path in tmp_path.rglob("*") if len(path.name) == 64)
        block.write_bytes(bytes(block.stat().st_size))
        before = server.count("GET", ".rec")
        assert len(list(mhpdata.open(address, "train", cache=cache))) == 18
        assert server.count("GET", ".rec") == before + 1


def test_hdf5_at_an_address_says_why_not(packed):
    with served(packed["jpeg", "hdf5"]) as (_, address), pytest.raises(OptionError) as caught:
        mhpdata.open(address, "train")
    assert "many small steps, each a request" in caught.value.found
    assert "--format recordio" in caught.value.remedy


def test_a_cache_needs_the_digests_of_format_2(copied, tmp_path):
    content = json.loads((copied / "manifest.json").read_text())
    old = {**content, "version": 1, "notes": [], "renamed": [], "skipped": []}
    for split in old["splits"].values():
        for shard in split["shards"]:
            shard["photos"] = [shard["photos"][64 * i : 64 * i + 64] for i in range(shard["records"])]
            shard["classes"] = []
    (copied / "manifest.json").write_text(json.dumps(old))
    with served(copied) as (_, address):
        assert mhpdata.open(address, "train")[0].name
        with pytest.raises(OptionError, match="has format 1"):
            mhpdata.open(address, "train", cache=mhpdata.Cache(tmp_path / "cache"))


def test_names_in_a_manifest_stay_below_the_prefix(copied):
    text = (copied / "manifest.json").read_text()
    (copied / "manifest.json").write_text(text.replace('"train-00000.rec"', '"../train-00000.rec"'))
    with served(copied) as (server, address):
        with pytest.raises(ManifestError, match="invalid field"):
            mhpdata.open(address, "train")
        assert {path.rpartition("/")[2] for _, path, _ in server.requests} == {"manifest.json"}


def test_no_manifest_no_dataset(copied):
    with served(copied) as (_, address), pytest.raises(ManifestError, match=r"manifest.json: missing"):
        read_manifest(f"{address}/wrong")


@pytest.mark.parametrize("indices", [range(18), [3, 3, 7], [17, 0, 17]])
def test_records_that_were_asked_for_are_requested_once_and_forgotten(rec, monkeypatch, indices):
    ask_singly(monkeypatch)
    with served(rec) as (server, address):
        split = mhpdata.open(address, "train")
        split.ask(indices)
        for index in indices:
            assert split.record(index).name == split.names[index]
            split.drop(index)
        assert server.count("GET", ".rec") == len(set(indices))
        assert not split._place._window._pieces
        split.record(indices[0])
        assert server.count("GET", ".rec") == len(set(indices)) + 1
