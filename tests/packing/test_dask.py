"""A pack on a Dask cluster equals that of one process, though workers and the scheduler are lost."""

import logging
import random
import socket

import pytest
from fake_packs import WANTED, Source, fake_conversion
from folder import tree, write_folder

import mhpdata
from mhpdata.errors import EngineError, ImageError, MissingError, OutputError
from mhpdata.packing.tasks import block, dask, plan

distributed = pytest.importorskip("distributed", reason="Dask is not installed here; environment B has it")


@pytest.fixture
def source(tmp_path, monkeypatch):
    fake_conversion(monkeypatch)
    monkeypatch.setattr(plan, "BLOCK", 3)
    return Source(tmp_path / "source", 14, random.Random(1))


@pytest.fixture(scope="module")
def address():
    """Hold a cluster of two workers in this process, where the faked conversion is seen."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=2,
        processes=False,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster.scheduler_address


def test_the_bytes_are_those_of_one_process(source, tmp_path, address, monkeypatch):
    manifest = mhpdata.pack(source.root, tmp_path / "one", **WANTED)
    monkeypatch.chdir(tmp_path)
    assert dask.pack_dask("source", "out", address, **WANTED) == manifest
    assert tree(tmp_path / "out") == tree(tmp_path / "one") and not (tmp_path / "out/.tasks").exists()
    monkeypatch.setattr(dask, "_convert", None)
    assert dask.pack_dask(source.root, tmp_path / "out", address, **WANTED) == manifest


def test_a_second_command_keeps_what_the_first_has_converted(source, tmp_path, address, monkeypatch):
    out, write = tmp_path / "out", block.write_blocks

    def failing(run, parts, blocks, *rest):
        if blocks[0].number == 4:
            raise OSError(5, "Input/output error", "a disk")
        return write(run, parts, blocks, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(block, "write_blocks", failing)
        with pytest.raises(OutputError, match="a disk: cannot be written"):
            dask.pack_dask(source.root, out, address, **WANTED)
    before = {path: path.stat().st_mtime_ns for path in (out / ".tasks").glob("part-*.json")}
    written = []
    monkeypatch.setattr(block, "write_blocks", lambda *args: written.append(args[2][0].number) or write(*args))
    dask.pack_dask(source.root, out, address, **WANTED)
    assert 4 in written and not {f"part-{n:06d}.json" for n in written} & {path.name for path in before}


def test_the_error_of_a_block_is_that_of_the_pack(source, tmp_path, address):
    with pytest.raises(ImageError, match=r"source/images/\d+\.jpg: BAD"):
        dask.pack_dask(source.root, tmp_path / "out", address, **WANTED | {"on_error": "fail"})
    with pytest.raises(OutputError, match=r"with other options \(--size 768, now 64\)"):
        dask.pack_dask(source.root, tmp_path / "out", address, size=64, **WANTED)


def test_another_error_of_a_worker_names_the_cluster(source, tmp_path, address, monkeypatch):
    def broken(*args):
        raise ModuleNotFoundError("No module named 'cv2'")

    monkeypatch.setattr(block, "write_blocks", broken)
    with pytest.raises(EngineError, match=r"a worker failed \(ModuleNotFoundError: No module named 'cv2'\)"):
        dask.pack_dask(source.root, tmp_path / "out", address, **WANTED)


def test_blocks_without_a_result_are_submitted_again_when_the_scheduler_is_back(source, tmp_path, address, monkeypatch):
    outcomes, submitted = dask._outcomes, []

    def losing(client, job, numbers):
        submitted.append(list(numbers))
        for i, outcome in enumerate(outcomes(client, job, numbers)):
            if i == 2 and len(submitted) < 3:
                raise dask._LostError
            yield outcome

    monkeypatch.setattr(dask, "_outcomes", losing)
    manifest = dask.pack_dask(source.root, tmp_path / "out", address, **WANTED)
    assert [len(numbers) for numbers in submitted] == [5, 3, 1] and set(submitted[2]) < set(submitted[1])
    mhpdata.pack(source.root, tmp_path / "one", **WANTED)
    assert tree(tmp_path / "out") == tree(tmp_path / "one") and len(manifest.skipped) > 0


def test_a_scheduler_that_does_not_answer(source, tmp_path, monkeypatch):
    monkeypatch.setattr(dask, "_CONNECT_S", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineError, match=rf"tcp://127\.0\.0\.1:{port}: no Dask scheduler answers within 0\.5 s"):
        dask.pack_dask(source.root, tmp_path / "out", f"tcp://127.0.0.1:{port}", **WANTED)
    with pytest.raises(EngineError, match="no Dask scheduler answers"):
        dask.pack_dask(source.root, tmp_path / "out", "no address", **WANTED)


def test_dask_that_is_not_installed(source, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(MissingError, match=r"Dask: cannot be imported .* Run: pip install distributed\."):
        dask.pack_dask(source.root, tmp_path / "out", "local", **WANTED)


def test_processes_on_this_machine(tmp_path):
    images = write_folder(tmp_path / "MHP_v1", images=140, size=(32, 48))
    (images / "images/0003.jpg").write_bytes(b"")
    mhpdata.pack(images, tmp_path / "one", size=32, on_error="skip")
    dask.pack_dask(images, tmp_path / "out", "local", size=32, on_error="skip", workers=2)
    assert tree(tmp_path / "out") == tree(tmp_path / "one")


def listening():
    """Return the addresses that this process and its children listen at."""
    psutil = pytest.importorskip("psutil", reason="a dependency of Dask")
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return {one.laddr for p in processes for one in p.net_connections() if one.status == psutil.CONN_LISTEN}


def test_a_cluster_on_this_machine_listens_on_the_loopback_interface_only():
    before = listening()
    with dask._cluster("local", 1) as address:
        assert address.startswith("tcp://127.0.0.1:")
        ours = listening() - before
    assert len(ours) > 2 and {one.ip for one in ours} == {"127.0.0.1"}


@pytest.mark.slow
def test_a_lost_worker_and_a_lost_scheduler(tmp_path):
    from dask_attack import WORKERS, attack

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    events = attack(tmp_path, "127.0.0.1", port, [[]] * WORKERS)
    assert [event.split(": ")[1] for event in events] == [
        "a worker was killed with its nanny",
        "the scheduler was killed",
        "done",
    ]
