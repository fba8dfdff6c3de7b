"""Copies of a run in object storage: complete at every moment, resumed elsewhere exactly, checked."""

import json
import shutil

import pytest
import services
from bucket_server import SETTINGS, bucket
from stored import NEEDS_OBSTORE
from training import check_equal, run, small_config, whole_run, write_rec

from mhpdata.address import Address
from mhpdata.errors import CheckpointError, OptionError
from mhpdata.remote import store
from mhpdata.remote.store import read_object
from mhpdata.remote.writing import put
from mhpmodels.files import checkpoint, copies
from mhpmodels.files.copies import INDEX, fetch, publish, run_address
from mhpmodels.training.train import Restart, copied

AT = Address("s3", "box", "runs/a")
OTHERS = copied("train.log")


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_rec(tmp_path_factory.mktemp("copies"))


@pytest.fixture(scope="module")
def whole(rec, tmp_path_factory):
    return whole_run(rec, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def server(tmp_path, monkeypatch):
    (tmp_path / "box").mkdir()
    with bucket(tmp_path, monkeypatch) as running:
        yield running


def objects(server):
    return {name.rpartition("/")[2] for name in server.names("box")}


def stop_at(count):
    """Return a hook that fails like a lost machine."""

    def fail(call, _):
        if call == count:
            raise KeyboardInterrupt

    return fail


@NEEDS_OBSTORE
def test_a_run_resumes_from_its_copies_on_another_machine(rec, whole, server, tmp_path):
    config, first, second = small_config(rec), tmp_path / "first", tmp_path / "second"
    with pytest.raises(KeyboardInterrupt):
        run(config, first, restart=Restart(copy_to=AT), before_step=stop_at(9))
    assert objects(server) == {path.name for path in first.iterdir()} | {INDEX}
    shutil.rmtree(first)
    last = fetch(AT, second, OTHERS)
    assert last == checkpoint.read(second).weights and last.name.startswith("epoch_0001")
    check_equal(run(config, second, resume=last, restart=Restart(copy_to=AT)), whole)
    assert objects(server) == {path.name for path in second.iterdir()} | {INDEX}
    third = tmp_path / "third"
    assert fetch(AT, third, OTHERS) == third / whole[0].last.name
    assert {path.name for path in third.iterdir()} == objects(server) - {INDEX}
    assert checkpoint.best(third).weights.name == whole[0].best.name
    # another rank fetches the last one only
    fourth = tmp_path / "fourth"
    assert fetch(AT, fourth, OTHERS, last_only=True) == fourth / whole[0].last.name
    assert {path.stem for path in fourth.iterdir()} == {whole[0].last.stem}


@NEEDS_OBSTORE
def test_what_is_there_is_not_fetched_again(whole, server, tmp_path):
    folder = tmp_path / "run"
    assert fetch(AT, folder, OTHERS) is None
    assert not folder.exists()
    publish(whole[0].folder, AT, OTHERS)
    fetch(AT, folder, OTHERS)
    (folder / "train.log").write_text("later")
    before = server.count("GET", whole[0].last.name)
    assert before
    fetch(AT, folder, OTHERS)
    assert server.count("GET", whole[0].last.name) == before
    assert (folder / "train.log").read_text() == "later"
    whole_bytes = (folder / whole[0].last.name).read_bytes()
    (folder / whole[0].last.name).write_bytes(whole_bytes[:-1])
    fetch(AT, folder, OTHERS)
    assert (folder / whole[0].last.name).read_bytes() == whole_bytes


@NEEDS_OBSTORE
def test_an_end_at_any_write_leaves_complete_copies(rec, server, tmp_path, monkeypatch):
    """The index names complete checkpoints only, whichever write is the last one."""
    real, left = {name: getattr(copies, name) for name in ("put", "put_file", "delete")}, [0]

    def counted(name):
        def call(*arguments):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return real[name](*arguments)

        return call

    for name in real:
        monkeypatch.setattr(copies, name, counted(name))
    for number in range(1, 40):
        at = Address("s3", "box", f"runs/{number}")
        left[0] = number
        try:
            run(small_config(rec).changed(epochs=2), tmp_path / f"run{number}", restart=Restart(copy_to=at))
        except KeyboardInterrupt:
            ended = True
        else:
            ended = False
        found = fetch(at, tmp_path / f"copy{number}", OTHERS)
        if found is not None:
            checkpoint.verify(checkpoint.read(found))
        if not ended:
            break
    assert 10 < number < 39


@NEEDS_OBSTORE
@pytest.mark.parametrize("name", ["../epoch_0001.pt", "epoch_0001.exe", "epoch_0001/x.pt", "train.log"])
def test_an_index_with_other_names_is_refused(server, tmp_path, name):
    put(AT / INDEX, json.dumps({"format": "mhp-run", "version": 1, "checkpoints": [name]}).encode())
    with pytest.raises(CheckpointError, match=r"s3://box/runs/a/run\.json: is damaged"):
        fetch(AT, tmp_path / "run", OTHERS)
    assert not (tmp_path / "run").exists()


@NEEDS_OBSTORE
def test_damaged_copies_are_refused(whole, server, tmp_path):
    publish(whole[0].folder, AT, OTHERS)
    at = AT / whole[0].last.name
    data = bytes(read_object(at, 1 << 20))
    for other in (data[:-1] + b"\0", data[:-1]):
        put(at, other)
        with pytest.raises(CheckpointError, match="is damaged"):
            fetch(AT, tmp_path / "run", OTHERS)
        assert not (tmp_path / "run" / at.name).exists()
    put(AT / INDEX, b"{")
    with pytest.raises(CheckpointError, match=r"run\.json: is damaged"):
        publish(whole[0].folder, AT, OTHERS)


@pytest.mark.parametrize(
    ("value", "found"), [("runs/a", "a path"), ("https://host/a", "https://host/a"), ("s3://box", "s3://box")]
)
def test_only_addresses_that_can_be_written(value, found):
    with pytest.raises(OptionError, match=f"copy_to: {found}; expected an address such as"):
        run_address(value)
    with pytest.raises(OptionError, match="user name or password"):
        run_address("s3://user:secret@box/run")


@NEEDS_OBSTORE
@pytest.mark.slow
def test_an_s3_service(rec, whole, tmp_path, monkeypatch):
    """moto, which checks that requests are signed."""
    with services.moto() as url:
        services.put(f"{url}/box", b"")
        for name, value in {**SETTINGS, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(store, "_state", store._State())
        with pytest.raises(KeyboardInterrupt):
            run(small_config(rec), tmp_path / "first", restart=Restart(copy_to=AT), before_step=stop_at(9))
        last = fetch(AT, tmp_path / "second", OTHERS)
        check_equal(run(small_config(rec), tmp_path / "second", resume=last, restart=Restart(copy_to=AT)), whole)
        assert fetch(AT, tmp_path / "third", OTHERS) == tmp_path / "third" / whole[0].last.name
