"""Slow, obvious twins of the kernels: Python and NumPy, written from the contracts, not from the kernels."""

from __future__ import annotations

import math

import numpy as np

# --- PNG


def filter_rows(rows, bits, filters):
    """Filter rows of bytes as in the PNG specification; ``bits`` is the number of bits per pixel."""
    step, above, out = max(1, bits // 8), None, b""
    for y, row in enumerate(rows):
        above, kind, line = above or bytes(len(row)), int(filters[y % len(filters)]), []
        for x, value in enumerate(row):
            left, corner = (row[x - step], above[x - step]) if x >= step else (0, 0)
            guess = [0, left, above[x], (left + above[x]) // 2, paeth(left, above[x], corner)][kind]
            line.append((value - guess) % 256)
        out += bytes([kind, *line])
        above = row
    return out


def paeth(left, up, corner):
    """Return the neighbour nearest to left + up - corner; ties go to left, then up."""
    return min((left, up, corner), key=lambda value: abs(left + up - corner - value))


# --- merge


def merge(masks, rule):
    """Merge uint8 (H, W) masks pixel by pixel; return (labels, persons, overlapping pixels, conflicting pixels)."""
    height, width = masks[0].shape
    labels, persons = np.zeros((2, height, width), np.uint8)
    claims = {at: [k for k, m in enumerate(masks) if m[at] not in (0, 255)] for at in np.ndindex(height, width)}
    areas = [int(((m != 0) & (m != 255)).sum()) for m in masks]
    sole = [[at for at, who in claims.items() if who == [k]] for k in range(len(masks))]
    contested = conflicting = 0
    for (y, x), who in claims.items():
        if not who:
            labels[y, x] = 255 if any(m[y, x] == 255 for m in masks) else 0
            continue
        values = {int(masks[k][y, x]) for k in who}
        contested += len(who) > 1
        conflicting += len(values) > 1
        owner = who[0]
        if rule == "last":
            owner = who[-1]
        elif rule == "smallest":
            owner = min(who, key=lambda k: (areas[k], k))
        elif rule == "nearest" and len(who) > 1:
            owner = min(who, key=lambda k: (distance((y, x), sole[k]), k))
        label = 255 if rule == "ignore" and len(values) > 1 else masks[owner][y, x]
        labels[y, x] = label
        persons[y, x] = 0 if label == 255 else owner + 1
    return labels, persons, contested, conflicting


def contested(masks):
    """Classify each pixel by definition: 0 at most one person, 1 several with equal labels, 2 conflicting labels."""
    state = np.zeros(masks[0].shape, np.uint8)
    for y, x in np.ndindex(state.shape):
        labels = [int(mask[y, x]) for mask in masks if mask[y, x] not in (0, 255)]
        state[y, x] = 0 if len(labels) < 2 else 1 if len(set(labels)) == 1 else 2
    return state


def distance(at, pixels):
    """Return the squared distance to the nearest of some pixels."""
    return min(((at[0] - y) ** 2 + (at[1] - x) ** 2 for y, x in pixels), default=math.inf)


# --- resize


def packed_size(height, width, size):
    """Return the size by GluonCV's own code for the short side (gluoncv/data/mhp.py, __getitem__)."""
    w, h = width, height
    if h < w:
        oh = size
        ow = int(1.0 * w * oh / h + 0.5)
        if ow % 8:
            ow = int(round(ow / 8) * 8)
    else:
        ow = size
        oh = int(1.0 * h * ow / w + 0.5)
        if oh % 8:
            oh = int(round(oh / 8) * 8)
    return oh, ow


def weights(n_in, n_out):
    """Return (first source pixel, integer weights) for each output pixel: Pillow's precompute_coeffs, one by one."""
    step = n_in / n_out
    support = max(step, 1.0)
    found = []
    for i in range(n_out):
        center = (i + 0.5) * step
        first = max(int(center - support + 0.5), 0)
        stop = min(int(center + support + 0.5), n_in)
        row = [max(1.0 - abs((x - center + 0.5) * (1.0 / support)), 0.0) for x in range(first, stop)]
        total = 0.0
        for weight in row:
            total += weight
        found.append((first, [int(0.5 + weight / total * (1 << 22)) for weight in row]))
    return found


def resize_image(image, size):
    """Resize along axis 1, then axis 0, rounding to 8 bits after each; skip a pass that changes nothing."""
    for axis in (1, 0):
        if image.shape[axis] != size[axis]:
            image = resize_axis(image, axis, size[axis])
    return image


def resize_axis(image, axis, n_out):
    lines = np.moveaxis(image.astype(np.int64), axis, 0)
    made = []
    for first, row in weights(len(lines), n_out):
        total = sum(weight * lines[first + t] for t, weight in enumerate(row))
        made.append(np.minimum((total + (1 << 21)) >> 22, 255))
    return np.moveaxis(np.array(made, np.uint8), 0, axis)


def resize_labels(labels, size):
    """Take the pixel under the centre, computed with fractions."""
    (height, width), (new_height, new_width) = labels.shape, size
    rows = [(2 * i + 1) * height // (2 * new_height) for i in range(new_height)]
    columns = [(2 * i + 1) * width // (2 * new_width) for i in range(new_width)]
    return np.array([[labels[y, x] for x in columns] for y in rows], np.uint8)


# --- runs


def row_runs(*rows):
    """Return (end, value of each row) for each stretch on which no row changes."""
    width = len(rows[0])
    values = [tuple(int(row[x]) for row in rows) for x in range(width)]
    return [(x + 1, *values[x]) for x in range(width) if x + 1 == width or values[x + 1] != values[x]]


def encode_runs(labels, persons):
    offsets, runs = [0], []
    for label_row, person_row in zip(labels, persons, strict=True):
        runs += [end | label << 16 | person << 24 for end, label, person in row_runs(label_row, person_row)]
        offsets.append(len(runs))
    return np.array(offsets, np.uint32), np.array(runs, np.uint32)


def decode_runs(offsets, runs, size):
    labels, persons = np.zeros((2, *size), np.uint8)
    for y in range(size[0]):
        begin = 0
        for run in map(int, runs[offsets[y] : offsets[y + 1]]):
            labels[y, begin : run & 0xFFFF] = run >> 16 & 0xFF
            persons[y, begin : run & 0xFFFF] = run >> 24
            begin = run & 0xFFFF
    return labels, persons


def runs_are_right(offsets, runs, size, classes, persons):
    """Check the rules of docs/format.md for row_offsets and runs."""
    offsets, runs = [int(v) for v in offsets], [int(v) for v in runs]
    if len(offsets) != size[0] + 1 or offsets[0] != 0 or offsets[-1] != len(runs) or sorted(offsets) != offsets:
        return False
    for y in range(size[0]):
        row = runs[offsets[y] : offsets[y + 1]]
        ends = [run & 0xFFFF for run in row]
        if not row or ends[0] < 1 or ends[-1] != size[1] or ends != sorted(set(ends)):
            return False
        for label, person in ((run >> 16 & 0xFF, run >> 24) for run in row):
            if label not in {*range(classes), 255} or person > persons or (person == 0) != (label in (0, 255)):
                return False
    return True


def mask_body(mask):
    """Return the uncompressed bytes of a mask's stream."""
    rows = [row_runs(row) for row in mask]
    lengths = [int(n) for row in rows for n in np.diff([0, *(end for end, _ in row)])]
    counts = np.array([len(row) for row in rows], "<u2")
    labels = np.array([label for row in rows for _, label in row], np.uint8)
    return counts.tobytes() + np.array(lengths, "<u2").tobytes() + labels.tobytes()
