"""Compile kernels with Numba, without the GIL, and keep the machine code on disk.

Numba's own cache keeps an index per function beside numbered data files. It is not safe where several processes compile
different signatures of one function at once (the index may then name another signature's code, which runs and returns
nonsense), it ends the program when a file is cut short or the disk is full, and it does not see a change in a kernel
of another file that was compiled into this one. So kernels have a cache of their own::

    NUMBA_CACHE_DIR, else mhpdata/__pycache__, else the user's cache folder
      └── mhp-kernels
           └── 0123456789abcdef           the sources of all kernels, see _digest
                ├── kernels.emit-89ab….kernel    one signature of one function for one processor, see _Key
                └── ...

    a file:   MAGIC, length of the key, length of the code, SHA-256 of both, key, code

There is no index: a file's name follows from what it holds, it gets that name when it is whole, and what is read is
compared with its key and SHA-256 before it is used. Anything else counts as missing: the kernel is compiled again, and
the file replaced. A cache that cannot be written costs time and never ends a command; one warning per process names the
folder (logger ``mhpdata``).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import struct
import sys
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba
import numpy as np
from numba import config, njit
from numba.core import serialize
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult

from mhpdata.filesystem.regular import read_regular
from mhpdata.wording import printable, why

Function = TypeVar("Function", bound=Callable[..., Any])

MAGIC = b"mhp-kernel-1\n"
FOLDER = "mhp-kernels"
_SUFFIX = ".kernel"
_LENGTHS = struct.Struct("<IQ")
_MOST = 1 << 28
"""Bytes that a kernel's file may have; ours have up to half a megabyte."""
_KEPT = 8
"""Folders of other sources that stay, as of a second checkout or of bounds that are checked."""
_ABANDONED_S = 3600
_KERNELS = re.compile(rb"^\s*(?:from|import) numba\b|@(?:kernel|callee)\b|\bstep\(\d", re.MULTILINE)
"""What a source file with kernels, or with vector steps of kernels, holds."""


def _sources() -> list[Path]:
    """All files of mhpdata and mhpmodels that hold kernels or steps of kernels."""
    here = Path(__file__).parent
    found = [path for package in (here, here.parent / "mhpmodels") for path in package.rglob("*.py")]
    return sorted(path for path in found if _KERNELS.search(path.read_bytes()))


def _digest() -> str:
    """SHA-256 of all sources of kernels, and of how they are compiled: a change in any of these compiles all."""
    digest = hashlib.sha256(repr((config.BOUNDSCHECK, config.OPT)).encode())
    for path in _sources():
        text = path.read_bytes()
        digest.update(b"%d %s" % (len(text), text))
    return digest.hexdigest()


_DIGEST = _digest()


def _folders() -> list[Path]:
    """List the folders of compiled kernels in the order of trying; NUMBA_CACHE_DIR alone if it is set."""
    if config.CACHE_DIR:
        return [Path(config.CACHE_DIR, FOLDER, _DIGEST[:16])]
    folders = [Path(__file__).parent / "__pycache__"]
    with contextlib.suppress(RuntimeError):  # a user without a home
        folders.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"))
    return [folder / FOLDER / _DIGEST[:16] for folder in folders]


class _Writer:
    """Writes files into the first folder that takes them; once none does, says so and writes no more."""

    def __init__(self) -> None:
        self.off = False
        self._tidied: set[Path] = set()

    def write(self, name: str, content: bytes) -> None:
        """Give a file its name once all of it is on the disk; a failure is a warning, one per process."""
        if self.off:
            return
        failed = []
        for folder in _folders():
            try:
                self._write(folder / name, content)
                return
            except OSError as error:
                failed.append(printable(f"{folder} ({why(error)})"))
        self.off = True
        logging.getLogger("mhpdata").warning(
            "Compiled kernels cannot be kept in %s. Every process compiles them again, which takes half a minute or "
            "more. Set NUMBA_CACHE_DIR to a folder that can be written, on a disk with 100 MB free.",
            " or ".join(failed),
        )

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent not in self._tidied:
            self._tidied.add(path.parent)
            _tidy(path.parent)
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
        try:
            with part.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


_WRITER = _Writer()


