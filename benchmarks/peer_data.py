"""Write a packed split in the formats of other loaders: same images, same JPEG bytes, same labels.

Run:  python benchmarks/peer_data.py --rec REC --source MHP_v1 --out DATA

::

    DATA/names.txt sizes.txt     the split's names in order; height and width of each as packed
         jpeg/NAME.jpg           the JPEG of the record, byte for byte
         png/NAME.png            its labels, 8-bit gray
         tar/train-000N.tar      both, in WebDataset's form
         raw/                    a folder of LV-MHP v1 with these names only; images and masks are links to ``--source``

REC must be packed with ``--image jpeg`` at the size that the peers read, 768 by default. FFCV's adapter makes FFCV's
own files.
"""

from __future__ import annotations

import struct
import tarfile
import zlib
from pathlib import Path

import click
import numpy as np

import mhpdata
from mhpdata.storage.codec import CODECS

SHARD = 16
"""Samples per tar shard: few, so that even a small set has a shard for each worker process."""


def write_peer_data(rec: Path, source: Path, out: Path, split: str = "train") -> int:
    """Write the new folder ``out``; return the number of images.

    Raises:
        ValueError: The images of ``rec`` are not JPEG.
        FileExistsError: ``out`` exists.
    """
    packed = mhpdata.open(rec, split)
    partial = out.with_name(out.name + ".partial")
    partial.mkdir(parents=True)
    for folder in ("jpeg", "png", "tar", "raw"):
        (partial / folder).mkdir()
    sizes = []
    for index, name in enumerate(packed.names):
        sample = packed[index]
        if sample.record.codec != CODECS["jpeg"]:
            raise ValueError(f"{rec}: the images are not JPEG. Pack with --image jpeg.")
        (partial / "jpeg" / f"{name}.jpg").write_bytes(sample.record.image)
        (partial / "png" / f"{name}.png").write_bytes(encode_png(sample.labels))
        sizes.append("{} {}\n".format(*sample.image.shape[:2]))
    (partial / "names.txt").write_text("".join(f"{name}\n" for name in packed.names))
    (partial / "sizes.txt").write_text("".join(sizes))
    _write_tars(partial, packed.names)
    _link_raw(partial / "raw", source, packed.names)
    partial.replace(out)
    return len(sizes)


def encode_png(labels: np.ndarray) -> bytes:
    """Encode labels as 8-bit gray, unfiltered, level 9: smaller than OpenCV's default, and decoded in half the time."""
    height, width = labels.shape
    rows = np.pad(labels, ((0, 0), (1, 0))).tobytes()  # each row begins with its filter type: 0, none
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    data = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(data)


def _write_tars(folder: Path, names: tuple[str, ...]) -> None:
    for start in range(0, len(names), SHARD):
        with tarfile.open(folder / "tar" / f"train-{start // SHARD:04d}.tar", "w") as tar:
            for name in names[start : start + SHARD]:
                tar.add(folder / "jpeg" / f"{name}.jpg", f"{name}.jpg")
                tar.add(folder / "png" / f"{name}.png", f"{name}.png")


def _link_raw(folder: Path, source: Path, names: tuple[str, ...]) -> None:
    """Link the source's files and list the names; GluonCV takes the first 3,000 lines of train_list.txt."""
    for linked in ("images", "annotations"):
        (folder / linked).symlink_to((source / linked).resolve(), target_is_directory=True)
    (folder / "train_list.txt").write_text("".join(f"{name}.jpg\n" for name in names))


@click.command()
@click.option("--rec", required=True, type=click.Path(path_type=Path), help="Folder packed with --image jpeg.")
@click.option("--source", required=True, type=click.Path(path_type=Path), help="Folder that REC was packed from.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder to write.")
@click.option("--split", default="train", show_default=True)
def main(rec: Path, source: Path, out: Path, split: str) -> None:
    """Write a packed split in the formats of other loaders."""
    print(f"{out}: {write_peer_data(rec, source, out, split)} images")


if __name__ == "__main__":
    main()
