"""The folder of an unfinished fetch, ``OUT/.mhp-fetch`` (of weights ``OUT/.mhp-fetch-NAME``), and the lock on ``OUT``.

::

    archive.part          the bytes of the archive so far
    download.json         what a server said about the archive that they belong to, to ask for the rest of the same one
    drive.zip*.part       the same, of gdown
    drive.zip, archive.zip   a complete archive

The folder is removed with all its files when every file of the release is in ``OUT``. Only files of these names are
removed. One command at a time writes to ``OUT``; the lock ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mhpdata.errors import ArchiveError, RemoteError
from mhpdata.filesystem.descriptors import open_descriptor
from mhpdata.filesystem.locks import lock_folder
from mhpdata.filesystem.ours import check_folder, in_the_way, is_folder, remove
from mhpdata.wording import writing

FOLDER = ".mhp-fetch"
AFTER = "run the same command again"
ADVICE = "or pass another folder for the output"
_OURS = re.compile(r"archive\.(part|zip)|\.?download\.json(\.part)?|drive\.zip(.{8}\.part)?")


class Staging:
    """Paths in the folder of an unfinished fetch.

    Args:
        out: Folder of the release.
        name: What is fetched, if more than one thing may be fetched into ``out``.

    Attributes:
        part, archive, notes: The archive so far, the complete one, and what is known about it.
        drive: The complete archive of gdown.
    """

    def __init__(self, out: Path, name: str = "") -> None:
        self.out, self.folder = out, out / (f"{FOLDER}-{name}" if name else FOLDER)
        self.part, self.archive, self.notes = (
            self.folder / n for n in ("archive.part", "archive.zip", "download.json")
        )
        self.drive = self.folder / "drive.zip"

    def create(self) -> None:
        """Create the folder. Raises OutputError if something else has its name."""
        with writing(self.folder, AFTER):
            if os.path.lexists(self.folder) and not is_folder(self.folder):
                raise in_the_way(self.folder, ADVICE)
            self.folder.mkdir(exist_ok=True)

    def clear(self) -> None:
        """Remove the folder and its files. Raises OutputError if it has a file that is not mhp's."""
        with writing(self.folder, AFTER):
            ours = check_folder(self.folder, lambda path: _OURS.fullmatch(path.name) is not None, ADVICE)
            if is_folder(self.folder):
                remove(self.folder, ours)

    @contextlib.contextmanager
    def tidied(self) -> Iterator[None]:
        """Clean up if the block fails, which downloads and reads an archive.

        A wrong archive is removed, so that the next call downloads it again. After a failed download the bytes so far
        stay for the next call; without any, the folder is removed.
        """
        try:
            yield
        except ArchiveError:
            self.clear()
            raise
        except RemoteError:
            with contextlib.suppress(OSError):  # it is not empty
                self.folder.rmdir()
            raise


@contextlib.contextmanager
def staging(out: Path, name: str = "") -> Iterator[Staging]:
    """Create ``out`` if it is missing, and lock it; yield the paths of its unfinished fetch (of ``name``).

    If nothing was written into the new folder in the end, it is removed.

    Raises:
        OutputError: The folder cannot be written, or another command is writing there.
    """
    is_new = not os.path.lexists(out)
    with writing(out, AFTER):
        out.mkdir(parents=True, exist_ok=True)
        descriptor = open_descriptor(out, os.O_RDONLY | os.O_DIRECTORY)
    try:
        lock_folder(descriptor, out, "mhp fetch")
        yield Staging(out, name)
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # it is not empty
                out.rmdir()
        os.close(descriptor)
