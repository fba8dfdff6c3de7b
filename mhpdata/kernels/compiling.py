"""Compile each kernel once per machine, in one process at a time plus a helper process if two cores are free.

::

    a kernel without a file ─> its process takes the lock in the cache folder ─> compiles, writes the file, unlocks
                               the others wait for the lock ─────────────────> load that file

The lock is a POSIX record lock: the system releases it when its owner dies, and the next process takes over. If the
folder cannot be written or does not support locks, each process compiles for itself. :func:`prepare` compiles the
kernels that a caller will need, those of the last task in a helper process; threads would not help, since Numba
compiles one function at a time per process.

The first compilation of a process is logged to ``mhpdata`` at level INFO: commands print it on stderr, library users
see it if they have enabled logging. Throughput measurements subtract :func:`seconds`. The garbage collector is disabled
while a kernel is compiled: it would traverse millions of live objects repeatedly (a tenth of the time).
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
"""A module-level function that calls some kernels on little data, with the argument types that they always get."""

_PATIENCE_S = 900
"""Seconds to wait for another process that is compiling before compiling here."""
_POLL_S = 0.05
_log = logging.getLogger("mhpdata")


class _State:
    """Compilation state of this process; Numba's compiler lock admits one thread at a time."""

    def __init__(self) -> None:
        self.helping = False  # this process compiles for another one, which holds the lock
        self.seconds = 0.0
        self.depth = 0
        self.lock: int | None = None
        self.folder: Path | None = None
        self.told = self.told_waiting = False
        self.preparing = False
        self.compiled = False  # whether anything was compiled since prepare began
        self.about = 0
        self.beside: Task | None = None
        self.helper: subprocess.Popen[bytes] | None = None


_state = _State()


def seconds() -> float:
    """Return the wall-clock seconds that this process has compiled kernels or waited for another one to do so."""
    return _state.seconds


def expect(about: int) -> None:
    """Set the seconds that the message of the first compilation announces; the largest of several values counts."""
    _state.about = max(_state.about, about)


@contextlib.contextmanager
def turn(folders: list[Path]) -> Iterator[None]:
    """Hold the lock of the first writable folder; the context may be nested.

    Look for the kernel's file first: another process may have compiled it while this one waited for the lock.
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
            _lock(folders)
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
    """Log, once per process, that a kernel is about to be compiled; start the helper that :func:`prepare` requested."""
    state = _state
    state.compiled = True
    if state.helping:
        return
    if not state.told:
        state.told = True
        kept = f"; later runs load them from {state.folder}" if state.folder is not None else ""
        _log.info("%s", printable(f"Compiling kernels for this machine, {_about()}{kept}."))
    if state.beside is not None and state.helper is None and state.lock is not None:
        with contextlib.suppress(OSError):  # the process limit is reached: this process compiles all
            state.helper = _start(state.beside)
    state.beside = None


def prepare(tasks: Sequence[Task], about: int, cores: int) -> None:
    """Compile the kernels of some tasks, or load them from disk.

    If any is missing and two cores are usable, a helper process compiles the kernels of the last task at the same time.

    Args:
        tasks: Top-level functions of importable modules.
        about: Seconds that all of them take to compile on two cores, for the log message.
        cores: Number of cores that this process may use.
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
    """Start this Python with the same module path; a failure in it only costs time."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from mhpdata.kernels.compiling import help_out; "
    code += f"help_out({task.__module__!r}, {task.__name__!r})"
    null = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-c", code], stdin=null, stdout=null, stderr=null)


def _lock(folders: list[Path]) -> None:
    """Wait until no other process is compiling, then take the lock."""
    state, opened = _state, files.open_lock(folders)
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
    except OSError:  # a file system without locks, or an owner that makes no progress
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
