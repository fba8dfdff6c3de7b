"""Real servers, slow: S3 by moto, and nginx with 20 ms per request; both from environments of their own."""

import json
import statistics
import subprocess
import sys

import pytest
from loading import digest, epoch, loader, write_packed
from services import moto, nginx, put
from stored import NEEDS_OBSTORE

import mhpdata
from mhpdata.errors import ManifestError, RemoteError
from mhpdata.remote import store
from mhpdata.synth.writing.folder import synthesize

pytestmark = [pytest.mark.slow, NEEDS_OBSTORE]

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "SECRET",
    "AWS_REGION": "us-east-1",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
}

MEASURE = """
import json, sys, time
import mhpdata
folder, threads, cache = sys.argv[1], int(sys.argv[2]), sys.argv[3]
begun = time.perf_counter()
loader = mhpdata.Loader(folder, "train", 8, mhpdata.TrainCrop(480, base_size=480), threads=threads,
                        cache=mhpdata.Cache(cache, 2) if cache else None)
first = None
for _ in range(2):
    for batch in loader:
        first = first or time.perf_counter() - begun
times = []
for _ in range(5):
    before = time.process_time()
    images = sum(len(batch.indices) for batch in loader)
    times.append(1e3 * (time.process_time() - before) / images)
print(json.dumps({"cpu_ms": sorted(times)[2], "first_s": first}))
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("services"), images=("jpeg",), formats=("recordio",))


def test_s3_by_moto(packed, monkeypatch, tmp_path):
    folder = packed["jpeg", "recordio"]
    monkeypatch.setattr(store, "_state", store._State())
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    with moto() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        put(f"{url}/bucket", b"")
        for path in folder.iterdir():
            put(f"{url}/bucket/a%20b/rec/{path.name}", path.read_bytes())
        address = "s3://bucket/a b/rec"
        assert mhpdata.verify_packed(address, deep=True).clean
        local = loader(folder)
        for cache in (None, mhpdata.Cache(tmp_path, 1)):
            remote = loader(address, cache=cache)
            assert digest(epoch(remote)) == digest(epoch(local))
            local.set_epoch(0)
        with pytest.raises(ManifestError, match=r"manifest\.json: missing"):
            mhpdata.open("s3://bucket/none", "train")
        monkeypatch.setattr(store, "_state", store._State())
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        with pytest.raises(RemoteError, match="status 403") as caught:
            mhpdata.open(address, "train")
        assert "Set credentials" in caught.value.remedy


def test_a_loader_over_nginx_takes_little_more_cpu_than_a_local_one(tmp_path):
    source, rec = tmp_path / "MHP_v1", tmp_path / "rec"
    synthesize(source, images=64, seed=0, workers=1)
    mhpdata.pack(source, rec, shard_mb=8)
    found = {}
    with nginx(tmp_path, tmp_path, 0.02) as url:
        for _ in range(3):
            for threads in (1, 2):
                for name, folder, cache in (
                    ("local", str(rec), ""),
                    ("requests", f"{url}/rec", ""),
                    ("cache", f"{url}/rec", str(tmp_path / "cache")),
                ):
                    command = [sys.executable, "-c", MEASURE, folder, str(threads), cache]
                    row = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
                    found.setdefault((name, threads), []).append(row)
                    print(name, threads, row)
        log = tmp_path / "access.log"
        before = len(log.read_text().splitlines())
        loader = mhpdata.Loader(f"{url}/rec", "train", cache=mhpdata.Cache(tmp_path / "cache", 2))
        opened = len(log.read_text().splitlines())
        assert opened > before
        for _ in range(2):
            list(loader)
        assert len(log.read_text().splitlines()) == opened, "no request while the cache has every block"
    for (name, threads), rows in found.items():
        local = statistics.median(row["cpu_ms"] for row in found["local", threads])
        assert statistics.median(row["cpu_ms"] for row in rows) - local <= 1.2, (name, threads)
