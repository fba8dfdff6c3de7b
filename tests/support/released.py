"""Stand-ins for a release: a list of the files of a small download in place of LV-MHP v1's, and its archive."""

from __future__ import annotations

import zipfile
from pathlib import Path

from make_release_list import rows_of_folder

from mhpdata.checking import release
from mhpdata.checking.release import DIGEST_BYTES, ReleaseFile
from mhpdata.fetching import fetch as fetching


def list_of(folder: Path) -> dict[str, ReleaseFile]:
    """Return the files below a folder as the list of a release has them."""
    return {path: ReleaseFile(size, digest[:DIGEST_BYTES]) for path, size, digest in sorted(rows_of_folder(folder))}


def zipped(folder: Path, archive: Path, root: str = "LV-MHP-v1/") -> Path:
    """Write the files below a folder into a zip archive, below ``root``; return its path."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            target.write(path, root + path.relative_to(folder).as_posix())
    return archive


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder by relative path; links and other types raise."""
    found = {}
    for path in sorted(folder.rglob("*")):
        assert path.is_dir() or path.is_file(), path
        assert not path.is_symlink(), path
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def pretend(monkeypatch, folder: Path) -> dict[str, ReleaseFile]:
    """Make the files below a folder the release of LV-MHP v1, for one test; return its list."""
    files = list_of(folder)
    for module in (release, fetching):
        monkeypatch.setattr(module, "release_files", lambda layout: files)
    return files
