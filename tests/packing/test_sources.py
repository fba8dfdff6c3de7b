"""Sources are identified by content, as in docs/format.md; size and modification time are a shortcut."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

import pytest
from folder import write_folder

import mhpdata
from mhpdata.errors import SourceError
from mhpdata.packing.sources import Source, fingerprint, paths_of, source_digest, state_of
from mhpdata.source.scan import scan
from mhpdata.storage.digests import SOURCE_BYTES


@pytest.fixture
def source(tmp_path):
    return write_folder(tmp_path / "LV-MHP-v1", size=(40, 56))


def entries(root):
    listing = scan(root)
    return [entry for split in ("train", "val", "test") for entry in listing.entries[split]]


def by_the_document(root, entry):
    whole = hashlib.sha256()
    for file in (entry.image, *entry.masks):
        whole.update(hashlib.sha256((root / file.path).read_bytes()).digest())
    return whole.hexdigest()[:32]


def test_the_manifest_has_the_digests_of_the_document(source, tmp_path):
    manifest = mhpdata.pack(source, tmp_path / "rec", size=0)
    digests = [digest for split in manifest.splits.values() for shard in split.shards for digest in shard.sources]
    assert digests == [by_the_document(source, entry) for entry in entries(source)]
    assert digests[0] != digests[-1], "the same image with other masks"


def test_a_digest_is_of_every_file_in_order(source):
    entry = entries(source)[0]
    digest = source_digest(source, entry)
    assert len(digest) == SOURCE_BYTES
    image = hashlib.sha256((source / entry.image.path).read_bytes()).digest()
    assert source_digest(source, entry, image) == digest
    for file in entry.files:
        data = (source / file.path).read_bytes()
        (source / file.path).write_bytes(data + b"more")
        assert source_digest(source, entries(source)[0]) != digest
        (source / file.path).write_bytes(data)
    one, two = (source / mask.path for mask in entry.masks[:2])
    a, b = one.read_bytes(), two.read_bytes()
    one.write_bytes(b)
    two.write_bytes(a)
    assert source_digest(source, entries(source)[0]) != digest


def test_a_file_that_cannot_be_read_counts_with_the_reason(source):
    entry = entries(source)[0]
    digest = source_digest(source, entry)
    (source / entry.image.path).write_bytes(b"another")  # not the one that was scanned
    changed = source_digest(source, entry)
    assert digest != changed == source_digest(source, entry)


def test_a_copy_has_another_fingerprint_and_the_same_content(source):
    before = entries(source)
    (source / before[0].image.path).touch()
    os.utime(source / before[0].image.path, ns=(1, 1))
    after = entries(source)
    assert fingerprint(before) != fingerprint(after)
    first, again = (Source(source, scan(source), ("train", "test"), 2, False) for _ in range(2))
    digests = first.read(first.entries)
    assert list(digests) == [by_the_document(source, entry) for entry in first.entries]
    assert first.content(digests) == again.content(again.read(again.entries))
    assert first.content(digests) != first.content([*digests[:-1], "00" * SOURCE_BYTES])


def test_what_is_wrong_with_lists_is_part_of_the_state_by_its_code_alone(source):
    (source / "train_list.txt").write_text("nobody\n" + (source / "train_list.txt").read_text())
    (problem,) = scan(source).problems
    state = state_of("files", [problem], [])
    problem.error.found = problem.error.remedy = "other words"
    assert state_of("files", [problem], []) == state != state_of("files", [], [])


def test_a_mask_of_a_packed_entry_that_cannot_be_read_again_is_an_error(source):
    entry = entries(source)[0]
    image = hashlib.sha256((source / entry.image.path).read_bytes()).digest()
    (source / entry.masks[0].path).write_bytes(b"another")  # not the one that was scanned
    with pytest.raises(SourceError):
        source_digest(source, entry, image)


def test_another_path_with_the_same_content_is_another_source(source):
    first = Source(source, scan(source), ("train",), 1, False)
    digests = list(first.read(first.entries))
    content = first.content(digests)
    assert content == first.content(digests)
    entry = first.entries[0]
    moved = replace(entry, image=replace(entry.image, path=f"{entry.image.path}.moved"))
    assert paths_of([entry]) != paths_of([moved])
