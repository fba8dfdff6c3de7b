"""Packed folders that the tests of exports share; read-only."""

import pytest
from exports import write_source

import mhpdata


@pytest.fixture(scope="session")
def download(tmp_path_factory):
    """Return a download with overlaps, ignored pixels, and a person without labels."""
    return write_source(tmp_path_factory.mktemp("exports") / "LV-MHP-v1")


@pytest.fixture(scope="session")
def whole(download, tmp_path_factory):
    """Return it packed at source size."""
    out = tmp_path_factory.mktemp("whole") / "rec"
    mhpdata.pack(download, out, size=0, workers=1)
    return out


@pytest.fixture(scope="session")
def resized(download, tmp_path_factory):
    """Return it packed at 64 pixels."""
    out = tmp_path_factory.mktemp("resized") / "rec"
    mhpdata.pack(download, out, size=64, workers=1)
    return out
