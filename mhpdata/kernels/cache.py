"""Keep the machine code of kernels on disk, and take it only where it is exactly what would be compiled now.

Numba's own cache keeps an index per function beside numbered data files. It is not safe where several processes compile
different signatures of one function at once (the index may then name another signature's code, which runs and returns
nonsense), it ends the program when a file is cut short or the disk is full, and it does not see a change in a kernel
of another file that was compiled into this one. So kernels have a cache of their own (:mod:`mhpdata.kernels.files` has
its folders). There is no index: a file's name follows from what it holds, it gets that name when it is whole, and what
is read is compared with its key and SHA-256 before it is used::

    a file:   MAGIC, length of the key, length of the code, SHA-256 of both, key, code

Anything else counts as missing: the kernel is compiled again, and the file replaced.
"""

from __future__ import annotations

import hashlib
import re
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import config, types
from numba.core import serialize
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult

from mhpdata.filesystem.regular import read_regular
from mhpdata.kernels import files

MAGIC = b"mhp-kernel-1\n"
_LENGTHS = struct.Struct("<IQ")
_MOST = 1 << 28
"""Bytes that a kernel's file may have; ours have up to half a megabyte."""
_KERNELS = re.compile(rb"^\s*(?:from|import) numba\b|@(?:kernel|callee|inlined)\b|\bstep\(\d", re.MULTILINE)
"""What a source file with kernels, or with vector steps of kernels, holds; this file and jit.py among them."""

Signature = tuple[types.Type, ...]


def sources() -> list[Path]:
    """All files of mhpdata and mhpmodels that hold kernels, steps of kernels, or how these are compiled."""
    here = Path(__file__).parents[1]
    found = [path for package in (here, here.parent / "mhpmodels") for path in package.rglob("*.py")]
    return sorted(path for path in found if _KERNELS.search(path.read_bytes()))


def _digest() -> str:
    """SHA-256 of all sources of kernels, and of how they are compiled: a change in any of these compiles all."""
    digest = hashlib.sha256(repr((config.BOUNDSCHECK, config.OPT)).encode())
    for path in sources():
        text = path.read_bytes()
        digest.update(b"%d %s" % (len(text), text))
    return digest.hexdigest()


_DIGEST = _digest()
WRITER = files.Writer()


def folders() -> list[Path]:
    """List the folders of these kernels in the order of trying."""
    return files.folders(_DIGEST)


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
        return str(folders()[0])

    def load_overload(self, sig: Signature, target_context: Any) -> Any:
        """Return the compiled function; None where there is none that is whole."""
        target_context.refresh()
        key = self._key(sig, target_context.codegen())
        name = self._file(key)
        for folder in folders() if self._enabled else ():
            try:
                code = _unpack(read_regular(folder / name, _MOST), key)
                return CompileResult._rebuild(target_context, *serialize.loads(code))
            except Exception:  # missing, unreadable, damaged, or of a library that was changed without a new version
                continue
        return None

    def save_overload(self, sig: Signature, data: Any) -> None:
        """Do nothing when Numba asks: what was compiled is kept already, see :meth:`keep`."""

    def keep(self, sig: Signature, data: Any) -> None:
        """Keep a function that was just compiled."""
        if not self._enabled:
            return
        if data.library.has_dynamic_globals or any(not lifted.can_cache for lifted in data.lifted):
            warnings.warn(f"{self._name} cannot be kept: it uses pointers or lifted loops", stacklevel=2)
            return
        key = self._key(sig, data.codegen)
        WRITER.write(folders(), self._file(key), _pack(key, serialize.dumps(data._reduce())))

    def enable(self) -> None:
        """Use the files."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write files."""
        self._enabled = False

    def flush(self) -> None:
        """Numba calls this before it compiles all signatures again, which replaces their files."""

    def _key(self, sig: Signature, codegen: Any) -> bytes:
        """All that the machine code depends on: the sources, function, signature, processor and compilers."""
        # Numba implements NumPy's functions by the version of NumPy
        compilers = numba.__version__, llvmlite.__version__, np.__version__, sys.implementation.cache_tag
        bundles = sorted(set(_bundles(sig)))
        return repr((_DIGEST, self._name, self._source, sig, bundles, codegen.magic_tuple(), compilers)).encode()

    def _file(self, key: bytes) -> str:
        readable = re.sub(r"[^A-Za-z0-9_.]", "", self._name.removeprefix("mhpdata."))[-80:]
        return f"{readable}-{hashlib.sha256(key).hexdigest()[:32]}{files.SUFFIX}"


def _bundles(kinds: Signature) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Module, name and fields of each NamedTuple among the arguments: a type shows its name and its fields' types."""
    for kind in kinds:
        if isinstance(kind, types.BaseNamedTuple):
            yield kind.instance_class.__module__, kind.instance_class.__qualname__, tuple(kind.fields)
        if isinstance(kind, types.BaseTuple):
            yield from _bundles(tuple(kind))


def _pack(key: bytes, code: bytes) -> bytes:
    digest = hashlib.sha256(key + code).digest()
    return b"".join([MAGIC, _LENGTHS.pack(len(key), len(code)), digest, key, code])


def _unpack(content: bytes, key: bytes) -> bytes:
    """Return the code in a file. Raises ValueError where the file is not whole, or of another key."""
    begin = len(MAGIC) + _LENGTHS.size + hashlib.sha256().digest_size + len(key)
    code = content[begin:]
    if content != _pack(key, code):
        raise ValueError("not a whole file of this kernel")
    return code
