"""End the process; without finalisation if its process group is broken, because finalisation may then abort it.

After a rank is lost, torch's gloo threads still free the tensors of the failed operation, which requires the GIL. If
Python is finalising by then, it ends such a thread inside a C++ destructor, which calls std::terminate: the process has
reported its error, but ends with SIGABRT (-6) instead of its status. Measured with torch 2.13.0 and Python 3.11, with
gloo's threads waiting for the GIL as on a busy machine (tests/support/torch_ranks.py): 6 of 12 processes that lost
their peer were aborted with sys.exit, and 0 of 112 with ``leave``.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

OUTSIDE = 3
"""Exit status for a reason outside the data, such as a lost machine."""
_log = logging.getLogger(__name__)  # without a handler, Python prints errors on stderr
_broken = False


def mark_broken() -> None:
    """Record that another process of the group was lost; library threads may now be in any state."""
    global _broken
    _broken = True


@contextmanager
def limited(seconds: float, text: str) -> Iterator[None]:
    """End the process with a message if the block takes longer: for calls of a library that have no limit of their own.

    Args:
        seconds: the limit.
        text: what is wrong and what to do, for stderr.
    """
    timer = threading.Timer(seconds, _end, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(text: str) -> NoReturn:
    _log.error("EngineError: %s", text)
    os._exit(OUTSIDE)  # the main thread is inside a call that may never return


def leave(status: int) -> NoReturn:
    """End the process with a status, 0..255.

    If the group is broken, atexit functions run (they close files and pools, and end logging) and the standard streams
    are flushed, but the interpreter is not finalised, so no library destructor runs.

    Raises:
        SystemExit: with the status, unless a group is broken.
    """
    if not _broken:
        sys.exit(status)
    atexit._run_exitfuncs()  # Python has no public name for it
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
