"""Environment variables of S3: what the client would panic at is an error of one line, without the value."""

import pytest
from stored import NEEDS_OBSTORE

from mhpdata.address import Address
from mhpdata.errors import RemoteError
from mhpdata.remote import store
from mhpdata.remote.variables import s3_endpoint

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "PRIVATE"}
INVALID = [
    (
        {"AWS_ENDPOINT_URL": "127.0.0.1:5000"},
        r"^AWS_ENDPOINT_URL: does not begin with http:// or https://\. Set .*9000\.$",
    ),
    ({"AWS_ENDPOINT": "localhost"}, "^AWS_ENDPOINT: does not begin with http:// or https://"),
    ({"AWS_ENDPOINT_URL": '"http://127.0.0.1:5000"'}, "does not begin with"),
    ({"AWS_ENDPOINT_URL": " http://127.0.0.1:5000"}, "does not begin with"),
    ({"AWS_ENDPOINT_URL": ""}, r"^AWS_ENDPOINT_URL: is set, but empty; .*unset AWS_ENDPOINT_URL"),
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"}, "is not the address of a server"),
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:5000\r"}, "is not the address of a server"),
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:50 00"}, "is not the address of a server"),
    ({"AWS_ENDPOINT_URL": "http://"}, "is not the address of a server"),
    ({"AWS_ENDPOINT_URL": "http://:5000"}, "is not the address of a server"),
    ({"AWS_ENDPOINT_URL": "http://[::1"}, "is not the address of a server"),
    ({"AWS_ENDPOINT_URL": "http://bücket.example"}, "is not the address of a server"),
    ({"AWS_ENDPOINT_URL": "http://me:PRIVATE@host:port"}, "is not the address of a server"),
    ({"AWS_REGION": "us east 1"}, "^AWS_REGION: has a character that does not belong in it"),
    ({"AWS_REGION": "us-east-1\r"}, "^AWS_REGION: has a character"),
    ({"AWS_DEFAULT_REGION": '"us-east-1"'}, "^AWS_DEFAULT_REGION: has a character"),
    ({"AWS_ACCESS_KEY_ID": "PRIVATE\r"}, "^AWS_ACCESS_KEY_ID: has a character"),
    ({"AWS_SECRET_ACCESS_KEY": "PRIVATE\n"}, "^AWS_SECRET_ACCESS_KEY: has a character"),
    ({"AWS_SESSION_TOKEN": "PRIVATE\nPRIVATE"}, "^AWS_SESSION_TOKEN: has a character"),
]
VALID = [
    ({}, None),
    ({"AWS_ENDPOINT_URL": "https://minio.example.org"}, "https://minio.example.org"),
    ({"AWS_ENDPOINT_URL": "HTTP://[::1]:9000/s3/"}, "HTTP://[::1]:9000/s3/"),
    ({"AWS_ENDPOINT": "http://a_b.c:9000"}, "http://a_b.c:9000"),
    ({"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT": "http://second:1"}, "http://second:1"),
    ({"AWS_ENDPOINT_URL": "http://first:1", "AWS_ENDPOINT": "http://second:1"}, "http://first:1"),
    ({**KEYS, "AWS_REGION": "", "AWS_SESSION_TOKEN": "a/b+c=="}, None),
    ({**KEYS, "AWS_SECRET_ACCESS_KEY": "pass word ü"}, None),
]


@pytest.mark.parametrize(("given", "found"), INVALID)
def test_an_invalid_variable_is_named_and_its_value_is_not_shown(given, found):
    with pytest.raises(RemoteError, match=found) as caught:
        s3_endpoint({**KEYS, **given})
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize(("given", "endpoint"), VALID)
def test_the_endpoint_is_the_first_one_that_is_not_empty(given, endpoint):
    assert s3_endpoint(given) == endpoint


@pytest.mark.parametrize("name", KEYS)
def test_one_key_without_the_other_is_an_error(name):
    (other,) = set(KEYS) - {name}
    with pytest.raises(RemoteError, match=f"^{other}: is not set, but {name} is. Set both"):
        s3_endpoint({name: "x"})


@NEEDS_OBSTORE
@pytest.mark.parametrize(("given", "found"), INVALID)
def test_no_request_is_made_then(monkeypatch, given, found):
    monkeypatch.setattr(store, "_state", store._State())
    for name, value in {**KEYS, "AWS_REGION": "us-east-1", **given}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RemoteError, match=found):
        store.look(Address("s3", "box", "rec"))


@NEEDS_OBSTORE
@pytest.mark.parametrize(("given", "_"), VALID)
def test_the_client_takes_every_valid_value(monkeypatch, given, _):
    for name, value in {**KEYS, **given}.items():
        monkeypatch.setenv(name, value)
    assert store._open("s3", "box", s3_endpoint({**KEYS, **given})).config.get("endpoint") == s3_endpoint(given)
