"""Real servers, slow: S3 by moto, and nginx with 20 ms per request over 200 MB/s, which needs root (ip netns, tc)."""

import hashlib
import json
import random
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from folder import tree
from loading import digest, epoch, loader, write_packed
from services import link, moto, nginx, put
from stored import NEEDS_OBSTORE

import mhpdata
from mhpdata.address import parse_address
from mhpdata.errors import ManifestError, OutputError, RemoteError
from mhpdata.remote import store
from mhpdata.remote.listing import list_level
from mhpdata.remote.store import ExistsError, read_object
from mhpdata.remote.writing import put as write
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


@pytest.fixture
def bucket(monkeypatch):
    """Yield the address of the service of moto, to which s3:// addresses of this process lead; a bucket is there."""
    monkeypatch.setattr(store, "_state", store._State())
    with moto() as url:
        for name, value in {**SETTINGS, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        put(f"{url}/bucket", b"")
        yield url


def upload(url, folder, prefix):
    for path in filter(Path.is_file, folder.rglob("*")):
        put(f"{url}/bucket/{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def stored(prefix):
    """Return the SHA-256 of every object below a prefix but build.json."""
    listed = [parse_address("a", f"s3://bucket/{prefix}")]
    found = {}
    while listed:
        level = list_level(address := listed.pop())
        listed += [address / name for name in level.folders]
        for name, version in level.objects.items():
            if name != "build.json":
                key = str(address / name).removeprefix(f"s3://bucket/{prefix}/")
                found[key] = hashlib.sha256(read_object(address / name, version.size)).hexdigest()
    return found


def test_a_pack_in_moto_is_that_of_one_local_process(bucket, tmp_path, monkeypatch):
    """Objects of up to 16 MB, in pieces; one process, tasks n = 1, 2, 7 in any order, and Dask with two workers."""
    from mhpdata.packing.tasks.assembly import merge_tasks
    from mhpdata.packing.tasks.dask import pack_dask
    from mhpdata.packing.tasks.work import pack_task

    source = tmp_path / "MHP_v1"
    synthesize(source, images=200, seed=0, workers=2)
    (source / "images" / "0008.jpg").write_bytes(b"damaged")
    options = {"size": 512, "image": "raw", "shard_mb": 15, "on_error": "skip", "workers": 2}
    manifest = mhpdata.pack(source, tmp_path / "rec", **options)
    wanted = tree(tmp_path / "rec")
    assert manifest.skipped
    assert 8e6 < max(file.bytes for file in manifest.files) < 16 << 20
    upload(bucket, source, "MHP_v1")
    put(f"{bucket}/bucket/MHP_v1/images/", b"")  # as the console makes for a folder
    put(f"{bucket}/bucket/MHP_v1/", b"")
    remote = "s3://bucket/MHP_v1"
    assert mhpdata.pack(remote, "s3://bucket/one", **options) == manifest
    assert stored("one") == wanted
    mhpdata.pack(remote, tmp_path / "from", **options)
    assert tree(tmp_path / "from") == wanted
    mhpdata.pack(source, "s3://bucket/to", **options)
    assert stored("to") == wanted
    for count in (1, 2, 7):
        numbers = [*range(1, count + 1), 1]
        random.Random(count).shuffle(numbers)
        for number in numbers:
            pack_task(remote, f"s3://bucket/{count}", f"{number}/{count}", **options)
        merge_tasks(remote, f"s3://bucket/{count}", **options)
        assert stored(str(count)) == wanted
    pack_dask(remote, "s3://bucket/dask", "local", **options)
    assert stored("dask") == wanted
    assert mhpdata.verify_packed("s3://bucket/dask", deep=True).clean
    with pytest.raises(OutputError, match="packed with other options"):
        mhpdata.pack(remote, "s3://bucket/one", **{**options, "size": 64})
    mhpdata.pack(remote, "s3://bucket/one", overwrite=True, **{**options, "size": 64})
    assert set(stored("one")) < set(wanted)


def test_create_only_puts_hold_in_moto(bucket):
    address = parse_address("a", "s3://bucket/one")
    results = []
    crew = [Thread(target=lambda n=n: results.append(_create(address, b"%d" % n))) for n in range(16)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    assert sum(results) == 1


def _create(address, data):
    try:
        write(address, data, create=True)
    except ExistsError:
        return 0
    return 1


CACHED = """
import sys
import mhpdata
loader = mhpdata.Loader(sys.argv[1], "train", 8, mhpdata.TrainCrop(64, base_size=64), threads=2,
                        cache=mhpdata.Cache(sys.argv[2], float(sys.argv[3])))
for _ in range(3):
    print(sum(int(batch.images.sum()) for batch in loader))
"""


def test_four_processes_share_a_cache_over_nginx(tmp_path):
    """A set of 40 MB and a cache of 25 MB: the cache stays below its limit, and all get the same batches."""
    source, rec = tmp_path / "MHP_v1", tmp_path / "rec"
    synthesize(source, images=64, seed=0, workers=2)
    manifest = mhpdata.pack(source, rec, shard_mb=8, image="raw", size=512)
    limit, size = 25_000_000, sum(file.bytes for file in manifest.files)
    assert size > 1.5 * limit
    with link("1600mbit") as (host, inside), nginx(tmp_path, tmp_path, 0.02, host, inside) as url:
        command = [sys.executable, "-c", CACHED, f"{url}/rec", str(tmp_path / "cache"), str(limit / 1e9)]
        crew = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        most = 0
        while any(one.poll() is None for one in crew):
            used = 0
            for path in (tmp_path / "cache/mhp-blocks").glob("??/*"):
                with suppress(FileNotFoundError):
                    used += path.stat().st_size
            most = max(most, used)
            time.sleep(0.02)
        texts = [one.communicate()[0] for one in crew]
        assert [one.returncode for one in crew] == [0] * 4
    local = subprocess.run([*command[:3], str(rec), *command[4:]], capture_output=True, text=True, check=True).stdout
    assert texts == [local] * 4
    assert limit / 2 < most <= limit


def test_a_loader_over_nginx_takes_little_more_cpu_than_a_local_one(tmp_path):
    source, rec = tmp_path / "MHP_v1", tmp_path / "rec"
    synthesize(source, images=64, seed=0, workers=1)
    mhpdata.pack(source, rec, shard_mb=8)
    found = {}
    with link("1600mbit") as (host, inside), nginx(tmp_path, tmp_path, 0.02, host, inside) as url:
        local = digest(epoch(loader(rec)))
        for cache in (None, mhpdata.Cache(tmp_path / "other", 2)):
            assert digest(epoch(loader(f"{url}/rec", cache=cache))) == local
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
        whole = mhpdata.Loader(f"{url}/rec", "train", cache=mhpdata.Cache(tmp_path / "cache", 2))
        opened = len(log.read_text().splitlines())
        assert opened > before
        for _ in range(2):
            list(whole)
        assert len(log.read_text().splitlines()) == opened, "no request while the cache has every block"
    for (name, threads), rows in found.items():
        local = statistics.median(row["cpu_ms"] for row in found["local", threads])
        assert statistics.median(row["cpu_ms"] for row in rows) - local <= 1.2, (name, threads)
