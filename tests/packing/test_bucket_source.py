"""A download in object storage: the same bytes as from a folder, from one process, tasks, and after an interruption."""

import json
import shutil

import pytest
from bucket_server import bucket
from folder import tree, write_folder
from stored import NEEDS_OBSTORE, hurry

import mhpdata
from mhpdata.errors import FolderError, OptionError, RemoteError
from mhpdata.packing import run as packing
from mhpdata.packing.preview import preview
from mhpdata.packing.tasks import plan
from mhpdata.packing.tasks.assembly import merge_tasks
from mhpdata.packing.tasks.work import pack_task
from mhpdata.source import remote
from mhpdata.source.scan import scan
from mhpdata.synth.writing.folder import synthesize

pytestmark = NEEDS_OBSTORE

OPTIONS = {"size": 64, "image": "raw", "shard_mb": 1, "on_error": "skip", "workers": 2}
ADDRESS = "s3://box/data/a b"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Hold a bucket with a download of 36 images: one is empty, one is not an image, one mask is broken."""
    root = tmp_path_factory.mktemp("buckets")
    folder = write_folder(root / "box/data/a b", images=36, size=(96, 128))
    (folder / "images/0004.jpg").write_bytes(b"")
    (folder / "images/0013.jpg").write_bytes(b"no image")
    (folder / "annotations/0020_03_02.png").write_bytes(b"no mask")
    (folder / "annotations/0021_02_01.png").unlink()
    (folder / "annotations/._0001_02_01.png").write_bytes(b"macOS")
    return root


@pytest.fixture(scope="module")
def wanted(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("wanted") / "rec"
    manifest = mhpdata.pack(root / "box/data/a b", out, **OPTIONS)
    assert len(manifest.skipped) == 4
    return tree(out)


@pytest.fixture
def server(root, monkeypatch):
    with bucket(root, monkeypatch) as running:
        yield running


@pytest.mark.parametrize("held", [1 << 28, 50_000])
def test_the_bytes_are_those_of_a_local_download(server, wanted, tmp_path, monkeypatch, held):
    monkeypatch.setattr(remote, "HELD", held)
    mhpdata.pack(ADDRESS, tmp_path / "rec", **OPTIONS)
    assert tree(tmp_path / "rec") == wanted
    files = [path for method, path, _ in server.requests if method == "GET" and path != "/box"]
    assert len(files) == len(set(files)), "each file is fetched once"
    assert not any("pose" in path or "._" in path for path in files)
    build = json.loads((tmp_path / "rec/build.json").read_text())
    assert build["source"] == ADDRESS
    before = len(files)
    mhpdata.pack(ADDRESS, tmp_path / "rec", **OPTIONS)
    assert server.count("GET", ".jpg") + server.count("GET", ".png") + 2 * 2 == before + 2, "nothing but the lists"
    mhpdata.pack(server.folder / "box/data/a b", tmp_path / "rec", **OPTIONS)
    assert tree(tmp_path / "rec") == wanted


def test_at_most_so_many_bytes_are_fetched_in_advance(server, tmp_path):
    root = remote.open_root("src", ADDRESS)
    files = [file for entry in scan(root).entries["train"] for file in entry.files]
    assert root.ask(files[:1], most=files[0].size)
    assert not root.ask(files[1:2], most=files[0].size)
    assert root.ask(files[1:2], most=None)
    root.drop(files[:2])
    assert root.ask(files[2:3], most=files[2].size)
    root.clear()
    assert not root._asked
    assert root._held == 0


@pytest.mark.parametrize("count", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 7))])
def test_tasks_from_object_storage_fit_those_from_a_folder(server, wanted, tmp_path, monkeypatch, count):
    monkeypatch.setattr(plan, "BLOCK", 5)
    for number in range(1, count + 1):
        source = ADDRESS if number % 2 else server.folder / "box/data/a b"
        pack_task(source, tmp_path, f"{number}/{count}", **OPTIONS)
    merge_tasks(ADDRESS, tmp_path, **OPTIONS)
    assert tree(tmp_path) == wanted


def test_an_interrupted_pack_is_resumed_and_looks_only_at_what_is_left(server, tmp_path, monkeypatch):
    hurry(monkeypatch, 0.1)
    monkeypatch.setattr(packing, "MB", 100_000)
    server.refuse_path = "/box/data/a b/images/0025.jpg"
    with pytest.raises(RemoteError, match=r"images/0025\.jpg: cannot be read"):
        mhpdata.pack(ADDRESS, tmp_path / "rec", **OPTIONS)
    assert (tmp_path / "rec/.packing/train-00000.json").exists()
    server.refuse_path = ""
    server.requests.clear()
    mhpdata.pack(ADDRESS, tmp_path / "rec", **OPTIONS)
    assert server.count("GET", "images/0001.jpg") == 0
    mhpdata.pack(server.folder / "box/data/a b", tmp_path / "whole", **OPTIONS)
    assert tree(tmp_path / "rec") == tree(tmp_path / "whole")


def test_an_object_that_changes_after_it_was_listed_is_not_packed(root, tmp_path, monkeypatch):
    copy = shutil.copytree(root, tmp_path / "buckets")
    path = copy / "box/data/a b/images/0030.jpg"
    with bucket(copy, monkeypatch) as server:
        original = server.content

        def content(name, first, end):
            if name.endswith("images/0001.jpg"):
                path.write_bytes(path.read_bytes()[::-1])
            if name.endswith("images/0002.jpg"):
                (copy / "box/data/a b/images/0034.jpg").unlink(missing_ok=True)
            return original(name, first, end)

        server.content = content
        monkeypatch.setattr(remote, "AHEAD", 2)
        options = {**OPTIONS, "on_error": "skip", "workers": 1}
        manifest = mhpdata.pack(ADDRESS, tmp_path / "rec", **options)
        left_out = {skip.name: skip.code for skip in manifest.skipped}
        assert left_out["0030"] == left_out["0034"] == "changed"
        with pytest.raises(FolderError, match=r"0021_02_01\.png is missing"):
            mhpdata.pack(ADDRESS, tmp_path / "other", **{**options, "on_error": "fail"})


@pytest.mark.parametrize("layout", ["mhp-v2", "cihp"])
def test_the_other_layouts(tmp_path, monkeypatch, layout):
    synthesize(tmp_path / "box/src", images=6, seed=0, scale=0.15, layout=layout)
    mhpdata.pack(tmp_path / "box/src", tmp_path / "one", **OPTIONS)
    with bucket(tmp_path, monkeypatch):
        mhpdata.pack("s3://box/src", tmp_path / "two", **OPTIONS)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_preview_reads_a_few_images_only(server):
    found = preview(ADDRESS, **OPTIONS)
    assert found.src == ADDRESS
    assert found.images["train"] > 15


def test_what_cannot_be_a_source(server, tmp_path, monkeypatch):
    hurry(monkeypatch)
    with pytest.raises(OptionError, match="a web server, whose files mhp can neither list nor write"):
        mhpdata.pack("http://localhost/MHP_v1", tmp_path)
    with pytest.raises(OptionError, match="a user name or password") as caught:
        mhpdata.pack("s3://me:secret@box/MHP_v1", tmp_path)
    assert "secret" not in str(caught.value)
    with pytest.raises(FolderError, match="s3://box/none: no object has this address"):
        mhpdata.pack("s3://box/none", tmp_path)
    with pytest.raises(FolderError, match=r"s3://box/data: no known dataset layout \(found a b\)"):
        mhpdata.pack("s3://box/data", tmp_path)


def test_names_in_a_bucket_are_untrusted(root, tmp_path, monkeypatch):
    hurry(monkeypatch)
    copy = shutil.copytree(root, tmp_path / "buckets")
    with bucket(copy, monkeypatch) as server:
        names = server.names
        server.names = lambda box: sorted([*names(box), "data/a b/images/", "data/a b/images/%2e%2e", "data/a b/x"])
        mhpdata.pack(ADDRESS, tmp_path / "rec", **OPTIONS)
        for name in ("../../outside.jpg", ".."):
            server.names = lambda box, name=name: sorted([*names(box), f"data/a b/images/{name}"])
            with pytest.raises(RemoteError, match="has an empty part"):
                mhpdata.pack(ADDRESS, tmp_path / "other", **OPTIONS)


def test_an_export_of_other_classes_is_refused(server, root, tmp_path):
    mhpdata.pack(root / "box/data/a b", tmp_path / "rec", **OPTIONS)
    mhpdata.export(tmp_path / "rec", root / "box/data/export", "lip")
    with pytest.raises(FolderError, match=r"export\.json: this folder is an export of data with the classes of mhp-v1"):
        scan(remote.open_root("src", "s3://box/data/export"))
