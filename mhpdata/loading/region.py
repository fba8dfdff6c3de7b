"""The part of a record that a crop needs, read into a thread's own memory: rows of planes, a JPEG, the row runs.

Read by pread, never by a memory map: a file cut short under a map kills the process, and faulting a map in is the
slowest way to read a cold file. Each record is read whole and its CRC-32 compared the first time this process needs it
(1 ms a record of 1.2 MB); from then on only the rows that a crop touches are read, unless every reading is to be
checked. What was checked is forgotten when a shard's file is another, or was written to, at the next epoch.
"""

from __future__ import annotations

import time
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
from mhpdata.errors import FIND_AGAIN, MhpError, RecordError, ShardChangedError
from mhpdata.masks.joint_runs import check_runs
from mhpdata.masks.mask_runs import inflate_runs
from mhpdata.masks.merge import merge_runs
from mhpdata.masks.resized_runs import resize_runs
from mhpdata.storage.codec import CODECS, check_stored
from mhpdata.storage.record import IR_HEADER, checksum, is_intact
from mhpdata.storage.shards.file import OpenFile
from mhpdata.storage.split import Split

JPEG, YUV420 = CODECS["jpeg"], CODECS["yuv420"]
_COLD = 256
"""So many records are announced ahead after one that was slow to come."""
_SLOW_NS = 2_000_000


