"""Encode a sample as the bytes of a record, and parse them; docs/format.md specifies the layout byte by byte.

::

    IRHeader 24 | image | 0-7 zeros | row_offsets | runs | mask_ends | masks | name | footer 76

The first bytes are MXNet's, so MXNet's readers can read the image; the fields that mhp adds are located from the end of
the record. The header holds only zeros and the record's index. The CRC starts after it, so a writer can number records
after encoding them. Records are untrusted: sizes are checked before they are used, and nothing is copied.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mhpdata.errors import FIND_AGAIN, FIND_UPDATE, RecordError
from mhpdata.images.size import MAX_PIXELS
from mhpdata.wording import counted

VERSION = 1
MAGIC = b"mhp1"
IR_HEADER = struct.Struct("<IfQQ")
HAS_LABELS, GRAY, VERBATIM = 1, 2, 4
CRC_BYTES = 4

FOOTER = np.dtype(
    [
        ("version", "<u2"),
        ("codec", "u1"),
        ("flags", "u1"),
        ("height", "<u2"),
        ("width", "<u2"),
        ("source_height", "<u2"),
        ("source_width", "<u2"),
        ("persons", "<u2"),
        ("name_bytes", "<u2"),
        ("image_bytes", "<u4"),
        ("run_count", "<u4"),
        ("masks_bytes", "<u4"),
        ("contested", "<u4"),
        ("conflicting", "<u4"),
        ("source_sha256", "V32"),
        ("crc32", "<u4"),
        ("magic", "S4"),
    ]
)
_AFTER_CRC = CRC_BYTES + len(MAGIC)


@dataclass(frozen=True)
class Record:
    """The fields of a record; arrays and views share the memory of the bytes that it was parsed from.

    Attributes:
        name: Id of the image.
        codec: Codec of ``image``, a value of mhpdata.storage.codec.CODECS.
        size: (height, width) of the stored image.
        source_size: (height, width) of the downloaded image.
        image: The encoded image.
        row_offsets: First run of each row, uint32 (mhpdata.masks.joint_runs); None without labels.
        runs: Labels and persons as joint runs, uint32 (mhpdata.masks.joint_runs); None without labels.
        masks: Mask of each person at source size, compressed (mhpdata.masks.mask_runs), in person order.
        ``contested``: Number of source pixels with labels from several persons.
        ``conflicting``: Number of source pixels with different labels from several persons.
        gray: Whether the source has one channel of brightness.
        verbatim: Whether ``image`` is the source's own JPEG.
        source_sha256: SHA-256 of the source image file, 32 bytes.
    """

    name: str
    codec: int
    size: tuple[int, int]
    source_size: tuple[int, int]
    image: bytes | memoryview
    row_offsets: np.ndarray | None
    runs: np.ndarray | None
    masks: Sequence[bytes | memoryview]
    contested: int
    conflicting: int
    gray: bool
    verbatim: bool
    source_sha256: bytes

    def __repr__(self) -> str:
        height, width = self.size
        return f"<Record {self.name!r}: {height} x {width}, {counted(len(self.masks), 'person')}>"

    def __reduce__(self) -> tuple[type[Record], tuple[object, ...]]:
        """Pickle views as bytes, so that worker processes can send samples."""
        fields = vars(self) | {"image": bytes(self.image), "masks": [bytes(mask) for mask in self.masks]}
        return type(self), tuple(fields.values())


def encode_record(record: Record) -> bytearray:
    """Encode a record with index 0; ``number_record`` sets its index."""
    flags = HAS_LABELS * (record.runs is not None) | GRAY * record.gray | VERBATIM * record.verbatim
    name = record.name.encode()
    footer = np.zeros((), FOOTER)
    footer["version"], footer["codec"], footer["flags"], footer["magic"] = VERSION, record.codec, flags, MAGIC
    footer["height"], footer["width"] = record.size
    footer["source_height"], footer["source_width"] = record.source_size
    footer["persons"], footer["name_bytes"], footer["image_bytes"] = len(record.masks), len(name), len(record.image)
    footer["masks_bytes"] = sum(map(len, record.masks))
    footer["contested"], footer["conflicting"] = record.contested, record.conflicting
    footer["source_sha256"] = np.void(record.source_sha256)
    fields: list[bytes | memoryview] = [IR_HEADER.pack(0, 0.0, 0, 0), record.image, bytes(-len(record.image) % 8)]
    if record.runs is not None and record.row_offsets is not None:
        footer["run_count"] = len(record.runs)
        fields += [record.row_offsets.astype("<u4").tobytes(), record.runs.astype("<u4").tobytes()]
    fields.append(np.cumsum([len(mask) for mask in record.masks], dtype="<u4").tobytes())
    data = bytearray().join([*fields, *record.masks, name, footer.tobytes()])
    crc = zlib.crc32(memoryview(data)[IR_HEADER.size : -_AFTER_CRC])
    struct.pack_into("<I", data, len(data) - _AFTER_CRC, crc)
    return data


def number_record(data: bytearray, index: int) -> None:
    """Write a record's index in its split into its header."""
    IR_HEADER.pack_into(data, 0, 0, 0.0, index, 0)


