"""What tests/support/fuzz.py attacks: every reader of bytes that somebody else may have made.

A target reads an input and returns what it understood, as something that can be compared; errors of mhpdata.errors are
its answer to damage, any other exception is a find. Formats with checksums are attacked twice: as they are, where an
input that is accepted must give exactly what the whole file gives; and with the checksums made right again after the
damage, where what lies behind them is reached and must hold for itself.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from folder import write_folder
from images import picture, save
from loading import open_loader
from make_golden import GOLDEN, GOLDEN_2, SIZE, SOURCE_SIZE, STEM, maps, masks, record_bytes

import mhpdata
from mhpdata.drawing.jpeg.grid import grid
from mhpdata.drawing.jpeg.planes import Workplace, decode_planes
from mhpdata.drawing.jpeg.scan import read_scan
from mhpdata.errors import RecordError
from mhpdata.images.decode import decode_file, decode_jpeg
from mhpdata.images.label_png import decode_mask
from mhpdata.masks.joint_runs import check_runs, count_labels, decode_runs, encode_runs
from mhpdata.masks.mask_runs import deflate_mask, draw_mask, inflate_runs
from mhpdata.masks.merge import merge_runs
from mhpdata.masks.resized_runs import resize_runs
from mhpdata.packing.crosscheck import find_difference
from mhpdata.source.scan import scan
from mhpdata.storage.content import SplitContent, pack_content
from mhpdata.storage.manifest import Manifest
from mhpdata.storage.record import IR_HEADER, parse_record
from mhpdata.storage.sample import decode_record
from mhpdata.storage.shards.formats import reader
from mhpdata.storage.shards.recordio import frame, read_index, unframe
from mhpmodels.files.png import decode_labels
from mhpmodels.scoring.person_list import read_results

Seeds = list[bytes]


@dataclass(frozen=True)
class Target:
    """Something to attack.

    Attributes:
        seeds: whole inputs.
        read: what an input says; called with the input and the number of the seed that it was made of.
        exact: an input that is accepted says what its seed says. Else there is no checksum, or ``mend`` makes it.
        mend: makes checksums right again after the damage.
    """

    seeds: Seeds
    read: Callable[[bytes, int], Any]
    exact: bool
    mend: Callable[[bytes], bytes] = bytes


Builder = Callable[[Path], Target]


# --- records --------------------------------------------------------------------------------------------------------


def read_record(data: bytes, index: int) -> Any:
    """Everything in a record, decoded."""
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


def mend_record(data: bytes) -> bytes:
    """With the right header, CRC and magic."""
    if len(data) < 32:
        return data
    fixed = bytearray(data)
    fixed[-4:] = b"mhp1"
    fixed[-8:-4] = struct.pack("<I", zlib.crc32(fixed[IR_HEADER.size : -8]))
    return bytes(fixed)


def read_mask(data: bytes, _: int) -> Any:
    """A mask's stream."""
    runs = inflate_runs(data, SOURCE_SIZE)
    merged = merge_runs([runs, runs], "smallest", size=SOURCE_SIZE)
    check_runs(merged.row_offsets, merged.runs, SOURCE_SIZE, 255, 2)
    return draw_mask(runs, SOURCE_SIZE).tobytes()


def read_plain_mask(data: bytes, seed: int) -> Any:
    """A mask's counts, lengths and labels, as they lie in the stream."""
    mask = read_mask(zlib.compress(data, 1), seed)
    assert b"".join(part.tobytes() for part in inflate_runs(zlib.compress(data, 1), SOURCE_SIZE)) == data
    return mask


def read_runs(data: bytes, _: int) -> Any:
    """Row offsets and runs as they lie in a record."""
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


# --- shards ---------------------------------------------------------------------------------------------------------


def read_payload(data: bytes, _: int) -> Any:
    """A payload in parts. Its bytes are the record's to check, its length is not."""
    payload = unframe(data, "payload")
    assert len(payload) <= len(data)
    return bytes(payload)


def shard_reader(work: Path, format: str, suffix: str) -> Callable[[bytes, int], Any]:
    """Reads a damaged file of a shard whose other file, if there is one, is whole."""
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
    """Reads an .idx file."""
    path = work / "lines.idx"

    def read(data: bytes, _: int) -> Any:
        path.write_bytes(data)
        offsets = read_index(path, 1000)
        assert offsets.dtype == np.uint64 and offsets.ndim == 1
        return offsets.tobytes()

    return read


def read_manifest(data: bytes, _: int) -> Any:
    """A manifest, which says the same when it is written and read again; and everything that is printed of it."""
    manifest = Manifest.from_json(data.decode("utf-8", "replace"), "manifest.json")
    said = [skip.message for skip in manifest.skipped] + [one.text for one in manifest.renamed]
    for split in manifest.splits.values():
        assert all(len(shard.photos) in (0, len(shard.names)) for shard in split.shards)
    if manifest.version == 1:
        return manifest, said
    text = manifest.to_json()
    assert Manifest.from_json(text, "again").to_json() == text
    return text, said


