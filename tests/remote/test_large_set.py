"""150 GB at an address (slow): opening, resuming and reading take little time and memory; a small twin runs in CI."""

import json
import subprocess
import sys

import pytest
from large_set import LargeServer, LargeSet
from stored import NEEDS_OBSTORE

import mhpdata
from mhpdata.synth.writing.folder import synthesize

pytestmark = NEEDS_OBSTORE

CHILD = """
import json, sys, time
from pathlib import Path
import mhpdata, mhpdata.loading.loader, mhpdata.remote.store, obstore
def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1e3
address, position = sys.argv[1], int(sys.argv[2])
view = mhpdata.TrainCrop(480, base_size=480)
before = private()
begun, cpu = time.perf_counter(), time.process_time()
loader = mhpdata.Loader(address, "train", 8, view, threads=2)
opened, opened_cpu = time.perf_counter() - begun, time.process_time() - cpu
memory = private() - before
state = {**loader.state_dict(), "position": position}
next(iter(loader))  # kernels are warm from here on
begun = time.perf_counter()
loader.load_state_dict(state)
batch = next(iter(loader))
print(json.dumps({"open s": opened, "open CPU s": opened_cpu, "MB": memory, "resume s": time.perf_counter() - begun,
                  "images": batch.indices.tolist()}))
"""


def small_pack(tmp_path, scale):
    synthesize(tmp_path / "MHP_v1", 24, 0, 1, False, scale=scale)
    mhpdata.pack(tmp_path / "MHP_v1", tmp_path / "rec", size=0 if scale < 1 else 768)
    return tmp_path / "rec"


@pytest.mark.parametrize("cached", [False, True])
def test_a_small_twin_gives_each_record_its_own_index(tmp_path, cached):
    large = LargeSet(small_pack(tmp_path, 0.1), tmp_path / "set", 5 << 20, 3, digests=True)
    server = LargeServer(large)
    cache = mhpdata.Cache(tmp_path / "cache", 1) if cached else None
    try:
        split = mhpdata.open(f"{server.url}/set", "train", cache=cache)
        assert len(split) == 3 * large.records
        for index in (0, 1, large.records - 1, large.records, 2 * large.records + 7, len(split) - 1):
            assert split.record(index).name == split.names[index]
    finally:
        server.close()


@pytest.mark.slow
def test_150_gb_open_and_resume_quickly(tmp_path):
    large = LargeSet(small_pack(tmp_path, 1), tmp_path / "set", 1_000_000_000, 150)
    server = LargeServer(large)
    try:
        command = [sys.executable, "-c", CHILD, f"{server.url}/set", str(8 * 12_345)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    finally:
        server.close()
    print(large.records * 150, "records,", (tmp_path / "set/manifest.json").stat().st_size / 1e6, "MB manifest", found)
    assert found["open CPU s"] < 3, "the time on an idle machine; the clock also counts other programs"
    assert found["MB"] < 250
    assert found["resume s"] < 2
