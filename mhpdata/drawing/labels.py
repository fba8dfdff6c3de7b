"""Label and person maps of a crop, drawn from a record's row runs straight to where they belong: nothing is decoded
whole.

In:  the row runs of docs/format.md.
Out: labels, persons uint8 (H, W): nearest pixel, (2x + 1) * n // 2m in integers; padding is ``pad_label`` and 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mhpdata.drawing import instructions as v
from mhpdata.drawing import vector as f
from mhpdata.drawing.image import DrawScratch, address
from mhpdata.drawing.placement import Placement
from mhpdata.jit import kernel


def draw_labels(
    level: int,
    runs: tuple[np.ndarray, np.ndarray],
    size: tuple[int, int],
    place: Placement,
    swap: np.ndarray,
    pad_label: int,
    most: tuple[int, int],
    labels: np.ndarray,
    persons: np.ndarray,
    scratch: DrawScratch,
) -> bool:
    """Draw the label map, and the person map unless ``persons`` is empty; nearest pixel, padding ``pad_label`` and 0.

    Args:
        runs: uint32 (rows + 1,), the first run of each row, and uint32, the runs: as docs/format.md says.
        size: (height, width) of the map.
        swap: uint8 (256,), the label that each label becomes (left for right on a flip).
        most: how many classes the record's labels are of (or 255), and persons its owners.
        labels, persons: uint8, flat: this sample's memory in the batch.

    Returns:
        False where the runs are damaged, or a label or person of a row that is drawn does not exist; nothing outside
        the given memory was touched.
    """
    scratch.fit(place.height, place.width, size[1], 0, False)
    sound: bool = _draw_labels(
        level, *runs, *size, *place[:7], swap, pad_label, *most, scratch.columns, scratch.line, labels, persons
    )
    return sound


@kernel
def _draw_labels(
    level: Any,
    row_offsets: Any,
    runs: Any,
    source_height: Any,
    source_width: Any,
    scaled_height: Any,
    scaled_width: Any,
    top: Any,
    left: Any,
    height: Any,
    width: Any,
    flip: Any,
    swap: Any,
    pad_label: Any,
    classes: Any,
    owners: Any,
    cut: Any,
    line: Any,
    labels: Any,
    persons: Any,
) -> Any:
    rows, columns = min(height, scaled_height - top), min(width, scaled_width - left)
    # cut[end] = how many pixels of the crop, counted from the picture's left, lie left of a source column; pixel x
    # shows column (2 * x + 1) * source_width // (2 * scaled_width)
    place = (2 * (scaled_width - left - columns if flip else left) + 1) * source_width
    x = 0
    for end in range(source_width + 1):
        while x < columns and place < end * 2 * scaled_width:
            x += 1
            place += 2 * source_width
        cut[end] = x
    lines, to, to_persons = address(line), address(labels), address(persons)
    before = -1
    for y in range(height):
        row = (2 * (top + y) + 1) * source_height // (2 * scaled_height) if y < rows else source_height
        for i in range(2 if persons.size else 1):
            here, pad = lines + i * line.strides[0], 0 if i else pad_label
            if row != before:
                filled = 0
                if y < rows:
                    first, last = np.int64(row_offsets[row]), np.int64(row_offsets[row + 1])
                    if not 0 <= first < last <= runs.size or runs[last - 1] & 0xFFFF != source_width:
                        return False
                    end = 0
                    for j in range(first, last):  # every end is checked before it is used
                        label = runs[j] >> 16 & 0xFF
                        if runs[j] & 0xFFFF <= end or classes <= label < 255 or runs[j] >> 24 > owners:
                            return False
                        end = runs[j] & 0xFFFF
                    # laid out from left to right, so that a fill may run over what the next one writes
                    for n in range(last - first):
                        j = last - 1 - n if flip else first + n
                        value = np.int64(runs[j] >> 24 if i else swap[runs[j] >> 16 & 0xFF])
                        if not flip:
                            stop = cut[runs[j] & 0xFFFF]
                        else:
                            stop = columns - cut[runs[j - 1] & 0xFFFF] if j > first else columns
                        if level:
                            f.fill_short(level, value, here + filled, stop - filled)
                        else:
                            line[i, filled:stop] = value
                        filled = stop
                if level:
                    f.fill(level, pad, here + filled, width - filled)
                else:
                    line[i, filled:width] = pad
            if level:
                f.copy(level, here, (to_persons if i else to) + y * width, width)
            elif i:
                persons[y * width : (y + 1) * width] = line[i, :width]
            else:
                labels[y * width : (y + 1) * width] = line[i, :width]
        before = row
    v.fence()
    return True


@kernel
def find_boxes(persons: Any, count: Any) -> Any:
    """int32 (count, 4): top, left, bottom, right of what a person map shows of persons 1 .. count; zeros where
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
