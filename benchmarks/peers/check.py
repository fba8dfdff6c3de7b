"""Check that a peer does the task: the form of its batches, and its crops of the images of benchmarks/target.py.

Everything is derived from the pixels: the scale from the slope of red and green, position and flip from their values
and signs, the alignment of image and labels from the blue cells. A loader that skips work, scales differently or shifts
labels by two pixels does not pass.
"""

from __future__ import annotations

import numpy as np

from peers.task import BATCH, DEVIATION, MEAN, SCALES, SIZE

COUNT = 32
"""Number of target images; an epoch has two batches."""
CELL = 64
STEP = 3
GREEN_RED = (8, 248)
DARK, LIGHT = (2, 4, 6, 8, 16, 18), (1, 3, 5, 7, 11, 17)
"""Labels of the dark and the light cells: neither 0 nor labels with a left or right."""
CROPS = 6 * BATCH
_LABELS, _IS_DARK, _IS_LIGHT = (np.isin(np.arange(256), labels) for labels in ([*range(19), 255], DARK, LIGHT))
_SIZES = ((768, 1080), (1080, 768), (768, 904), (960, 768))


class WrongError(AssertionError):
    """The peer does not do the task; the message names the first deviation."""


def target_size(index: int) -> tuple[int, int]:
    """Return (height, width) of target image ``index``."""
    return _SIZES[index % len(_SIZES)]


def blue_levels(index: int) -> tuple[int, int]:
    """Return the blue levels of the dark and of the light cells of target image ``index``."""
    return 8 + STEP * index, 8 + STEP * index + 140


def check_form(images: np.ndarray, labels: np.ndarray, dtype: str) -> None:
    """Check shapes, types, ranges and the set of labels of a batch.

    Raises:
        WrongError: The batch does not have the task's form.
    """
    shape = (BATCH, 3, SIZE, SIZE) if dtype == "float32" else (BATCH, SIZE, SIZE, 3)
    _expect(images.shape == shape and images.dtype == dtype, f"images {images.dtype} {images.shape}")
    _expect(labels.shape == (BATCH, SIZE, SIZE), f"labels {labels.shape}")
    _expect(labels.dtype in (np.uint8, np.int32, np.float32), f"labels {labels.dtype}")
    levels = to_levels(images)
    _expect(bool(np.isfinite(levels).all()), "non-finite values")
    low, high = float(levels.min()), float(levels.max())
    _expect(-0.51 < low < 10 and 200 < high < 255.51, f"levels {low:.1f}..{high:.1f}")
    _expect(bool(((labels == labels.astype(np.uint8)) & _LABELS[labels.astype(np.uint8)]).all()), "labels beyond 18")
    _expect(bool((levels.std(axis=(1, 2, 3)) > 4).all()), "an empty image")
    _expect(len({image.tobytes() for image in levels[:, :, ::16, ::16]}) == BATCH, "the same image twice in a batch")


def to_levels(images: np.ndarray) -> np.ndarray:
    """Return images as levels, float32 (N, 3, H, W), 0 to 255."""
    if images.dtype == np.uint8:
        return images.transpose(0, 3, 1, 2).astype(np.float32)
    return (images * DEVIATION[:, None, None] + MEAN[:, None, None]) * 255


