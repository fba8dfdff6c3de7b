"""JPEGs that encoders write and JPEGs that none writes, decoded by mhp and by libjpeg, for tests of the decoder."""

import jpeg_attack
import naive_jpeg as naive
import numpy as np
import simplejpeg
from images import picture

from mhpdata.drawing.jpeg.grid import grid
from mhpdata.drawing.jpeg.planes import Workplace, decode_planes
from mhpdata.drawing.jpeg.scan import read_scan
from mhpdata.drawing.scratch import aligned

WORKPLACE = Workplace()  # shared by all calls: leftovers of a JPEG must not affect the next


def decode(data, rows=None, columns=None):
    """Decode Y, Cb and Cr, each of the size that the image needs; None if the bytes are damaged."""
    scan = read_scan(data)
    place = grid(scan.size, scan.factors)
    out = aligned((place.size + 64,), np.uint8)
    out[:] = 77
    height, width = scan.size
    bytes_ = np.frombuffer(data, np.uint8).copy()
    if not decode_planes(bytes_, scan, rows or (0, height), columns or (0, width), out, WORKPLACE):
        return None
    assert (out[place.size :] == 77).all()
    sizes = place.sizes[[0, 1, 1]]
    return [
        out[at : at + stride * height].reshape(height, stride)[:, :width]
        for at, stride, (height, width) in zip(place.at, place.stride, sizes, strict=True)
    ]


def luma(data):
    """Decode Y with libjpeg; raise ValueError if it warns."""
    return simplejpeg.decode_jpeg(data, "GRAY", fastdct=False, strict=True)[:, :, 0]


def rough(size, seed=0):
    """Return hard edges and noise: all frequencies, the whole range."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (*size, 3), np.uint8)
    return np.where(rng.random((*size, 1)) < 0.5, noise, picture(size=size))


def encode(image, quality=90, sampling="420", **options):
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, colorsubsampling=sampling, **options)


def equal(found, expected):
    assert found is not None
    assert len(found) == len(expected) == 3
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


JPEG = encode(rough((24, 40)), 90)


def written(seed, **options):
    """Make a JPEG of random coefficients and three pairs of random codes, with any sampling."""
    rng = np.random.default_rng(seed)
    size, factors = tuple(rng.integers(1, 60, 2).tolist()), jpeg_attack.FACTORS[seed % 6]
    units = [-(-n // (8 * f)) for n, f in zip(size, factors, strict=True)]
    coefficients = []
    for down, across in (factors, (1, 1), (1, 1)):
        blocks = rng.integers(-20, 21, (units[0] * down, units[1] * across, 64))
        blocks[rng.random(blocks.shape) < rng.choice([0.3, 0.9, 0.99])] = 0
        blocks[..., 0] *= 3
        coefficients.append(blocks)
    codes = {kind: naive.random_code(rng, np.arange(12 if kind < 16 else 255)) for kind in (0, 1, 16, 17)}
    kinds = rng.permutation([0, 1, 16, 17])[:3].tolist()
    steps = rng.integers(1, 13, (3, 64))
    return naive.encode(size, factors, coefficients, steps, codes, kinds, **options), coefficients


def changed(data, marker, change):
    """Return a JPEG with ``change`` applied to the content of one type of segment; None removes the segment."""
    found, begin = naive.parts(data)
    contents = [(m, change(bytearray(part)) if m == marker else part) for m, part in found]
    return b"\xff\xd8" + b"".join(naive.part(m, bytes(part)) for m, part in contents if part is not None) + data[begin:]
