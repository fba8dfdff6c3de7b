"""A failing disk under a command or a loader, and a process out of memory, give one error that names the file and leave
nothing half-written; the same command resumes once the fault is fixed. A clock that jumps changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
from folder import write_folder
from places import SUPPORT

import mhpdata
from mhpmodels.training.tables import read_steps

COMPILER = shutil.which("cc") or shutil.which("gcc")
LOAD = """
import sys, mhpdata
options = {"batch_size": 2, "view": mhpdata.TrainCrop(64, base_size=64), "threads": 2, "on_error": sys.argv[2]}
try:
    loader = mhpdata.Loader(sys.argv[1], "train", **options)
    batches = sum(1 for batch in loader)
except mhpdata.errors.MhpError as error:
    print(type(error).__name__, error)
else:
    print(batches, "batches,", len(loader.skipped), "skipped")
"""
TRAIN = """
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from numpy_engine import NumpyEngine
from mhpmodels.config import TrainConfig
from mhpmodels.training.train import train
small = {"base_size": 64, "crop_size": 48, "batch_size": 2, "lr": 1.0, "epochs": 2, "workers": 1}
train(TrainConfig.of(data=sys.argv[1], **small), Path(sys.argv[2]), open_engine=NumpyEngine, tensorboard=False)
"""
PACK = """
import resource, sys
import mhpdata, mhpdata.packing.convert, mhpdata.masks.merge  # code and kernels are not what shall not fit
from mhptools.pack import main
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]),) * 2)
main(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory):
    """Return a function that runs a command with C library functions replaced by those of a file in tests/support."""
    if COMPILER is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("shim")

    def run(name, environment, *command):
        shim = folder / f"{name}.so"
        source = SUPPORT / f"{name}.c"
        if not shim.exists():
            subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"], check=True)
        around = {name: value for name, value in os.environ.items() if name != "CLOCK_SHIFT"}  # set by alone.py
        env = {**around, "LD_PRELOAD": str(shim), **environment}
        return subprocess.run(
            [sys.executable, *command], env=env, capture_output=True, text=True, timeout=300, check=False
        )

    return run


@pytest.fixture
def failing(preloaded):
    """Return a function that runs a command whose reads of some files fail."""

    def run(path, after, *command):
        return preloaded("eio", {"FAULT_PATH": str(path), "FAULT_AFTER": str(after)}, *command)

    return run


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("faults") / "MHP_v1", images=8, size=(61, 83))


@pytest.fixture(scope="module")
def packed(source, tmp_path_factory):
    """Pack once, for tests that do not depend on the container."""
    out = tmp_path_factory.mktemp("packed") / "rec"
    mhpdata.pack(source, out, size=96)
    return out


@pytest.fixture(scope="module", params=["recordio", "hdf5"])
def rec(source, tmp_path_factory, request):
    out = tmp_path_factory.mktemp(request.param) / "rec"
    mhpdata.pack(source, out, size=96, format=request.param)
    return out


@pytest.mark.parametrize("after", [0, 2, 7])
def test_a_shard_that_cannot_be_read_is_one_error_of_the_loader(failing, rec, after):
    found = failing(rec / "train-00000", after, "-c", LOAD, str(rec), "fail")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("ShardError ")
    assert "train-00000" in found.stdout and "Input/output error" in found.stdout
    assert len(found.stdout.splitlines()) == 1 and "0x" not in found.stdout


def test_records_that_cannot_be_read_are_left_out_on_request(failing, rec):
    whole = failing("no such file", 0, "-c", LOAD, str(rec), "skip").stdout
    assert whole.endswith(" 0 skipped\n")
    for after in (1, 4, 8, 12, 16, 20):  # number of reads that open the shard
        found = failing(rec / "train-00000", after, "-c", LOAD, str(rec), "skip")
        if not found.stdout.startswith("ShardError"):
            break
    assert found.returncode == 0, found.stderr
    assert found.stdout.split(",")[0] == whole.split(",")[0] and not found.stdout.endswith(" 0 skipped\n")


