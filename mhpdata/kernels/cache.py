"""Cache the machine code of kernels on disk; load it only if it equals what would be compiled now.

Numba's own cache keeps an index per function beside numbered data files. It has three defects: when several processes
compile different signatures of one function at once, the index may name another signature's code, which then runs and
returns wrong results; a truncated file or a full disk ends the program; and a change in a kernel of another file that
was compiled into this one goes unnoticed. This cache replaces it (:mod:`mhpdata.kernels.files` manages the folders). It
has no index: a file's name is derived from its key, the file gets that name once it is complete, and its key and
SHA-256 are compared before the code is used::

    a file:   MAGIC, length of the key, length of the code, SHA-256 of both, key, code

Any other content counts as missing: the kernel is compiled again, and the file replaced.
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
"""Maximum bytes of a kernel's file; mhp's have up to half a megabyte."""
_KERNELS = re.compile(rb"^\s*(?:from|import) numba\b|@(?:kernel|callee|inlined)\b|\bstep\(\d", re.MULTILINE)
"""Pattern that every source file with kernels, or with their vector code, matches; also this file and jit.py."""

Signature = tuple[types.Type, ...]


def sources() -> list[Path]:
    """List all files of mhpdata and mhpmodels that contain kernels, their vector code, or the code to compile them."""
    here = Path(__file__).parents[1]
    paths = [path for package in (here, here.parent / "mhpmodels") for path in package.rglob("*.py")]
    return sorted(path for path in paths if _KERNELS.search(path.read_bytes()))


def _digest() -> str:
    """Return the SHA-256 of all kernel sources and of Numba's settings: a change in any of them recompiles all."""
    digest = hashlib.sha256(repr((config.BOUNDSCHECK, config.OPT)).encode())
    for path in sources():
        text = path.read_bytes()
        digest.update(b"%d %s" % (len(text), text))
    return digest.hexdigest()


_DIGEST = _digest()
WRITER = files.Writer()


def folders() -> list[Path]:
    """List the folders of these kernels, the first to try first."""
    return files.folders(_DIGEST)


class KernelCache(_Cache):  # type: ignore[misc]
    """The machine code of one function, one file per signature and processor; replaces Numba's FunctionCache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        assert function.__closure__ is None, "the key does not cover variables that a kernel closes over"
        code = function.__code__
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._source = hashlib.sha256(Path(code.co_filename).read_bytes()).hexdigest(), code.co_firstlineno
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """The folder that Numba's ``stats`` show."""
        return str(folders()[0])

    def load_overload(self, sig: Signature, target_context: Any) -> Any:
        """Return the compiled function; None if no complete file of it exists."""
        target_context.refresh()
        key = self._key(sig, target_context.codegen())
        name = self._file(key)
        for folder in folders() if self._enabled else ():
            try:
                code = _unpack(read_regular(folder / name, _MOST), key)
                return CompileResult._rebuild(target_context, *serialize.loads(code))
            except Exception:  # missing, unreadable, damaged, or from a library that changed without a new version
                continue
        return None

    def save_overload(self, sig: Signature, data: Any) -> None:
        """Do nothing: :meth:`keep` has already written the file when Numba calls this."""

    def keep(self, sig: Signature, data: Any) -> None:
        """Write the file of a function that was just compiled."""
        if not self._enabled:
            return
        if data.library.has_dynamic_globals or any(not lifted.can_cache for lifted in data.lifted):
            warnings.warn(f"{self._name} cannot be cached: it uses pointers or lifted loops", stacklevel=2)
            return
        key = self._key(sig, data.codegen)
        WRITER.write(folders(), self._file(key), _pack(key, serialize.dumps(data._reduce())))

    def enable(self) -> None:
        """Read and write files."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write files."""
        self._enabled = False

    def flush(self) -> None:
        """Do nothing: Numba calls this before it recompiles all signatures, which replaces their files."""

    def _key(self, sig: Signature, codegen: Any) -> bytes:
        """Return the key: sources, function, signature, processor and compilers, on which the machine code depends."""
        # Numba's implementations of NumPy's functions depend on the version of NumPy
        compilers = numba.__version__, llvmlite.__version__, np.__version__, sys.implementation.cache_tag
        bundles = sorted(set(_bundles(sig)))
        return repr((_DIGEST, self._name, self._source, sig, bundles, codegen.magic_tuple(), compilers)).encode()

    def _file(self, key: bytes) -> str:
        readable = re.sub(r"[^A-Za-z0-9_.]", "", self._name.removeprefix("mhpdata."))[-80:]
        return f"{readable}-{hashlib.sha256(key).hexdigest()[:32]}{files.SUFFIX}"


def _bundles(kinds: Signature) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield module, name and fields of each NamedTuple among the arguments.

    The repr of such a type shows only its name and the types of its fields.
    """
    for kind in kinds:
        if isinstance(kind, types.BaseNamedTuple):
            yield kind.instance_class.__module__, kind.instance_class.__qualname__, tuple(kind.fields)
        if isinstance(kind, types.BaseTuple):
            yield from _bundles(tuple(kind))


def _pack(key: bytes, code: bytes) -> bytes:
    digest = hashlib.sha256(key + code).digest()
    return b"".join([MAGIC, _LENGTHS.pack(len(key), len(code)), digest, key, code])


def _unpack(content: bytes, key: bytes) -> bytes:
    """Return the code in a file. Raise ValueError if the file is damaged or has another key."""
    begin = len(MAGIC) + _LENGTHS.size + hashlib.sha256().digest_size + len(key)
    code = content[begin:]
    if content != _pack(key, code):
        raise ValueError("not a complete file of this kernel")
    return code
