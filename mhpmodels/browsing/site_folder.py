"""The folder of a site: which earlier files are kept, which may be replaced, and which are removed.

::

    OUT/browse.json            marks the folder as a site of mhp browse, and holds its key: content and options
    OUT/index.html             written last; browse.css, browse.js ... beside it
    OUT/LICENCE.txt            licence of the images and how to cite them
    OUT/data/*.js              numbers and names of all samples
    OUT/thumbs/S/BLOCK/I.jpg   thumbnail of sample I of split S (numbers from 0), in blocks of 1,000
    OUT/full/S/BLOCK/I/*       layers of a sample at full size

Numbers, not names of samples, are file names, so no name can lead out of the folder. Every file is written atomically.
With the same key, existing thumbnails and layers are kept, so an interrupted command resumes, which also removes the
unfinished files that a kill left. Files that mhp did not write are neither replaced nor removed, and links are not
followed.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mhpdata.errors import OutputError
from mhpdata.fields import parse_json
from mhpdata.filesystem.atomic import parse_part
from mhpdata.filesystem.ours import begins, head, in_the_way, is_folder
from mhpdata.wording import to_read, unread, writing
from mhpmodels.files.output import SITE_START, make_folder, make_inner_folder, write_file

MARKER, INDEX, LICENCE = "browse.json", "index.html", "LICENCE.txt"
THUMBS, FULL, DATA = "thumbs", "full", "data"
SCRIPT_START = "/* mhp browse */\n"
"""First characters of each script and style sheet of a site."""
BLOCK = 1000
"""Samples per folder."""
_MARKER_START = '{"format": "mhp-browse"'
_MOST = 1 << 20
_STARTS = {
    ".json": _MARKER_START.encode(),
    ".html": SITE_START.encode(),
    ".js": SCRIPT_START.encode(),
    ".css": SCRIPT_START.encode(),
    ".txt": b"Licence of the images",
    ".jpg": b"\xff\xd8\xff",
    ".png": b"\x89PNG\r\n\x1a\n",
}
_OURS = re.compile(rf"({THUMBS}/\d+/\d+/\d+\.jpg|{FULL}/\d+/\d+/\d+/\w+\.(jpg|png|js))")
_WRITTEN = re.compile(
    rf"{_OURS.pattern}|{DATA}/(site|samples)\.js|browse\.(json|css)|index\.html|LICENCE\.txt|[a-z]+\.js"
)
"""Names of all files of a site. Unfinished ones are removed by these names, and by their first bytes."""


def thumb_of(split: int, index: int) -> str:
    """Return the relative path of a sample's thumbnail; ``split`` is the number of its split."""
    return f"{THUMBS}/{split}/{index // BLOCK:03}/{index:06}.jpg"


def layers_of(split: int, index: int) -> str:
    """Return the relative path of the folder of a sample's layers."""
    return f"{FULL}/{split}/{index // BLOCK:03}/{index:06}"


