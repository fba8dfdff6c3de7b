"""Fixtures shared by several test files."""

from __future__ import annotations

import ctypes
import gc
import re
import warnings
from pathlib import Path

import kernel_cache  # noqa: F401  (before mhpdata is imported)
import pytest
from folder import packed_at, write_folder
from numba import config as numba_config

MOST_MEMORY = 7 << 29
"""Maximum bytes held by a test process. Two run at once in each environment, on machines with 8 GB."""

ONCE = {
    "browsing": ["facts", "site", "stats"],
    "checking": ["manifest", "release", "source"],
    "drawing": ["ahead", "jpeg_damage", "planes"],
    "fetching": ["archive", "extract", "fetch", "web", "weights"],
    "filesystem": ["descriptors", "links", "locks", "ours", "regular"],
    "ground": ["empty", "opencv"],
    "images": ["resize"],
    "kernels": ["cache", "compiling", "jit"],
    "loading": ["loader_damage", "loader_end", "soak"],
    "masks": ["joint_runs", "mask_runs", "merge"],
    "packing": ["convert", "environment", "journal", "output", "pack", "tasks"],
    "processes": ["interrupts", "pool"],
    "remote": ["blocks", "disk", "failures", "large_set", "merging", "store", "window"],
    "scoring": ["agreement", "persons"],
    "source": ["files", "layouts", "lists", "names", "scan"],
    "synth": ["folder", "forms"],
    "tools": ["fetch", "pack", "running", "score", "verify"],
    "training": ["resume"],
    "whole": ["code", "design", "faults", "fuzz", "kills", "rooms", "versions"],
}
"""Test files, ROOM/test_NAME.py, that depend on our own code only: long attacks, and tests with the same result for all
versions of the libraries."""


def pytest_configure(config):
    """Run the kernels in plain Python where NUMBA_DISABLE_JIT=1 is set; integers wrap there as in compiled code."""
    if numba_config.DISABLE_JIT:
        import plain_kernels

        plain_kernels.compile_intrinsics()
        config.addinivalue_line("filterwarnings", "ignore:overflow encountered in scalar:RuntimeWarning")


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their markers
def pytest_collection_modifyitems(items):
    """Mark the tests of ONCE, and give those of ``make slow`` an hour instead of the limit in pyproject.toml."""
    for item in items:
        if item.path.stem.removeprefix("test_") in ONCE.get(item.path.parent.name, ()):
            item.add_marker("once")
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(autouse=True, scope="module")
def no_memory_kept():
    """Return what the engines of a module leave to the system: in the C library it would add to what the next needs."""
    yield
    if _memory("VmRSS") > 1 << 29:
        _return_memory()


@pytest.fixture(autouse=True)
def little_memory():
    """Return free memory to the system, and fail the first test after which this process has held too much.

    MXNet's and torch's networks leave gigabytes of freed blocks in the C library, which keeps them.
    """
    yield
    held = _memory("VmRSS")
    if held > _held["settled"] + (256 << 20):
        _return_memory()
    else:
        _held["settled"] = min(held, _held["settled"])  # memory that fell by itself must not rise again unnoticed
    if _held["most"] <= MOST_MEMORY < (peak := _memory("VmHWM")):
        _held["most"] = peak
        pytest.fail(f"this process has held {peak >> 20} MB; at most {MOST_MEMORY >> 20} are right")


def _return_memory():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    _held["settled"] = _memory("VmRSS")


_held = {"settled": 0, "most": 0}
"""Bytes held after memory was last returned, and the highest value reported so far."""


def _memory(field):
    """Return the bytes that this process holds (VmRSS) or its peak (VmHWM); 0 on systems other than Linux."""
    status = Path("/proc/self/status")
    return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB$", status.read_text(), re.M)[1]) if status.exists() else 0


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """Return the tiny download of folder.py; read-only."""
    return write_folder(tmp_path_factory.mktemp("download") / "LV-MHP-v1")


@pytest.fixture(scope="session")
def small(source, tmp_path_factory):
    """Return that download packed at 64 pixels; read-only."""
    return packed_at(64, source, tmp_path_factory.mktemp("small"))


@pytest.fixture(params=[False, True], ids=["requests", "cache"])
def cache(request, tmp_path):
    """Return no cache for packed folders that have an address, then one on the disk."""
    import mhpdata

    return mhpdata.Cache(tmp_path / "cache", 1) if request.param else None


@pytest.fixture(scope="session")
def mx():
    """Return MXNet; its import warns about names that NumPy and Python have since renamed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("mxnet", reason="MXNet is not installed here; environment A has it")
