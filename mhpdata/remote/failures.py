"""Describe failed requests without repeating what the client says, which may contain addresses, keys or signatures."""

from __future__ import annotations

import re

from mhpdata.address import Address
from mhpdata.errors import NoObjectError, RemoteError

_STATUS = re.compile(r"status code: (\d{3})")
_REASONS = {
    "kind: ConnectionRefused": "the connection was refused",
    "failed to lookup address": "the host was not found",
    "kind: Timeout": "no answer in time",
    "kind: Interrupted": "the connection was closed in the middle of an answer",
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


class Failure:
    """Description of a failed request.

    Args:
        error: Error of the client.

    Attributes:
        missing: Whether the object does not exist.
        passing: Whether the same request may succeed later.
        keyless: Whether no credentials were found; this passes only if there were some before.
        reason: What went wrong, in words of our own.
    """

    def __init__(self, error: BaseException) -> None:
        text, name = str(error), type(error).__name__
        match = _STATUS.search(text)
        status = int(match[1]) if match else 0
        self.missing = isinstance(error, FileNotFoundError) or name == "NotFoundError" or status in (404, 410)
        self._denied = status in _DENIED or name in ("PermissionDeniedError", "UnauthenticatedError")
        self.keyless = not self.missing and any(mark in text for mark in _CREDENTIALS)
        reason = next((words for mark, words in _REASONS.items() if mark in text), "")
        if status:
            reason = f"status {status}"
        self.reason = _NO_KEYS if self.keyless else reason or "the request failed"
        settled = self.missing or self._denied or status in _FINAL or "StartTooLarge" in text
        self._whole_only = "RangeNotSupported" in text
        self.passing = not settled and not self._whole_only and "builder error" not in text

    def error(self, address: Address, tries: int, seconds: float, verb: str = "read") -> RemoteError:
        """Return the error to raise for an object, after a number of tries: it cannot be read, written or listed."""
        if self.missing:
            return NoObjectError(address, "does not exist (status 404)", "", TRY_AGAIN)
        again = f" after {tries} tries in {seconds:.0f} s" if tries > 1 else ""
        remedy = SET_KEYS if self._denied or self.keyless else TRY_AGAIN
        if self._whole_only:
            remedy = "Use a server that does, such as nginx (docs/cluster.md), or copy the folder to a local disk."
        return RemoteError(address, f"cannot be {verb} ({self.reason}{again})", "", remedy)
