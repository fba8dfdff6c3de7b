"""Reword the errors of a dataset of one's own: there is no archive to extract, and no release to compare it with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mhpdata.errors import SourceError
from mhpdata.source.entry import Entry


@contextmanager
def own_words(entry: Entry) -> Iterator[None]:
    """Reword the errors of an entry of a dataset of one's own; leave those of others alone."""
    try:
        yield
    except SourceError as error:
        if entry.own is None:
            raise
        raise error.of_own() from error.__cause__
