"""Fixtures of several test files."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path

import pytest
from folder import write_folder

# Not the cache beside the sources: tests also compile kernels with their bounds checked. Children inherit the setting.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"mhp-numba-{os.getuid()}"))


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """The tiny download of folder.py; nobody may write there."""
    return write_folder(tmp_path_factory.mktemp("download") / "LV-MHP-v1")


@pytest.fixture(scope="session")
def small(source, tmp_path_factory):
    """That download packed at 64 pixels; nobody may write there."""
    import mhpdata  # not before the cache is set

    out = tmp_path_factory.mktemp("small") / "rec"
    mhpdata.pack(source, out, size=64, workers=1)
    return out


@pytest.fixture(scope="session")
def mx():
    """MXNet, whose import warns of names that NumPy and Python have since renamed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("mxnet", reason="MXNet is not installed here; environment A has it")
