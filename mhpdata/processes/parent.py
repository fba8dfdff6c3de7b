"""End a process with the process that started it, even if that was killed and could not say so."""

from __future__ import annotations

import os
import threading
from multiprocessing import parent_process
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """End this process, one of ``multiprocessing``, as soon as its parent has ended, whatever ended it."""
    threading.Thread(target=_wait, daemon=True, name="end-with-parent").start()


def _wait() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
