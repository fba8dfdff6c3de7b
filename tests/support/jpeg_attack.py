"""Decode hostile JPEGs in arrays that end at the end of mapped memory: one byte too far kills the process.

tests/drawing/test_jpeg_damage.py runs it as a child process: ``python jpeg_attack.py SEED COUNT``. It prints the number
of JPEGs that decoded.
"""

import ctypes
import mmap
import random
import sys

import naive_jpeg as naive
import numpy as np

from mhpdata.drawing.jpeg.grid import grid
from mhpdata.drawing.jpeg.planes import Workplace, decode_planes
from mhpdata.drawing.jpeg.scan import read_scan
from mhpdata.drawing.jpeg.segments import SPARE

FACTORS = ((1, 1), (1, 2), (2, 1), (2, 2), (1, 4), (4, 1))
STEPS = [[255] * 64] * 3
LONGEST = bytes([*[0] * 15, 1]), b"\x0f"
"""A code of one word, sixteen zeros, followed by a value of 15 bits: the longest that exists."""


def guarded(size, dtype=np.uint8):
    """Return an array that is followed by inaccessible memory."""
    bytes_ = size * np.dtype(dtype).itemsize
    pages = -(-bytes_ // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    last = ctypes.c_void_p(address + pages * mmap.PAGESIZE)
    assert libc.mprotect(last, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0, ctypes.get_errno()
    whole = np.frombuffer(memory, np.uint8, pages * mmap.PAGESIZE)
    return whole[whole.size - bytes_ :].view(dtype)


def decode(data, scan, rows=None, columns=None):
    """Decode in buffers of the minimum size."""
    place, workplace = grid(scan.size, scan.factors), Workplace()
    guarded_data = guarded(len(data))
    guarded_data[:] = list(data)
    workplace.unstuffed = guarded(max(len(data) - scan.begin, 0) + SPARE)
    workplace.coefficients = guarded(place.coefficients, np.int16)
    workplace.work = guarded(workplace.work.size, np.int32)
    height, width = scan.size
    return decode_planes(guarded_data, scan, rows or (0, height), columns or (0, width), guarded(place.size), workplace)


def longest(factors, units):
    """Return units of the longest possible codes up to the end; the bytes after the end would continue them."""
    codes = dict.fromkeys((0, 16), LONGEST)
    blocks = factors[0] * factors[1] + 2
    header = naive.headers((64, 64), factors, STEPS, codes, (0, 0, 0))
    return header + bytes(blocks * 64 * 31 * units // 8)


def random_jpeg(rng):
    """Return random codes, bytes and markers."""
    codes = {
        kind: naive.random_code(rng, rng.permutation(limit)[: rng.integers(1, limit + 1)])
        for kind, limit in ((0, 16), (1, 16), (16, 255), (17, 255))
    }
    kinds = [int(k) for k in rng.choice([0, 1, 16, 17], 3)]
    size = tuple(int(n) for n in rng.integers(1, 70, 2))
    restart = int(rng.choice([0, 1, 2, 7, 65535]))
    header = naive.headers(size, FACTORS[rng.integers(6)], STEPS, codes, kinds, restart)
    scan = rng.integers(0, 256, rng.integers(0, 2000), np.uint8)
    if rng.random() < 0.7:  # else most 255s would be markers
        scan[scan == 255] = 0
    for at in rng.integers(0, scan.size + 1, 5 * (restart > 0)):
        scan[at : at + 2] = list(bytes([0xFF, 0xD0 + rng.integers(8)]))[: scan.size - at]
    return header + scan.tobytes()


def main(seed, count):
    decoded = 0
    for factors in FACTORS:
        for units in 0, 1, 2:
            data = longest(factors, units)
            scan = read_scan(data)
            assert not decode(data, scan), "64 x 64 pixels have more units"
            for cut in (10, scan.begin, len(data) - 1):  # a header with other bytes
                assert not decode(data[:cut], scan)
    rng = np.random.default_rng(seed)
    for _ in range(count):
        data = random_jpeg(rng)
        scan = read_scan(data)
        assert scan is not None
        (height, width), draw = scan.size, random.Random(int(rng.integers(1 << 30)))
        rows, columns = (sorted(draw.sample(range(n + 1), 2)) for n in (height, width))
        decoded += decode(data, scan)
        decoded += decode(data, scan, rows, columns)
    whole = naive.headers((16, 16), (2, 2), STEPS, {0: LONGEST, 16: LONGEST}, (0, 0, 0), 1) + bytes(1488)
    for at in range(len(whole)):
        for flip in (1, 0x80, 0xFF):
            data = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
            scan = read_scan(data)
            if scan is not None and scan.size == (16, 16):
                decoded += decode(data, scan)
    print(decoded)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
