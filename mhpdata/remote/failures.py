"""Describe failed requests without repeating what the client says, which may contain addresses, keys or signatures."""

from __future__ import annotations

import re

from mhpdata.address import OBJECT_STORES, Address
from mhpdata.errors import NoBucketError, NoObjectError, RemoteError

_STATUS = re.compile(r"status code: (\d{3})")
_SERVER = re.compile(r"Error performing [A-Z]+ (https?://(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?)(?=[/?\s])")
"""Marks the request in the client's description of an error; an address with a user name or password has no match."""
_REASONS = {
    "kind: ConnectionRefused": "the connection was refused",
    "failed to lookup address": "the host was not found",
    "kind: Timeout": "no answer in time",
    "kind: Interrupted": "the connection was closed in the middle of an answer",
    "InvalidContentType": "the server answers without TLS, as for http:// in place of https://",
    "kind: Connect": "no connection",
    "UnexpectedRange": "the answer has another range than was asked for",
    "RangeNotSupported": "the server does not answer requests for a range of bytes",
    "StartTooLarge": "the object ends before the range that was asked for",
}
"""Marks in the client's description of an error, and what they mean."""
_CREDENTIALS = ("169.254.169.254", "TokenRequest", "metadata.google.internal", "MissingCredential", "sts.amazonaws.com")
"""Marks of a failed search for credentials: the client asks the machine's own services last."""
_NO_KEYS = "no credentials were found"
_DENIED = frozenset({401, 403})
_FINAL = frozenset({400, 401, 403, 404, 405, 410, 416})
SET_KEYS = (
    "Set credentials as docs/cluster.md describes (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "GOOGLE_APPLICATION_CREDENTIALS), or AWS_SKIP_SIGNATURE=true for a public bucket."
)
TRY_AGAIN = "Check the address and the network, then run the command again."
_CHECK_S3 = "Check the address, AWS_ENDPOINT_URL and the network, then run the command again."
_CHECK_SETTINGS = (
    "Check the address, and the environment variables of the service (docs/cluster.md): those of S3 begin with AWS_, "
    "those of Google Cloud with GOOGLE_."
)
_NO_BUCKET = "NoSuchBucket"
_PANIC = "PanicException"
"""Name of what the client raises in place of an Exception when its own code fails."""


def is_of_client(error: BaseException) -> bool:
    """Return whether the client raised an error, and not a signal or mhp."""
    return isinstance(error, Exception) or type(error).__name__ == _PANIC


class Failure:
    """Description of a failed request.

    Args:
        error: Error of the client.
        opening: Whether no request was made yet: the client refuses its settings.

    Attributes:
        missing: Whether the object does not exist.
        no_bucket: Whether its bucket does not exist.
        passing: Whether the same request may succeed later.
        keyless: Whether no credentials were found; this passes only if there were some before.
        reason: What went wrong, in words of our own.
        server: Address of the server that was asked, without a path; "" if unknown.
    """

    def __init__(self, error: BaseException, opening: bool = False) -> None:
        text, name = str(error), type(error).__name__
        match = _STATUS.search(text)
        status = int(match[1]) if match else 0
        asked = _SERVER.search(text)
        self.server = asked[1] if asked else ""
        absent = isinstance(error, FileNotFoundError) or name == "NotFoundError" or status in (404, 410)
        self.missing = absent and not opening
        self.no_bucket = self.missing and _NO_BUCKET in text
        self._denied = status in _DENIED or name in ("PermissionDeniedError", "UnauthenticatedError")
        self.keyless = not self.missing and any(mark in text for mark in _CREDENTIALS)
        self._refused = "the client refuses its settings" if opening and not self.keyless else ""
        if name == _PANIC:
            self._refused = "the client stopped with an error of its own"
        reason = next((words for mark, words in _REASONS.items() if mark in text), "")
        if status:
            reason = f"status {status}"
        self.reason = self._refused or (_NO_KEYS if self.keyless else reason or "the request failed")
        settled = self.missing or self._denied or status in _FINAL or "StartTooLarge" in text
        self._whole_only = "RangeNotSupported" in text
        self.passing = not (settled or self._whole_only or self._refused or "builder error" in text)

    def error(self, address: Address, tries: int, seconds: float, verb: str = "read") -> RemoteError:
        """Return the error to raise for an object, after a number of tries: it cannot be read, written or listed."""
        at = f" at {self.server}" if address.scheme in OBJECT_STORES and self.server and not self.keyless else ""
        if self.no_bucket and address.scheme in OBJECT_STORES:
            place, remedy = f"{address.scheme}://{address.store}", "Correct its name, or create the bucket."
            return NoBucketError(place, f"this bucket does not exist{at}", "", remedy)
        if self.missing:
            return NoObjectError(address, "does not exist (status 404)", "", TRY_AGAIN)
        again = f" after {tries} tries in {seconds:.0f} s" if tries > 1 else ""
        remedy = _CHECK_S3 if address.scheme == "s3" else TRY_AGAIN
        if self._refused:
            remedy = _CHECK_SETTINGS
        elif self._denied or self.keyless:
            remedy = SET_KEYS
        elif self._whole_only:
            remedy = "Use a server that does, such as nginx (docs/cluster.md), or copy the folder to a local disk."
        return RemoteError(address, f"cannot be {verb} ({self.reason}{again}{at})", "", remedy)