def check_target(batches: list[tuple[np.ndarray, np.ndarray]], dtype: str) -> dict[str, float]:
    """Check a peer's crops of the target images.

    Args:
        batches: CROPS samples in batches of image and label arrays.
        dtype: The task's dtype.

    Returns:
        Figures of the check, derived from the pixels.

    Raises:
        WrongError: The crops do not follow the task.
    """
    crops = []
    for images, labels in batches:
        check_form(images, labels, dtype)
        crops += [_read(levels, label) for levels, label in zip(to_levels(images), labels, strict=True)]
    columns = {name: np.array([crop[name] for crop in crops]) for name in crops[0]}
    counts = np.bincount(columns["index"].astype(int), minlength=COUNT)
    _expect(len(counts) == COUNT and counts.min() >= 1 and counts.max() <= 6, f"images seen {counts.tolist()} times")
    _expect(bool((np.diff(columns["index"]) != 1).mean() > 0.7), "the order is not shuffled")
    _expect(0.25 < columns["flip"].mean() < 0.75, f"{columns['flip'].mean():.0%} flipped")
    long_side, low, high = columns["long"], SCALES[0] * SIZE, SCALES[1] * SIZE
    _expect(low * 0.98 < long_side.min() < low * 1.35, f"smallest long side {long_side.min():.0f}")
    _expect(high * 0.88 < long_side.max() < high * 1.02, f"largest long side {long_side.max():.0f}")
    _expect(abs(long_side.mean() - (low + high) / 2) < 140, f"mean long side {long_side.mean():.0f}")
    for name in ("down", "right"):
        position = columns[name][~np.isnan(columns[name])]
        least, most = position.min(), position.max()
        _expect(-0.05 < least < 0.25 and 0.75 < most < 1.05, f"{name}: {least:.2f}..{most:.2f}")
        _expect(abs(position.mean() - 0.5) < 0.2, f"mean of {name} {position.mean():.2f}")
    _expect(columns["slip"].max() <= 1, f"labels slip by {columns['slip'].max():.0f} pixels")
    _expect(columns["mismatch"].mean() < 0.06, f"{columns['mismatch'].mean():.1%} of the labels are on the wrong cell")
    return {
        "crops": len(crops),
        "mean long side": round(float(long_side.mean()), 1),
        "flipped": round(float(columns["flip"].mean()), 3),
        "labels off their cell": round(float(columns["mismatch"].mean()), 4),
        "aspect off by at most": round(float(columns["aspect"].max()), 4),
    }


def _read(levels: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Derive index, flip, scale, position and alignment of one crop from its pixels."""
    labels = labels.astype(np.uint8)
    shown = _IS_LIGHT[labels] | _IS_DARK[labels]
    height, width = int(shown.any(1).sum()), int(shown.any(0).sum())
    corner = bool(shown[:height, :width].all()) and int(shown.sum()) == height * width
    _expect(corner, "padding is not bottom and right")
    outside = levels[:, ~shown]
    _expect(outside.size == 0 or float(np.abs(outside).max()) < 0.6, "padding is not black")
    red, green, blue = levels[:, :height, :width]
    light = _IS_LIGHT[labels[:height, :width]]
    index = round((float(np.median(blue[~light])) - 8) / STEP)
    _expect(0 <= index < COUNT, f"blue of no target image: {np.median(blue[~light]):.0f}")
    size = target_size(index)
    across, first_column, flip = _line(red.mean(0), width)
    down, first_row, upside_down = _line(green.mean(1), height)
    _expect(not upside_down, "upside down")
    aspect = abs(across / down / (size[1] / size[0]) - 1)
    _expect(aspect < 0.02, f"aspect off by {aspect:.1%}")
    for whole, seen in ((across, width), (down, height)):
        _expect(seen == SIZE or abs(whole - seen) < 0.015 * whole + 2, f"{seen} pixels shown of {whole:.0f}")
    middle = sum(blue_levels(index)) / 2
    slip, mismatch = _alignment(blue > middle, light)
    return {
        "index": index,
        "flip": flip,
        "long": max(across, down),
        "right": first_column / (across - SIZE) if across > SIZE + 60 else np.nan,
        "down": first_row / (down - SIZE) if down > SIZE + 60 else np.nan,
        "aspect": aspect,
        "slip": slip,
        "mismatch": mismatch,
    }


def _line(values: np.ndarray, count: int) -> tuple[float, float, bool]:
    """Return (length of the scaled side, first pixel shown, mirrored), from levels that grow along a side."""
    low, high = GREEN_RED
    positions = np.arange(count)
    inner = slice(2, count - 2)
    slope, start = np.polyfit(positions[inner], values[inner], 1)
    _expect(abs(slope) > 0.01, "no slope")
    start = start - slope / 2  # at the edge of the first pixel
    length = (high - low) / abs(slope)
    first = (start - low) / slope if slope > 0 else (start - high) / slope
    return float(length), float(first), bool(slope < 0)


def _alignment(light_image: np.ndarray, light_labels: np.ndarray) -> tuple[int, float]:
    """Return (shift in pixels that aligns the labels best with the image, share of labels off their cell)."""
    off = {}
    height, width = light_image.shape
    for down in range(-2, 3):
        for right in range(-2, 3):
            moved = light_labels[2 - down : height - 2 - down, 2 - right : width - 2 - right]
            off[down, right] = float((moved != light_image[2:-2, 2:-2]).mean())
    best = min(off, key=lambda move: (off[move], abs(move[0]) + abs(move[1])))
    return max(map(abs, best)), off[0, 0]


def _expect(good: bool, found: str) -> None:
    if not good:
        raise WrongError(found)
