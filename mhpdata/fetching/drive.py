"""Download a file from Google Drive with gdown, an optional library that knows Drive's confirmation pages."""

from __future__ import annotations

import errno
import importlib
from typing import Any, Protocol

from tqdm import tqdm

from mhpdata.errors import ArchiveError, MissingError, OutputError, RemoteError
from mhpdata.fetching.staging import AFTER, Staging
from mhpdata.processes.threads import hidden
from mhpdata.wording import to_write, why

PACKAGE = "gdown>=6.5"
RETRIES = 5
SILENCE_S = 60.0
"""Longest wait for the next bytes, in seconds."""
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG})


class OnDrive(Protocol):
    """A file on Google Drive."""

    @property
    def drive_id(self) -> str:
        """Its id."""

    @property
    def drive_page(self) -> str:
        """Address at which a browser downloads it."""

    @property
    def page(self) -> str:
        """Address of its authors' page."""

    @property
    def otherwise(self) -> str:
        """Advice for the file after a browser has downloaded it, such as "pass it with --zip"."""


def load_gdown(file: OnDrive) -> Any:
    """Return the library. Raises MissingError if it is not installed."""
    try:
        return importlib.import_module("gdown")
    except ImportError as error:
        remedy = (
            f'Run: pip install "{PACKAGE}" (mhp\'s extra "fetch"). Or open {file.drive_page} in a browser, download '
            f"the file and {file.otherwise}."
        )
        raise MissingError("gdown", "not installed, but Google Drive needs it", "", remedy) from error


def download_from_drive(file: OnDrive, to: Staging, most: int, progress: bool = False, **target: str) -> None:
    """Download a file to ``to.drive``, or the rest of it.

    Args:
        file: The file.
        to: The staging folder, which exists.
        most: Maximum bytes of the file.
        progress: Show a bar if stderr is a terminal.
        target: Arguments of gdown that name the file, instead of its id.

    Raises:
        MissingError: gdown is not installed.
        RemoteError: Google Drive does not answer, or refuses.
        ArchiveError: The file is larger than ``most``.
        OutputError: The disk refuses to write.
    """
    gdown = load_gdown(file)
    with tqdm(unit="B", unit_scale=True, desc="download", disable=hidden(progress)) as bar:

        def show(done: int, total: int | None) -> None:
            if max(done, total or 0) > most:
                remedy = f"Download the file from {file.page} with a browser and {file.otherwise}."
                found = f"has at least {max(done, total or 0)} bytes"
                raise ArchiveError(file.drive_page, found, f"at most {most}", remedy)
            bar.total = total
            bar.update(done - bar.n)

        options = {"quiet": True, "use_cookies": False, "resume": True, "timeout": SILENCE_S, "retries": RETRIES}
        try:
            gdown.download(**(target or {"id": file.drive_id}), output=str(to.drive), progress=show, **options)
        except ArchiveError:
            raise
        except Exception as error:  # of gdown, requests, urllib3, bs4
            if isinstance(error, OSError) and error.errno in _DISK and error.strerror is not None:
                place = error.filename or to.folder
                remedy = to_write(error, place, AFTER)
                raise OutputError(place, f"cannot be written ({why(error)})", "", remedy) from error
            raise _refused(file, error) from error


def _refused(file: OnDrive, error: Exception) -> RemoteError:
    """Return the error for a file that Google Drive does not hand out."""
    reason = "the connection failed"
    if type(error).__name__ == "FileURLRetrievalError":
        reason = "Google Drive does not hand it out: its limit of downloads may be reached, or the file is gone"
    elif type(error).__name__ == "DownloadError" and not isinstance(error.__cause__, OSError):
        reason = "it did not arrive completely"
    remedy = (
        f"Run the same command again later to resume. Or open {file.drive_page} in a browser, download the file and "
        f"{file.otherwise}, or pass another address of it with --url."
    )
    return RemoteError(file.drive_page, f"cannot be downloaded ({reason})", "", remedy)
