"""Fixtures of several test files."""

from __future__ import annotations

import warnings

import pytest
from folder import write_folder


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
