"""Draw the label and person maps of a crop straight from a record's row runs: nothing is decoded whole.

In:  the row runs of docs/format.md.
Out: labels, persons uint8 (H, W): nearest pixel, (2x + 1) * n // 2m in integers; padding is ``pad_label`` and 0.

The kernel exists twice: as loops that can be read, and on vectors for AVX-512 alone. With AVX2 the loops take 103 us
per image where vectors took 88 (95 where they took 130, if the map stays in the caches): not worth compiling both.
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
    place: Placement,
    swap: Bytes,
    pad_label: int,
    most: tuple[int, int],
    labels: Bytes,
    persons: Bytes,
    scratch: DrawScratch,
) -> bool:
    """Draw the label map, and the person map unless ``persons`` is empty; nearest pixel, padding ``pad_label`` and 0.

    Args:
        level: a level of :mod:`mhpdata.drawing.vectors.instructions` that this machine has; below 2, loops draw.
        runs: uint32 (rows + 1,), the first run of each row, and uint32, the runs: as docs/format.md says.
        size: (height, width) of the map.
        swap: uint8 (256,), the label that each label becomes (left for right on a flip).
        most: the number of classes of the record's labels (or 255), and the number of its persons.
        labels, persons: uint8, flat: this sample's memory in the batch.

    Returns:
        False where the runs are damaged, or a label or person of a row that is drawn does not exist; nothing outside
        the given memory was touched.
    """
    scratch.fit(place.height, place.width, size[1], 0, False)
    given, rules = Runs(*runs), MapRules(swap, pad_label, *most)
    if level == 2:
        return _draw(level, given, size, place, rules, scratch.cut, scratch.line, labels, persons)
    return _draw_plain(given, size, place, rules, scratch.cut, labels, persons)


@kernel
def _draw_plain(
    runs: Runs, size: tuple[int, int], place: Placement, rules: MapRules, cut: Ints, labels: Bytes, persons: Bytes
) -> bool:
    rows, columns = _fill_cut(size[1], place, cut)
    if not _is_sound(runs, size, place, rows, rules):
        return False
    offsets, words = runs
    flip, width = place.flip, place.width
    for y in range(place.height):
        row = _source_row(y, size, place)
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
    level: Level, runs: Runs, size: tuple[int, int], place: Placement, rules: MapRules, cut: Ints, line: Bytes,
    labels: Bytes, persons: Bytes,
) -> bool:  # fmt: skip
    rows, columns = _fill_cut(size[1], place, cut)
    if not _is_sound(runs, size, place, rows, rules):
        return False
    # all is unpacked here, and _stop written out: handing the runs to a function per row takes three times as long
    offsets, words = runs
    swap, pad_label, _, _ = rules
    flip, width = place.flip, place.width
    to, to_persons, lines, apart = address(labels), address(persons), address(line), line.strides[0]
    before = -1
    for y in range(place.height):
        row = _source_row(y, size, place) if y < rows else size[0]
        for i in range(2 if persons.size else 1):
            here, filled = lines + i * apart, 0
            if row != before:
                if y < rows:
                    first, last = np.int64(offsets[row]), np.int64(offsets[row + 1])
                    # laid out from left to right, so that a fill may run over what the next one writes
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
def _source_row(y: int, size: tuple[int, int], place: Placement) -> int:
    """Return the row of the map that a row of the crop shows."""
    return (2 * (place.top + y) + 1) * size[0] // (2 * place.scaled_height)


@callee
def _fill_cut(source_width: int, place: Placement, cut: Ints) -> tuple[int, int]:
    """Set cut[end] to how many pixels of the crop, counted from the image's left, lie left of a source column.

    Pixel x shows column (2 * x + 1) * source_width // (2 * scaled_width). Return how many rows and columns of the crop
    show the image.
    """
    rows = min(place.height, place.scaled_height - place.top)
    columns = min(place.width, place.scaled_width - place.left)
    at = (2 * (place.scaled_width - place.left - columns if place.flip else place.left) + 1) * source_width
    x = 0
    for end in range(source_width + 1):
        while x < columns and at < end * 2 * place.scaled_width:
            x += 1
            at += 2 * source_width
        cut[end] = x
    return rows, columns


@callee
def _is_sound(runs: Runs, size: tuple[int, int], place: Placement, rows: int, rules: MapRules) -> bool:
    """Check the runs of all rows that are drawn before they are used: each covers its row from left to right, and
    names a label and a person that exist."""
    offsets, words = runs
    _, _, classes, persons = rules
    before = -1
    for y in range(rows):
        row = _source_row(y, size, place)
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
    """Return int32 (count, 4): top, left, bottom, right of what a person map shows of persons 1 .. count; zeros where
    nothing."""
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
