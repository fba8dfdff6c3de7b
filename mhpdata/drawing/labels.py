"""Draw the label and person maps of a crop straight from a record's row runs, without decoding the whole map.

In:  the row runs of docs/format.md.
Out: labels, persons uint8 (H, W): nearest pixel, (2x + 1) * n // 2m in integers; padding is ``pad_label`` and 0.

The kernel exists as plain loops and as vectors for AVX-512 only. With AVX2, loops take 103 us per image and vectors
took 88 (95 and 130 if the map stays in the caches), which does not justify compiling a second variant.
"""

from __future__ import annotations

import numpy as np

from mhpdata.drawing.arguments import Level, MapRules, Runs
from mhpdata.drawing.placement import Placement
from mhpdata.drawing.scratch import DrawScratch
from mhpdata.drawing.vectors import steps
from mhpdata.drawing.vectors.instructions import address, fence
from mhpdata.kernels.arrays import Bytes, Ints, Words
from mhpdata.kernels.jit import callee, kernel


def draw_labels(
    level: int,
    runs: tuple[Words, Words],
    size: tuple[int, int],
    placement: Placement,
    swap: Bytes,
    pad_label: int,
    most: tuple[int, int],
    labels: Bytes,
    persons: Bytes,
    scratch: DrawScratch,
) -> bool:
    """Draw the label map, and the person map unless ``persons`` is empty; nearest pixel, padding ``pad_label`` and 0.

    Args:
        level: Level of :mod:`mhpdata.drawing.vectors.instructions` that this machine supports; below 2, plain loops.
        runs: uint32 (rows + 1,), the first run of each row, and uint32, the runs, as specified in docs/format.md.
        size: (height, width) of the map.
        placement: Crop to draw.
        swap: uint8 (256,), the output label of each label (left for right on a flip).
        pad_label: Label of the padding.
        most: Number of classes of the record's labels (255 is also valid), and number of its persons.
        labels, persons: uint8, flat: this sample's memory in the batch.
        scratch: Buffers of the calling thread.

    Returns:
        False if the runs are damaged, or a row that is drawn names a label or person that does not exist; nothing
        outside the given memory is read or written either way.
    """
    scratch.fit(placement.height, placement.width, size[1], 0, False)
    given, rules = Runs(*runs), MapRules(swap, pad_label, *most)
    if level == 2:
        return _draw(level, given, size, placement, rules, scratch.cut, scratch.line, labels, persons)
    return _draw_plain(given, size, placement, rules, scratch.cut, labels, persons)


@kernel
def _draw_plain(
    runs: Runs, size: tuple[int, int], placement: Placement, rules: MapRules, cut: Ints, labels: Bytes, persons: Bytes
) -> bool:
    rows, columns = _fill_cut(size[1], placement, cut)
    if not _is_sound(runs, size, placement, rows, rules):
        return False
    offsets, words = runs
    flip, width = placement.flip, placement.width
    for y in range(placement.height):
        row = _source_row(y, size, placement)
        for i in range(2 if persons.size else 1):
            out = persons if i else labels
            begin = y * width
            if y < rows:
                first, last = np.int64(offsets[row]), np.int64(offsets[row + 1])
                for n in range(last - first):
                    j = last - 1 - n if flip else first + n
                    stop = _stop(words, j, first, columns, flip, cut)
                    out[begin : y * width + stop] = words[j] >> 24 if i else rules.swap[words[j] >> 16 & 0xFF]
                    begin = y * width + stop
            out[begin : (y + 1) * width] = 0 if i else rules.pad_label
    return True


@callee
def _stop(words: Words, j: int, first: int, columns: int, flip: bool, cut: Ints) -> int:
    """Return the pixel of the crop at which a run ends, as drawn from left to right."""
    if not flip:
        return int(cut[words[j] & 0xFFFF])
    return columns - int(cut[words[j - 1] & 0xFFFF]) if j > first else columns


