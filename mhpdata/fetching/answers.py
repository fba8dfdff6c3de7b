"""Read the header of a web server's answer, and keep notes of it, from which a download is resumed.

The server is not trusted: every number is checked, and a header that mhp does not understand counts as missing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mhpdata.fields import count_at, parse_json
from mhpdata.filesystem.atomic import write_atomically
from mhpdata.filesystem.ours import head

_RANGE = re.compile(r"bytes +([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]{0,200}"')
_DATE = re.compile(r"[A-Za-z0-9 :,+-]{1,60}", re.ASCII)
_MOST = 1 << 12


class Version(NamedTuple):
    """One state of a file on a server.

    Attributes:
        address: SHA-256 of its URL (hex): a URL may contain a signature, which is not written to disk.
        size: Its bytes; None if the server does not say.
        tag: Its strong ETag with quotes; "" if there is none. A weak one does not promise equal bytes.
        modified: Its Last-Modified; "" if there is none.
    """

    address: str
    size: int | None
    tag: str
    modified: str

    @property
    def condition(self) -> str:
        """Value of If-Range: the rest is asked for on the condition that the file is still this one; "" for none."""
        return self.tag or self.modified

    def is_other(self, now: Version) -> bool:
        """Return whether the header of a later answer speaks of another file."""
        pairs = ((self.size, now.size), (self.tag, now.tag), (self.modified, now.modified))
        return any(before and after and before != after for before, after in pairs)


class Part(NamedTuple):
    """The bytes that an answer holds: from ``start``, ``length`` bytes; None up to its end."""

    start: int
    length: int | None


def address_of(url: str) -> str:
    """Return the SHA-256 of a URL as hexadecimal digits."""
    return hashlib.sha256(url.encode()).hexdigest()


def read_answer(url: str, status: int, header: Mapping[str, str]) -> tuple[Version, Part] | None:
    """Return the file of which an answer speaks, and the bytes that it holds.

    Args:
        url: The URL that was asked for.
        status: 200 or 206.
        header: Its fields.

    Returns:
        None if a partial answer does not say which part it is, or contradicts itself.
    """
    length = header.get("Content-Length") or ""
    count = int(length) if _LENGTH.fullmatch(length) and not header.get("Transfer-Encoding") else None
    tag, modified = header.get("ETag") or "", header.get("Last-Modified") or ""
    tag = tag if _TAG.fullmatch(tag) else ""
    modified = modified if _DATE.fullmatch(modified) else ""
    if status == 200:
        return Version(address_of(url), count, tag, modified), Part(0, count)
    match = _RANGE.fullmatch((header.get("Content-Range") or "").strip())
    if match is None:
        return None
    start, last = int(match[1]), int(match[2])
    size = None if match[3] == "*" else int(match[3])
    if last < start or (size is not None and last != size - 1) or count not in (None, last + 1 - start):
        return None
    return Version(address_of(url), size, tag, modified), Part(start, last + 1 - start)


def write_notes(path: Path, version: Version) -> None:
    """Save the state of the file to which the bytes on disk belong. Raises OSError."""
    write_atomically(path, json.dumps(version._asdict()) + "\n", sync=False)


def read_notes(path: Path) -> Version | None:
    """Return the saved state; None if there is none, or if it is damaged."""
    data = head(path, _MOST)
    try:
        fields = parse_json((data or b"").decode())
        size = None if fields["size"] is None else count_at(fields["size"], "size")
        texts = {name: fields[name] for name in ("address", "tag", "modified")}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not all(isinstance(text, str) for text in texts.values()):
        return None
    sound = (not texts["tag"] or _TAG.fullmatch(texts["tag"])) and (
        not texts["modified"] or _DATE.fullmatch(texts["modified"])
    )
    return Version(size=size, **texts) if sound else None
