"""The content id depends on the samples only, not on their container; docs/format.md suffices to compute it."""

from __future__ import annotations

import hashlib
import json
import struct
from itertools import pairwise

import pytest
from folder import write_folder
from make_golden import GOLDEN, GOLDEN_2, PACKS

import mhpdata
from mhpdata.checking.packed import verify_packed
from mhpdata.storage.manifest import read_manifest

BLOCK = 4 << 20


def payloads(data, index):
    """Return the payloads of a RecordIO file, by docs/format.md."""
    for line in index.decode().splitlines():
        at, parts = int(line.split("\t")[1]), []
        while True:
            magic, word = struct.unpack_from("<II", data, at)
            assert magic == 0xCED7230A
            flag, length = word >> 29, word & (1 << 29) - 1
            parts.append(data[at + 8 : at + 8 + length])
            at += 8 + length + -length % 4
            if flag in (0, 3):
                break
        yield struct.pack("<I", 0xCED7230A).join(parts)


def records(folder, shard):
    """Return the records of a shard, by docs/format.md."""
    first = folder / shard["files"][0]["file"]
    if first.suffix == ".rec":
        return list(payloads(first.read_bytes(), (folder / shard["files"][1]["file"]).read_bytes()))
    import h5py

    with h5py.File(first) as file:
        data, offsets = file["records"][:].tobytes(), file["offsets"][:].tolist()
    return [data[a:b] for a, b in pairwise(offsets)]


def field(value):
    data = str(value).encode()
    return struct.pack("<I", len(data)) + data


def check_by_the_document(folder):
    """Compute all digests that docs/format.md defines for manifest.json, without code of mhp."""
    content = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert (content["format"], content["version"]) == ("mhp-packed", 2)
    fields = ["mhp-content-2", content["layout"], len(content["classes"]), *content["classes"]]
    fields += [len(content["flip_pairs"]), *(label for pair in content["flip_pairs"] for label in pair)]
    fields += [len(content["splits"])]
    for name, split in sorted(content["splits"].items()):
        whole, index = hashlib.sha256(), 0
        limit, lengths = content["options"]["shard_mb"] << 20, []
        for shard in split["shards"]:
            for file in shard["files"]:
                data = (folder / file["file"]).read_bytes()
                assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
                blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
                assert file["blocks"] == "".join(hashlib.sha256(block).hexdigest() for block in blocks)
            found = records(folder, shard)
            assert len(found) == shard["records"] == len(shard["names"])
            assert len(shard["sources"]) == 32 * len(found)
            for i, record in enumerate(found):
                assert struct.unpack_from("<Q", record, 8) == (index,)
                assert shard["photos"][64 * i :][:64] == record[-40:-8].hex()
                whole.update(hashlib.sha256(record[24:]).digest())
                index += 1
            lengths.append(list(map(len, found)))
        assert split["content"] == whole.hexdigest() and split["records"] == index
        for held, following in pairwise(lengths):
            assert sum(held) <= limit < sum(held) + following[0]
        fields += [name, split["records"], int(split["labelled"]), split["content"]]
    assert content["content"] == hashlib.sha256(b"".join(map(field, fields))).hexdigest()
    return content


@pytest.mark.parametrize("name", PACKS)
def test_the_document_is_enough_for_the_golden_packs(name):
    content = check_by_the_document(GOLDEN_2 / name)
    assert read_manifest(GOLDEN_2 / name).content_id == content["content"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("source") / "LV-MHP-v1", images=8, size=(300, 400))


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "rec"
    mhpdata.pack(source, out, size=640, image="raw")
    return out


@pytest.mark.parametrize(
    "other", [{"format": "hdf5"}, {"shard_mb": 3}, {"shard_mb": 5, "format": "hdf5", "workers": 3}]
)
def test_container_and_shard_size_do_not_matter(source, whole, tmp_path, other):
    manifest = mhpdata.pack(source, tmp_path / "rec", size=640, image="raw", **other)
    assert manifest.content_id == read_manifest(whole).content_id
    shards = manifest.splits["train"].shards
    assert len(shards) > 1 or "shard_mb" not in other
    check_by_the_document(tmp_path / "rec")


@pytest.mark.parametrize("other", [{"size": 632}, {"image": "yuv420"}, {"splits": ["train"]}, {"overlap": "last"}])
def test_samples_and_splits_do(source, whole, tmp_path, other):
    manifest = mhpdata.pack(source, tmp_path / "rec", **{"size": 640, "image": "raw"} | other)
    assert manifest.content_id != read_manifest(whole).content_id
    if "splits" in other:
        assert manifest.splits["train"] == read_manifest(whole).splits["train"]


def test_a_format_1_pack_has_the_content_of_its_records(tmp_path):
    """A new pack of the same download has the records of the old one."""
    source = write_folder(tmp_path / "LV-MHP-v1", images=16, size=(48, 64))
    manifest = mhpdata.pack(source, tmp_path / "rec", size=48)
    assert f"content {manifest.content_id}" in verify_packed(GOLDEN / "0.1/rec").remarks
