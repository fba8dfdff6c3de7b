"""Fixtures of several test files."""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from pathlib import Path

import pytest
from folder import write_folder

# Numba compares a cached kernel with its own file, not with those of the kernels that it calls: without a cache
# of its own for every state of them, a test could run yesterday's kernel. Children of the tests inherit the setting.
_KERNELS = sorted((Path(__file__).parent.parent / "mhpdata").glob("*.py"))
_STATE = hashlib.sha256(b"".join(path.read_bytes() for path in _KERNELS)).hexdigest()[:16]
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"mhp-numba-{os.getuid()}-{_STATE}"))


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """The tiny download of folder.py; nobody may write there."""
    return write_folder(tmp_path_factory.mktemp("download") / "LV-MHP-v1")


@pytest.fixture(scope="session")
def mx():
    """MXNet, whose import warns of names that NumPy and Python have since renamed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("mxnet", reason="MXNet is not installed here; environment A has it")
