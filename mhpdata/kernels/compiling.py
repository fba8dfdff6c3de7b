"""Compile each kernel once per machine: one process at a time, told, in two processes where two cores are there.

::

    a kernel without a file ─> its process takes the lock in the cache folder ─> compiles, keeps the file, lets go
                               the others wait for the lock ─────────────────> load what was kept

The lock is a POSIX record lock: it is released when its owner dies, and the next process takes over. Where the folder
cannot be written or has no locks, each process compiles for itself. :func:`prepare` compiles what a caller knows that
it needs, the last task in a helper process: threads would not do, since Numba compiles one function at a time per
process.

The first compilation of a process is told to the logger ``mhpdata`` at level INFO: commands print it on stderr, a
library user sees it where logging is on. :func:`seconds` is what clocks of throughput leave out. While a kernel is
compiled the garbage collector is off, which looks through millions of living objects again and again (a tenth of the
time).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import importlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mhpdata.kernels import files
from mhpdata.wording import printable

Task = Callable[[], object]
"""A function of a module that calls some kernels on little data, with the types that they are always called with."""

_PATIENCE_S = 900
"""So long another process may compile before this one no longer waits for it."""
_POLL_S = 0.05
_log = logging.getLogger("mhpdata")


class _State:
    """What this process compiles now; Numba's compiler lock lets in one thread at a time."""

    def __init__(self) -> None:
        self.helping = False  # this process compiles for another one, which holds the lock
        self.seconds = 0.0
        self.depth = 0
        self.lock: int | None = None
        self.folder: Path | None = None
        self.told = self.told_waiting = False
        self.preparing = False
        self.compiled = False  # something, since prepare began
        self.about = 0
        self.beside: Task | None = None
        self.helper: subprocess.Popen[bytes] | None = None


_state = _State()


def seconds() -> float:
    """Return how long this process has compiled kernels, or waited for another process that did: wall-clock seconds."""
    return _state.seconds


def expect(about: int) -> None:
    """Set the seconds that the line of the first compilation names; of several callers the longest counts."""
    _state.about = max(_state.about, about)


@contextlib.contextmanager
def turn(places: list[Path]) -> Iterator[None]:
    """Hold the lock of the first of the folders that can be written; it may be entered again inside.

    Another process may have compiled the kernel before the lock was free: look for its file first.
    """
    state = _state
    if state.depth:
        state.depth += 1
        try:
            yield
        finally:
            state.depth -= 1
        return
    begun, collecting = time.perf_counter(), gc.isenabled()
    try:
        state.depth = 1
        if state.lock is None and not state.helping:
            _lock(places)
        gc.disable()
        yield
    finally:
        state.depth = 0
        if collecting:
            gc.enable()
        if not state.preparing:
            _unlock()
            state.seconds += time.perf_counter() - begun


def begin() -> None:
    """Say that a kernel is about to be compiled, once per process, and start the helper that :func:`prepare` wants."""
    state = _state
    state.compiled = True
    if state.helping:
        return
    if not state.told:
        state.told = True
        kept = f"; later runs take them from {state.folder}" if state.folder is not None else ""
        _log.info("%s", printable(f"Compiling kernels for this machine, {_about()}{kept}."))
    if state.beside is not None and state.helper is None and state.lock is not None:
        with contextlib.suppress(OSError):  # no more processes: then this one compiles all
            state.helper = _start(state.beside)
    state.beside = None


def prepare(tasks: Sequence[Task], about: int, cores: int) -> None:
    """Compile the kernels of some tasks, or take them from the disk.

    Where anything is missing, and two cores are there, a helper process compiles those of the last task meanwhile.

    Args:
        tasks: functions on the top level of modules that can be imported.
        about: seconds that all of them take on two cores, as the line says it.
        cores: that this process may run on.
    """
    state = _state
    begun = time.perf_counter()
    state.preparing, state.compiled = True, False
    expect(about)
    try:
        for number, task in enumerate(tasks, 1):
            last = number == len(tasks)
            state.beside = None if last or cores < 2 else tasks[-1]
            if last and state.helper is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    state.helper.wait(_PATIENCE_S)
            task()
    finally:
        state.beside, state.preparing = None, False
        helper, state.helper = state.helper, None
        if helper is not None:
            helper.kill()
            helper.wait()
        if state.compiled or state.lock is not None:
            state.seconds += time.perf_counter() - begun
        _unlock()


def help_out(module: str, task: str) -> None:
    """Run a task for the process that started this one and holds the lock."""
    _state.helping = True
    getattr(importlib.import_module(module), task)()


def _start(task: Task) -> subprocess.Popen[bytes]:
    """Start this Python with the same modules; what goes wrong in it costs time only."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from mhpdata.kernels.compiling import help_out; "
    code += f"help_out({task.__module__!r}, {task.__name__!r})"
    null = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-c", code], stdin=null, stdout=null, stderr=null)


def _lock(places: list[Path]) -> None:
    """Wait until no other process compiles."""
    state, opened = _state, files.open_lock(places)
    if opened is None:
        return
    state.folder, descriptor = opened
    end = time.monotonic() + _PATIENCE_S
    try:
        while not _try(descriptor):
            if time.monotonic() > end:
                raise TimeoutError
            if not state.told_waiting:
                state.told_waiting = True
                text = "Waiting for another process, which is compiling kernels for this machine"
                _log.info("%s", printable(f"{text}, {_about()}, into {state.folder}."))
            time.sleep(_POLL_S)
    except OSError:  # a file system without locks, or an owner that does not move on
        os.close(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    else:
        state.lock = descriptor


def _about() -> str:
    return f"about {_state.about} s" if _state.about else "some seconds"


def _try(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True


def _unlock() -> None:
    descriptor, _state.lock = _state.lock, None
    if descriptor is not None:
        os.close(descriptor)
