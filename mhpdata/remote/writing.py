"""Write objects: each appears whole under its name, or not at all; the server compares what it gets with its SHA-256.

A large file is uploaded in pieces (multipart), which become an object only when all are there. The pieces of a killed
upload stay invisible; a lifecycle rule of the bucket removes them.

A write is tried again like a read. After a lost answer, the object may be there already; with ``create``, equal bytes
are therefore no error.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mhpdata.address import Address
from mhpdata.errors import NoObjectError
from mhpdata.remote.store import ExistsError, Version, attempt, look, read_object

PIECE = 1 << 23
"""Bytes of a piece; a larger file is uploaded in pieces."""
_MOST_PIECES = 9000
"""Maximum number of pieces; S3 allows 10,000."""
_AT_ONCE = 4
"""Number of pieces that are uploaded at once, each of them in memory."""


def put(address: Address, data: bytes | memoryview, create: bool = False, stop: Callable[[], bool] = bool) -> Version:
    """Write an object in one request.

    Args:
        address: Address of the object, in object storage.
        data: Its bytes, which should be few enough for a request (``put_file`` takes any number).
        create: Whether an existing object with other bytes is an error; otherwise it is replaced.
        stop: Returns True once nobody waits for the answer any more.

    Returns:
        The version that was written.

    Raises:
        ExistsError: With ``create``: there is an object with other bytes.
        RemoteError: The object cannot be written.
        MissingError: obstore is not installed.
    """

    def once(client: Any, store: Any) -> Version:
        mode = "create" if create else "overwrite"
        try:
            result = client.put(store, address.key, data, mode=mode, use_multipart=False)
        except Exception as error:
            if create and type(error).__name__ == "AlreadyExistsError":
                raise ExistsError from None
            raise
        return Version(len(data), str(result["e_tag"] or ""))

    try:
        return attempt(address, once, stop, "written")
    except ExistsError:
        version = look(address, stop)
        if version.size != len(data) or read_object(address, version.size, stop) != data:
            raise
        return version


def put_file(address: Address, path: Path, stop: Callable[[], bool] = bool) -> Version:
    """Write a file of any size as an object; an existing object is replaced.

    Args:
        address: Address of the object, in object storage.
        path: The file, which nobody else writes to.
        stop: As for ``put``.

    Returns:
        The version that was written.

    Raises:
        RemoteError, MissingError: As for ``put``.
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    piece = max(PIECE, -(-size // _MOST_PIECES))

    def once(client: Any, store: Any) -> Version:
        with path.open("rb") as file:
            result = client.put(store, address.key, file, mode="overwrite", chunk_size=piece, max_concurrency=_AT_ONCE)
        return Version(size, str(result["e_tag"] or ""))

    return attempt(address, once, stop, "written")


def delete(address: Address, stop: Callable[[], bool] = bool) -> None:
    """Delete an object, if it exists. Raises RemoteError, MissingError."""

    def once(client: Any, store: Any) -> None:
        client.delete(store, [address.key])

    try:
        attempt(address, once, stop, "deleted")
    except NoObjectError:
        return


def look_if_there(address: Address, stop: Callable[[], bool] = bool) -> Version | None:
    """Return the version of an object; None if it does not exist. Raises RemoteError, MissingError."""
    try:
        return look(address, stop)
    except NoObjectError:
        return None
