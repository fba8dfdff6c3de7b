"""Failures of requests: which pass, and that their descriptions are ours."""

import pytest

from mhpdata.address import Address
from mhpdata.errors import NoBucketError, NoObjectError, RemoteError
from mhpdata.remote.failures import Failure, is_of_client

ADDRESS = Address("https", "posts.example", "Credential/rec")
AT = "Error performing GET https://posts.example/Credential/rec?X-Amz-Signature=S3CR3T in 3ms - "


class NotFoundError(Exception):
    pass


class UnauthenticatedError(Exception):
    pass


class PanicException(BaseException):  # the name in obstore
    pass


@pytest.mark.parametrize(
    ("text", "reason", "passing"),
    [
        ("Server returned non-2xx status code: 503 Service Unavailable: ", "status 503", True),
        ("Server returned non-2xx status code: 429 Too Many Requests: ", "status 429", True),
        ("Server returned non-2xx status code: 403 Forbidden: <Key>S3CR3T</Key>", "status 403", False),
        ("HTTP error: error sending request kind: ConnectionRefused", "the connection was refused", True),
        ("dns error: failed to lookup address information", "the host was not found", True),
        ("kind: Timeout", "no answer in time", True),
        ("kind: Connect, source: InvalidMessage(InvalidContentType)", "the server answers without TLS", True),
        ("kind: Interrupted", "closed in the middle", True),
        ("StartTooLarge", "the object ends before", False),
        ("NotSupported { source: RangeNotSupported {", "does not answer requests for a range of bytes", False),
        ("HTTP error: builder error", "the request failed", False),
        ("something S3CR3T and new", "the request failed", True),
    ],
)
def test_the_reason_is_in_words_of_our_own(text, reason, passing):
    failure = Failure(Exception(AT + text))
    assert failure.passing == passing
    assert not failure.keyless
    error = failure.error(ADDRESS, 4, 12.3)
    assert type(error) is RemoteError
    assert reason in error.found
    assert "after 4 tries in 12 s" in error.found
    assert "S3CR3T" not in str(error)
    assert error.remedy


@pytest.mark.parametrize("error", [FileNotFoundError("x"), NotFoundError("x"), Exception("status code: 404 Not Found")])
def test_a_missing_object_is_an_error_of_its_own(error):
    failure = Failure(error)
    assert failure.missing
    assert not failure.passing
    assert isinstance(failure.error(ADDRESS, 1, 0), NoObjectError)


@pytest.mark.parametrize("error", [UnauthenticatedError("x"), Exception("status code: 401 Unauthorized")])
def test_refused_keys_have_a_remedy(error):
    assert "Set credentials" in Failure(error).error(ADDRESS, 1, 0).remedy


S3 = Address("s3", "box", "rec/manifest.json")
ASKED = "Error performing GET http://127.0.0.1:5000/box/rec/manifest.json?X-Amz-Signature=S3CR3T in 3ms - "


def test_the_server_of_an_object_store_is_named():
    error = Failure(Exception(f"{ASKED}error sending request kind: Connect")).error(S3, 8, 10.2)
    assert error.found == "cannot be read (no connection after 8 tries in 10 s at http://127.0.0.1:5000)"
    assert "AWS_ENDPOINT_URL" in error.remedy
    for text in ("http://me:S3CR3T@host/box", "http://me:1234@host/box", "http://me@host/box", "REDACTED"):
        assert not Failure(Exception(f"Error performing GET {text} in 3ms - kind: Connect")).server
    assert Failure(Exception("Error performing HEAD https://[::1]:9000/box in 3ms")).server == "https://[::1]:9000"
    assert " at " not in Failure(Exception(f"{AT}kind: Connect")).error(ADDRESS, 1, 0).found, "the address names it"


def test_a_missing_bucket_is_no_missing_object():
    failure = Failure(Exception(f"{ASKED}status code: 404 Not Found: <Code>NoSuchBucket</Code>"))
    error = failure.error(S3, 1, 0)
    assert type(error) is NoBucketError
    assert str(error).startswith("s3://box: this bucket does not exist at http://127.0.0.1:5000. ")
    assert not failure.passing
    assert isinstance(failure.error(ADDRESS, 1, 0), NoObjectError), "a web server has no buckets"


def test_settings_that_the_client_refuses_are_no_missing_object():
    for error in (FileNotFoundError("no such file: key.json"), Exception('failed to parse "maybe" as boolean')):
        failure = Failure(error, opening=True)
        assert not failure.passing
        found = failure.error(S3, 1, 0)
        assert type(found) is RemoteError
        assert found.found == "cannot be read (the client refuses its settings)"
        assert "environment variables" in found.remedy
    assert Failure(Exception("MissingCredential"), opening=True).keyless


def test_a_panic_of_the_client_is_an_error_of_its_own_and_signals_are_not():
    assert is_of_client(PanicException("x"))
    assert is_of_client(ValueError("x"))
    assert not is_of_client(KeyboardInterrupt())
    failure = Failure(PanicException("called Result::unwrap() on http://S3CR3T"))
    assert not failure.passing
    found = failure.error(S3, 1, 0)
    assert found.found == "cannot be read (the client stopped with an error of its own)"
    assert "environment variables" in found.remedy
