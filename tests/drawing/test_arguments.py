"""Arguments of kernels: bundles count as sources of kernels, and each cached kernel has one signature."""

import importlib
import inspect
import pkgutil

import drawn
import naive_loader as naive
import numpy as np
import pytest
from numba.core.registry import CPUDispatcher

import mhpdata.drawing
from mhpdata.drawing.image import split_channels
from mhpdata.drawing.placement import Placement
from mhpdata.drawing.scratch import DrawScratch
from mhpdata.drawing.vectors import instructions
from mhpdata.kernels import cache as kernel_cache

MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.iter_modules(mhpdata.drawing.__path__, "mhpdata.drawing.")
    if not found.ispkg
]
FUNCTIONS = {
    f"{module.__name__}.{name}": value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, CPUDispatcher) and value.py_func.__module__ == module.__name__
}


def bundles():
    """Return the named tuples in the kernels' annotations, and all others of the room."""
    for module in MODULES:
        for value in vars(module).values():
            if inspect.isclass(value) and issubclass(value, tuple) and value.__module__ == module.__name__:
                yield value


def test_a_change_of_a_bundle_is_a_change_of_the_kernels():
    """Numba's signatures contain the class and the types, not the names of fields."""
    sources = {path.resolve() for path in kernel_cache.sources()}
    found = list(bundles())
    assert {"Source", "Placement", "Work", "Norm", "Runs"} <= {value.__name__ for value in found}
    for value in found:
        file = inspect.getsourcefile(value)
        assert importlib.import_module(value.__module__).__file__ == file
        assert any(path.samefile(file) for path in sources), value


@pytest.mark.compiled
def test_functions_are_compiled_for_one_signature_each():
    """Colour, blur and persons create no variants: literals and constants are not part of a signature."""
    size, scratch = (31, 45), DrawScratch()
    for level in {0, instructions.LEVEL}:
        for yuv in True, False:
            planes = drawn.planes_of(size, yuv)
            for radius, gray in (0.0, False), (0.7, True):
                place = Placement(40, 57, 3, 5, 32, 32, yuv, radius, gray)
                for kind in drawn.KINDS:
                    drawn.draw(planes, yuv, size, place, kind, level, 0, scratch)
        runs = naive.runs(*[drawn.a_map(size, seed) for seed in (0, 1)])
        for persons in True, False:
            assert drawn.draw_labels(level, size, runs, place, persons=persons)[0]
        pixels, out = np.zeros(3 * 200 + 256, np.uint8), np.zeros(3 * 264 + 64, np.uint8)
        split_channels(level, pixels, 0, 200, out, 264)
    counts = {name: len(function.signatures) for name, function in FUNCTIONS.items()}
    assert {name: count for name, count in counts.items() if count > 1} == {}
    assert sum(counts.values()) >= 5, (
        "the entries at least; the functions that they call, where they were compiled here"
    )
