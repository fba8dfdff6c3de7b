"""Read ranges of objects with obstore, which is imported here only, on first use.

Every request checks what it gets: the length, and the size and ETag of the object, so that a range never comes from
another object than the one that was opened. Failures that may pass (5xx, 429, a lost or silent connection, a short
answer) are tried again for ``PATIENCE_S``; before the first success, for ``FIRST_S``, since the address may be wrong.

The client's threads do not exist in a forked child, where a request would wait forever: there, it is an error at once.
obstore finds credentials by itself. They are in its stores, which therefore never leave this module.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from mhpdata.address import Address
from mhpdata.errors import MissingError, RemoteError
from mhpdata.processes.task import Result
from mhpdata.remote.failures import Failure, is_of_client
from mhpdata.remote.variables import s3_endpoint

PATIENCE_S, FIRST_S = 180.0, 10.0
SILENCE_S = 20
"""Seconds without a byte after which an answer is given up."""
_LONGEST_S = 600
_PAUSES_S = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
PACKAGE = "obstore==0.12.1"
"""The client, as in the extra ``remote`` of pyproject.toml."""
FORK = (
    'Start the worker processes with "spawn" (multiprocessing.get_context("spawn"); PyTorch\'s DataLoader: '
    'multiprocessing_context="spawn"), or fork before the first request to this address.'
)


class _State:
    """Clients of this process, and what they have done so far."""

    def __init__(self) -> None:
        self.stores: dict[tuple[str, str], Any] = {}
        self.answered: set[tuple[str, str]] = set()
        self.used = self.forked = False
        self.received = 0
        self.lock = threading.Lock()


_state = _State()


def _after_fork() -> None:
    global _state
    forked = _state.used or _state.forked
    _state = _State()
    _state.forked = forked


os.register_at_fork(after_in_child=_after_fork)


class Version(NamedTuple):
    """Version of an object: its size in bytes, and its ETag, "" if the server sends none."""

    size: int
    tag: str


class OtherVersionError(Exception):
    """An object has another size or ETag than before."""


class ExistsError(Exception):
    """An object exists already, with other bytes than those to be written."""


def look(address: Address, stop: Callable[[], bool] = bool) -> Version:
    """Return the version of an object.

    Args:
        address: Address of the object.
        stop: Returns True once nobody waits for the answer any more.

    Raises:
        RemoteError: The object does not exist, or cannot be read.
        MissingError: obstore is not installed.
    """
    return attempt(address, lambda client, store: version_of(client.head(store, address.key)), stop)


def read_range(
    address: Address, start: int, end: int, version: Version | None = None, stop: Callable[[], bool] = bool
) -> memoryview:
    """Return the bytes of an object from ``start`` to ``end``, exclusive.

    Args:
        address: Address of the object.
        start, end: Range, which must be in the object and not empty.
        version: Version that the object must have; None for any.
        stop: As for ``look``.

    Raises:
        OtherVersionError: The object has another version.
        RemoteError, MissingError: As for ``look``.
    """

    def once(client: Any, store: Any) -> memoryview:
        answer = client.get(store, address.key, options={"range": (start, end)})
        _compare(version_of(answer.meta), version)
        return _whole(answer.bytes(), end - start)

    return attempt(address, once, stop)


def read_object(
    address: Address, most: int, stop: Callable[[], bool] = bool, version: Version | None = None
) -> memoryview:
    """Return all bytes of an object.

    Args:
        address: Address of the object.
        most: Maximum number of its bytes.
        stop: As for ``look``.
        version: Version that the object must have; None for any.

    Raises:
        OtherVersionError: The object has another version.
        RemoteError: It has more than ``most`` bytes, or as for ``look``.
        MissingError: As for ``look``.
    """

    def once(client: Any, store: Any) -> memoryview:
        answer = client.get(store, address.key)
        _compare(version_of(answer.meta), version)
        size = int(answer.meta["size"])
        if size > most:
            raise RemoteError(address, f"has {size} bytes", f"at most {most}", "Check the address.")
        return _whole(answer.bytes(), size)

    return attempt(address, once, stop)


def received_bytes() -> int:
    """Return the number of bytes of objects that this process has received so far."""
    return _state.received


def attempt(
    address: Address, once: Callable[[Any, Any], Result], stop: Callable[[], bool] = bool, verb: str = "read"
) -> Result:
    """Return the result of a request, which is tried again while its failure may pass.

    Args:
        address: Address of the object, or of the prefix.
        once: Makes the request, given obstore and its store; called again after a failure.
        stop: As for ``look``.
        verb: Participle for errors, which say "cannot be read".

    Raises:
        OtherVersionError, ExistsError: From ``once``.
        RemoteError, MissingError: As for ``look``.
    """
    place = address.scheme, address.store
    begun, tries = time.monotonic(), 0
    while True:
        client, store = _client(address)
        try:
            result = once(client, store)
        except (OtherVersionError, ExistsError, RemoteError):
            raise
        except BaseException as error:
            if not is_of_client(error):
                raise
            failure = Failure(error)
        else:
            _state.answered.add(place)
            return result
        tries += 1
        seconds = time.monotonic() - begun
        known = place in _state.answered
        settled = not failure.passing or (failure.keyless and not known)
        left = (PATIENCE_S if known else FIRST_S) - seconds
        if settled or left <= 0 or stop():
            raise failure.error(address, tries, seconds, verb) from None  # the client's text may hold a signature
        time.sleep(min(_PAUSES_S[min(tries, len(_PAUSES_S)) - 1], left))


class _ShortError(Exception):
    """An answer is shorter than its range; the text is one that Failure knows."""


def _whole(data: Any, length: int) -> memoryview:
    view = memoryview(data)
    with _state.lock:
        _state.received += len(view)
    if len(view) != length:
        raise _ShortError("kind: Interrupted")
    return view


def version_of(meta: Any) -> Version:
    """Return the version in the client's description of an object."""
    return Version(int(meta["size"]), str(meta["e_tag"] or ""))