class SiteFolder:
    """A folder that a site is written to; threads may write different files at once.

    Args:
        out: the folder; created if it is missing.
        source: what thumbnails and layers depend on, for JSON: the content of the packs, and overlap rules.
        options: what else the site depends on, for JSON.
        overwrite: replace a site with another key.

    Raises:
        OutputError: the folder is not empty and holds no site, or a site with another key without ``overwrite``; or it
            cannot be written.
    """

    def __init__(self, out: Path, source: dict[str, Any], options: dict[str, Any], overwrite: bool) -> None:
        self.out = out
        self._made: set[Path] = set()
        self._begun = time.time()
        make_folder(out)
        key = {"source": source, "options": options}
        before = self._key()
        if before is not None and before != key:
            if not overwrite:
                remedy = (
                    "Pass --overwrite to replace it, or another --out; with the earlier arguments, it is completed."
                )
                raise OutputError(out, "holds a site of other data or options", "", remedy)
            self._unlink(Path(INDEX), Path(INDEX).suffix)  # the earlier page would show the new layers
            if before["source"] != source:
                self.tidy(())  # before the new key is written: afterwards, thumbnails and layers that exist are kept
        self.write(MARKER, f"{_MARKER_START}, {json.dumps(key)[1:]}\n".encode())

    def has(self, path: str) -> bool:
        """Return whether a complete file of this site exists; ``path`` is relative to the folder."""
        return self._in_folders(path) and begins(self.out / path, _STARTS[Path(path).suffix])

    def write(self, path: str, data: bytes) -> None:
        """Write a file atomically, unless it has this content.

        Raises:
            OutputError: a file that mhp did not write, or a link, is in the way; or the file cannot be written.
        """
        target = self.out / path
        for folder in reversed(Path(path).parents[:-1]):
            if folder not in self._made:
                make_inner_folder(self.out / folder)
                self._made.add(folder)
        if os.path.lexists(target):
            if not begins(target, _STARTS[target.suffix]):
                raise in_the_way(target, "or pass another --out")
            if head(target, len(data) + 1) == data:
                return
        write_file(target, data, overwrite=True)

    def tidy(self, expected: Collection[str]) -> None:
        """Remove thumbnails and layers of an earlier site that are not ``expected``, and folders that become empty.

        Files that an earlier command left unfinished are removed as well.

        Args:
            expected: relative paths of all thumbnails and layers of this site.

        Raises:
            OutputError: a file cannot be removed.
        """
        with writing(self.out, "run the same command again"):
            for path in self._files():
                name = path.as_posix()
                parts = parse_part(path.name)
                if parts is not None and parts[1]:  # all files are written as by one of several processes
                    name = path.with_name(parts[0]).as_posix()
                    gone = bool(_WRITTEN.fullmatch(name)) and self._is_left(path)
                else:
                    gone = name not in expected and bool(_OURS.fullmatch(name))
                if gone:
                    self._unlink(path, Path(name).suffix)
                    for folder in path.parents[:-1]:
                        with suppress(OSError):  # it is not empty
                            (self.out / folder).rmdir()

    def _is_left(self, path: Path) -> bool:
        """Return whether an unfinished file is older than this command: writing one takes a moment."""
        try:
            return os.lstat(self.out / path).st_mtime < self._begun
        except FileNotFoundError:  # another command has finished it
            return False

    def _files(self) -> Iterator[Path]:
        """Yield the relative paths of the files in the folder and in its folders of a site; links are not followed."""
        for top in (THUMBS, FULL, DATA):
            yield from self._below(Path(top))
        yield from (Path(one.name) for one in sorted(self.out.iterdir()) if not one.is_symlink() and one.is_file())

    def _below(self, folder: Path) -> Iterator[Path]:
        if not is_folder(self.out / folder):
            return
        for entry in sorted(os.scandir(self.out / folder), key=lambda one: one.name):
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(folder / entry.name)
            elif entry.is_file(follow_symlinks=False):
                yield folder / entry.name

    def _in_folders(self, path: str) -> bool:
        """Return whether each folder along a relative path is a folder, not a link."""
        for folder in reversed(Path(path).parents[:-1]):
            if folder not in self._made:
                if not is_folder(self.out / folder):
                    return False
                self._made.add(folder)
        return True

    def _unlink(self, path: Path, suffix: str) -> None:
        target = self.out / path
        if os.path.lexists(target) and begins(target, _STARTS[suffix]):
            target.unlink()

    def _key(self) -> dict[str, Any] | None:
        """Return the key of the site in the folder; None for an empty folder. Raises OutputError for another folder."""
        marker = self.out / MARKER
        try:
            text = head(marker, _MOST)
            if text is None and not any(self.out.iterdir()):
                return None
        except OSError as error:
            remedy = to_read(error, marker, "Pass another --out.")
            raise OutputError(marker, unread(error), "", remedy) from error
        try:
            found = parse_json((text or b"").decode())
            if text is not None and text.startswith(_MARKER_START.encode()) and isinstance(found, dict):
                return {name: found.get(name) for name in ("source", "options")}
        except ValueError:
            pass  # another file of this name
        remedy = "Pass a new or empty folder, or one that mhp browse wrote."
        raise OutputError(self.out, "is not empty, and holds no site of mhp browse", "", remedy)
