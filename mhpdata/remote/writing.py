"""Write objects: each appears whole under its name, or not at all; the server compares what it gets with its SHA-256.

A large file is uploaded in pieces (multipart), which become an object only when all are there. The pieces of a killed
upload stay invisible; a lifecycle rule of the bucket removes them.

A write is tried again like a read. After a lost answer, the object may be there already; with ``create``, equal bytes
are therefore no error.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from mhpdata.address import Address
from mhpdata.errors import NoObjectError, OutputError
from mhpdata.filesystem.descriptors import open_file
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


def put_file(address: Address, source: Path | IO[bytes], stop: Callable[[], bool] = bool) -> Version:
    """Write a file of any size as an object; an existing object is replaced.

    Args:
        address: Address of the object, in object storage.
        source: The file, which nobody else writes to: its path, or itself, open for reading.
        stop: As for ``put``.

    Returns:
        The version that was written.

    Raises:
        RemoteError, MissingError: As for ``put``.
        OSError: The file cannot be read.
    """
    if isinstance(source, Path):
        with open_file(source, "rb") as file:
            return put_file(address, file, stop)
    size = os.fstat(source.fileno()).st_size
    piece = max(PIECE, -(-size // _MOST_PIECES))

    def once(client: Any, store: Any) -> Version:
        source.seek(0)
        result = client.put(store, address.key, source, mode="overwrite", chunk_size=piece, max_concurrency=_AT_ONCE)
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


def read_if_there(address: Address, most: int, stop: Callable[[], bool] = bool) -> bytes | None:
    """Return the bytes of an object, at most ``most``; None if it does not exist. Raises RemoteError, MissingError."""
    try:
        return bytes(read_object(address, most, stop))
    except NoObjectError:
        return None


def look_if_there(address: Address, stop: Callable[[], bool] = bool) -> Version | None:
    """Return the version of an object; None if it does not exist. Raises RemoteError, MissingError."""
    try:
        return look(address, stop)
    except NoObjectError:
        return None


def in_the_way(address: Address) -> OutputError:
    """Return the error for an object that mhp would write, but did not write."""
    found = "was not written by mhp, so mhp does not replace it"
    remedy = f"Move {address} elsewhere, or pass another --out; then run the same command again."
    return OutputError(address, found, "", remedy)
