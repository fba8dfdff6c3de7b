"""Loaders of addresses: the same batches as local ones, whatever the network does; the cache; forks."""

import hashlib
import itertools
import multiprocessing
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from folder import write_folder
from loading import digest, epoch, loader, write_packed
from range_server import FAULTS
from stored import NEEDS_OBSTORE, ask_singly, hurry, served

import mhpdata
from mhpdata.errors import MhpError, OptionError, RemoteError
from mhpdata.loading import plan
from mhpdata.remote import store

pytestmark = NEEDS_OBSTORE


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("remote"), formats=("recordio",))


@pytest.fixture(scope="module")
def rec(packed):
    return packed["jpeg", "recordio"]


@pytest.mark.parametrize("image", ["jpeg", "yuv420", "raw"])
@pytest.mark.parametrize("threads", [1, 3])
def test_batches_equal_those_of_the_local_folder(packed, cache, image, threads, monkeypatch):
    ask_singly(monkeypatch)
    folder = packed[image, "recordio"]
    for options in ({"persons": True}, {"overlap": "last"}, {"sample": "rare"}, {"check": "always"}):
        local = loader(folder, **options)
        with served(folder) as (server, address):
            remote = loader(address, threads=threads, cache=cache, **options)
            for number in range(2):
                before = server.count()
                assert digest(epoch(remote)) == digest(epoch(local)), (options, number)
                records = server.count() - before
                assert records == 0 if cache and number else records <= 18
            remote.close()


@pytest.mark.parametrize("view", [mhpdata.Whole(), mhpdata.CentreCrop(48)])
def test_validation_reads_each_record_once(rec, cache, view, monkeypatch):
    options = {"view": view, "batch_size": 1 if isinstance(view, mhpdata.Whole) else 4}
    local = digest(epoch(loader(rec, "val", **options)))
    ask_singly(monkeypatch)
    with served(rec) as (server, address):
        remote = loader(address, "val", cache=cache, **options)
        assert digest(epoch(remote)) == local
        assert server.count("GET", ".rec") == (1 if cache else 6)


def test_records_in_order_are_merged_into_few_requests(rec):
    with served(rec) as (server, address):
        assert len(epoch(loader(address, "train", view=mhpdata.CentreCrop(48)))) == 5
        assert server.count("GET", ".rec") <= 5


def test_requests_are_under_way_ahead_of_the_batches(rec, monkeypatch):
    ask_singly(monkeypatch)
    monkeypatch.setattr(plan, "AHEAD_SAMPLES", 8)
    with served(rec) as (server, address):
        iterator = iter(loader(address, batch_size=2, threads=1))
        next(iterator)
        asked = {path for path in server.requests if path[1].endswith(".rec") and path[0] == "GET"}
        assert 8 <= len(asked) <= 18
        del iterator


@pytest.mark.parametrize("seed", range(2))
def test_faulty_answers_change_no_batch(rec, cache, monkeypatch, seed):
    hurry(monkeypatch, 10)
    ask_singly(monkeypatch)
    local = loader(rec, seed=seed)
    with served(rec, faults=FAULTS, share=0.25, seed=seed, stall_s=1.5) as (server, address):
        remote = loader(address, seed=seed, cache=cache)
        for _ in range(2):
            assert digest(epoch(remote)) == digest(epoch(local))
        assert sum(server.injected.values()) >= (1 if cache else 4)


@pytest.mark.parametrize("stop", [1, 3])
def test_resume_gives_the_rest_of_the_epoch(rec, cache, stop):
    whole = digest(epoch(loader(rec)))
    with served(rec) as (_, address):
        first = loader(address, cache=cache)
        seen = digest(
            [[None if a is None else a.copy() for a in vars(b).values()] for b in itertools.islice(first, stop)]
        )
        second = loader(address, cache=cache, threads=1)
        second.load_state_dict(first.state_dict())
        assert seen + digest(epoch(second)) == whole


def test_ranks_read_their_share_only(rec, monkeypatch):
    ask_singly(monkeypatch)
    requests = []
    for rank in range(2):
        local = digest(epoch(loader(rec, rank=rank, world_size=2)))
        with served(rec) as (server, address):
            assert digest(epoch(loader(address, rank=rank, world_size=2))) == local
            requests.append({one[2] for one in server.requests if one[0] == "GET" and one[1].endswith(".rec")})
    assert not requests[0] & requests[1]
    assert len(requests[0] | requests[1]) == 18


def test_several_sets_local_and_remote(packed, rec):
    other = packed["yuv420", "recordio"]
    local = digest(epoch(loader([(rec, "train"), (other, "train")], leaks="skip")))
    with served(rec) as (_, address):
        mixed = loader([(address, "train"), (other, "train")], leaks="skip")
        assert digest(epoch(mixed)) == local