class Found(NamedTuple):
    """What is remembered of a record after its first reading.

    ``at`` is the place of its bytes in the file, -1 where they lie there in several parts; ``length`` is how many there
    are, and ``crc`` their CRC-32; ``runs_at`` is counted from ``at``. ``scan``: of a JPEG that
    :mod:`mhpdata.drawing.jpeg.planes` decodes.
    """

    file: OpenFile
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
    """The memory of one thread for what it reads; it grows to the largest record and stays."""

    def __init__(self) -> None:
        self.record = np.empty(0, np.uint8)
        self.image = np.empty(0, np.uint8)
        self.pixels = np.empty(0, np.uint8)
        self.planes = np.empty(0, np.uint8)
        self.words = np.empty(0, np.uint32)
        self.workplace = Workplace()

    def room(self, name: str, size: int) -> np.ndarray:
        """``size`` elements of one of the arrays, with 64 more behind them."""
        array: np.ndarray = getattr(self, name)
        if array.size < size + 64:
            array = aligned((size + size // 4 + 64,), array.dtype)
            setattr(self, name, array)
        return array


class Regions:
    """Reads regions of a split's records, for any number of threads, each with its own :class:`Reading`.

    Args:
        split: of a packed folder.
        overlap: whose a contested pixel is (mhpdata.options.OVERLAPS); None as packed. Another rule takes the persons'
            own masks out of the record and merges them anew at each reading.
        always: compare each record's CRC-32 at every reading, not at the first only.
    """

    def __init__(self, split: Split, overlap: str | None = None, always: bool = False) -> None:
        self._split, self._always = split, always
        self._overlap = None if overlap == split.manifest.options["overlap"] else overlap
        self._found: list[Found | None] = [None] * len(split)
        self._changes = split.refresh()
        self._cold = _COLD

    def refresh(self) -> None:
        """Forget what was checked of shards that were replaced or written to: their records are checked again.

        Called before an epoch, while no thread reads.
        """
        self._changes = self.renew()

    def renew(self) -> list[tuple[range, int]]:
        """Do what ``refresh`` does in the middle of an epoch, and return what ``Split.refresh`` returns.

        Another thread may just be checking a record of such a shard, so ``refresh`` will forget them once more.
        """
        changes = self._split.refresh()
        for (records, count), (_, known) in zip(changes, self._changes, strict=True):
            if count != known:
                self._found[records.start : records.stop] = [None] * len(records)
        return changes

    def find(self, index: int, reading: Reading | None = None) -> Found:
        """Where a record's parts lie; at the first time, its bytes are checked, all of them.

        Where every reading is to be checked, they are so again, and are in ``reading.record`` for what follows.

        Raises:
            ShardError, RecordError: they are not what was packed.
        """
        found = self._found[index]
        if found is None:
            found = self._found[index] = self._check(index)
        if self._always and reading is not None and not self._load(index, found, reading):
            found = self._found[index] = self._check(index)  # an error, unless another record has taken its place
            if not self._load(index, found, reading):
                raise self.damaged(index, "changes while it is read")
        return found

    def picture(self, index: int, found: Found, place: Placement, reading: Reading) -> tuple[np.ndarray, Source]:
        """The rows that a placement needs: a buffer, and where in it they lie."""
        if found.codec == JPEG:
            return self._jpeg(index, found, place, reading)
        colour = YUV if found.codec == YUV420 else RGB
        buffer = reading.room("image", found.image_bytes)
        begin, filled, missing = IR_HEADER.size, 0, []
        planes = planes_of(colour, found.size)
        for (rows, columns), (extent, _) in zip(planes.sizes, planes.extents, strict=True):
            low, high = _rows(rows, extent, place)
            end = filled + (high - low) * columns
            self._read(index, found, begin + low * columns, buffer[filled:end], reading)
            missing.append((low, rows - high))
            begin, filled = begin + rows * columns, end
        return buffer, planar(colour, found.size, missing)

    def runs(self, index: int, found: Found, reading: Reading) -> tuple[np.ndarray, np.ndarray]:
        """row_offsets and runs of a record that has labels, uint32."""
        if self._overlap is not None:
            return self._merged(index, self._overlap)
        rows = found.size[0] + 1
        words = reading.room("words", rows + found.run_count)[: rows + found.run_count]
        self._read(index, found, found.runs_at, words.view(np.uint8), reading)
        return words[:rows], words[rows:]

    def expect(self, index: int) -> None:
        """Tell the system that a record will be read soon; not where reads are found to be warm (it costs 20 us)."""
        if self._cold > 0 or self._found[index] is None:
            self._cold -= 1
            with suppress(MhpError, OSError):  # comes up again where the sample is made
                file, at, size = self._split.span(index)
                file.expect(at, size)

    def damaged(self, index: int, found: str, expected: str = "", remedy: str = FIND_AGAIN) -> RecordError:
        """An error that names the shard and the record; ``remedy`` is that of a record whose shard nobody knows."""
        place = self._split.place(index)
        return RecordError(place, found, expected, remedy).in_shard(place, self._split.file(index))

    def _part(self, index: int, error: RecordError) -> RecordError:
        """The error of a part of a record with the shard and the record before it."""
        return error.in_shard(f"{self._split.place(index)}, {error.place}", self._split.file(index))

    def _jpeg(self, index: int, found: Found, place: Placement, reading: Reading) -> tuple[np.ndarray, Source]:
        height, width = found.size
        data = reading.room("image", found.image_bytes)[: found.image_bytes]
        self._read(index, found, IR_HEADER.size, data, reading)
        if found.scan is not None:
            return self._planes(index, found, found.scan, data, place, reading)
        pixels = reading.room("pixels", 3 * height * width + 128)
        try:
            decoded = simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, buffer=pixels, strict=True)
        except ValueError as error:
            raise self.damaged(index, f"is damaged (a JPEG that does not decode: {error})", _whole(found)) from error
        if decoded.shape != (height, width, 3):
            actual = f"is damaged (a JPEG of {decoded.shape[0]} x {decoded.shape[1]} pixels)"
            raise self.damaged(index, actual, _whole(found))
        low, high = _rows(height, float(height), place)
        planes, gap = reading.room("planes", 3 * height * width + 128), 64
        split_channels(LEVEL, pixels, low * width, high * width, planes, height * width + gap)
        return planes, planar(RGB, found.size, gap=gap)

    def _planes(
        self, index: int, found: Found, scan: Scan, data: np.ndarray, place: Placement, reading: Reading
    ) -> tuple[np.ndarray, Source]:
        target = grid(found.size, scan.factors)
        planes = reading.room("planes", target.size)
        rows = _samples(scan, target, 0, place.scaled_height, place.top, place.height, False)
        columns = _samples(scan, target, 1, place.scaled_width, place.left, place.width, place.flip)
        if not decode_planes(data, scan, rows, columns, planes, reading.workplace):
            raise self.damaged(index, "is damaged (a JPEG whose codes are wrong or end too early)", _whole(found))
        return planes, Source(YUV, target.at, target.stride, target.sizes, target.extents)

    def _merged(self, index: int, overlap: str) -> tuple[np.ndarray, np.ndarray]:
        record = self._split.record(index)
        try:
            masks = [inflate_runs(mask, record.source_size) for mask in record.masks]
            merged = merge_runs(masks, overlap, size=record.source_size)
            row_offsets, runs = resize_runs(merged.row_offsets, merged.runs, record.source_size, record.size)
            check_runs(row_offsets, runs, record.size, len(self._split.classes), len(masks))
        except RecordError as error:
            raise self._part(index, error) from error
        return row_offsets, runs

    def _load(self, index: int, found: Found, reading: Reading) -> bool:
        """Read a record whole into ``reading.record``; False where the bytes are not those that were checked."""
        record = reading.room("record", found.length)[: found.length]
        if found.at >= 0:
            found.file.read_into(found.at, record, self._split.place, index)
        else:
            data = self._split.raw(index)
            if len(data) != found.length:
                return False
            record[:] = np.frombuffer(data, np.uint8)
        return is_intact(record.data, index, found.crc)

    def _read(self, index: int, found: Found, offset: int, out: np.ndarray, reading: Reading) -> None:
        """Fill ``out`` from the record's bytes at ``offset``."""
        if self._always:
            out[:] = reading.record[offset : offset + out.size]
            return
        if found.at >= 0:
            started = time.perf_counter_ns()
            found.file.read_into(found.at + offset, out, self._split.place, index)
            if time.perf_counter_ns() - started > _SLOW_NS:
                self._cold = _COLD
            return
        data = self._split.raw(index)[offset : offset + out.size]
        if self._split.span(index)[0] is not found.file:
            raise ShardChangedError(self._split.place(index), "is in a shard that was opened again", "", FIND_AGAIN)
        if len(data) != out.size:
            raise self.damaged(index, "was cut short since it was first read")
        out[:] = np.frombuffer(data, np.uint8)

    def _check(self, index: int) -> Found:
        split = self._split
        while True:
            file, at = split.span(index)[0], split.plain(index)
            data, record = split.whole(index)
            if split.span(index)[0] is file:  # else the shard has been opened again meanwhile, by any thread
                break
        if record.runs is not None and record.row_offsets is not None:
            try:
                check_runs(record.row_offsets, record.runs, record.size, len(split.classes), len(record.masks))
            except RecordError as error:
                raise self._part(index, error) from error
        runs_at = IR_HEADER.size + len(record.image) + -len(record.image) % 8
        try:
            check_stored(record.image, record.codec, record.size)
        except RecordError as error:
            raise self._part(index, error) from error
        scan = read_scan(record.image) if record.codec == JPEG else None
        return Found(
            file, at, len(data), checksum(data), record.codec, record.size, len(record.image), runs_at,
            0 if record.runs is None else len(record.runs), record.runs is not None, len(record.masks), scan,
        )  # fmt: skip


def _samples(
    scan: Scan, target: Grid, axis: int, scaled: int, start: int, count: int, mirrored: bool
) -> tuple[int, int]:
    """The samples of Y (from, to) that pixels start .. start + count of an axis need, and those above what they need of
    Cb and Cr."""
    factor, count = scan.factors[axis], min(count, scaled - start)
    (low, high), (chroma_low, chroma_high) = (
        touched(size, extent, scaled, start, count, mirrored)
        for size, extent in zip(target.sizes[:, axis].tolist(), target.extents[:, axis].tolist(), strict=True)
    )
    return min(low, chroma_low * factor), max(high, chroma_high * factor)


def _whole(found: Found) -> str:
    return f"a whole JPEG of {found.size[0]} x {found.size[1]} pixels"


def _rows(size: int, extent: float, place: Placement) -> tuple[int, int]:
    count = min(place.height, place.scaled_height - place.top)
    return touched(size, extent, place.scaled_height, place.top, count, False)
