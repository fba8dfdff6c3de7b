"""A small download, its packed folders, and functions that damage them, for tests of mhp verify."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import cv2
import numpy as np

import mhpdata
from mhpdata.masks.joint_runs import decode_runs, encode_runs
from mhpdata.masks.mask_runs import deflate_mask, inflate_mask
from mhpdata.storage.content import SplitContent, pack_content, record_digest, split_content
from mhpdata.storage.digests import FileHash
from mhpdata.storage.manifest import read_manifest
from mhpdata.storage.record import encode_record, number_record, parse_record
from mhpdata.storage.shards import formats

HEIGHT, WIDTH = 96, 128
SPLITS = {"train": ["0001", "0002", "0003", "0004", "0005"], "val": ["0006"], "test": ["0007", "0008"]}
OPTIONS = {  # per format; train has two shards in both
    "recordio": {"format": "recordio", "size": 256, "image": "raw", "shard_mb": 1},
    "hdf5": {"format": "hdf5", "size": 256, "image": "raw", "shard_mb": 1, "overlap": "nearest"},
    "verbatim": {"format": "recordio", "size": 0, "overlap": "last"},
}


def build(folder):
    """Write a download of 8 images: train_list of 6 (the last is val), test_list of 2; person boxes overlap."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for id in range(1, 9):
        name, persons = f"{id:04d}", 2 + id % 2
        photo = cv2.resize(rng.integers(0, 256, (12, 16, 3), np.uint8), (WIDTH, HEIGHT))
        (folder / "images" / f"{name}.jpg").write_bytes(cv2.imencode(".jpg", photo)[1].tobytes())
        for person in range(1, persons + 1):
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            left = 8 + 30 * person
            for row in range(10, 80, 10):
                mask[row : row + 10, left - 8 : left + 34] = rng.integers(1, 19)
            write_mask(folder, f"{name}_{persons:02d}_{person:02d}", mask)
    (folder / "train_list.txt").write_text("".join(f"{id:04d}.jpg\n" for id in range(1, 7)), newline="\n")
    (folder / "test_list.txt").write_text("0007.jpg\n0008.jpg\n", newline="\n")
    return folder


def write_mask(folder, stem, mask):
    (folder / "annotations" / f"{stem}.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())


def write_packed(root, names=tuple(OPTIONS)):
    """Write the download as "source", and a packed folder for each of these OPTIONS, below ``root``."""
    build(root / "source")
    for name in names:
        mhpdata.pack(root / "source", root / name, **OPTIONS[name])
    return root


def data_file(folder, stem="train-00000"):
    """Return the file of a shard that holds its records."""
    return next(path for path in (folder / f"{stem}.rec", folder / f"{stem}.h5") if path.exists())


def stored_image(folder, index):
    """Return the stored image of a record of train."""
    with contextlib.closing(mhpdata.open(folder, "train")) as split:
        return bytes(split.record(index).image)


def edit_manifest(folder, change):
    """Change a manifest, and update its content id."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    splits = [SplitContent(name, s["records"], s["labelled"], s["content"]) for name, s in content["splits"].items()]
    content["content"] = pack_content(content["layout"], content["classes"], content["flip_pairs"], splits)
    path.write_text(json.dumps(content))


def fix_hashes(folder):
    """Update the manifest to the current files."""

    def change(content):
        for split in content["splits"].values():
            for file in (file for shard in split["shards"] for file in shard["files"]):
                data = (folder / file["file"]).read_bytes()
                found = FileHash()
                found.update(data)
                file.update(bytes=found.size, sha256=found.sha256, blocks=found.blocks.hex())

    edit_manifest(folder, change)


def fix_content(folder, split):
    """Update the manifest to the current records of a split."""
    with contextlib.closing(mhpdata.open(folder, split)) as opened:
        content = split_content([record_digest(opened.raw(i)) for i in range(len(opened))])
    edit_manifest(folder, lambda manifest: manifest["splits"][split].update(content=content))


def rewrite(folder, change, split="train", index=1):
    """Apply ``change`` to a record of the split's first shard and encode it again, with matching CRC and manifest."""
    manifest = read_manifest(folder)
    names, format = manifest.splits[split].shards[0].names, manifest.options["format"]
    reader = formats.reader(format, folder / f"{split}-00000", len(names))
    records = [bytearray(reader.read(i)) for i in range(len(names))]
    reader.close()
    records[index] = encode_record(change(parse_record(bytes(records[index]), index)))
    number_record(records[index], index)
    writer = formats.writer(format, folder / f"{split}-00000")
    for record in records:
        writer.write(record)
    writer.close()
    fix_hashes(folder)
    fix_content(folder, split)


def maps_changed(change):
    """Return a ``change`` for ``rewrite`` that applies ``change`` to labels and persons."""

    def of_record(record):
        maps = change(*decode_runs(record.row_offsets, record.runs, record.size))
        row_offsets, runs = encode_runs(*maps)
        return dataclasses.replace(record, row_offsets=row_offsets, runs=runs)

    return of_record


def mask_shifted(record):
    mask = np.roll(inflate_mask(record.masks[0], record.source_size), 9, axis=1)
    return dataclasses.replace(record, masks=[deflate_mask(mask), *record.masks[1:]])


def masks_garbage(record):
    return dataclasses.replace(record, masks=[b"garbage"] * len(record.masks))


def statistic(name, value):
    return lambda content: content["splits"]["train"]["statistics"].update({name: value})


def image(source, name="0002"):
    return source / "images" / f"{name}.jpg"


def empty_image(source):
    image(source).write_bytes(b"")


def line(text):
    def append(source):
        with (source / "test_list.txt").open("ab") as file:
            file.write(text)

    return append


def kinds(report):
    return [type(error) for error in report.findings]
