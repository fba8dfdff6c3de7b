"""Targets of tests/support/fuzz.py: all readers of bytes from untrusted sources.

A target reads an input and returns a comparable result; errors of mhpdata.errors are the expected answer to damage, any
other exception is a bug. Formats with checksums are attacked twice: unmodified, where an accepted input must give
exactly the result of the undamaged file; and with corrected checksums, so that the code that runs after their check is
attacked as well.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from coco_predictions import region
from folder import write_folder
from fuzz_images import (
    jpegs,
    label_pngs,
    others,
    pngs,
    read_jpeg_planes,
    read_label_png,
    read_photo,
    read_predicted_png,
    read_red_png,
    red_pngs,
    repair_png,
)
from fuzz_packed import (
    golden,
    index_reader,
    joint_runs,
    manifests,
    read_manifest,
    read_mask,
    read_payload,
    read_plain_mask,
    read_record,
    read_runs,
    records,
    repair_manifest,
    repair_record,
    shard_reader,
    streams,
)
from fuzz_target import Builder, Seeds, Target
from loading import open_loader
from released import list_of, zipped

import mhpdata
from mhpdata.errors import ArchiveError
from mhpdata.fetching.archive import open_archive
from mhpdata.source.scan import scan
from mhpdata.storage.shards.recordio import frame
from mhpmodels.persons.person_list import read_results
from mhpmodels.scoring.coco_files import CocoFile


def list_reader(work: Path) -> tuple[Seeds, Callable[[bytes, int], Any]]:
    """Reader that scans a download with a damaged list."""
    root = write_folder(work / "LV-MHP-v1", size=(32, 48))
    path = root / "train_list.txt"
    there = {f"{i:04d}" for i in range(1, 9)}

    def read(data: bytes, _: int) -> Any:
        path.write_bytes(data)
        listing = scan(root)
        names = [entry.name for entries in listing.entries.values() for entry in entries]
        assert set(names) <= there and len(set(names)) == len(names)
        files = [file.path for entries in listing.entries.values() for entry in entries for file in entry.files]
        assert all((root / file).resolve().is_relative_to(root.resolve()) for file in files)
        return names

    return [path.read_bytes(), b"", b"0001.jpg\r\n0002.jpg", b"\xef\xbb\xbf0003.jpg\n"], read


def archive_reader(work: Path) -> tuple[Seeds, Callable[[bytes, int], Any]]:
    """Reader of a zip archive of which the list of the release is known: a file is right, or an error."""
    root = write_folder(work / "LV-MHP-v1", images=4, size=(32, 48))
    path, release = zipped(root, work / "LV-MHP-v1.zip"), list_of(root)
    wanted = {name: (root / name).read_bytes() for name in release}
    seeds = [path.read_bytes()]

    def read(data: bytes, _: int) -> Any:
        path.write_bytes(data)
        found = {}
        with open_archive(path, release) as archive:
            for name in release:
                with contextlib.suppress(ArchiveError):
                    found[name] = archive.read(name)
        assert all(wanted[name] == content for name, content in found.items())
        return sorted(found)

    return seeds, read


def results_reader(work: Path) -> Callable[[bytes, int], Any]:
    """Reader of results.txt of a submission."""
    path = work / "results.txt"

    def read(data: bytes, _: int) -> Any:
        path.write_bytes(data)
        listed = read_results(path)
        assert all(0 < person < 1 << 16 and abs(score) < float("inf") for p in listed.values() for person, score in p)
        return listed

    return read


def coco_reader(work: Path) -> tuple[Seeds, Callable[[bytes, int], Any]]:
    """Reader of parts.json, which draws all regions."""
    path = work / "parts.json"
    mask = np.arange(54).reshape(6, 9) % 4 > 0
    forms = [region(mask, True), region(mask, False), [[0.5, 1, 7.5, 1, 4, 5.5]]]
    parts = [{"image_id": "0001", "category_id": 1, "score": 0.5, "segmentation": form} for form in forms]
    images = [{"id": "0001", "file_name": "0001.jpg"}]
    whole = {"images": images, "categories": [{"id": 1, "name": "hat"}], "annotations": parts}

    def read(data: bytes, _: int) -> Any:
        path.write_bytes(data)
        file = CocoFile(path, ["0001", "0002"], ["background", "hat"])
        masks = [file.drawer(name, mask.shape)(one) for name, regions in file.regions.items() for one in regions]
        assert all(one.shape == mask.shape and one.dtype == bool for one in masks)
        return [(one.category, one.score) for regions in file.regions.values() for one in regions]

    return [json.dumps(content).encode() for content in (parts, whole)], read


def loader_reader(work: Path, image: str) -> tuple[Seeds, Callable[[bytes, int], Any]]:
    """Loader of one record, damaged inside the shard of a packed folder."""
    source = write_folder(work / f"source-{image}", images=4, size=(37, 53))
    mhpdata.pack(source, work / image, image=image, size=0, workers=1, splits=["train"])
    split = mhpdata.open(work / image, "train")
    whole = bytes(split.raw(0))
    file, begin = Path(split.span(0)[0].path), split.plain(0)
    split.close()
    options = {"base_size": 48, "size": 32, "seed": 3, "threads": 1, "limit": 1, "batch_size": 1}

    def read(data: bytes, _: int) -> Any:
        with file.open("r+b") as shard:
            shard.seek(begin)
            shard.write(data)
        loader = open_loader(work / image, "train", **options)
        try:
            (batch,) = loader
            assert np.isfinite(batch.images).all() and (batch.labels[batch.labels != 255] < 19).all()
            return batch.images.tobytes(), batch.labels.tobytes()
        finally:
            loader.close()

    return [whole], read


def keep_length(length: int, repair: Callable[[bytes], bytes] = bytes) -> Callable[[bytes], bytes]:
    """Cut or pad an input to its length in the shard."""
    return lambda data: repair((data + bytes(length))[:length])


def loader(image: str, repair: Callable[[bytes], bytes] | None = None) -> Builder:
    """Return the target that loads from a folder packed with --image ``image``."""

    def build(work: Path) -> Target:
        seeds, read = loader_reader(work, image)
        return Target(seeds, read, repair is None, keep_length(len(seeds[0]), repair or bytes))

    return build


BUILDERS: dict[str, Builder] = {
    "record": lambda work: Target(records(), read_record, True),
    "record, CRC right": lambda work: Target(records(), read_record, False, repair_record),
    # not exact: a damaged stream may have the Adler-32 of the original; the record also has a CRC-32
    "mask stream": lambda work: Target(streams(), read_mask, False),
    "mask runs": lambda work: Target([zlib.decompress(stream) for stream in streams()], read_plain_mask, False),
    "runs": lambda work: Target([joint_runs()], read_runs, False),
    "recordio parts": lambda work: Target([b"".join(frame(data)) for data in records()], read_payload, False),
    "recordio shard": lambda work: Target([golden(".rec")], shard_reader(work, "recordio", ".rec"), True),
    "recordio index": lambda work: Target([golden(".idx"), b""], index_reader(work), False),
    "shard by its index": lambda work: Target([golden(".idx")], shard_reader(work, "recordio", ".idx"), True),
    "hdf5 shard": lambda work: Target([golden(".h5")], shard_reader(work, "hdf5", ".h5"), True),
    "manifest": lambda work: Target(manifests(), read_manifest, False),
    "manifest, content right": lambda work: Target(manifests(), read_manifest, False, repair_manifest),
    "jpeg image": lambda work: Target(jpegs(), read_photo, False),
    "jpeg planes": lambda work: Target(jpegs(), read_jpeg_planes, False),
    "png image": lambda work: Target(pngs(), read_photo, True),
    "png image, CRC right": lambda work: Target(pngs(), read_photo, False, repair_png),
    "png mask": lambda work: Target(label_pngs(), read_label_png, True),
    "png mask, CRC right": lambda work: Target(label_pngs(), read_label_png, False, repair_png),
    "red png mask": lambda work: Target(red_pngs(), read_red_png, True),
    "red png mask, CRC right": lambda work: Target(red_pngs(), read_red_png, False, repair_png),
    "bmp, webp and gif image": lambda work: Target(others(), read_photo, False),
    "predicted png": lambda work: Target(label_pngs(), read_predicted_png, True),
    "predicted png, CRC right": lambda work: Target(label_pngs(), read_predicted_png, False, repair_png),
    "zip archive": lambda work: Target(*archive_reader(work), False),
    "image list": lambda work: Target(*list_reader(work), False),
    "results.txt": lambda work: Target([b"0010 1 0.98 2 0.75\n0011\n0012 1 0.5\n"], results_reader(work), False),
    "coco regions": lambda work: Target(*coco_reader(work), False),
    "loader, jpeg": loader("jpeg"),
    "loader, jpeg, CRC right": loader("jpeg", repair_record),
    "loader, yuv420": loader("yuv420"),
    "loader, yuv420, CRC right": loader("yuv420", repair_record),
    "loader, raw": loader("raw"),
    "loader, raw, CRC right": loader("raw", repair_record),
}
"""Return all targets by name; each writes the files that it needs below its own empty folder."""
