"""Failures of requests: which pass, and that their descriptions are ours."""

import pytest

from mhpdata.address import Address
from mhpdata.errors import NoObjectError, RemoteError
from mhpdata.remote.failures import Failure

ADDRESS = Address("https", "posts.example", "Credential/rec")
AT = "Error performing GET https://posts.example/Credential/rec?X-Amz-Signature=S3CR3T in 3ms - "


class NotFoundError(Exception):
    pass


class UnauthenticatedError(Exception):
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
