"""Requests: ranges, versions, failures that pass and that do not, missing libraries, forks, and what is never shown."""

import multiprocessing
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
import range_server
from places import ROOT
from range_server import FAULTS, serving
from stored import NEEDS_OBSTORE, hurry

from mhpdata.address import Address, parse_address
from mhpdata.errors import MhpError, MissingError, NoObjectError, RemoteError, is_outside
from mhpdata.remote import store
from mhpdata.remote.store import OtherVersionError, Version, look, read_object, read_range

pytestmark = NEEDS_OBSTORE


DATA = bytes(range(256)) * 40


@pytest.fixture
def root(tmp_path):
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "a b.rec").write_bytes(DATA)
    return tmp_path


def at(server, name="a b.rec"):
    return Address("http", server.url.removeprefix("http://"), f"box/{name}")


def test_ranges_and_whole_objects(root):
    with serving(root) as server:
        version = look(at(server))
        assert version.size == len(DATA)
        assert bytes(read_range(at(server), 5, 105, version)) == DATA[5:105]
        assert bytes(read_range(at(server), len(DATA) - 1, len(DATA))) == DATA[-1:]
        assert bytes(read_object(at(server), len(DATA))) == DATA
        assert server.count("HEAD") == 1
        assert server.count("GET") == 3


def test_too_large_an_object_is_not_read(root):
    with serving(root) as server, pytest.raises(RemoteError, match=f"has {len(DATA)} bytes; expected at most 100"):
        read_object(at(server), 100)


def test_s3_asks_for_bucket_and_key_and_signs(root, monkeypatch):
    with serving(root) as server:
        monkeypatch.setattr(store, "_state", store._State())
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        address = parse_address("folder", "s3://box/a b.rec")
        assert bytes(read_range(address, 1, 9)) == DATA[1:9]
        assert server.requests == [("GET", "/box/a b.rec", (1, 9))]
        assert ["AKIAEXAMPLE" in one for one in server.authorizations] == [True]
        with pytest.raises(NoObjectError) as caught:
            look(parse_address("folder", "s3://box/none"))
        text = "".join(traceback.format_exception(caught.value)) + repr(pickle.dumps(caught.value))
        assert "SECRET" not in text
        assert "AKIA" not in text


@pytest.mark.parametrize("kind", [fault for fault in FAULTS if fault != "wrong"])
def test_a_failure_that_passes_is_not_noticed(root, monkeypatch, kind):
    hurry(monkeypatch, 5)
    with serving(root, faults=(kind,), share=1, stall_s=1.5) as server:
        assert bytes(read_range(at(server), 3, 5000)) == DATA[3:5000]
        if kind != "short":  # a whole object that is short by its own length is detected by its digest
            assert bytes(read_object(at(server), len(DATA))) == DATA
        assert server.injected[kind] >= 1


@pytest.mark.parametrize("kind", [fault for fault in FAULTS if fault != "wrong"])
def test_a_failure_that_stays_is_an_error_within_the_patience(root, monkeypatch, kind):
    hurry(monkeypatch)
    with serving(root, stall_s=1.5) as server:
        server.fault = lambda *_: kind
        with pytest.raises(RemoteError, match="cannot be read") as caught:
            read_range(at(server), 3, 5000)
        assert is_outside(caught.value)
        assert "Debug" not in "".join(traceback.format_exception(caught.value))


def test_a_missing_object_and_a_wrong_host_are_errors(root, monkeypatch):
    hurry(monkeypatch)
    with serving(root) as server:
        with pytest.raises(NoObjectError, match="does not exist"):
            read_range(at(server, "none"), 0, 5)
        assert server.count() == 1, "not tried again"
        nobody = at(server)
    with pytest.raises(RemoteError, match="connection was refused"):
        look(nobody)


@pytest.mark.parametrize(("answers", "seconds"), [(0, store.FIRST_S), (1, store.PATIENCE_S)])
def test_the_last_try_begins_when_the_patience_is_over(monkeypatch, answers, seconds):
    clock, address, calls = [0.0], Address("http", "127.0.0.1:9", "rec"), []
    pauses = SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda s: clock.__setitem__(0, clock[0] + s))
    monkeypatch.setattr(store, "time", pauses)
    monkeypatch.setattr(store, "_state", store._State())
    monkeypatch.setattr(store, "_client", lambda _: (None, None))

    def once(*_):
        calls.append(clock[0])
        if len(calls) > answers:
            raise Exception("kind: Connect")

    for _ in range(answers):
        store.attempt(address, once)
    with pytest.raises(RemoteError, match=rf"no connection after \d+ tries in {seconds:.0f} s"):
        store.attempt(address, once)
    assert clock[0] == calls[-1] == pytest.approx(seconds)


