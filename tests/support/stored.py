"""Serve packed folders, and make requests single or hasty, for the tests of object storage."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from range_server import RangeServer, serving

from mhpdata.remote import merging, store

NEEDS_OBSTORE = pytest.mark.skipif(sys.version_info < (3, 11), reason="obstore needs Python 3.11")


@contextmanager
def served(folder: Path, **options: Any) -> Iterator[tuple[RangeServer, str]]:
    """Yield a server of the folder that holds a packed folder, and the packed folder's address."""
    with serving(folder.parent, **options) as server:
        yield server, f"{server.url}/{folder.name}"


def ask_singly(monkeypatch: Any) -> None:
    """Let each record be a request of its own: those of a small set would all be merged into one."""
    monkeypatch.setattr(merging, "MOST", 1)


def hurry(monkeypatch: Any, seconds: float = 0.5) -> None:
    """Give up silent answers, and failing addresses, after a moment, in stores that are opened from now on."""
    monkeypatch.setattr(store, "SILENCE_S", 1)
    monkeypatch.setattr(store, "FIRST_S", seconds)
    monkeypatch.setattr(store, "PATIENCE_S", 10 * seconds)
    monkeypatch.setattr(store, "_state", store._State())
