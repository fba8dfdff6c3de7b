"""Packed folders that the tests of exports share; read-only."""

import pytest
from exports import write_source
from folder import packed_at


@pytest.fixture(scope="session")
def download(tmp_path_factory):
    """Return a download with overlaps, ignored pixels, and a person without labels."""
    return write_source(tmp_path_factory.mktemp("exports") / "LV-MHP-v1")


@pytest.fixture(scope="session")
def whole(download, tmp_path_factory):
    """Return it packed at source size."""
    return packed_at(0, download, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def resized(download, tmp_path_factory):
    """Return it packed at 64 pixels."""
    return packed_at(64, download, tmp_path_factory.mktemp("resized"))
