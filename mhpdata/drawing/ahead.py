"""Compile the loader's kernels before its first batch, or load them from the cache, by a small call of each.

Compiling each kernel at its first use would compile them one by one, and once per rank. The calls here have the
argument types of the loader's calls, which ``tests/drawing/test_ahead.py`` checks.
"""

from __future__ import annotations

import numpy as np

from mhpdata.drawing import image as render
from mhpdata.drawing import labels as maps
from mhpdata.drawing.jpeg.grid import grid
from mhpdata.drawing.jpeg.planes import Workplace, decode_planes
from mhpdata.drawing.jpeg.scan import read_scan
from mhpdata.drawing.placement import Placement
from mhpdata.drawing.plain import FLOAT32
from mhpdata.drawing.scratch import DrawScratch, aligned
from mhpdata.drawing.source import YUV, planar
from mhpdata.drawing.vectors.instructions import LEVEL
from mhpdata.kernels import compiling
from mhpdata.processes.pool import Pool, ended
from mhpdata.processes.threads import start_threads

_SIDE = 32
_PLACE = Placement(_SIDE, _SIDE, 0, 0, _SIDE, _SIDE)
_ABOUT_S = 10
"""Seconds to compile all kernels on two cores of 2020 (benchmarks/results/cold_start.md)."""
_prepared: set[bool] = set()


def prepare(jpeg: bool, cores: int) -> None:
    """Make the loader's kernels ready, once per process.

    Runs in a separate thread, since an interrupt during a compilation could leave Numba's lock held.

    Args:
        jpeg: Whether JPEGs are to be decoded, too.
        cores: Number of cores that this process may use.
    """
    if jpeg in _prepared or True in _prepared:
        return
    tasks = [draw_labels, decode, draw] if jpeg else [draw_labels, draw]
    with start_threads("threads"):
        pool = Pool(1, "mhp-compile", ended=ended)
    with pool:
        pool.submit(compiling.prepare, tasks, _ABOUT_S, cores).result()
    _prepared.add(jpeg)


def draw() -> None:
    """Draw a small image."""
    buffer = aligned((2 * _SIDE * _SIDE + 256,), np.uint8)
    source = planar(YUV, (_SIDE, _SIDE))
    out = np.empty((3, _SIDE, _SIDE), np.float32).reshape(-1).view(np.uint8)
    scratch = DrawScratch()
    render.draw_image(LEVEL, buffer, source, _PLACE, FLOAT32, render.normalisation(), out, scratch)


def draw_labels() -> None:
    """Draw a small label map of one run per row."""
    words = aligned((2 * _SIDE + 1,), np.uint32)[: 2 * _SIDE + 1]
    words[: _SIDE + 1], words[_SIDE + 1 :] = np.arange(_SIDE + 1), _SIDE
    runs = words[: _SIDE + 1], words[_SIDE + 1 :]
    labels, swap = np.empty((2, _SIDE, _SIDE), np.uint8), np.arange(256, dtype=np.uint8)
    flat = labels[0].reshape(-1), labels[0][:0].reshape(-1)
    size, scratch = (_SIDE, _SIDE), DrawScratch()
    assert maps.draw_labels(LEVEL, runs, size, _PLACE, swap, 255, (1, 1), *flat, scratch), "the runs are sound"


def decode() -> None:
    """Decode a small JPEG."""
    import simplejpeg

    written = simplejpeg.encode_jpeg(np.zeros((_SIDE, _SIDE, 3), np.uint8))
    scan = read_scan(written)
    assert scan is not None, "a baseline JPEG"
    data = aligned((len(written),), np.uint8)[: len(written)]
    data[:] = np.frombuffer(written, np.uint8)
    planes = aligned((grid(scan.size, scan.factors).size,), np.uint8)
    assert decode_planes(data, scan, (0, _SIDE), (0, _SIDE), planes, Workplace()), "it is whole"