def parse_record(data: bytes | memoryview, index: int, check_crc: bool = True) -> Record:
    """Parse the fields of a record and check every size; runs and images are not checked.

    Args:
        data: Bytes of the record; the result keeps views of them.
        index: Index in the split that the record must have.
        check_crc: Whether to compare the CRC-32; False if the caller has just done so.

    Raises:
        RecordError: The record is damaged, has another version or another index.
    """
    view = memoryview(data).toreadonly()
    if len(view) < IR_HEADER.size + FOOTER.itemsize:
        raise _error(index, f"is truncated ({len(view)} bytes)", f"at least {IR_HEADER.size + FOOTER.itemsize}")
    footer = np.frombuffer(view, FOOTER, 1, len(view) - FOOTER.itemsize)[0]
    if footer["magic"] != MAGIC:
        raise _error(index, f"is damaged (its last bytes are {bytes(view[-4:])!r})", f"{MAGIC!r}, as in every record")
    if footer["version"] != VERSION:
        raise _error(index, f"has format version {footer['version']}", f"version {VERSION}", FIND_UPDATE)
    if check_crc and zlib.crc32(view[IR_HEADER.size : -_AFTER_CRC]) != footer["crc32"]:
        raise _error(index, "its bytes are not those that were written (CRC-32)", "")
    if view[: IR_HEADER.size] != IR_HEADER.pack(0, 0.0, index, 0):
        number = IR_HEADER.unpack_from(view)[2]
        found = "has a damaged header" if number == index else f"has the header of record {number}"
        raise _error(index, found, f"the header of record {index}")
    return _cut(view, footer, index)


def checksum(data: bytes | memoryview) -> int:
    """Return the CRC-32 stored in a record that passed ``parse_record``."""
    crc: int = struct.unpack_from("<I", data, len(data) - _AFTER_CRC)[0]
    return crc


def is_intact(data: memoryview, index: int, crc: int) -> bool:
    """Return whether bytes are those of a record that passed ``parse_record``, by its index and ``checksum``."""
    header = IR_HEADER.pack(0, 0.0, index, 0)
    return data[: IR_HEADER.size] == header and zlib.crc32(data[IR_HEADER.size : -_AFTER_CRC]) == crc


def _cut(view: memoryview, footer: np.void, index: int) -> Record:
    height, flags, persons = int(footer["height"]), int(footer["flags"]), int(footer["persons"])
    labelled = bool(flags & HAS_LABELS)
    for size in ((height, int(footer["width"])), (int(footer["source_height"]), int(footer["source_width"]))):
        if not 0 < size[0] * size[1] <= MAX_PIXELS:
            raise _error(
                index,
                f"is damaged (declares {size[0]} x {size[1]} pixels, height x width)",
                f"1 to {MAX_PIXELS} pixels",
            )
    if flags & ~(HAS_LABELS | GRAY | VERBATIM):
        found = f"is damaged, or written by a newer mhp (flags {flags:#x})"
        raise _error(index, found, f"only the bits of {HAS_LABELS | GRAY | VERBATIM:#x}", FIND_UPDATE)
    image_end = IR_HEADER.size + int(footer["image_bytes"])
    rows = image_end + -image_end % 8
    runs = rows + 4 * (height + 1) * labelled
    ends = runs + 4 * int(footer["run_count"])
    masks = ends + 4 * persons
    name = masks + int(footer["masks_bytes"])
    end = name + int(footer["name_bytes"])
    if end + FOOTER.itemsize != len(view) or (not labelled and (footer["run_count"] or persons)) or persons > 255:
        raise _error(index, f"is damaged (its fields take {end + FOOTER.itemsize} bytes)", f"{len(view)}, its length")
    mask_ends = np.frombuffer(view, "<u4", persons, ends).tolist()
    starts = [0, *mask_ends]
    if starts[-1] != footer["masks_bytes"] or any(a > b for a, b in zip(starts, mask_ends, strict=False)):
        found = "is damaged (its mask offsets are out of order)"
        raise _error(index, found, f"ascending offsets up to {footer['masks_bytes']}")
    try:
        text = str(view[name:end], "utf-8")
    except UnicodeDecodeError as error:
        raise _error(index, "is damaged (the image's name is not UTF-8)", "") from error
    return Record(
        name=text,
        codec=int(footer["codec"]),
        size=(height, int(footer["width"])),
        source_size=(int(footer["source_height"]), int(footer["source_width"])),
        image=view[IR_HEADER.size : image_end],
        row_offsets=np.frombuffer(view, "<u4", height + 1, rows) if labelled else None,
        runs=np.frombuffer(view, "<u4", int(footer["run_count"]), runs) if labelled else None,
        masks=[view[masks + a : masks + b] for a, b in zip(starts, mask_ends, strict=False)],
        contested=int(footer["contested"]),
        conflicting=int(footer["conflicting"]),
        gray=bool(flags & GRAY),
        verbatim=bool(flags & VERBATIM),
        source_sha256=footer["source_sha256"].tobytes(),
    )


def _error(index: int, found: str, expected: str, remedy: str = FIND_AGAIN) -> RecordError:
    return RecordError(f"record {index}", found, expected, remedy)
