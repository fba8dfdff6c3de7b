"""Read the part of a record that a crop needs into a thread's buffers: rows of planes, a JPEG, the row runs.

Reads use pread, never a memory map: truncating a mapped file kills the process, and page faults are the slowest way to
read a cold file. The first time that this process needs a record, it reads all of it and compares its CRC-32 (1 ms for
a record of 1.2 MB); later it reads only the rows that a crop touches, unless every read must be checked. If a shard's
file was replaced or written to, its records are checked again in the next epoch.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import simplejpeg

from mhpdata.drawing.image import split_channels
from mhpdata.drawing.jpeg.grid import Grid, grid
from mhpdata.drawing.jpeg.planes import Workplace, decode_planes
from mhpdata.drawing.jpeg.scan import Scan, read_scan
from mhpdata.drawing.placement import Placement
from mhpdata.drawing.scratch import aligned
from mhpdata.drawing.source import RGB, YUV, Source, planar, planes_of, touched
from mhpdata.drawing.vectors.instructions import LEVEL
from mhpdata.errors import FIND_AGAIN, MhpError, RecordError, ShardChangedError, ShardError
from mhpdata.masks.joint_runs import check_runs
from mhpdata.masks.mask_runs import inflate_runs
from mhpdata.masks.merge import merge_runs
from mhpdata.masks.resized_runs import resize_runs
from mhpdata.options import OVERLAPS
from mhpdata.storage.codec import CODECS, check_stored
from mhpdata.storage.record import IR_HEADER, Record, checksum, is_intact, parse_record
from mhpdata.storage.shards.opening import Opened
from mhpdata.storage.split import Split

JPEG, YUV420 = CODECS["jpeg"], CODECS["yuv420"]
_COLD = 256
"""Number of records to prefetch after a slow read."""
_SLOW_NS = 2_000_000


class Located(NamedTuple):
    """Layout of a record, kept after its first read.

    ``at``: offset of its bytes in the file, -1 if the file holds them in several pieces. ``length``: number of bytes.
    ``crc``: their CRC-32. ``runs_at``: offset of the row runs from ``at``. ``scan``: headers of a JPEG that
    :mod:`mhpdata.drawing.jpeg.planes` decodes, else None.
    """

    file: Opened
    at: int
    length: int
    crc: int
    codec: int
    size: tuple[int, int]
    image_bytes: int
    runs_at: int
    run_count: int
    labelled: bool
    persons: int
    scan: Scan | None


class Reading:
    """Per-thread buffers for reading, which grow to the largest record and are kept."""

    def __init__(self) -> None:
        self.record = np.empty(0, np.uint8)
        self.image = np.empty(0, np.uint8)
        self.pixels = np.empty(0, np.uint8)
        self.planes = np.empty(0, np.uint8)
        self.words = np.empty(0, np.uint32)
        self.workplace = Workplace()

    def room(self, name: str, size: int) -> np.ndarray:
        """Return the named array with at least ``size`` elements, and 64 more after them."""
        array: np.ndarray = getattr(self, name)
        if array.size < size + 64:
            array = aligned((size + size // 4 + 64,), array.dtype)
            setattr(self, name, array)
        return array


class Regions:
    """Reader of regions of a split's records, for any number of threads, each with its own :class:`Reading`.

    Args:
        split: Split of a packed folder.
        overlap: Rule that assigns overlapping pixels to a person (mhpdata.options.OVERLAPS); None for that of the
            packed folder. For another rule, the persons' masks of the record are merged again at each read.
        always: Compare each record's CRC-32 at every read, not at the first only.
    """

    def __init__(self, split: Split, overlap: str | None = None, always: bool = False) -> None:
        self._split, self._always = split, always or split.by_record
        self._overlap = None if overlap == split.manifest.options["overlap"] else overlap
        self._located: list[Located | None] = [None] * len(split)
        self._changes = split.refresh()
        self._cold = _COLD

    def refresh(self) -> None:
        """Forget the records of shards that were replaced or written to, so that they are checked again.

        Call it before an epoch, while no thread reads.
        """
        self._split.forget()
        self._changes = self.renew()

    def renew(self) -> list[tuple[range, int]]:
        """Do the same as ``refresh`` during an epoch, and return the result of ``Split.refresh``.

        Another thread may be checking a record of such a shard, so the next ``refresh`` forgets these records again.
        """
        changes = self._split.refresh()
        for (records, count), (_, known) in zip(changes, self._changes, strict=True):
            if count != known:
                self._located[records.start : records.stop] = [None] * len(records)
        return changes

    def find(self, index: int, reading: Reading | None = None) -> Located:
        """Return the layout of a record; the first call reads the whole record and checks it.

        With ``always``, each call checks the record again, and leaves its bytes in ``reading.record``.

        Raises:
            ShardError, RecordError: The bytes differ from those that were packed.
        """
        located = self._located[index]
        if reading is not None and self._split.by_record:
            return self._request(index, located, reading)
        if located is None:
            located = self._located[index] = self._check(index)[0]
        if self._always and reading is not None and not self._load(index, located, reading):
            located = self._located[index] = self._check(index)[
                0
            ]  # raises, unless the record was replaced by a valid one
            if not self._load(index, located, reading):
                raise self.damaged(index, "changed while it was read")
        return located

    def picture(
        self, index: int, located: Located, placement: Placement, reading: Reading
    ) -> tuple[np.ndarray, Source]:
        """Read the rows that a placement needs; return a buffer, and their layout in it."""
        if located.codec == JPEG:
            return self._jpeg(index, located, placement, reading)
        colour = YUV if located.codec == YUV420 else RGB
        buffer = reading.room("image", located.image_bytes)
        begin, filled, missing = IR_HEADER.size, 0, []
        planes = planes_of(colour, located.size)
        for (rows, columns), (extent, _) in zip(planes.sizes, planes.extents, strict=True):
            low, high = _rows(rows, extent, placement)
            end = filled + (high - low) * columns
            self._read(index, located, begin + low * columns, buffer[filled:end], reading)
            missing.append((low, rows - high))
            begin, filled = begin + rows * columns, end
        return buffer, planar(colour, located.size, missing)

    def runs(self, index: int, located: Located, reading: Reading) -> tuple[np.ndarray, np.ndarray]:
        """Return row_offsets and runs, uint32, of a record that has labels."""
        if self._overlap is not None:
            return self._merged(index, self._overlap, located, reading)
        rows = located.size[0] + 1
        words = reading.room("words", rows + located.run_count)[: rows + located.run_count]
        self._read(index, located, located.runs_at, words.view(np.uint8), reading)
        return words[:rows], words[rows:]

    def person_runs(
        self, index: int, located: Located, reading: Reading
    ) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], tuple[int, int]]]:
        """Yield row_offsets and runs, uint32, of each person's own mask, and the size that it is drawn from.

        The mask is resized by nearest neighbour to the size of the packed image, as the label map was.
        """
        try:
            record = self._whole_record(index, located, reading)
            for mask in record.masks:
                runs = merge_runs([inflate_runs(mask, record.source_size)], OVERLAPS[0], size=record.source_size)
                resized = resize_runs(runs.row_offsets, runs.runs, record.source_size, record.size)
                check_runs(*resized, record.size, len(self._split.classes), 1)
                yield resized, record.size
        except RecordError as error:
            raise self._placed(index, error) from error

    def expect(self, index: int) -> None:
        """Ask the system to prefetch a record, unless reads come from the page cache anyway (a call costs 20 us)."""
        if (self._cold > 0 or self._located[index] is None) and not self._split.remote:
            self._cold -= 1
            with suppress(MhpError, OSError):  # raised again when the sample is made
                file, at, size = self._split.span(index)
                file.expect(at, size)

    def ask(self, indices: Iterable[int]) -> None:
        """Fetch records in advance if the split has an address."""
        with suppress(MhpError, OSError):  # raised again when the samples are made
            self._split.ask(indices)

    @property
    def remote(self) -> bool:
        """Whether reads are requests, so that ``ask`` helps."""
        return self._split.remote

    def damaged(self, index: int, found: str, expected: str = "", remedy: str = FIND_AGAIN) -> RecordError:
        """Return an error that names the shard and the record; ``remedy`` is for a record whose shard is unknown."""
        place = self._split.place(index)
        return RecordError(place, found, expected, remedy).in_shard(place, self._split.file(index))

    def _placed(self, index: int, error: RecordError) -> RecordError:
        """Return an error in a section of a record with shard and record prepended to its place."""
        return error.in_shard(f"{self._split.place(index)}, {error.place}", self._split.file(index))

    def _jpeg(self, index: int, located: Located, placement: Placement, reading: Reading) -> tuple[np.ndarray, Source]:
        height, width = located.size
        data = reading.room("image", located.image_bytes)[: located.image_bytes]
        self._read(index, located, IR_HEADER.size, data, reading)
        if located.scan is not None:
            return self._planes(index, located, located.scan, data, placement, reading)
        pixels = reading.room("pixels", 3 * height * width + 128)
        try:
            decoded = simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, buffer=pixels, strict=True)
        except ValueError as error:
            raise self.damaged(index, f"is damaged (a JPEG that does not decode: {error})", _whole(located)) from error
        if decoded.shape != (height, width, 3):
            actual = f"is damaged (a JPEG of {decoded.shape[0]} x {decoded.shape[1]} pixels, height x width)"
            raise self.damaged(index, actual, _whole(located))
        low, high = _rows(height, float(height), placement)
        planes, gap = reading.room("planes", 3 * height * width + 128), 64
        split_channels(LEVEL, pixels, low * width, high * width, planes, height * width + gap)
        return planes, planar(RGB, located.size, gap=gap)

    def _planes(
        self, index: int, located: Located, scan: Scan, data: np.ndarray, placement: Placement, reading: Reading
    ) -> tuple[np.ndarray, Source]:
        target = grid(located.size, scan.factors)
        planes = reading.room("planes", target.size)
        rows = _samples(scan, target, 0, placement.scaled_height, placement.top, placement.height, False)
        columns = _samples(scan, target, 1, placement.scaled_width, placement.left, placement.width, placement.flip)
        if not decode_planes(data, scan, rows, columns, planes, reading.workplace):
            raise self.damaged(index, "is damaged (a JPEG with invalid or truncated data)", _whole(located))
        return planes, Source(YUV, target.at, target.stride, target.sizes, target.extents)

    def _merged(self, index: int, overlap: str, located: Located, reading: Reading) -> tuple[np.ndarray, np.ndarray]:
        try:
            record = self._whole_record(index, located, reading)
            masks = [inflate_runs(mask, record.source_size) for mask in record.masks]
            merged = merge_runs(masks, overlap, size=record.source_size)
            row_offsets, runs = resize_runs(merged.row_offsets, merged.runs, record.source_size, record.size)
            check_runs(row_offsets, runs, record.size, len(self._split.classes), len(masks))
        except RecordError as error:
            raise self._placed(index, error) from error
        return row_offsets, runs

    def _whole_record(self, index: int, located: Located, reading: Reading) -> Record:
        """Return a parsed record: that in ``reading`` if it was just requested, else as read again."""
        if self._split.by_record:
            return parse_record(reading.record[: located.length].data, index)
        return self._split.record(index)

    def _load(self, index: int, located: Located, reading: Reading) -> bool:
        """Read a whole record into ``reading.record``; return False if the bytes differ from those checked before."""
        record = reading.room("record", located.length)[: located.length]
        if located.at >= 0:
            located.file.read_into(located.at, record, self._split.place, index)
        else:
            data = self._split.raw(index)
            if len(data) != located.length:
                return False
            record[:] = np.frombuffer(data, np.uint8)
        return is_intact(record.data, index, located.crc)

    def _request(self, index: int, located: Located | None, reading: Reading) -> Located:
        """Read a whole record from an address into ``reading.record``, checked, and forget it if it was asked for."""
        data: bytes | memoryview = b""
        if located is not None:
            with suppress(ShardError):  # raised again by the check, which requests the record again
                data = self._split.raw(index)
            intact = len(data) == located.length and is_intact(memoryview(data), index, located.crc)
            located = located if intact else None
        if located is None:
            located, data = self._check(index)
            self._located[index] = located
        reading.record = np.frombuffer(data, np.uint8)
        self._split.drop(index)
        return located

    def _read(self, index: int, located: Located, offset: int, out: np.ndarray, reading: Reading) -> None:
        """Fill ``out`` from the record's bytes at ``offset``."""
        if self._always:
            out[:] = reading.record[offset : offset + out.size]
            return
        if located.at >= 0:
            started = time.perf_counter_ns()
            located.file.read_into(located.at + offset, out, self._split.place, index)
            if time.perf_counter_ns() - started > _SLOW_NS:
                self._cold = _COLD
            return
        data = self._split.raw(index)[offset : offset + out.size]
        if self._split.span(index)[0] is not located.file:
            raise ShardChangedError(self._split.place(index), "is in a shard that was reopened", "", FIND_AGAIN)
        if len(data) != out.size:
            raise self.damaged(index, "was truncated after it was first read")
        out[:] = np.frombuffer(data, np.uint8)

    def _check(self, index: int) -> tuple[Located, bytes | memoryview]:
        """Read a record and check it; return its layout and its bytes."""
        split = self._split
        while True:
            file, at = split.span(index)[0], -1 if split.by_record else split.plain(index)
            data, record = split.whole(index)
            if split.span(index)[0] is file:  # otherwise another thread has reopened the shard
                break
        if record.runs is not None and record.row_offsets is not None:
            try:
                check_runs(record.row_offsets, record.runs, record.size, len(split.classes), len(record.masks))
            except RecordError as error:
                raise self._placed(index, error) from error
        runs_at = IR_HEADER.size + len(record.image) + -len(record.image) % 8
        try:
            check_stored(record.image, record.codec, record.size)
        except RecordError as error:
            raise self._placed(index, error) from error
        scan = read_scan(record.image) if record.codec == JPEG else None
        located = Located(
            file, at, len(data), checksum(data), record.codec, record.size, len(record.image), runs_at,
            0 if record.runs is None else len(record.runs), record.runs is not None, len(record.masks), scan,
        )  # fmt: skip
        return located, data


def _samples(
    scan: Scan, target: Grid, axis: int, scaled: int, start: int, count: int, mirrored: bool
) -> tuple[int, int]:
    """Return the samples of Y (from, to) that pixels start .. start + count of an axis need, for Cb and Cr, too."""
    factor, count = scan.factors[axis], min(count, scaled - start)
    (low, high), (chroma_low, chroma_high) = (
        touched(size, extent, scaled, start, count, mirrored)
        for size, extent in zip(target.sizes[:, axis].tolist(), target.extents[:, axis].tolist(), strict=True)
    )
    return min(low, chroma_low * factor), max(high, chroma_high * factor)


def _whole(located: Located) -> str:
    return f"a whole JPEG of {located.size[0]} x {located.size[1]} pixels (height x width)"


def _rows(size: int, extent: float, placement: Placement) -> tuple[int, int]:
    count = min(placement.height, placement.scaled_height - placement.top)
    return touched(size, extent, placement.scaled_height, placement.top, count, False)
