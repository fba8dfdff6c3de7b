"""Slow, obvious twins of the loader's kernels: whole images, Python integers, no tables, no row-wise processing."""

import numpy as np
from PIL import Image

ONE = 16384


def weights(size, extent, scaled, x):
    """Return the first sample and integer weights of pixel x: PIL's precompute_coeffs for the triangle filter, with
    weights that sum to ONE."""
    scale = extent / scaled
    support = max(scale, 1.0)
    centre = (x + 0.5) * scale
    begin = min(max(int(centre - support + 0.5), 0), size - 1)
    end = max(min(int(centre + support + 0.5), size), begin + 1)
    narrow = 1.0 / support
    exact = [max(0.0, 1.0 - abs(k - centre + 0.5) * narrow) for k in range(begin, end)]
    total = 0.0
    for e in exact:
        total += e
    full = ONE / total if total else 0.0
    whole = [int(e * full + 0.5) for e in exact]
    whole[whole.index(max(whole))] += ONE - sum(whole)
    return begin, whole


def blur_weights(radius, count, x):
    bell = np.exp(-0.5 * (np.arange(-3, 4) / radius) ** 2)
    bell = [int(b) for b in np.floor(bell / bell.sum() * ONE + 0.5)]
    bell[3] += ONE - sum(bell)
    padded = [min(max(x + k, 0), count - 1) for k in range(-3, 4)]
    return min(padded), [
        sum(b for b, p in zip(bell, padded, strict=True) if p == k) for k in range(min(padded), max(padded) + 1)
    ]


def filter_plane(plane, rows, columns, centred):
    """Return an int plane in 1/128 levels (centred: 1/256, minus 128), from (first, weights) of each output row and
    column."""
    plane = plane.astype(np.int64) - (128 if centred else 0)
    tall = np.array([sum((plane[a + k] * w + 128) >> 8 for k, w in enumerate(ws)) for a, ws in rows])
    wide = np.array([sum(tall[:, a + k] * w for k, w in enumerate(ws)) for a, ws in columns]).T
    return wide >> (12 if centred else 13)


def to_byte(x):
    return np.clip((x + 64) >> 7, 0, 255).astype(np.uint8)


def to_rgb(planes, yuv):
    """Convert three planes of filter_plane to uint8 (H, W, 3)."""
    if not yuv:
        return np.stack([to_byte(p) for p in planes], axis=-1)
    y, cb, cr = planes
    red = y + ((cr * 22970 + ONE) >> 15)
    green = y + ((cb * -5638 + ONE) >> 15) + ((cr * -11700 + ONE) >> 15)
    blue = y + ((cb * 29032 + ONE) >> 15)
    return np.stack([to_byte(p) for p in (red, green, blue)], axis=-1)


def image(planes, yuv, size, place, factors=None):
    """Draw uint8 (H, W, 3), the crop of the scaled, mirrored, padded image, from three planes of ``size``.

    ``factors``: (rows, columns) of Y samples per sample of Cb and Cr, where sizes are ambiguous."""
    scaled = []
    for p, plane in enumerate(planes):
        tables = []
        for axis in range(2):
            factor = factors[axis] if factors and p else round(size[axis] / plane.shape[axis])
            n = (place.scaled_height, place.scaled_width)[axis]
            tables.append([weights(plane.shape[axis], size[axis] / factor, n, x) for x in range(n)])
        scaled.append(filter_plane(plane, *tables, centred=yuv and p > 0))
    rgb = to_rgb(scaled, yuv)
    if place.flip:
        rgb = rgb[:, ::-1]
    crop = np.zeros((place.height, place.width, 3), np.uint8)
    part = rgb[place.top : place.top + place.height, place.left : place.left + place.width]
    crop[: part.shape[0], : part.shape[1]] = part
    if place.radius:
        crop = blur(crop, place.radius)
    if place.gray:
        crop = np.repeat(np.array(Image.fromarray(crop).convert("L"))[:, :, None], 3, axis=2)
    return crop


def blur(rgb, radius):
    height, width = rgb.shape[:2]
    rows = [blur_weights(radius, height, y) for y in range(height)]
    columns = [blur_weights(radius, width, x) for x in range(width)]
    return np.stack([to_byte(filter_plane(rgb[:, :, c], rows, columns, False)) for c in range(3)], axis=-1)


def normalise(rgb, dtype, mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225)):
    """Normalise uint8 (H, W, 3) to (3, H, W) of dtype, rounding once to float32 and once more to float16."""
    out = np.empty((3, *rgb.shape[:2]), np.float32)
    for c in range(3):
        factor, offset = np.float32(1 / (255 * deviation[c])), np.float32(-mean[c] / deviation[c])
        out[c] = (rgb[:, :, c].astype(np.float64) * np.float64(factor) + np.float64(offset)).astype(np.float32)
    return out.astype(dtype)


def labels(source, place, pairs=(), pad=255):
    """Draw the crop of a scaled, mirrored, padded uint8 map; mirrored labels change sides."""
    height, width = source.shape
    out = np.full((place.height, place.width), pad, np.uint8)
    swap = {a: b for left, right in pairs for a, b in ((left, right), (right, left))} if place.flip else {}
    for y in range(min(place.height, place.scaled_height - place.top)):
        for x in range(min(place.width, place.scaled_width - place.left)):
            column = place.left + x
            if place.flip:
                column = place.scaled_width - 1 - column
            row = (2 * (place.top + y) + 1) * height // (2 * place.scaled_height)
            value = source[row, (2 * column + 1) * width // (2 * place.scaled_width)]
            out[y, x] = swap.get(int(value), value)
    return out


def runs(labels, persons):
    """Encode two uint8 maps as row_offsets and runs of docs/format.md."""
    offsets, out = [0], []
    for row, owners in zip(labels, persons, strict=True):
        for x in range(len(row)):
            if x + 1 == len(row) or row[x] != row[x + 1] or owners[x] != owners[x + 1]:
                out.append((x + 1) | int(row[x]) << 16 | int(owners[x]) << 24)
        offsets.append(len(out))
    return np.array(offsets, np.uint32), np.array(out, np.uint32)


def targets(persons, sigma=8.0, unit=32.0, least=16, reach=48):
    """Draw float32 (4, H, W): Gaussians at the centres of persons, offsets to the centre down and right, where they
    count; pixel by pixel."""
    height, width = persons.shape
    out = np.zeros((4, height, width), np.float32)
    for person in sorted(set(persons.reshape(-1).tolist()) - {0}):
        own = [(y, x) for y in range(height) for x in range(width) if persons[y, x] == person]
        if len(own) < least:
            continue
        cy, cx = sum(y for y, _ in own) / len(own), sum(x for _, x in own) / len(own)
        for y in range(height):
            for x in range(width):
                if max(abs(y - cy), abs(x - cx)) <= reach:
                    bell = np.float32(np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * sigma**2)))
                    out[0, y, x] = max(out[0, y, x], bell)
        for y, x in own:
            out[1:, y, x] = (cy - y) / unit, (cx - x) / unit, 1
    return out