def _compare(now: Version, before: Version | None) -> None:
    if before is not None and (now.size != before.size or (now.tag and before.tag and now.tag != before.tag)):
        raise OtherVersionError


def _client(address: Address) -> tuple[Any, Any]:
    """Return obstore, and its store for an address; open the store on first use. Raises RemoteError in a fork."""
    if _state.forked:
        found = "cannot be read in this process, which was forked after its parent had made requests"
        raise RemoteError(f"{address.scheme}://{address.store}", found, "", FORK)
    try:
        client = importlib.import_module("obstore")
    except ImportError as error:
        remedy = f'Run: pip install "{PACKAGE}" (mhp\'s extra "remote").'
        raise MissingError("obstore", f"not installed, but {address} needs it", "", remedy) from error
    with _state.lock:
        _state.used = True
        place = address.scheme, address.store
        if place not in _state.stores:
            endpoint = s3_endpoint() if address.scheme == "s3" else None
            try:
                _state.stores[place] = _open(*place, endpoint)
            except BaseException as error:
                if not is_of_client(error):
                    raise
                raise Failure(error, opening=True).error(address, 1, 0) from None
        return client, _state.stores[place]


def _open(scheme: str, place: str, endpoint: str | None) -> Any:
    stores = importlib.import_module("obstore.store")
    plain = scheme == "http" or (endpoint is not None and endpoint.lower().startswith("http://"))
    options = {
        "timeout": f"{_LONGEST_S}s",
        "read_timeout": f"{SILENCE_S}s",
        "connect_timeout": "5s",
        "allow_http": plain,
    }
    more: dict[str, Any] = {"client_options": options, "retry_config": {"max_retries": 1}}
    if scheme in ("http", "https"):
        return stores.HTTPStore(f"{scheme}://{place}", **more)
    if endpoint is not None:
        more["endpoint"] = endpoint
    return stores.S3Store(place, **more) if scheme == "s3" else stores.GCSStore(place, **more)
