"""Write the golden files, tests/golden: bytes that the current code must still write and read. No other script does::

    PYTHONPATH=. python tests/support/make_golden.py

It writes missing files and leaves existing ones: to rewrite a file after a change of the version, delete it first. The
tests write none; a missing one fails. ``photo.jpg`` and ``photo.png`` (its pixels) are inputs, so the bytes depend on
no codec; all other arrays come from arithmetic, so they depend on no random generator.

``manifest.json`` has version 1 and stays as mhp 0.1 wrote it. ``2`` holds a manifest of version 2 with a value in
every field, and packed folders of version 2 (``PACKS``) of ``source``, each without its build.json.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
from folder import write_folder

import mhpdata
from mhpdata.faults import Renamed
from mhpdata.images.notes import Note
from mhpdata.masks.joint_runs import encode_runs
from mhpdata.masks.mask_runs import deflate_mask
from mhpdata.options import FORMATS, PackOptions
from mhpdata.storage.content import record_digest, split_content
from mhpdata.storage.digests import SOURCE_BYTES, Digests
from mhpdata.storage.manifest import BUILD_NAME, Manifest
from mhpdata.storage.packed import PackedSplit, Shard, ShardFile, Skipped
from mhpdata.storage.record import Record, encode_record, number_record
from mhpdata.storage.shards.formats import writer
from mhpdata.storage.statistics import Statistics

GOLDEN = Path(__file__).parent.parent / "golden"
GOLDEN_2 = GOLDEN / "2"
PACKS = {
    "rec": {"size": 48},
    "yuv420": {"size": 40, "image": "yuv420", "overlap": "ignore", "on_error": "skip"},
    "hdf5": {"size": 0, "format": "hdf5", "splits": ["val", "test"]},
}
STEM = "train-00000"
SIZE, SOURCE_SIZE = (24, 32), (40, 56)


def ramp(size: tuple[int, int]) -> np.ndarray:
    """Return an image: uint8 (height, width, 3), RGB."""
    y, x, c = np.ogrid[: size[0], : size[1], :3]
    return ((7 * y + 5 * x + 31 * c + x * y // 9) % 256).astype(np.uint8)


def raw_image() -> np.ndarray:
    """Return an image whose planes hold RecordIO's magic, twice in a row at aligned offsets and once at another."""
    image = ramp(SIZE)
    magic = [0x0A, 0x23, 0xD7, 0xCE]
    image[2, 4:12, 0] = magic + magic
    image[3, 5:9, 1] = magic
    return image


def maps() -> tuple[np.ndarray, np.ndarray]:
    """Return labels and persons as stored: uint8 (24, 32); two persons and an ignored strip."""
    labels, persons = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    labels[3:20, 4:15], persons[3:20, 4:15] = np.arange(1, 18)[:, None], 1
    labels[6:22, 13:30], persons[6:22, 13:30] = 18, 2
    labels[10:12, :], persons[10:12, :] = 255, 0
    return labels, persons


def masks() -> list[np.ndarray]:
    """Return each person's mask at source size: uint8 (40, 56)."""
    first, second = np.zeros(SOURCE_SIZE, np.uint8), np.zeros(SOURCE_SIZE, np.uint8)
    first[5:34, 7:27] = 1 + np.arange(29)[:, None] * 17 // 29
    second[10:37, 22:53] = 18
    return [first, second]


def photo() -> bytes:
    """Return the JPEG in the golden folder."""
    return (GOLDEN / "photo.jpg").read_bytes()


def records() -> dict[str, Record]:
    """Return one record of each type, by the name of its golden file."""
    row_offsets, runs = encode_runs(*maps())
    streams = [deflate_mask(mask) for mask in masks()]
    sha256 = hashlib.sha256(photo()).digest()
    planes = np.ascontiguousarray(raw_image().transpose(2, 0, 1)).tobytes()
    return {
        "labelled": Record(
            "1528", 0, SIZE, SOURCE_SIZE, photo(), row_offsets, runs, streams, 120, 115, True, False, sha256
        ),
        "raw": Record("0002", 2, SIZE, SOURCE_SIZE, planes, row_offsets, runs, streams, 120, 0, False, False, sha256),
        "unlabelled": Record("bild-\u00fc", 0, SIZE, SIZE, photo(), None, None, [], 0, 0, False, True, sha256),
    }