def mend_manifest(data: bytes) -> bytes:
    """With the content that follows from the rest, where that can still be told."""
    try:
        content = json.loads(data)
        splits = [SplitContent(n, s["records"], s["labelled"], s["content"]) for n, s in content["splits"].items()]
        content["content"] = pack_content(content["layout"], content["classes"], content["flip_pairs"], splits)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return data
    return json.dumps(content).encode()


# --- images ---------------------------------------------------------------------------------------------------------


def read_photo(data: bytes, _: int) -> Any:
    """A photo of a download; a JPEG that is stored without what is odd about it has the same pixels."""
    decoded = decode_file(data, "photo")
    pixels, header = decoded.pixels, decoded.header
    if decoded.jpeg is not None and header.height * header.width < 1 << 20:
        np.testing.assert_array_equal(decode_jpeg(decoded.jpeg), pixels)
        find_difference(decoded.jpeg, pixels)
    assert pixels.shape == (header.height, header.width, 3) and pixels.dtype == np.uint8
    return pixels.tobytes()


def read_label_png(data: bytes, _: int) -> Any:
    """A mask of a download."""
    mask = decode_mask(data, "mask", SOURCE_SIZE, 19)
    assert mask.shape == SOURCE_SIZE and set(np.unique(mask)) <= {*range(19), 255}
    return mask.tobytes()


def read_red_png(data: bytes, _: int) -> Any:
    """A mask of MHP v2."""
    mask = decode_mask(data, "mask", SOURCE_SIZE, 59, red=True)
    assert mask.shape == SOURCE_SIZE and set(np.unique(mask)) <= {*range(59), 255}
    return mask.tobytes()


def read_predicted_png(data: bytes, _: int) -> Any:
    """A predicted label map."""
    labels = decode_labels(data, "prediction", SOURCE_SIZE, 1 << 16)
    assert labels.shape == SOURCE_SIZE and labels.dtype in (np.uint8, np.uint16)
    return labels.tobytes()


