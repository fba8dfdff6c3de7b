"""Fuzz targets that read records, shards and manifests, and their valid inputs."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_target import Seeds
from make_golden import GOLDEN, GOLDEN_2, SIZE, SOURCE_SIZE, STEM, maps, masks, record_bytes

from mhpdata.errors import RecordError
from mhpdata.masks.joint_runs import check_runs, count_labels, decode_runs, encode_runs
from mhpdata.masks.mask_runs import deflate_mask, draw_mask, inflate_runs
from mhpdata.masks.merge import merge_runs
from mhpdata.masks.resized_runs import resize_runs
from mhpdata.storage.content import SplitContent, pack_content
from mhpdata.storage.manifest import Manifest
from mhpdata.storage.record import IR_HEADER, parse_record
from mhpdata.storage.sample import decode_record
from mhpdata.storage.shards.formats import reader
from mhpdata.storage.shards.recordio import read_index, unframe


def read_record(data: bytes, index: int) -> Any:
    """Decode everything in a record."""
    record = parse_record(data, index)
    sample = decode_record(record, index, 19)
    assert sample.image.shape == (*record.size, 3)
    if sample.labels is not None:
        assert sample.labels.shape == sample.persons.shape == record.size
        assert ((sample.labels < 19) | (sample.labels == 255)).all()
        assert int(sample.persons.max()) <= len(record.masks)
    assert all(mask.shape == record.source_size for mask in sample.masks)
    arrays = [sample.image, sample.labels, sample.persons, *sample.masks]
    return record.name, [None if array is None else array.tobytes() for array in arrays]


def repair_record(data: bytes) -> bytes:
    """Correct the header, CRC and magic."""
    if len(data) < 32:
        return data
    fixed = bytearray(data)
    fixed[-4:] = b"mhp1"
    fixed[-8:-4] = struct.pack("<I", zlib.crc32(fixed[IR_HEADER.size : -8]))
    return bytes(fixed)


def read_mask(data: bytes, _: int) -> Any:
    """Decode a mask's stream."""
    runs = inflate_runs(data, SOURCE_SIZE)
    merged = merge_runs([runs, runs], "smallest", size=SOURCE_SIZE)
    check_runs(merged.row_offsets, merged.runs, SOURCE_SIZE, 255, 2)
    return draw_mask(runs, SOURCE_SIZE).tobytes()


def read_plain_mask(data: bytes, seed: int) -> Any:
    """Decode a mask's counts, lengths and labels, in the layout of the stream."""
    mask = read_mask(zlib.compress(data, 1), seed)
    assert b"".join(part.tobytes() for part in inflate_runs(zlib.compress(data, 1), SOURCE_SIZE)) == data
    return mask


def read_runs(data: bytes, _: int) -> Any:
    """Decode row offsets and runs, in the layout of a record."""
    words = np.frombuffer(data[: len(data) // 4 * 4], "<u4")
    if len(words) < SIZE[0] + 1:
        raise RecordError("runs", "too few")
    offsets, runs = words[: SIZE[0] + 1], words[SIZE[0] + 1 :]
    check_runs(offsets, runs, SIZE, 19, 2)
    labels, persons = decode_runs(offsets, runs, SIZE)
    assert count_labels(offsets, runs).sum() == SIZE[0] * SIZE[1]
    for new in ((1, 1), (7, 50), (48, 64)):
        small = resize_runs(offsets, runs, SIZE, new)
        check_runs(*small, new, 19, 2)
    return labels.tobytes(), persons.tobytes()


def read_payload(data: bytes, _: int) -> Any:
    """Read a payload in pieces. The record's checksum covers its bytes, but not its length."""
    payload = unframe(data, "payload")
    assert len(payload) <= len(data)
    return bytes(payload)


def shard_reader(work: Path, format: str, suffix: str) -> Callable[[bytes, int], Any]:
    """Reader of a damaged shard file; the other file of the shard, if any, is undamaged."""
    count = len(record_bytes())
    for path in GOLDEN.glob(f"{STEM}.*"):
        (work / path.name).write_bytes(path.read_bytes())
    damaged = work / f"damaged-{format}{suffix}"
    stem = damaged.with_suffix("")
    for path in GOLDEN.glob(f"{STEM}.*"):
        stem.with_suffix(path.suffix).write_bytes(path.read_bytes())

    def read(data: bytes, _: int) -> Any:
        stem.with_suffix(suffix).write_bytes(data)
        shard = reader(format, stem, count)
        try:
            return [read_record(shard.read(i), i) for i in range(count)]
        finally:
            shard.close()

    return read


def index_reader(work: Path) -> Callable[[bytes, int], Any]:
    """Reader of an .idx file."""
    path = work / "lines.idx"

    def read(data: bytes, _: int) -> Any:
        path.write_bytes(data)
        offsets = read_index(path, 1000)
        assert offsets.dtype == np.uint64 and offsets.ndim == 1
        return offsets.tobytes()

    return read


def read_manifest(data: bytes, _: int) -> Any:
    """Read a manifest, check that it survives a round trip, and print everything about it."""
    manifest = Manifest.from_json(data.decode("utf-8", "replace"), "manifest.json")
    said = [skip.message for skip in manifest.skipped] + [one.text for one in manifest.renamed]
    for split in manifest.splits.values():
        assert all(len(shard.photos) in (0, len(shard.names)) for shard in split.shards)
    if manifest.version == 1:
        return manifest, said
    text = manifest.to_json()
    assert Manifest.from_json(text, "again").to_json() == text
    return text, said


def repair_manifest(data: bytes) -> bytes:
    """Correct the content ids, where they can still be computed."""
    try:
        content = json.loads(data)
        splits = [SplitContent(n, s["records"], s["labelled"], s["content"]) for n, s in content["splits"].items()]
        content["content"] = pack_content(content["layout"], content["classes"], content["flip_pairs"], splits)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return data
    return json.dumps(content).encode()


def golden(suffix: str) -> bytes:
    return (GOLDEN / f"{STEM}{suffix}").read_bytes()


def joint_runs() -> bytes:
    offsets, runs = encode_runs(*maps())
    return np.concatenate([offsets, runs]).astype("<u4").tobytes()


def manifests() -> Seeds:
    """Return manifests of both versions."""
    folders = (GOLDEN, GOLDEN / "0.1/skipped", GOLDEN_2, GOLDEN_2 / "yuv420")
    return [(folder / "manifest.json").read_bytes() for folder in folders]


def streams() -> Seeds:
    return [deflate_mask(mask) for mask in masks()]


def records() -> Seeds:
    return list(record_bytes().values())
