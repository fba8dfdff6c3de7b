"""Writes: whole or not at all, create-only, in pieces, tried again, deleted, and refused in words."""

import pytest
from bucket_server import bucket
from stored import NEEDS_OBSTORE, hurry

from mhpdata.address import Address
from mhpdata.errors import NoBucketError, NoObjectError, RemoteError
from mhpdata.remote import store, writing
from mhpdata.remote.listing import list_level
from mhpdata.remote.store import ExistsError, look, read_object
from mhpdata.remote.writing import delete, look_if_there, put, put_file, read_if_there

pytestmark = NEEDS_OBSTORE

AT = Address("s3", "box", "a b/one.json")
FILE = Address("s3", "box", "a b/one.rec")


@pytest.fixture
def server(tmp_path, monkeypatch):
    (tmp_path / "box").mkdir()
    with bucket(tmp_path, monkeypatch) as running:
        yield running


def test_an_object_is_written_replaced_and_deleted(server):
    first = put(AT, b"one")
    assert bytes(read_object(AT, 9)) == b"one"
    assert look(AT) == first
    assert put(AT, memoryview(b"two!")).size == 4
    assert bytes(read_object(AT, 9)) == b"two!"
    delete(AT)
    delete(AT)
    assert look_if_there(AT) is None
    assert server.names("box") == []


def test_create_refuses_other_bytes_and_accepts_equal_ones(server):
    assert put(AT, b"one", create=True) == put(AT, b"one", create=True)
    for other in (b"two", b"longer"):
        with pytest.raises(ExistsError):
            put(AT, other, create=True)
    assert bytes(read_object(AT, 9)) == b"one"


@pytest.mark.parametrize("kind", ["lose", "refuse"])
@pytest.mark.parametrize("create", [True, False])
def test_a_write_that_fails_for_a_moment_is_tried_again(server, monkeypatch, kind, create):
    hurry(monkeypatch, 5)
    setattr(server, kind, 3)
    put(AT, b"one", create=create)
    assert getattr(server, kind) < 3
    assert bytes(read_object(AT, 9)) == b"one"


@pytest.mark.parametrize("kind", ["lose", "refuse"])
def test_a_large_file_is_written_in_pieces(server, monkeypatch, tmp_path, kind):
    hurry(monkeypatch, 5)
    monkeypatch.setattr(writing, "PIECE", 5 << 20)
    data = bytes(range(256)) * (11 << 12)
    (tmp_path / "file").write_bytes(data)
    setattr(server, kind, 3)
    assert put_file(FILE, tmp_path / "file") == look(FILE)
    assert bytes(read_object(FILE, len(data))) == data
    assert server.count("PUT") >= 3, "pieces"
    (tmp_path / "file").write_bytes(b"small")
    put_file(FILE, tmp_path / "file")
    assert bytes(read_object(FILE, 9)) == b"small"


def test_a_service_that_keeps_failing_is_an_error_without_secrets(server, monkeypatch):
    hurry(monkeypatch)
    server.refuse = 10**6
    for call in (lambda: put(AT, b"one"), lambda: delete(AT)):
        with pytest.raises(RemoteError, match=r"cannot be (written|deleted) \(status 500") as caught:
            call()
        assert "Secret" not in repr(caught.value.__context__)
    assert not isinstance(caught.value, NoObjectError)


def test_a_bucket_that_does_not_exist_is_an_error_unlike_an_object(server):
    other = Address("s3", "nobucket", "rec/one.json")
    assert read_if_there(AT, 9) is None
    for call in (lambda: put(other, b"one"), lambda: read_if_there(other, 9), lambda: list_level(other)):
        with pytest.raises(NoBucketError, match=f"^s3://nobucket: this bucket does not exist at {server.url}"):
            call()
    assert server.count("PUT") == 1, "not tried again"


def test_a_fork_may_not_write(server):
    store._state.forked = True
    with pytest.raises(RemoteError, match="forked"):
        put(AT, b"one")
