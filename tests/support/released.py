"""Stand-ins for a release: the small download of verified.py, and a list of its files in place of LV-MHP v1's."""

from __future__ import annotations

from pathlib import Path

from make_release_list import rows_of_folder

from mhpdata.checking import release
from mhpdata.checking.release import DIGEST_BYTES, ReleaseFile


def list_of(folder: Path) -> dict[str, ReleaseFile]:
    """Return the files below a folder as the list of a release has them."""
    return {path: ReleaseFile(size, digest[:DIGEST_BYTES]) for path, size, digest in sorted(rows_of_folder(folder))}


def pretend(monkeypatch, folder: Path) -> dict[str, ReleaseFile]:
    """Make the files below a folder the release of LV-MHP v1, for one test; return its list."""
    files = list_of(folder)
    monkeypatch.setattr(release, "release_files", lambda layout: files)
    return files
