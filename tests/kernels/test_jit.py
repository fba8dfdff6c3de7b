"""The decorators: one signature per kernel; callees are compiled into their kernels."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config
from places import files

from mhpdata.kernels import cache as kernel_cache
from mhpdata.kernels import files as kernel_files
from mhpdata.kernels import jit


@jit.callee
def _half(value):
    return value / 2


@jit.kernel
def _halves(values, divisor):
    total = 0.0
    for value in values:
        total += _half(value) / divisor
    return total


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_cache, "WRITER", kernel_files.Writer())
    return tmp_path / "cache"


def test_a_callee_is_compiled_into_its_kernel_and_has_no_file(cache):
    assert _halves.py_func is not None
    assert _halves(np.arange(4.0), 2.0) == 1.5
    assert [path.name.split("-")[0] for path in cache.rglob("*.kernel")] == [f"{__name__}._halves"]
    assert not np.isfinite(_halves(np.arange(4.0), 0.0)), "NumPy's error model: a division by zero is not looked for"


def test_a_second_signature_is_named():
    def twice(values):
        return values[0] * 2

    own, name = jit.kernel(twice), f"{__name__}.twice"
    assert own(np.arange(3)) == 0
    assert name not in jit.several()
    assert own(np.arange(3.0)) == 0
    assert name in jit.several()
    jit._kernels.remove(own)


def test_nobody_else_decorates_kernels():
    """The exception is inverse_dct, whose arithmetic Numba inlines."""
    for path in files("mhpdata", "mhpmodels"):
        if path.name not in ("jit.py", "inverse_dct.py"):
            assert "njit" not in path.read_text(encoding="utf-8"), path
