"""Draw samples as the loader does: images with hard edges and label maps, in memory guarded at both ends."""

import numpy as np

from mhpdata.drawing import image as render
from mhpdata.drawing import labels as maps
from mhpdata.drawing import source as sources
from mhpdata.drawing.plain import FLOAT16, FLOAT32, UINT8
from mhpdata.drawing.scratch import DrawScratch, aligned

KINDS = {"float32": FLOAT32, "float16": FLOAT16, "uint8": UINT8}
NORM = render.normalisation()


def planes_of(size, yuv, seed=0):
    rng = np.random.default_rng(seed)
    half = tuple(-(-n // 2) for n in size)
    sizes = (size, half, half) if yuv else (size,) * 3
    # hard edges and full range: the hardest case for clamping and rounding
    return [
        np.where(rng.random(s) < 0.5, rng.integers(0, 256, s), rng.choice([0, 255], s)).astype(np.uint8) for s in sizes
    ]


def draw(planes, yuv, size, place, kind, level, misalign=0, scratch=None):
    sizes = np.array([planes[0].shape, planes[1].shape], np.int64)
    extents = np.array([size, [n / round(n / m) for n, m in zip(size, planes[1].shape, strict=True)]], np.float64)
    at = np.cumsum([0, planes[0].size, planes[1].size])
    stride = np.array([p.shape[1] for p in planes])
    buffer = np.concatenate([*(p.ravel() for p in planes), np.full(64, 77, np.uint8)])
    count = place.height * place.width * 3
    memory = aligned((misalign + 4 * count + 256,), np.uint8)
    memory[:] = 99
    used = count * {"float32": 4, "float16": 2, "uint8": 1}[kind]
    out = memory[misalign : misalign + used]
    source = sources.Source(sources.YUV if yuv else sources.RGB, at, stride, sizes, extents)
    render.draw_image(level, buffer, source, place, KINDS[kind], NORM, out, scratch or DrawScratch())
    assert (memory[:misalign] == 99).all()
    assert (memory[misalign + used :] == 99).all()
    out = out.copy().view(kind)
    return out.reshape(place.height, place.width, 3) if kind == "uint8" else out.reshape(3, place.height, place.width)


def a_map(size, seed):
    """Return a map with large areas, thin lines and single pixels; persons and labels have different borders."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 19, (size[0] // 7 + 1, size[1] // 13 + 1))
    out = np.kron(coarse, np.ones((7, 13), int))[: size[0], : size[1]]
    noisy = rng.random(size) < 0.03
    out[noisy] = rng.choice([255, 9, 10, 3], noisy.sum())
    return out.astype(np.uint8)


def draw_labels(level, size, runs, place, pairs=(), pad=255, persons=False, misalign=0, most=(255, 255)):
    swap = np.arange(256, dtype=np.uint8)
    for left, right in pairs if place.flip else ():
        swap[[left, right]] = right, left
    count = place.height * place.width
    memory = aligned((2 * (count + 128),), np.uint8)
    memory[:] = 99
    labels = memory[misalign : misalign + count]
    owners = memory[-count:] if persons else memory[:0]
    sound = maps.draw_labels(level, runs, size, place, swap, pad, most, labels, owners, DrawScratch())
    assert (memory[misalign + count : -count] == 99).all()
    return sound, labels.reshape(place.height, -1), owners.reshape(place.height, -1)
