"""A pack in object storage equals one in a folder: in one process, by tasks, killed at any write."""

import json
import os
import random
import shutil
from contextlib import suppress

import pytest
from bucket_server import SETTINGS, Killed, bucket, contents, killed_at
from fake_packs import Source, convert
from folder import tree, write_folder
from stored import NEEDS_OBSTORE, hurry

import mhpdata
from mhpdata.errors import MhpError, NoBucketError, OptionError, OutputError, RemoteError
from mhpdata.packing import run as packing
from mhpdata.packing.tasks import plan
from mhpdata.packing.tasks.assembly import merge_tasks
from mhpdata.packing.tasks.work import pack_task
from mhpdata.remote import writing

pytestmark = NEEDS_OBSTORE

WANTED = {"shard_mb": 1, "workers": 1, "on_error": "skip"}
OUT = "s3://box/a b/rec"


@pytest.fixture
def server(tmp_path, monkeypatch):
    (tmp_path / "buckets/box").mkdir(parents=True)
    with bucket(tmp_path / "buckets", monkeypatch) as running:
        yield running


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Make a download that packs fast, in small shards and blocks."""
    monkeypatch.setattr(packing, "convert", convert)
    monkeypatch.setattr(packing, "MB", 1000)
    monkeypatch.setattr(plan, "BLOCK", 3)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return Source(tmp_path / "source", 14, random.Random(1))


@pytest.fixture
def whole(source, tmp_path):
    mhpdata.pack(source.root, tmp_path / "whole", **WANTED)
    return tree(tmp_path / "whole")


def packed(server):
    return contents(server, "box", "a b/rec")


@pytest.mark.parametrize("format", ["recordio", "hdf5"])
def test_source_and_output_in_object_storage(tmp_path, server, monkeypatch, format):
    monkeypatch.setattr(writing, "PIECE", 5 << 20)
    root = write_folder(server.folder / "box/data", images=36, size=(160, 224))
    (root / "images/0013.jpg").write_bytes(b"")
    options = {"format": format, "image": "raw", "size": 256, "shard_mb": 6, "on_error": "skip", "workers": 2}
    manifest = mhpdata.pack(root, tmp_path / "one", **options)
    server.requests.clear()
    assert mhpdata.pack("s3://box/data", OUT, **options) == manifest
    assert packed(server) == tree(tmp_path / "one")
    assert max(file.bytes for file in manifest.files) > writing.PIECE
    assert not server.uploads, "all pieces were put together"
    assert format == "hdf5" or mhpdata.verify_packed(OUT, deep=True).clean
    writes = server.count("PUT") + server.count("DELETE") + server.count("POST")
    assert mhpdata.pack("s3://box/data", OUT, **options) == manifest == mhpdata.pack(root, OUT, **options)
    assert server.count("PUT") + server.count("DELETE") + server.count("POST") == writes
    with pytest.raises(OutputError, match=r"rec: packed with other options \(--size 256, now 64\)"):
        mhpdata.pack(root, OUT, **{**options, "size": 64})


def test_the_output_is_never_listed_and_the_manifest_comes_last(source, whole, server):
    mhpdata.pack(source.root, OUT, **WANTED)
    assert packed(server) == whole
    assert not any(path == "/box" and method == "GET" for method, path, _ in server.requests)
    written = [path.rpartition("/")[2] for method, path, _ in server.requests if method == "PUT"]
    assert written[0] == "options.json"
    assert written[-2:] == ["build.json", "manifest.json"]


@pytest.mark.parametrize(
    ("steps", "after"),
    [
        (range(3, 100, 8), True),
        pytest.param(range(1, 100), False, marks=pytest.mark.slow),
        pytest.param(range(1, 100), True, marks=pytest.mark.slow),
    ],
)
def test_a_pack_that_is_killed_at_any_write_is_resumed(source, whole, server, monkeypatch, steps, after):
    for step in steps:
        with killed_at(step, monkeypatch, after) as count:
            with suppress(Killed):
                mhpdata.pack(source.root, OUT, **WANTED)
            if count[0] < step:
                assert step > 12, "the writes were seen"
                return
        names = packed(server)
        assert all(names[name] == whole[name] for name in names if name in whole), "nothing half-written is visible"
        assert "manifest.json" not in names or set(whole) <= set(names)
        mhpdata.pack(source.root, OUT, **WANTED)
        assert packed(server) == whole, f"killed at write {step}"
        shutil.rmtree(server.folder / "box/a b")
    pytest.fail("the pack never ended")


def test_a_resumed_pack_reads_no_shard_again_unless_its_object_was_replaced(source, whole, server, monkeypatch):
    with killed_at(9, monkeypatch, True), pytest.raises(Killed):
        mhpdata.pack(source.root, OUT, **WANTED)
    shards = [name for name in packed(server) if name.endswith(".rec")]
    assert len(shards) >= 2
    monkeypatch.setattr(server, "tag", lambda path, tag=server.tag: tag(path)[:-1] + '-1"')
    server.requests.clear()
    mhpdata.pack(source.root, OUT, **WANTED)
    assert packed(server) == whole
    assert server.count("GET", ".rec") >= 1, "other ETags: compared by content"


@pytest.mark.parametrize("count", [1, 2, 7])
def test_tasks_write_the_same_bytes_in_any_order(source, whole, server, count):
    numbers = [*range(1, count + 1), 1, count]
    random.Random(count).shuffle(numbers)
    done = [pack_task(source.root, OUT, f"{number}/{count}", **WANTED) for number in numbers]
    assert sum(one.images for one in done) == 14
    assert merge_tasks(source.root, OUT, **WANTED)
    assert packed(server) == whole
    assert not any(path == "/box" and method == "GET" for method, path, _ in server.requests), "nothing is listed"
    assert pack_task(source.root, OUT, f"1/{count}", **WANTED).complete
    assert merge_tasks(source.root, OUT, **WANTED)


@pytest.mark.parametrize("steps", [range(6, 100, 15), pytest.param(range(1, 100), marks=pytest.mark.slow)])
def test_tasks_and_merge_that_are_killed_at_any_write_are_repeated(source, whole, server, monkeypatch, steps):
    def run_all():
        pack_task(source.root, OUT, "1/2", **WANTED)
        pack_task(source.root, OUT, "2/2", **WANTED)
        merge_tasks(source.root, OUT, **WANTED)

    for step in steps:
        with killed_at(step, monkeypatch, step % 2 == 0) as count:
            with suppress(Killed):
                run_all()
            if count[0] < step:
                assert step > 25, "the writes were seen"
                return
        run_all()
        assert packed(server) == whole, f"killed at write {step}"
        shutil.rmtree(server.folder / "box/a b")
    pytest.fail("the tasks never ended")


def test_a_task_that_ends_after_the_merge_leaves_nothing(source, whole, server, monkeypatch):
    pack_task(source.root, OUT, "1/1", **WANTED)
    original = packing.Run.convert

    def late(run, entry):
        if not (server.folder / "box/a b/rec/manifest.json").exists():
            monkeypatch.setattr(packing.Run, "convert", original)
            pack_task(source.root, OUT, "1/1", **WANTED)
            merge_tasks(source.root, OUT, **WANTED)
        return original(run, entry)

    (server.folder / "box/a b/rec/.tasks/part-000002.json").unlink()
    monkeypatch.setattr(packing.Run, "convert", late)
    assert pack_task(source.root, OUT, "1/1", **WANTED).complete
    assert packed(server) == whole


def test_missing_and_damaged_parts_are_found(source, whole, server):
    pack_task(source.root, OUT, "1/2", **WANTED)
    with pytest.raises(OutputError, match=r"lacks 2 of 5 parts.*Run --task 2/2 again"):
        merge_tasks(source.root, OUT, **WANTED)
    with pytest.raises(OutputError, match="holds an unfinished pack by tasks"):
        mhpdata.pack(source.root, OUT, **WANTED)
    with pytest.raises(OutputError, match=r"other options.*all objects below s3://box/a b/rec/\.tasks/"):
        pack_task(source.root, OUT, "2/2", **{**WANTED, "size": 64})
    pack_task(source.root, OUT, "2/2", **WANTED)
    part = next((server.folder / "box/a b/rec/.tasks").glob("part-000003-*.bin"))
    data = bytearray(part.read_bytes())
    data[-9] ^= 1
    part.write_bytes(data)
    with pytest.raises(OutputError, match=r"part-000003-.*is damaged.*Run --task 2/2 again"):
        merge_tasks(source.root, OUT, **WANTED)
    pack_task(source.root, OUT, "2/2", **WANTED)
    merge_tasks(source.root, OUT, **WANTED)
    assert packed(server) == whole


def test_a_task_without_a_block_leaves_the_number_of_tasks(source, server):
    pack_task(source.root, OUT, "6/6", **WANTED)
    with pytest.raises(OutputError, match=r"lacks 5 of 5 parts.*Run --task 1/6, .*--task 5/6 again"):
        merge_tasks(source.root, OUT, **WANTED)


@pytest.mark.parametrize(
    "call",
    [
        lambda root, out: mhpdata.pack(root, out, **WANTED),
        lambda root, out: pack_task(root, out, "1/2", **WANTED),
        lambda root, out: merge_tasks(root, out, **WANTED),
        lambda root, out: mhpdata.pack(out, root.parent / "rec", **WANTED),
    ],
)
def test_a_bucket_that_does_not_exist_is_named(source, server, tmp_path, call):
    with pytest.raises(NoBucketError) as caught:
        call(source.root, "s3://nobucket/rec")
    assert str(caught.value).startswith(f"s3://nobucket: this bucket does not exist at {server.url}. ")
    assert not (server.folder / "nobucket").exists()
    assert not (tmp_path / "rec").exists()


def test_a_pack_on_dask(source, whole, server):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed here; environment B has it")
    from mhpdata.packing.tasks.dask import pack_dask

    options = {"processes": False, "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2, **options) as cluster:
        pack_dask(source.root, OUT, cluster.scheduler_address, **WANTED)
    assert packed(server) == whole


def test_overwrite_replaces_a_pack_and_nothing_else(source, whole, server, caplog):
    mhpdata.pack(source.root, OUT, **{**WANTED, "size": 64})
    (server.folder / "box/a b/rec/notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="Pass the same options, another --out, or --overwrite"):
        mhpdata.pack(source.root, OUT, **WANTED)
    assert "deleting" not in caplog.text
    mhpdata.pack(source.root, OUT, overwrite=True, **WANTED)
    assert "rec: deleting the earlier pack; there is none until this one is complete." in caplog.text
    found = packed(server)
    del found["notes.txt"]
    assert found == whole


@pytest.mark.parametrize(
    "name", ["manifest.json", "build.json", "train-00000.rec", "train-00001.idx", ".packing/options.json"]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_objects_of_others_are_never_replaced(source, server, name, overwrite):
    path = server.folder / "box/a b/rec" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"mine": true}')
    with pytest.raises(OutputError, match=f"{name}: was not written by mhp"):
        mhpdata.pack(source.root, OUT, overwrite=overwrite, **WANTED)
    assert path.read_bytes() == b'{"mine": true}'
    assert "manifest.json" not in packed(server) or name == "manifest.json"


@pytest.mark.parametrize("name", ["options.json", "part-000001.json"])
def test_objects_of_others_among_parts_are_never_replaced(source, server, name):
    path = server.folder / "box/a b/rec/.tasks" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match=f"{name}: was not written by mhp"):
        pack_task(source.root, OUT, "1/1", **WANTED)
    assert path.read_bytes() == b"mine"


def test_of_two_packs_with_other_options_one_stops(source, whole, server, monkeypatch):
    begin = packing.Run.finished

    def second(run):
        monkeypatch.setattr(packing.Run, "finished", begin)
        with pytest.raises(OutputError, match=r"holds an unfinished pack with other options \(--size 768, now 64\)"):
            mhpdata.pack(source.root, OUT, **{**WANTED, "size": 64})
        mhpdata.pack(source.root, OUT, **WANTED)  # the same options: the same bytes
        return begin(run)

    monkeypatch.setattr(packing.Run, "finished", second)
    mhpdata.pack(source.root, OUT, **WANTED)
    assert packed(server) == whole


def test_another_manifest_is_not_replaced_at_the_end(source, server, monkeypatch):
    finish = packing.Run.finish

    def late(run, *arguments):
        path = server.folder / "box/a b/rec/manifest.json"
        path.write_text(json.dumps({"format": "mhp-packed"}))
        return finish(run, *arguments)

    monkeypatch.setattr(packing.Run, "finish", late)
    with pytest.raises(OutputError, match="written by another pack meanwhile"):
        mhpdata.pack(source.root, OUT, **WANTED)


def test_a_service_that_fails_ends_the_pack_and_it_can_be_resumed(source, whole, server, monkeypatch, caplog):
    hurry(monkeypatch, 0.1)
    put, calls = server.handler_class().do_PUT, []

    def failing(handler):
        calls.append(0)
        if 5 < len(calls) < 10_000:
            server.refuse = 1
        put(handler)

    with monkeypatch.context() as patch:
        patch.setattr(server.handler_class(), "do_PUT", failing)
        with pytest.raises(RemoteError, match=r"cannot be written \(status 500"):
            mhpdata.pack(source.root, OUT, **WANTED)
    mhpdata.pack(source.root, OUT, **WANTED)
    assert packed(server) == whole


def test_what_cannot_be_an_output(source, tmp_path):
    for call in (mhpdata.pack, lambda *a, **k: pack_task(*a, "1/2", **k), merge_tasks):
        with pytest.raises(OptionError, match="a web server, whose files mhp can neither list nor write"):
            call(source.root, "https://host/rec", **WANTED)
    with pytest.raises(OptionError, match="a query, which may hold a signature") as caught:
        mhpdata.pack(source.root, "s3://box/rec?X-Amz-Signature=SECRET", **WANTED)
    assert "SECRET" not in str(caught.value)


def test_credentials_are_nowhere(tmp_path, source, server, monkeypatch, caplog):
    """Search objects, files, errors, logs and pickles of a pack, of tasks and of a failed pack for the keys."""
    import logging
    import pickle
    import traceback

    from mhpdata.packing.tasks.block import Job

    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    root = shutil.copytree(source.root, server.folder / "box/data")
    seen = [pickle.dumps(Job("1", mhpdata.address.parse_address("src", "s3://box/data"), OUT, {}, 1))]
    pack_task("s3://box/data", OUT, "1/2", **WANTED)
    seen += [path.read_bytes() for path in server.folder.rglob("*") if path.is_file()]
    assert any(b"mhp_part" in data for data in seen)
    pack_task("s3://box/data", OUT, "2/2", **WANTED)
    merge_tasks("s3://box/data", OUT, **WANTED)
    mhpdata.pack("s3://box/data", tmp_path / "local", **WANTED)
    hurry(monkeypatch, 0.1)
    server.refuse_path = "/box/data/images/0003.jpg"
    for out in ("s3://box/other", tmp_path / "other"):
        with pytest.raises(MhpError) as caught:
            mhpdata.pack("s3://box/data", out, **WANTED)
        seen += [pickle.dumps(caught.value), "".join(traceback.format_exception(caught.value)).encode()]
    seen += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    seen.append(caplog.text.encode())
    assert any(SETTINGS["AWS_ACCESS_KEY_ID"] in one for one in server.authorizations), "the keys were used"
    for secret in (SETTINGS[name].encode() for name in SETTINGS if "KEY" in name or "TOKEN" in name):
        assert not any(secret in data for data in seen)
    assert root.exists()