def _tidy(folder: Path) -> None:
    """Delete what killed processes left in this folder, and all but the latest folders of other sources.

    Only files that are named as ours are deleted, and folders that are empty then. Whoever still uses such a folder
    compiles again, and makes it again.
    """
    with contextlib.suppress(OSError):
        os.utime(folder)
        for part in folder.glob(f"*{_SUFFIX}.*.part"):
            if time.time() - part.stat().st_mtime > _ABANDONED_S:
                part.unlink()
        others = [path for path in folder.parent.iterdir() if re.fullmatch("[0-9a-f]{16}", path.name)]
        others = [path for path in others if path != folder and path.is_dir() and not path.is_symlink()]
        for old in sorted(others, key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            for file in [*old.glob(f"*{_SUFFIX}"), *old.glob(f"*{_SUFFIX}.*.part")]:
                file.unlink()
            with contextlib.suppress(OSError):  # it holds something else
                old.rmdir()


class KernelCache(_Cache):  # type: ignore[misc]
    """The machine code of one function, a file per signature and processor; in the place of Numba's FunctionCache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        assert function.__closure__ is None, "what a kernel closes over is not part of its key"
        code = function.__code__
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._source = hashlib.sha256(Path(code.co_filename).read_bytes()).hexdigest(), code.co_firstlineno
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """Name the folder that Numba's ``stats`` show."""
        return str(_folders()[0])

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function; None where there is none that is whole."""
        target_context.refresh()
        key = self._key(sig, target_context.codegen())
        name = self._file(key)
        for folder in _folders() if self._enabled else ():
            try:
                code = _unpack(read_regular(folder / name, _MOST), key)
                return CompileResult._rebuild(target_context, *serialize.loads(code))
            except Exception:  # missing, unreadable, damaged, or of a library that was changed without a new version
                continue
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a function that was just compiled."""
        if not self._enabled:
            return
        if data.library.has_dynamic_globals or any(not lifted.can_cache for lifted in data.lifted):
            warnings.warn(f"{self._name} cannot be kept: it uses pointers or lifted loops", stacklevel=2)
            return
        key = self._key(sig, data.codegen)
        _WRITER.write(self._file(key), _pack(key, serialize.dumps(data._reduce())))

    def enable(self) -> None:
        """Use the files."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write files."""
        self._enabled = False

    def flush(self) -> None:
        """Numba calls this before it compiles all signatures again, which replaces their files."""

    def _key(self, sig: Any, codegen: Any) -> bytes:
        """All that the machine code depends on: the sources, function, signature, processor and compilers."""
        # Numba implements NumPy's functions by the version of NumPy
        compilers = numba.__version__, llvmlite.__version__, np.__version__, sys.implementation.cache_tag
        return repr((_DIGEST, self._name, self._source, sig, codegen.magic_tuple(), compilers)).encode()

    def _file(self, key: bytes) -> str:
        readable = re.sub(r"[^A-Za-z0-9_.]", "", self._name.removeprefix("mhpdata."))[-80:]
        return f"{readable}-{hashlib.sha256(key).hexdigest()[:32]}{_SUFFIX}"


def _pack(key: bytes, code: bytes) -> bytes:
    digest = hashlib.sha256(key + code).digest()
    return b"".join([MAGIC, _LENGTHS.pack(len(key), len(code)), digest, key, code])


def _unpack(content: bytes, key: bytes) -> bytes:
    """The code in a file; ValueError where the file is not whole, or of another key."""
    begin = len(MAGIC) + _LENGTHS.size + hashlib.sha256().digest_size + len(key)
    code = content[begin:]
    if content != _pack(key, code):
        raise ValueError("not a whole file of this kernel")
    return code


def kernel(function: Function) -> Function:
    """Compile a function over arrays; bounds are checked only where NUMBA_BOUNDSCHECK=1 asks for it."""
    compiled: Function = njit(nogil=True)(function)
    if hasattr(compiled, "_cache"):  # not with NUMBA_DISABLE_JIT
        compiled._cache = KernelCache(function)
    return compiled


def callee(function: Function) -> Function:
    """Compile a function that only kernels call: into each caller, without an entry for Python or a cached file."""
    compiled: Function = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return compiled
