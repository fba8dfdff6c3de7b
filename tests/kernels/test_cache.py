"""A kernel from the cache is undamaged, matches the current sources and has the signature of the call."""

from __future__ import annotations

import errno
import importlib
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numba import config
from numba.core import caching
from numba.core.registry import CPUDispatcher

import mhpdata
from mhpdata.kernels import cache as kernel_cache
from mhpdata.kernels import files as kernel_files
from mhpdata.kernels import jit

SPLIT = """
import numpy as np
from mhpdata.drawing import image
out = np.zeros(64, np.uint8)
image.split_channels(0, np.arange(64, dtype=np.uint8), 0, 2, out, 8)
print(*out[[0, 1, 8, 9, 16, 17]])
"""


def split(folder: Path) -> str:
    """Run the scalar kernel of the package in ``folder`` on two pixels."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-c", SPLIT], env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_change_of_a_called_kernel_in_another_file_is_seen(tmp_path):
    shutil.copytree(Path(mhpdata.__file__).parent, tmp_path / "mhpdata", ignore=shutil.ignore_patterns("__pycache__"))
    assert split(tmp_path) == "0 3 1 4 2 5"
    kept = sorted((tmp_path / "cache").rglob("drawing.image._split_channels*.kernel"))
    assert kept, "the kernel was not kept, so nothing is tested"
    written = kept[0].stat().st_mtime_ns
    assert split(tmp_path) == "0 3 1 4 2 5"
    assert kept[0].stat().st_mtime_ns == written, "a kernel whose sources are the same is not compiled again"
    callee = tmp_path / "mhpdata" / "drawing" / "plain.py"
    old = "out[i] = pixels[3 * i]\n"
    assert callee.read_text().count(old) == 1
    callee.write_text(callee.read_text().replace(old, "out[i] = pixels[3 * i] + 100\n"))
    assert split(tmp_path) == "100 103 1 4 2 5"


def test_bounds_are_checked_where_asked_whatever_is_cached(tmp_path):
    shutil.copytree(Path(mhpdata.__file__).parent, tmp_path / "mhpdata", ignore=shutil.ignore_patterns("__pycache__"))
    assert split(tmp_path) == "0 3 1 4 2 5"
    beyond = SPLIT.replace("0, 2, out, 8", "0, 30, out, 8")  # reads and writes past the end of both arrays
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    environment["NUMBA_BOUNDSCHECK"] = "1"
    done = subprocess.run([sys.executable, "-c", beyond], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "IndexError" in done.stderr


# --- processes, disks and files; each dispatcher here simulates a process


def double(values):
    total = values[0] * 0
    for value in values:
        total += value * 2
    return total


INTS, FLOATS = np.arange(4), np.arange(4.0)


def process(function=double):
    """Return a function as in a process that has just started."""
    return jit.kernel(function)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the empty folder of NUMBA_CACHE_DIR."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_cache, "WRITER", kernel_files.Writer())
    monkeypatch.setattr(Path, "replace", lambda part, path: os.replace(part, path))  # noqa: PTH105  3.10 has its own
    return tmp_path / "cache"


def kept(cache):
    return sorted(path for path in cache.rglob("*") if path.is_file() and path.name != kernel_files.LOCK)


def compiled(dispatcher):
    """Return the number of signatures that were compiled because the cache lacked them."""
    return sum(dispatcher.stats.cache_misses.values())


def test_signatures_that_are_compiled_at_once_never_take_each_others_code(cache, monkeypatch):
    with monkeypatch.context() as meanwhile:  # Numba's own cache, if both read its index before either writes it
        meanwhile.setattr(caching.IndexDataCacheFile, "_load_index", lambda self: {})
        assert process()(INTS) == 12
        meanwhile.setattr(caching.IndexDataCacheFile, "_save_data", lambda *of: None)
        assert process()(FLOATS) == 12.0
    assert (process()(FLOATS), process()(INTS)) == (12.0, 12)


def test_files_get_their_names_in_any_order(cache, monkeypatch):
    """Three processes are about to rename their files: two of one signature, one of another."""
    renames = []

    def rename_later(part, path):
        renames.append((part.read_bytes(), path))
        part.unlink()

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(kernel_files.os, "replace", rename_later)
        assert [process()(values) for values in (INTS, FLOATS, INTS)] == [12, 12.0, 12]
    for order in itertools.permutations(renames):
        for content, path in order:
            path.write_bytes(content)
        third = process()
        assert (third(FLOATS), third(INTS), compiled(third)) == (12.0, 12, 0)
        assert len(kept(cache)) == 2
        shutil.rmtree(cache)
        order[0][1].parent.mkdir(parents=True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data, other: b"",
        lambda data, other: data[:9],
        lambda data, other: data[: len(data) // 2],
        lambda data, other: data[:-1],
        lambda data, other: data + b"\0",
        lambda data, other: data[:-200] + bytes([data[-200] ^ 1]) + data[-199:],
        lambda data, other: bytes(len(data)),
        lambda data, other: other,
    ],
)
def test_a_damaged_file_counts_as_missing_and_is_replaced(cache, damage):
    first = process()
    assert (first(INTS), first(FLOATS)) == (12, 12.0)
    files = kept(cache)
    before = {path: path.read_bytes() for path in files}
    for path, other in zip(files, reversed(files), strict=True):
        path.write_bytes(damage(before[path], before[other]))
    second = process()
    assert (second(INTS), second(FLOATS), compiled(second)) == (12, 12.0, 2)
    third = process()
    assert (third(INTS), third(FLOATS), compiled(third)) == (12, 12.0, 0)
    assert kept(cache) == files


def fail(number):
    def raising(*of, **given):
        raise OSError(number, os.strerror(number))

    return raising


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_no_kernels_is_one_warning(cache, monkeypatch, caplog, number):
    monkeypatch.setattr(os, "replace", fail(number))
    first = process()
    assert (first(INTS), first(FLOATS)) == (12, 12.0)
    assert kept(cache) == []
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("mhpdata", "WARNING")
    assert f"{cache}/" in record.getMessage() and os.strerror(number) in record.getMessage()
    assert "Set NUMBA_CACHE_DIR to" in record.getMessage()


def test_a_folder_that_cannot_be_made_is_one_warning(cache, caplog):
    cache.write_text("a file")
    first = process()
    assert (first(INTS), first(FLOATS), compiled(first)) == (12, 12.0, 2)
    assert [record.getMessage().count(str(cache)) for record in caplog.records] == [1]


def test_another_version_of_numpy_has_kernels_of_its_own(cache, monkeypatch):
    assert process()(INTS) == 12
    with monkeypatch.context() as other:
        other.setattr(np, "__version__", "1.0")
        second = process()
        assert (second(INTS), compiled(second)) == (12, 1)
    third = process()
    assert (third(INTS), compiled(third), len(kept(cache))) == (12, 0, 2)


def test_without_numba_cache_dir_the_next_folder_is_taken(cache, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    beside, home = kernel_cache.folders()
    assert beside.is_relative_to(Path(mhpdata.__file__).parent) and home.is_relative_to(tmp_path / "home")
    (tmp_path / "file").touch()
    monkeypatch.setattr(kernel_files, "folders", lambda digest: [tmp_path / "file" / "beside", home])
    assert process()(INTS) == 12
    again = process()
    assert (again(INTS), compiled(again), caplog.records) == (12, 0, [])
    assert kept(tmp_path / "home")


def test_a_user_without_a_home_has_one_folder(monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(kernel_files.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert len(kernel_cache.folders()) == 1


def test_only_the_latest_folders_of_other_sources_stay_and_nothing_foreign_goes(cache):
    here = kernel_cache.folders()[0]
    old = [here.parent / f"{number:016x}" for number in range(12)]
    for number, folder in enumerate(old):
        folder.mkdir(parents=True)
        (folder / "kernels.emit-0.kernel").touch()
        (folder / kernel_files.LOCK).touch()
        (old[0] / "thesis.txt").touch()
        os.utime(folder, (number, number))
    (here.parent / "notes").mkdir()
    here.mkdir()
    (here / "kernels.emit-0.kernel.0.part").touch()
    os.utime(here / "kernels.emit-0.kernel.0.part", (0, 0))
    assert process()(INTS) == 12
    assert sorted(here.parent.iterdir()) == sorted([here, here.parent / "notes", old[0], *old[4:]])
    assert [path.name for path in old[0].iterdir()] == ["thesis.txt"]
    assert sorted(path.suffix for path in here.iterdir()) == [".kernel", ".lock"]


class Pair(NamedTuple):
    first: np.ndarray
    second: np.ndarray


def test_the_fields_of_a_bundle_are_part_of_the_key(cache):
    """Two fields of one type are swapped: Numba shows both bundles as Pair(array, array)."""

    def subtract(pair):
        return pair.first[0] - pair.second[0]

    class Turned(NamedTuple):
        second: np.ndarray
        first: np.ndarray

    Turned.__name__ = "Pair"
    a, b = np.array([5]), np.array([3])
    assert process(subtract)(Pair(a, b)) == 2
    turned = process(subtract)
    Turned.__qualname__, Turned.__module__ = Pair.__qualname__, Pair.__module__
    assert (turned(Turned(b, a)), compiled(turned), len(kept(cache))) == (2, 1, 2)


# --- the cache depends on all sources of kernels


def test_all_files_with_kernels_are_sources():
    root = Path(mhpdata.__file__).parent.parent
    files = [path for package in ("mhpdata", "mhpmodels") for path in (root / package).rglob("*.py")]
    assert {path for path in files if "@kernel\n" in path.read_text()} < set(kernel_cache.sources())
    names = {path.relative_to(root).as_posix() for path in kernel_cache.sources()}
    assert {
        "mhpdata/drawing/vectors/moving.py",
        "mhpdata/kernels/jit.py",
        "mhpdata/kernels/cache.py",
        "mhpmodels/evaluation/metrics.py",
    } < names and "mhpmodels/training/loop.py" not in names


def test_what_kernels_read_beside_their_arguments_stands_in_the_sources():
    """Every constant except IGNORE, which the format defines."""
    root = Path(mhpdata.__file__).parent.parent
    sources = set(kernel_cache.sources())
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in sources]
    modules = [importlib.import_module(name) for name in names]
    kernels = [value for module in modules for value in vars(module).values() if isinstance(value, CPUDispatcher)]
    assert len(kernels) > 60
    read = {(f, name) for f in kernels for name in f.py_func.__code__.co_names if name in f.py_func.__globals__}
    for function, name in read:
        value = function.py_func.__globals__[name]
        if isinstance(value, int | float | np.ndarray) and name != "IGNORE":
            assigned = re.compile(rf"^(\w+, )*{name}\b.* = ", re.MULTILINE)
            assert any(assigned.search(path.read_text()) for path in sources), name