def test_verify_lists_what_it_cannot_read(failing, rec):
    found = failing(rec / "train-00000", 0, "-m", "mhptools.verify", str(rec))
    assert found.returncode == 3
    assert "Input/output error" in found.stdout + found.stderr


@pytest.mark.parametrize("part", ["images/", "annotations/", "train_list.txt"])
def test_a_source_that_cannot_be_read_ends_the_pack_and_the_next_one_goes_on(failing, source, tmp_path, part):
    out = tmp_path / "rec"
    command = ("-m", "mhptools.pack", "--src", str(source), "--out", str(out), "--size", "96")
    found = failing(f"{source.name}/{part}", 0 if part.endswith("txt") else 3, *command)
    assert found.returncode == 3
    assert "UnreadableError" in found.stderr and part in found.stderr and "Input/output error" in found.stderr
    assert not (out / "manifest.json").exists()
    assert failing("no such file", 0, *command).returncode == 0
    mhpdata.pack(source, tmp_path / "clean", size=96)
    for path in (tmp_path / "clean").iterdir():
        assert path.name == "build.json" or path.read_bytes() == (out / path.name).read_bytes()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_pack_without_memory_is_one_error_and_the_next_one_goes_on(tmp_path):
    source = write_folder(tmp_path / "MHP_v1", images=4, size=(3000, 4000))
    out = tmp_path / "rec"
    arguments = ["--src", str(source), "--out", str(out), "--size", "96", "--workers", "1", "--split", "train"]
    found = subprocess.run(
        [sys.executable, "-c", PACK, str(64 << 20), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 3, found.stderr
    assert "memory" in found.stderr and "Traceback" not in found.stderr
    assert not (out / "manifest.json").exists()
    mhpdata.pack(source, out, size=96, workers=1, splits=["train"])
    assert mhpdata.open(out, "train")[0].image.shape[0] == 96


# --- a clock that jumps by days, back and forth, at every reading


def test_the_clock_does_jump(preloaded):
    code = "import time\nprint(*(time.time() - time.monotonic() for _ in range(50)))"
    offsets = [float(offset) for offset in preloaded("clock", {}, "-c", code).stdout.split()]
    jumps = [abs(later - earlier) for earlier, later in pairwise(offsets)]
    assert sum(jump > 86400 for jump in jumps) > 30, "most are of more than a day, whatever the time of day"
    assert 10 * 86400 < max(offsets) - min(offsets) <= 20 * 86400


def test_the_clock_can_be_set_to_any_hour(preloaded):
    code = "import time\nprint(time.time())"
    now, earlier, later = (
        float(preloaded("clock", {"CLOCK_SHIFT": str(3600 * hours)}, "-c", code).stdout) for hours in (0, -24, 23)
    )
    assert abs(earlier + 86400 - now) < 600 and abs(later - 23 * 3600 - now) < 600


def test_a_pack_under_a_clock_that_jumps_has_the_same_bytes(preloaded, source, packed, tmp_path):
    command = ("-m", "mhptools.pack", "--src", source, "--out", tmp_path / "rec", "--size", "96")
    done = preloaded("clock", {}, *command)
    assert done.returncode == 0, done.stderr
    for path in packed.iterdir():
        assert path.name == "build.json" or path.read_bytes() == (tmp_path / "rec" / path.name).read_bytes()
    build = (tmp_path / "rec" / "build.json").read_text()
    assert 0 < json.loads(build)["seconds_of_the_last_run"] < 300
    assert preloaded("clock", {}, *command).returncode == 0
    assert (tmp_path / "rec" / "build.json").read_text() == build  # reported as packed already


def test_a_run_under_a_clock_that_jumps_has_the_same_curve(preloaded, packed, tmp_path):
    path = {"PYTHONPATH": os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])}
    curves = []
    for shim in ("clock", "eio"):
        done = preloaded(shim, path, "-c", TRAIN, packed, tmp_path / shim)
        assert done.returncode == 0, done.stderr
        rows = read_steps(tmp_path / shim)
        assert all(0 <= row.seconds < 300 and 0 <= row.waited < 300 for row in rows)
        curves.append([replace(row, seconds=0, waited=0) for row in rows])
    assert curves[0] == curves[1] and len(curves[0]) == 4
