"""List one level of a prefix: what is a folder on a disk. Only the source of a pack is ever listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mhpdata.address import Address
from mhpdata.errors import RemoteError
from mhpdata.remote.store import Version, attempt, version_of


class Level(NamedTuple):
    """Objects directly below a prefix, and the prefixes of others; no name has a slash or is "", "." or "..".

    Attributes:
        objects: Version of each object, by its name below the prefix.
        folders: Names of the prefixes that other objects have in common.
    """

    objects: dict[str, Version]
    folders: frozenset[str]


def list_level(address: Address, stop: Callable[[], bool] = bool) -> Level:
    """Return what is directly below a prefix; empty if no object has the prefix.

    The empty objects that some tools make for a folder, whose names end with a slash, are left out.

    Raises:
        RemoteError: It cannot be listed.
        MissingError: obstore is not installed.
    """
    start = f"{address.key}/" if address.key else ""

    def once(client: Any, store: Any) -> Level:
        try:
            found = client.list_with_delimiter(store, address.key or None)
        except Exception as error:
            if "Error parsing Path" in str(error) or type(error).__name__ == "InvalidPathError":
                found = "cannot be listed: the name of an object below has an empty part, . or .., or is not text"
                raise RemoteError(address, found, "", "Move this object elsewhere.") from None
            raise
        objects = {str(one["path"]): version_of(one) for one in found["objects"]}
        return Level(
            {path[len(start) :]: version for path, version in objects.items() if _is_below(path, start)},
            frozenset(path[len(start) :] for path in map(str, found["common_prefixes"]) if _is_below(path, start)),
        )

    return attempt(address, once, stop, "listed")


def _is_below(path: str, start: str) -> bool:
    name = path[len(start) :]
    return path.startswith(start) and "/" not in name and name not in ("", ".", "..")