def test_a_dead_server_is_an_error_and_no_sample_is_skipped(rec, monkeypatch):
    hurry(monkeypatch)
    ask_singly(monkeypatch)
    monkeypatch.setattr(plan, "AHEAD_SAMPLES", 1)
    with served(rec) as (server, address):
        remote = loader(address, on_error="skip")
        iterator = iter(remote)
        next(iterator)
        server.close = lambda: None
        server.fault = lambda *_: "500"
        with pytest.raises(RemoteError, match="status 500"):
            list(iterator)
        assert remote.skipped == {}
        del server.close


def test_a_cache_is_an_option_of_its_own_class(rec, tmp_path):
    with pytest.raises(OptionError, match="cache"):
        loader(rec, cache=str(tmp_path))
    with pytest.raises(OptionError, match="an address"):
        mhpdata.Cache("s3://bucket/cache")
    assert loader(rec, cache=mhpdata.Cache(tmp_path / "none")).batch_size == 4
    assert not (tmp_path / "none").exists(), "a local folder needs no cache"


def size_of(path):
    """Return the size of a file; 0 once another process has removed it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


WORKER = """
    import sys, json
    sys.path.insert(0, {support!r})
    import kernel_cache
    from loading import digest, epoch, loader
    import hashlib, mhpdata
    remote = loader({address!r}, cache=mhpdata.Cache({cache!r}, {gb}), seed={seed})
    print(hashlib.sha256(repr(digest(epoch(remote) + epoch(remote))).encode()).hexdigest())
"""


def test_processes_share_one_cache_under_its_limit(tmp_path, tmp_path_factory):
    source = write_folder(tmp_path / "MHP_v1", images=44, size=(480, 640))
    rec = tmp_path / "rec"
    mhpdata.pack(source, rec, image="raw", size=0, shard_mb=4)
    sizes = sum(path.stat().st_size for path in rec.glob("train-*.rec"))
    cache, limit = tmp_path / "cache", 0.0135
    assert sizes > 1e9 * limit, "so that blocks are evicted"
    expected = []
    for seed in range(2):
        local = loader(rec, seed=seed)
        expected.append(hashlib.sha256(repr(digest(epoch(local) + epoch(local))).encode()).hexdigest())
    with served(rec) as (_, address):
        texts = [
            textwrap.dedent(WORKER).format(
                support=str(Path(__file__).parent.parent / "support"),
                address=address,
                cache=str(cache),
                gb=limit,
                seed=s,
            )
            for s in range(2)
        ]
        processes = [subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) for text in texts]
        most = 0
        while any(process.poll() is None for process in processes):
            files = [path for path in cache.rglob("*") if len(path.name) >= 64]
            most = max(most, sum(map(size_of, files)))
        found = [process.communicate()[0].decode().strip() for process in processes]
    assert found == expected
    assert 4e6 < most <= 1e9 * limit


def _forked(remote, results):
    try:
        results.put(len(epoch(remote)))
    except MhpError as error:
        results.put(str(error))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_worker_says_at_once_what_to_do_and_reads_a_full_cache(rec, tmp_path):
    context = multiprocessing.get_context("fork")
    for cache in (None, mhpdata.Cache(tmp_path / "cache", 1)):
        with served(rec) as (_, address):
            remote = loader(address, cache=cache)
            assert len(epoch(remote)) == 5
            results = context.Queue()
            process = context.Process(target=_forked, args=(remote, results))
            process.start()
            result = results.get(timeout=60)
            process.join()
            if cache is None:
                assert "forked after its parent had made requests" in result
            else:
                assert result == 5, "which takes no request"


def _spawned(address, split, results):
    results.put((len(split), digest(epoch(loader(address)))))


def test_a_spawned_worker_reads(rec):
    local = digest(epoch(loader(rec)))
    with served(rec) as (_, address):
        context = multiprocessing.get_context("spawn")
        results = context.Queue()
        process = context.Process(target=_spawned, args=(address, mhpdata.open(address, "train"), results))
        process.start()
        assert results.get(timeout=120) == (18, local)
        process.join()


def test_nothing_is_waited_for_after_the_loader_was_abandoned(rec, monkeypatch):
    ask_singly(monkeypatch)
    with served(rec) as (server, address):
        remote = loader(address)
        server.delay_s = 0.05
        next(iter(remote))
        remote.close()
        assert not remote._data.splits[0]._place._window._pieces
        assert store._state.used


def test_a_loader_ends_at_once_while_the_server_fails(rec, monkeypatch):
    hurry(monkeypatch, 30)
    ask_singly(monkeypatch)
    with served(rec) as (server, address):
        remote = loader(address)
        server.fault = lambda *_: "500"
        iterator = iter(remote)
        thread = threading.Timer(1, remote.close)
        thread.start()
        begun = time.monotonic()
        with pytest.raises((RemoteError, OptionError)):
            next(iterator)
        thread.join()
        assert time.monotonic() - begun < 20
