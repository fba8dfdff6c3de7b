"""Descriptors 0 to 2: a process that has closed them packs the same shards, and none of our files gets them."""

import ast
import os
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from folder import tree
from places import ROOT, files

import mhpdata
from mhpdata.errors import OutputError
from mhpdata.filesystem.descriptors import hold_standard, open_descriptor
from mhpdata.packing import convert
from mhpdata.storage.shards import hdf5, recordio

NULL = Path(os.devnull).stat()


@contextmanager
def without(*closed):
    """Close some of descriptors 0 to 2 in a block."""
    kept = {number: os.dup(number) for number in closed}
    for number in closed:
        os.close(number)
    try:
        yield
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


@pytest.mark.parametrize("closed", [(0,), (1, 2), (0, 1, 2), (0, 2)])
def test_what_is_free_is_held_by_dev_null_and_a_file_comes_above(tmp_path, closed):
    (tmp_path / "file").write_bytes(b"content")
    with without(*closed):
        number = open_descriptor(tmp_path / "file", os.O_RDONLY)
        states = [os.fstat(n) for n in range(3)]
        inherited = [os.get_inheritable(n) for n in closed]
        os.close(number)
        before = sorted(Path("/proc/self/fd").iterdir())
        hold_standard()
        assert sorted(Path("/proc/self/fd").iterdir()) == before
    assert number > 2 and all(inherited)
    for n in closed:
        assert (states[n].st_rdev, states[n].st_ino) == (NULL.st_rdev, NULL.st_ino)


def with_a_warning(data, *of, **given):
    """Decode an image like a library that prints a line about it to the descriptors."""
    for number in (1, 2):
        with suppress(OSError):
            os.write(number, b"libpng warning: iCCP: too short\n")
    return decode(data, *of, **given)


decode = convert.decode_file


@pytest.mark.parametrize("format", ["recordio", "hdf5"])
def test_a_pack_without_them_has_the_same_bytes(source, tmp_path, format):
    mhpdata.pack(source, tmp_path / "whole", size=64, format=format, workers=1)
    child = os.fork()
    if child == 0:
        try:
            for number in (1, 2):
                os.close(number)
            convert.decode_file = with_a_warning
            mhpdata.pack(source, tmp_path / "rec", size=64, format=format, workers=1)
            assert len(mhpdata.open(tmp_path / "rec", "train")[0].name) == 4
            os._exit(0)
        except BaseException:
            (tmp_path / "error").write_text(traceback.format_exc())
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, (tmp_path / "error").read_text()
    assert tree(tmp_path / "rec") == tree(tmp_path / "whole")


@pytest.mark.parametrize("module", [recordio, hdf5])
def test_a_shard_that_something_else_wrote_to_gets_no_name(tmp_path, module, monkeypatch):
    writer = module.Writer(tmp_path / "train-00000")
    writer.write(bytes(200))
    target = next(tmp_path.glob("*.rec"), None) or next(tmp_path.glob("*.spool"))
    if module is recordio:
        writer._rec._file.flush()
    with target.open("ab") as file:
        file.write(b"libpng warning: iCCP: too short\n" * 1000)
    with pytest.raises(OutputError, match=r"train-00000\.\w+: has \d+ bytes; expected the \d+ that were written to it"):
        writer.close()


def opens(path):
    """Return the calls by which a source file opens files, as (line, call)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            name = call.rpartition(".")[2]
            bare = name == "open" and call not in (
                "mhpdata.open",
                "cv2.open",
                "self._zip.open",
                "zipped.open",
                "self._opener.open",
            )
            if bare or name in ("read_text", "read_bytes", "write_text", "write_bytes", "touch", "fopen"):
                yield node.lineno, call


def test_every_file_is_opened_in_one_place():
    """hold_standard is called before libraries (HDF5, NumPy, torch, TensorBoard) open files."""
    known = {
        "mhpdata/filesystem/descriptors.py",  # the place
        "mhpdata/kernels/cache.py",  # at import, source files
        "mhpdata/kernels/files.py",  # after hold_standard
        "tools/running.py",  # the standard streams themselves
        "mhpmodels/engines/torch/backbone.py",  # after hold_standard
    }
    found = []
    for path in files("mhpdata", "mhpmodels", "tools"):
        place = path.relative_to(ROOT).as_posix()
        if place not in known and not place.startswith("mhpdata/synth/"):  # it holds them once for all its files
            found += [f"{place}:{line} {call}" for line, call in opens(path)]
    assert not found