def mend_png(data: bytes) -> bytes:
    """With the right CRC in every chunk that can still be told."""
    fixed, at = bytearray(data), 8
    while at + 12 <= len(fixed):
        (length,) = struct.unpack_from(">I", fixed, at)
        if at + 12 + length > len(fixed):
            break
        struct.pack_into(">I", fixed, at + 8 + length, zlib.crc32(fixed[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(fixed)


def read_jpeg_planes(data: bytes, _: int) -> Any:
    """The loader's own JPEG decoder; None where a JPEG is for the other one, False where its codes are damaged."""
    scanned = read_scan(data)
    if scanned is None or scanned.size[0] * scanned.size[1] > 1 << 20:
        return None
    target, (height, width) = grid(scanned.size, scanned.factors), scanned.size
    planes = np.zeros(target.size, np.uint8)
    codes = np.frombuffer(data, np.uint8).copy()
    rows, columns = (height // 3, height), (width // 4, max(width // 4 + 1, width // 2))
    done = decode_planes(codes, scanned, (0, height), (0, width), planes, Workplace())
    assert decode_planes(codes, scanned, rows, columns, np.zeros_like(planes), Workplace()) or not done
    return done and planes.tobytes()


# --- downloads, predictions, the loader -----------------------------------------------------------------------------


def list_reader(work: Path) -> tuple[Seeds, Callable[[bytes, int], Any]]:
    """Scans a download with a damaged list."""
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


def results_reader(work: Path) -> Callable[[bytes, int], Any]:
    """Reads results.txt of a submission."""
    path = work / "results.txt"

    def read(data: bytes, _: int) -> Any:
        path.write_bytes(data)
        listed = read_results(path)
        assert all(0 < person < 1 << 16 and abs(score) < float("inf") for p in listed.values() for person, score in p)
        return listed

    return read


def loader_reader(work: Path, image: str) -> tuple[Seeds, Callable[[bytes, int], Any]]:
    """Loads one record of a packed folder, damaged in its place in the shard."""
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


def keep_length(length: int, mend: Callable[[bytes], bytes] = bytes) -> Callable[[bytes], bytes]:
    """Cuts or fills an input to the length that it has in its file."""
    return lambda data: mend((data + bytes(length))[:length])


def loader(image: str, mend: Callable[[bytes], bytes] | None = None) -> Builder:
    """The loader on a folder packed with --image ``image``."""

    def build(work: Path) -> Target:
        seeds, read = loader_reader(work, image)
        return Target(seeds, read, mend is None, keep_length(len(seeds[0]), mend or bytes))

    return build


def golden(suffix: str) -> bytes:
    return (GOLDEN / f"{STEM}{suffix}").read_bytes()


def joint_runs() -> bytes:
    offsets, runs = encode_runs(*maps())
    return np.concatenate([offsets, runs]).astype("<u4").tobytes()


def jpegs() -> Seeds:
    """All kinds of sampling, progressive, gray and CMYK ones."""
    plain = [save(picture(3), "JPEG", quality=80, subsampling=k) for k in (0, 1, 2)]
    others = [save(picture(3), "JPEG", progressive=True), save(picture(1), "JPEG")]
    return [(GOLDEN / "photo.jpg").read_bytes(), *plain, *others, save(picture(4), "JPEG", mode="CMYK")]


def others() -> Seeds:
    """The other formats of photos: BMP, WebP with loss and without, GIF."""
    bgr = picture(3)
    lossy, lossless = ([cv2.IMWRITE_WEBP_QUALITY, quality] for quality in (80, 101))
    kinds = ((".bmp", []), (".webp", lossy), (".webp", lossless))
    return [*(cv2.imencode(suffix, bgr, options)[1].tobytes() for suffix, options in kinds), save(picture(3), "GIF")]


def red_pngs() -> Seeds:
    """Masks with the label in the red channel."""
    return [save(np.dstack([mask, np.zeros_like(mask), np.zeros_like(mask)]), "PNG") for mask in masks()]


def pngs() -> Seeds:
    """Colours, colours with alpha, gray of 16 bits and of 8."""
    plain = (GOLDEN / "photo.png").read_bytes()
    return [plain, save(picture(4), "PNG"), save(picture(1, np.uint16), "PNG"), save(masks()[0], "PNG")]


def label_pngs() -> Seeds:
    return [save(mask, "PNG") for mask in masks()]


def manifests() -> Seeds:
    """Of both versions."""
    folders = (GOLDEN, GOLDEN / "0.1/skipped", GOLDEN_2, GOLDEN_2 / "yuv420")
    return [(folder / "manifest.json").read_bytes() for folder in folders]


def streams() -> Seeds:
    return [deflate_mask(mask) for mask in masks()]


def records() -> Seeds:
    return list(record_bytes().values())


BUILDERS: dict[str, Builder] = {
    "record": lambda work: Target(records(), read_record, True),
    "record, CRC right": lambda work: Target(records(), read_record, False, mend_record),
    # not exact: a damaged stream may have the Adler-32 of the whole one; a record has a CRC-32, too
    "mask stream": lambda work: Target(streams(), read_mask, False),
    "mask runs": lambda work: Target([zlib.decompress(stream) for stream in streams()], read_plain_mask, False),
    "runs": lambda work: Target([joint_runs()], read_runs, False),
    "recordio parts": lambda work: Target([b"".join(frame(data)) for data in records()], read_payload, False),
    "recordio shard": lambda work: Target([golden(".rec")], shard_reader(work, "recordio", ".rec"), True),
    "recordio index": lambda work: Target([golden(".idx"), b""], index_reader(work), False),
    "shard by its index": lambda work: Target([golden(".idx")], shard_reader(work, "recordio", ".idx"), True),
    "hdf5 shard": lambda work: Target([golden(".h5")], shard_reader(work, "hdf5", ".h5"), True),
    "manifest": lambda work: Target(manifests(), read_manifest, False),
    "manifest, content right": lambda work: Target(manifests(), read_manifest, False, mend_manifest),
    "jpeg photo": lambda work: Target(jpegs(), read_photo, False),
    "jpeg planes": lambda work: Target(jpegs(), read_jpeg_planes, False),
    "png photo": lambda work: Target(pngs(), read_photo, True),
    "png photo, CRC right": lambda work: Target(pngs(), read_photo, False, mend_png),
    "png mask": lambda work: Target(label_pngs(), read_label_png, True),
    "png mask, CRC right": lambda work: Target(label_pngs(), read_label_png, False, mend_png),
    "red png mask": lambda work: Target(red_pngs(), read_red_png, True),
    "red png mask, CRC right": lambda work: Target(red_pngs(), read_red_png, False, mend_png),
    "bmp, webp and gif photo": lambda work: Target(others(), read_photo, False),
    "predicted png": lambda work: Target(label_pngs(), read_predicted_png, True),
    "predicted png, CRC right": lambda work: Target(label_pngs(), read_predicted_png, False, mend_png),
    "image list": lambda work: Target(*list_reader(work), False),
    "results.txt": lambda work: Target([b"0010 1 0.98 2 0.75\n0011\n0012 1 0.5\n"], results_reader(work), False),
    "loader, jpeg": loader("jpeg"),
    "loader, jpeg, CRC right": loader("jpeg", mend_record),
    "loader, yuv420": loader("yuv420"),
    "loader, yuv420, CRC right": loader("yuv420", mend_record),
    "loader, raw": loader("raw"),
    "loader, raw, CRC right": loader("raw", mend_record),
}
"""All targets by name. The files that one needs are written below an empty folder of its own."""