def test_a_panic_of_the_client_is_an_error(monkeypatch):
    """A value that mhp does not check, here the service for credentials, makes obstore panic."""
    monkeypatch.setattr(store, "_state", store._State())
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "no address")
    with pytest.raises(RemoteError, match="the client stopped with an error of its own") as caught:
        look(Address("s3", "box", "rec"))
    assert is_outside(caught.value)


def test_another_version_is_not_mixed_in(root):
    with serving(root) as server:
        version = look(at(server))
        (root / "box" / "a b.rec").write_bytes(DATA[::-1])
        os.utime(root / "box" / "a b.rec", ns=(1, 1))
        with pytest.raises(OtherVersionError):
            read_range(at(server), 0, 10, version)
        with pytest.raises(OtherVersionError):
            read_range(at(server), 0, 10, Version(version.size + 1, ""))
        assert bytes(read_range(at(server), 0, 10, Version(version.size, ""))) == DATA[::-1][:10]


def test_without_credentials_the_error_says_how_to_set_them(monkeypatch):
    failure = store.Failure(Exception("Error performing PUT http://169.254.169.254/latest/api/token in 1s - timed out"))
    error = failure.error(Address("s3", "box", "rec"), 1, 0)
    assert "no credentials were found" in str(error)
    assert "AWS_ACCESS_KEY_ID" in error.remedy
    assert failure.keyless


def test_without_obstore_the_error_has_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(MissingError, match=rf"obstore: not installed.* pip install \"{store.PACKAGE}\"") as caught:
        look(Address("s3", "box", "rec"))
    assert is_outside(caught.value)
    extras = (ROOT / "pyproject.toml").read_text()
    assert extras.count(f'"{store.PACKAGE}') == 2, "remote and dev"


def test_obstore_is_imported_by_the_first_request_only():
    code = "import sys, mhpdata, mhpdata.storage.split, mhpdata.loading.loader; print('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def _child(address, results):
    try:
        results.put(bytes(read_range(address, 0, 9)))
    except MhpError as error:
        results.put(str(error))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_says_at_once_what_to_do(root, method):
    with serving(root) as server:
        look(at(server))
        context = multiprocessing.get_context(method)
        results = context.Queue()
        process = context.Process(target=_child, args=(at(server), results))
        process.start()
        result = results.get(timeout=60)
        process.join()
    if method == "spawn":
        assert result == DATA[:9]
    else:
        assert "forked after its parent had made requests" in result
        assert 'Start the worker processes with "spawn"' in result


FORK_FIRST = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from range_server import serving
from mhpdata.address import Address
from mhpdata.remote.store import read_range
read, write = os.pipe()
child = os.fork()  # before any thread exists
if child == 0:
    os.close(write)
    host = os.read(read, 100).decode()
    assert len(read_range(Address("http", host, "box/a b.rec"), 0, 9)) == 9
    os._exit(7)
with serving(Path(sys.argv[2])) as server:
    os.write(write, server.url.removeprefix("http://").encode())
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_forked_before_the_first_request_may_ask(root):
    support = str(Path(range_server.__file__).parent)
    command = [sys.executable, "-c", FORK_FIRST, support, str(root)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=120).stdout == "7\n"


FORK_LATE = """
import os, sys
sys.path.insert(0, sys.argv[1])
import kernel_cache
from pathlib import Path
from stored import served
import mhpdata
from mhpdata.errors import RemoteError
with served(Path(sys.argv[2])) as (server, address):
    split = mhpdata.open(address, "train")
    split.record(0)
    server.delay_s = 2.0
    split.ask(range(len(split)))  # on their way when the child begins
    split._place._window._lock.acquire()
    child = os.fork()
    if child == 0:
        try:
            split.record(0)
        except RemoteError:
            os._exit(7)
    split._place._window._lock.release()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_forked_while_requests_are_under_way_does_not_wait_for_them(small):
    support = str(Path(range_server.__file__).parent)
    command = [sys.executable, "-W", "ignore", "-c", FORK_LATE, support, str(small)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=120).stdout == "7\n"
