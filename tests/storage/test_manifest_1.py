"""Manifests of version 1, as written by mhp 0.1: the same Manifest, with their original sentences."""

from __future__ import annotations

import json

import pytest
from make_golden import GOLDEN

from mhpdata.errors import ManifestError
from mhpdata.storage.digests import Digests
from mhpdata.storage.manifest import Manifest, read_manifest
from mhpdata.storage.packed import Shard, ShardFile, Skipped
from mhpdata.storage.statistics import Statistics


def test_the_golden_manifest():
    found = read_manifest(GOLDEN)
    assert (found.version, found.content_id, found.licence) == (1, None, None)
    files = ShardFile("train-00000.rec", 4096, "0a" * 32), ShardFile("train-00000.idx", 21, "1b" * 32)
    assert found.splits["train"].shards == (Shard(files, ("1528", "0002")),)
    assert found.splits["train"].statistics == Statistics(2, 4, 1, 2, 240, 115, [1536, 2**40, 0], [2, 2, 0], 128)
    assert found.splits["train"].labelled and found.options["damaged"] == "fail"
    sentence = 'annotations/0003_02_01.png: "\u00fc"\n. Unpack it again.'
    assert found.skipped == (Skipped("train", "0003", "", "words", ("MaskError", sentence)),)
    assert found.skipped[0].message == sentence
    assert (found.notes, found.renamed, found.duplicates) == ((), (), (("train/1528", "train/0002"),))


def test_what_is_optional():
    content = json.loads((GOLDEN / "0.1/rec/manifest.json").read_text())
    content["renamed"] = ["images: 2 files taken under another name"]
    content["notes"] = [{"split": "train", "name": "0001", "note": "trailer", "message": "9 bytes"}]
    content["options"]["damaged"] = "keep"
    content["splits"]["test"] |= {"labelled": False}
    content["splits"]["val"]["statistics"]["unlabelled_persons"] = 3
    found = Manifest.from_json(json.dumps(content), "manifest.json")
    assert [one.text for one in found.renamed] == ["images: 2 files taken under another name"]
    assert [(note.code, note.values) for note in found.notes] == [("trailer", ("9 bytes",))]
    assert found.options["damaged"] == "keep" and not found.splits["test"].labelled
    assert found.splits["val"].statistics.unlabelled_persons == 3
    shard = found.splits["val"].shards[0]
    assert list(shard.photos) == content["splits"]["val"]["shards"][0]["photos"]
    assert shard.sources == Digests() and shard.files[0].blocks == Digests()


def test_it_is_never_written():
    with pytest.raises(ManifestError, match=r"has version 1; expected version 2.* --overwrite"):
        read_manifest(GOLDEN).to_json()
