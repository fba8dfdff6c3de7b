"""Addresses of packed folders in object storage and on web servers, as an argument may have them in place of a path.

::

    s3://bucket/prefix      gs://bucket/prefix      http://host[:port]/prefix      https://host[:port]/prefix

An address has no credentials: user names, passwords, queries (signatures) and fragments are rejected, and an error does
not repeat them. Text that begins with another scheme is an error, too; as a path, it would become a folder ``s3:``.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

from mhpdata.errors import OptionError

OBJECT_STORES = ("s3", "gs")
"""Schemes of addresses whose objects can be listed and written."""
SCHEMES = (*OBJECT_STORES, "http", "https")
"""Schemes that mhp reads packed folders from."""
_SCHEME = r"([A-Za-z][A-Za-z0-9+.-]*):/"
_BUCKET = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?"
"""Patterns, which are compiled on first use: every command imports this module."""
_PORTS = range(1, 65536)
_FORM = "s3://bucket/prefix, gs://bucket/prefix or https://host/prefix"


class Address:
    """Address of an object, or of the prefix that objects have in common.

    It has the operations of a path that readers of packed folders use. ``str`` gives the address as text.

    Attributes:
        scheme: A scheme of SCHEMES.
        store: Name of the bucket, or of the host with its port.
        key: Name of the object or prefix, without a slash at either end; not percent-encoded.
    """

    scheme: str
    store: str
    key: str

    __slots__ = ("key", "scheme", "store")

    def __init__(self, scheme: str, store: str, key: str) -> None:
        self.scheme, self.store, self.key = scheme, store, key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.store}" + (f"/{self.key}" if self.key else "")

    def __truediv__(self, name: str) -> Address:
        """Return the address of an object directly below this prefix."""
        assert name not in ("", ".", "..") and "/" not in name, "names of a manifest are checked when it is parsed"
        return Address(self.scheme, self.store, f"{self.key}/{name}" if self.key else name)

    def with_suffix(self, suffix: str) -> Address:
        """Return the address with another suffix, ".rec", in place of that of its last part."""
        stem, dot, _ = self.key.rpartition(".")
        kept = stem if dot and "/" not in self.key[len(stem) :] else self.key
        return Address(self.scheme, self.store, kept + suffix)

    @property
    def name(self) -> str:
        """The last part of the key, or of the store if there is no key."""
        return (self.key or self.store).rpartition("/")[2]


def parse_address(name: str, value: str | os.PathLike[str] | Address) -> Address | None:
    """Return the address that an argument holds; None for a path.

    Args:
        name: Name of the argument, for errors.
        value: Value of the argument.

    Raises:
        OptionError: The address has credentials or an unsupported form or scheme.
    """
    if isinstance(value, Address):
        return value
    text = os.fspath(value)
    match = re.match(_SCHEME, text) if isinstance(text, str) else None
    if match is None:
        return None
    scheme, rest = match[1].lower(), text[match.end() :]
    if len(scheme) == 1 or (scheme not in SCHEMES and not rest.startswith("/")):
        return None  # a folder whose name ends with a colon
    if scheme not in SCHEMES:
        found, remedy = f"an address of the unsupported scheme {scheme}://", "Copy the data to a supported place."
        raise OptionError(name, found, f"a path, {_FORM}", remedy)
    if not rest.startswith("/"):
        found = f"{scheme}:/, in which one slash is missing"
        remedy = (
            f'Pass the address as text, not as a pathlib.Path. For a local folder of this name, pass "./{scheme}:".'
        )
        raise OptionError(name, found, _FORM, remedy)
    place, _, key = rest[1:].partition("/")
    _refuse_secrets(name, scheme, rest)
    web = scheme.startswith("http")
    named = re.fullmatch(_HOST if web else _BUCKET, place)
    if named is None or (web and int(named[1] or 1) not in _PORTS):
        what = "host" if web else "bucket"
        raise OptionError(
            name, f"an address with an invalid name of a {what}", _FORM, f"Correct the name of the {what}."
        )
    key = (unquote(key) if web else key).strip("/")
    if any(part in ("", ".", "..") for part in key.split("/")) and key:
        found = "an address with an empty part, . or .. in its prefix"
        raise OptionError(name, found, _FORM, "Pass the address without it.")
    return Address(scheme, place, key)


def _refuse_secrets(name: str, scheme: str, rest: str) -> None:
    """Raise OptionError, which does not repeat them, for credentials in an address."""
    secret = "a user name or password" if "@" in rest[1:].partition("/")[0] else ""
    if not secret and "?" in rest:
        secret = "a query, which may hold a signature"
    if not secret and scheme.startswith("http") and "#" in rest:
        secret = "a fragment"
    if secret:
        remedy = "Pass the address without it, and set credentials as docs/cluster.md describes."
        raise OptionError(name, f"an address with {secret}", _FORM, remedy)
