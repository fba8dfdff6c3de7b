"""Limit the memory that a piece of code allocates, for tests with false sizes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(limit: int) -> Iterator[None]:
    """Fail if the code inside ever holds more than ``limit`` allocated bytes, including NumPy's."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= limit, f"{peak} bytes were allocated at once; at most {limit} are right"
