"""Download a file from a web server: resumable, with retries, and never a mixture of two files.

Bytes on disk are continued only if the server confirms that the file is the same (If-Range, ETag, Content-Range).
Otherwise the download starts again. What arrives is not trusted: sizes are limited, and the release's hashes decide.
"""

from __future__ import annotations

import http.client
import logging
import os
import ssl
import time
import urllib.error
import urllib.request
from contextlib import closing
from typing import IO, Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

from tqdm import tqdm

from mhpdata.errors import ArchiveError, RemoteError
from mhpdata.fetching.answers import Part, Version, address_of, read_answer, read_notes, write_notes
from mhpdata.fetching.connection import BrokenError, Redirects, in_words, network
from mhpdata.fetching.staging import AFTER, Staging
from mhpdata.filesystem.descriptors import open_file
from mhpdata.filesystem.ours import create, head
from mhpdata.processes.threads import hidden
from mhpdata.wording import printable, writing

_log = logging.getLogger(__name__)

TRIES, CHANGES = 8, 3
"""Maximum requests in a row without progress, and number of other files on the server."""
SILENCE_S = 30.0
"""Longest wait for a connection or for the next bytes, in seconds."""
_LONGEST_S = 30.0
_STEP = 1 << 18
_PROGRESS = 1 << 16
"""Bytes that count as progress."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Form(NamedTuple):
    """First bytes that a file must have, and the advice if it cannot be downloaded.

    Attributes:
        name: Name of the form, with its article.
        starts: First bytes, at most four, of which one must match; empty if any may.
        otherwise: A sentence that names another way to get the file.
    """

    name: str
    starts: tuple[bytes, ...]
    otherwise: str

    @property
    def resume(self) -> str:
        """Remedy for a network that fails."""
        return f"Check the network, then run the same command again to resume. {self.otherwise}"

    @property
    def check_url(self) -> str:
        """Remedy for another file at the URL."""
        return f"Check the URL. {self.otherwise}"

    def fits(self, data: bytes) -> bool:
        """Return whether a file may begin with these bytes, at most four."""
        return not self.starts or any(start.startswith(data) or data.startswith(start) for start in self.starts)


ZIP = Form(
    "a zip archive",
    (b"PK\x03\x04",),
    "Or download the archive with a browser and pass it with --zip (in Python: archive=...).",
)


class Download:
    """The download of one file into a staging folder.

    Args:
        url: A URL that ``check_url`` accepts.
        to: The staging folder, which exists.
        most: Maximum bytes of the file.
        progress: Show a bar if stderr is a terminal.
        form: What the file must be.
    """

    def __init__(self, url: str, to: Staging, most: int, progress: bool = False, form: Form = ZIP) -> None:
        self._url, self._to, self._most, self._form = url, to, most, form
        parts = urlsplit(url)
        self.place = printable(f"{parts.scheme}://{parts.netloc}{parts.path}")
        """The URL for messages, without its query, which may be a signature."""
        self._bar = tqdm(unit="B", unit_scale=True, desc="download", disable=hidden(progress))
        self._opener = urllib.request.build_opener(Redirects)
        self._version: Version | None = None
        self._best = self._changes = self._tries = 0
        self._reason = ""

    def run(self) -> None:
        """Complete ``archive.part`` and rename it to ``archive.zip``.

        Raises:
            RemoteError: The server does not answer, refuses, or changes the file again and again.
            ArchiveError: The file has another form, or is larger than ``most``.
            OutputError: The disk refuses to write.
        """
        with closing(self._bar):
            self._resume()
            while not self._is_complete():
                self._wait()
                try:
                    self._request()
                except urllib.error.HTTPError as error:
                    self._refused(error)
                except urllib.error.URLError as error:
                    cause = error.reason
                    final = isinstance(cause, ssl.SSLCertVerificationError)
                    self._failed(in_words(cause) if isinstance(cause, Exception) else str(cause), final)
                except (http.client.HTTPException, BrokenError) as error:
                    self._failed(in_words(error))
            with writing(self._to.folder, AFTER):
                self._to.part.replace(self._to.archive)
                self._to.notes.unlink(missing_ok=True)

    def _resume(self) -> None:
        """Continue what an earlier command has downloaded from this URL, if the server said which file it was."""
        with writing(self._to.folder, AFTER):
            noted = read_notes(self._to.notes)
            if noted is None or noted.address != address_of(self._url) or head(self._to.part, 0) is None:
                return
        self._version = noted
        self._best = self._offset()

    def _offset(self) -> int:
        """Return the number of bytes that can be continued."""
        if self._version is None or not self._version.condition:
            return 0
        return os.lstat(self._to.part).st_size

    def _is_complete(self) -> bool:
        """Return whether all bytes are there: those on disk are always of one file."""
        size = None if self._version is None else self._version.size
        return size is not None and os.lstat(self._to.part).st_size == size > 0

    def _wait(self) -> None:
        """Wait longer after each request in a row without progress. Raises RemoteError after the last one."""
        if self._tries == TRIES:
            self._give_up(f"{self._reason}, {TRIES} times in a row")
        if self._tries:
            seconds = min(2.0 ** (self._tries - 2), _LONGEST_S)
            text = f"{self.place}: {self._reason}. Request {self._tries + 1} of {TRIES}"
            _log.info("%s in %g s.", text, seconds)
            time.sleep(seconds)
        self._tries += 1

    def _request(self) -> None:
        """Ask for the file, or for its rest, and write what comes."""
        offset, version = self._offset(), self._version
        headers = {"User-Agent": "mhp", "Accept-Encoding": "identity"}
        if offset and version is not None:
            headers |= {"Range": f"bytes={offset}-", "If-Range": version.condition}
        request = urllib.request.Request(self._url, headers=headers)
        with network():
            answer = self._opener.open(request, timeout=SILENCE_S)
        with closing(answer):
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                self._give_up("the server compresses the file")
            known = read_answer(self._url, answer.status, answer.headers)
            if answer.status not in (200, 206) or known is None:
                self._start_again()
                raise BrokenError(f"an answer that mhp does not understand (status {answer.status})")
            self._take(answer, *known, offset)

    def _take(self, answer: Any, now: Version, part: Part, offset: int) -> None:
        """Write the bytes of an answer, unless they continue another file."""
        version = self._version
        if part.start != offset and part.start:
            self._start_again()
            raise BrokenError("an answer with another range than was asked for")
        if version is not None and version.is_other(now):
            self._changed()
            if part.start:
                self._start_again()
                raise BrokenError("the file on the server changed")
        if (now.size or 0) > self._most:
            self._too_large(now.size or 0)
        if not part.start:
            with writing(self._to.folder, AFTER):
                create(self._to.part).close()
                write_notes(self._to.notes, now)
            self._version = now
        with writing(self._to.folder, AFTER), open_file(self._to.part, "ab") as file:
            self._copy(answer, file, part)

    def _copy(self, answer: Any, file: IO[bytes], part: Part) -> None:
        """Append the bytes of an answer to the file."""
        done = part.start
        end = None if part.length is None else part.start + part.length
        self._bar.total = end
        self._bar.n = done
        while end is None or done < end:
            with network():
                data = answer.read(4) if done == 0 else answer.read1(_STEP)
            if not data:
                break
            if done == 0 and not self._form.fits(data):
                self._another(answer, data)
            done += len(data)
            if done > self._most:
                self._too_large(done)
            file.write(data)
            self._bar.update(len(data))
            if done >= self._best + _PROGRESS:
                self._best, self._tries = done, 1
        if end is None and done:
            assert self._version is not None
            file.flush()
            self._version = self._version._replace(size=done)
            write_notes(self._to.notes, self._version)
        elif end is None or done < end:
            of = "" if end is None else f" of {end}"
            raise BrokenError(f"the connection ended after {done}{of} bytes")

    def _start_again(self) -> None:
        """Forget what was downloaded; the next request asks for the whole file."""
        self._version = None

    def _changed(self) -> None:
        self._changes += 1
        self._best = 0
        if self._changes >= CHANGES:
            self._give_up(f"the file on the server changed {CHANGES} times during the download")

    def _refused(self, error: urllib.error.HTTPError) -> None:
        """Handle a status other than 200 and 206."""
        with closing(error):
            if error.code == 416:  # the file is shorter now
                self._start_again()
            reason = str(error.reason) if 300 <= error.code < 400 else f"status {error.code}"
            self._failed(reason, final=error.code not in _PASSING | {416})
            wait = error.headers.get("Retry-After", "") if error.headers else ""
            if wait.isascii() and wait.isdigit() and len(wait) < 4:
                time.sleep(min(float(wait), _LONGEST_S))

    def _failed(self, reason: str, final: bool = False) -> None:
        """Note why a request failed. Raises RemoteError if the next one would fail, too."""
        self._reason = printable(reason)
        if final:
            self._give_up(self._reason)

    def _give_up(self, reason: str) -> NoReturn:
        remedy = self._form.check_url if reason.startswith(("status 4", "the server compresses")) else self._form.resume
        raise RemoteError(self.place, f"cannot be downloaded ({reason})", "", remedy)

    def _too_large(self, size: int) -> NoReturn:
        raise ArchiveError(self.place, f"has at least {size} bytes", f"at most {self._most}", self._form.check_url)

    def _another(self, answer: Any, data: bytes) -> NoReturn:
        kind = answer.headers.get_content_type()
        found = "is a web page" if kind == "text/html" else f"is not {self._form.name} (it begins with {data!r})"
        raise ArchiveError(self.place, found, self._form.name, self._form.check_url)