@kernel
def _draw(
    level: Level, runs: Runs, size: tuple[int, int], placement: Placement, rules: MapRules, cut: Ints, line: Bytes,
    labels: Bytes, persons: Bytes,
) -> bool:  # fmt: skip
    rows, columns = _fill_cut(size[1], placement, cut)
    if not _is_sound(runs, size, placement, rows, rules):
        return False
    # everything is unpacked here and _stop is inlined: passing the runs to a function per row takes three times as long
    offsets, words = runs
    swap, pad_label, _, _ = rules
    flip, width = placement.flip, placement.width
    to, to_persons, lines, apart = address(labels), address(persons), address(line), line.strides[0]
    before = -1
    for y in range(placement.height):
        row = _source_row(y, size, placement) if y < rows else size[0]
        for i in range(2 if persons.size else 1):
            here, filled = lines + i * apart, 0
            if row != before:
                if y < rows:
                    first, last = np.int64(offsets[row]), np.int64(offsets[row + 1])
                    # from left to right, so that the next fill overwrites what this one writes past its end
                    for n in range(last - first):
                        j = last - 1 - n if flip else first + n
                        value = np.int64(words[j] >> 24 if i else swap[words[j] >> 16 & 0xFF])
                        if not flip:
                            stop = cut[words[j] & 0xFFFF]
                        else:
                            stop = columns - cut[words[j - 1] & 0xFFFF] if j > first else columns
                        steps.fill_short(value, here + filled, stop - filled)
                        filled = stop
                steps.fill(level, 0 if i else pad_label, here + filled, width - filled)
            steps.copy(level, here, (to_persons if i else to) + y * width, width)
        before = row
    fence()
    return True


@callee
def _source_row(y: int, size: tuple[int, int], placement: Placement) -> int:
    """Return the row of the map that a row of the crop shows."""
    return (2 * (placement.top + y) + 1) * size[0] // (2 * placement.scaled_height)


@callee
def _fill_cut(source_width: int, placement: Placement, cut: Ints) -> tuple[int, int]:
    """Set cut[end] to the number of pixels of the crop, from the image's left, that lie left of source column ``end``.

    Pixel x shows column (2 * x + 1) * source_width // (2 * scaled_width). Return the number of rows and of columns of
    the crop that show the image.
    """
    rows = min(placement.height, placement.scaled_height - placement.top)
    columns = min(placement.width, placement.scaled_width - placement.left)
    at = (
        2 * (placement.scaled_width - placement.left - columns if placement.flip else placement.left) + 1
    ) * source_width
    x = 0
    for end in range(source_width + 1):
        while x < columns and at < end * 2 * placement.scaled_width:
            x += 1
            at += 2 * source_width
        cut[end] = x
    return rows, columns


@callee
def _is_sound(runs: Runs, size: tuple[int, int], placement: Placement, rows: int, rules: MapRules) -> bool:
    """Check the runs of all rows that are drawn: they cover each row from left to right, with valid labels and persons.

    Nothing is drawn before this check has passed.
    """
    offsets, words = runs
    _, _, classes, persons = rules
    before = -1
    for y in range(rows):
        row = _source_row(y, size, placement)
        if row == before:
            continue
        before = row
        first, last = np.int64(offsets[row]), np.int64(offsets[row + 1])
        if not 0 <= first < last <= words.size or words[last - 1] & 0xFFFF != size[1]:
            return False
        end = 0
        for j in range(first, last):
            label = words[j] >> 16 & 0xFF
            if words[j] & 0xFFFF <= end or classes <= label < 255 or words[j] >> 24 > persons:
                return False
            end = words[j] & 0xFFFF
    return True


@kernel
def find_boxes(persons: Bytes, count: int) -> Ints:
    """Return the bounding box of each person 1 .. count in a person map; zeros for a person that it does not show.

    Args:
        persons: uint8 (H, W), the person of each pixel, 0 for none.
        count: Number of persons.

    Returns:
        int32 (count, 4): top, left, bottom, right in pixels, the last two exclusive.
    """
    boxes = np.zeros((count, 4), np.int32)
    for y in range(persons.shape[0]):
        for x in range(persons.shape[1]):
            person = persons[y, x]
            if 0 < person <= count:
                box = boxes[person - 1]
                if box[2] == 0:
                    box[0], box[1], box[3] = y, x, x + 1
                box[1], box[2], box[3] = min(box[1], x), y + 1, max(box[3], x + 1)
    return boxes
