"""How much memory a piece of code asks for, for the tests that lie about sizes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(limit: int) -> Iterator[None]:
    """Fails where the code inside ever holds more than ``limit`` bytes that it has allocated, NumPy's included."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= limit, f"{peak} bytes were allocated at once; at most {limit} are right"