def record_bytes() -> dict[str, bytes]:
    """Return the records as in a shard, numbered in order."""
    encoded = {name: encode_record(record) for name, record in records().items()}
    for index, data in enumerate(encoded.values()):
        number_record(data, index)
    return {name: bytes(data) for name, data in encoded.items()}


def manifest() -> Manifest:
    """Return a manifest with a value in every field."""
    records = ShardFile(f"{STEM}.rec", (1 << 22) + 96, "0a" * 32, Digests.of(["0b" * 32, "0c" * 32]))
    index = ShardFile(f"{STEM}.idx", 21, "1b" * 32, Digests.of(["1b" * 32]))
    sources = Digests(bytes(range(2 * SOURCE_BYTES)), SOURCE_BYTES)
    shard = Shard((records, index), ("1528", "0002"), Digests.of(["2c" * 32, "2c" * 32]), sources, (3, 7))
    statistics = Statistics(2, 4, 1, 2, 240, 115, [1536, 2**40, 0], [2, 2, 0], 128, 1)
    nothing = Statistics(class_pixels=[0, 0, 0], class_images=[0, 0, 0])
    content = split_content([record_digest(data) for data in list(record_bytes().values())[:2]])
    return Manifest(
        layout="mhp-v1",
        classes=("background", "left shoe", "right shoe"),
        flip_pairs=((1, 2),),
        options={"splits": ["train", "val"], **PackOptions(size=512).as_dict()},
        splits={
            "train": PackedSplit((shard,), statistics, True, content),
            "val": PackedSplit((), nothing, False, split_content([])),
        },
        skipped=(
            Skipped("train", "0003", "annotations/0003_02_01.png", "label", (19, 18)),
            Skipped("", '"\u00fc"\n', "train_list.txt line 7", "list-line"),
        ),
        duplicates=(("train/1528", "train/0002"),),
        notes=(Note("train", "0002", "trailer", (17,)), Note("train", "1528", "re-encoded")),
        renamed=(Renamed("val", "images", "files", (2, "0007.JPG", "0007.jpg")),),
        licence="for tests",
        citation=None,
    )


def source(root: Path) -> Path:
    """Write the download to pack: a mask is missing, an image has a trailer, another has a different suffix."""
    folder = write_folder(root / "LV-MHP-v1", images=8, size=(48, 64))
    (folder / "annotations/0003_02_02.png").unlink()
    photo = folder / "images/0004.jpg"
    photo.write_bytes(photo.read_bytes() + b"a film")
    (folder / "images/0005.jpg").rename(folder / "images/0005.JPG")
    return folder


def pack_source(folder: Path, out: Path, name: str) -> Manifest:
    """Pack the download as one of PACKS; skip the entry without a mask."""
    return mhpdata.pack(folder, out, workers=1, **{"on_error": "skip", **PACKS[name]})


def write(name: str, data: bytes) -> None:
    """Write one file, unless it exists."""
    path = GOLDEN / name
    if not path.exists():
        path.write_bytes(data)
        print("wrote", path)


def main() -> None:
    """Write the golden files that are missing."""
    GOLDEN.mkdir(exist_ok=True)
    bgr = ramp(SIZE)[..., ::-1]
    write("photo.jpg", cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    decoded = cv2.imdecode(np.frombuffer(photo(), np.uint8), cv2.IMREAD_COLOR)
    write("photo.png", cv2.imencode(".png", decoded)[1].tobytes())
    encoded = record_bytes()
    for name, data in encoded.items():
        write(f"{name}.record", data)
    for format in FORMATS:
        if not any(GOLDEN.glob(f"{STEM}.{format[0]}*")):  # .rec and .idx, or .h5
            shard = writer(format, GOLDEN / STEM)
            for data in encoded.values():
                shard.write(data)
            shard.close()
            print("wrote", GOLDEN / STEM, format)
    GOLDEN_2.mkdir(exist_ok=True)
    write("2/manifest.json", manifest().to_json().encode())
    with tempfile.TemporaryDirectory() as work:
        folder = source(Path(work))
        for name in PACKS:
            if not (GOLDEN_2 / name).exists():
                pack_source(folder, Path(work) / name, name)
                (Path(work) / name / BUILD_NAME).unlink()
                shutil.copytree(Path(work) / name, GOLDEN_2 / name)
                print("wrote", GOLDEN_2 / name)


if __name__ == "__main__":
    main()
