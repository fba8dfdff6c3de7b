"""Fetch trained weights that others publish, and check them against the checksums that are known.

The rule: a file gets its name in the output folder when it is complete and, where a checksum is known, right. Nothing
in it is executed or unpickled here. A file that is there already is never replaced.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mhpdata.errors import ArchiveError, OptionError, OutputError
from mhpdata.fetching.begin import begin
from mhpdata.fetching.connection import check_url
from mhpdata.fetching.drive import download_from_drive, load_gdown
from mhpdata.fetching.published import WEIGHTS, WeightsFile
from mhpdata.fetching.staging import ADVICE, AFTER, Staging, staging
from mhpdata.fetching.web import Download, Form
from mhpdata.filesystem.atomic import replacing
from mhpdata.filesystem.ours import begins, clear, create, in_the_way
from mhpdata.filesystem.regular import open_regular
from mhpdata.wording import printable, writing

MOST = 1 << 30
"""Maximum bytes of a file of unknown size: ICNet's weights have about 190 MB."""
MOST_TEXT = 1 << 20
"""Maximum bytes of a JSON file."""
_STEP = 1 << 20
_STARTS = {
    ".params": ("arrays of MXNet", (b"\x12\x01\x00\x00",)),
    ".pth": ("a file of torch", (b"PK\x03\x04", b"\x80\x02")),
    ".json": ("a JSON object", (b"{",)),
    ".safetensors": ("a safetensors file", ()),
}
"""{suffix: (name of the form, possible first bytes; none for safetensors, which begin with a length)}."""
_ZIP = (b"PK\x03\x04",)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LONGEST_HEADER = 100 << 20
"""Maximum bytes of a safetensors header, as its format says."""


@dataclass(frozen=True)
class FetchedFile:
    """A file in the output folder.

    Attributes:
        path: Its path.
        sha256: Its SHA-256.
        checked: Whether it was compared with a known checksum.
        kept: Whether it was there before.
    """

    path: Path
    sha256: str
    checked: bool
    kept: bool


@dataclass(frozen=True)
class FetchedWeights:
    """Result of ``fetch_weights``.

    Attributes:
        weights: Name of the weights.
        out: The output folder.
        files: Its files of the weights.
    """

    weights: str
    out: Path
    files: tuple[FetchedFile, ...]

    def text(self) -> str:
        """Return the result as text."""
        lines = []
        for file in self.files:
            state = "as published" if file.checked else "no checksum is known for it"
            there = ", was there before" if file.kept else ""
            lines.append(printable(f"{file.path}: {state}{there}. SHA-256 {file.sha256}"))
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        files = [{**vars(file), "path": str(file.path)} for file in self.files]
        return {"weights": self.weights, "out": str(self.out), "files": files}


def fetch_weights(
    name: str, out: str | Path, *, accept_licence: bool = False, url: str | None = None, progress: bool = False
) -> FetchedWeights:
    """Download trained weights that others publish into a folder, and check them where a checksum is known.

    Files that are there already are kept; a wrong one is an error. An interrupted download is resumed by the same call.

    Args:
        name: Name of the weights, of mhpdata.fetching.published.WEIGHTS.
        out: Folder for the files; created if missing.
        accept_licence: Whether you accept the licence of the weights; without it, nothing is fetched.
        url: Address of a folder on a web server that has the files under their published names, instead of the
            publisher's own.
        progress: Show a bar, if stderr is a terminal.

    Raises:
        OptionError: The name is unknown, the licence is not accepted, or ``url`` is invalid.
        OutputError: The folder cannot be written, or has another file under the name of a file.
        RemoteError: A file cannot be downloaded.
        ArchiveError: What was downloaded has another form, size or checksum.
        MissingError: Google Drive needs gdown, which is not installed.
    """
    out, about = begin("name", name, WEIGHTS, out, accept_licence)
    if url is not None and "?" in check_url(url):
        remedy = "Pass the address of the folder, up to the question mark; the names of the files are added to it."
        raise OptionError("url", "an address with a query", "the address of a folder on a web server", remedy)
    url = None if url is None else url.rstrip("/")
    with staging(out, name) as to:
        kept = {file: _kept(out, file) for file in about.files}
        done = []
        for file in about.files:
            if not kept[file]:
                if not (url or file.folder):
                    load_gdown(file)
                to.create()
                _fetch(file, url or file.folder, to, progress)
            with _opened(out / file.name) as content:
                digest = _digest(content, "sha256")
            done.append(FetchedFile(out / file.name, digest, bool(file.digest), kept[file]))
        to.clear()
    return FetchedWeights(name, out, tuple(done))


def check_digest(path: Path, digest: str) -> str:
    """Return "" if a file has a digest ("sha1:..." or "sha256:..."), or else its own, as text for an error."""
    kind, _, expected = digest.partition(":")
    with _opened(path) as content:
        found = _digest(content, kind)
    return "" if found == expected else f"its {'SHA-1' if kind == 'sha1' else 'SHA-256'} is {found}"


def _kept(out: Path, file: WeightsFile) -> bool:
    """Return whether the output folder has a file already. Raises OutputError if it is another one."""
    path = out / file.name
    with writing(out, AFTER):
        if not path.is_symlink() and not path.exists():
            return False
        if not begins(path, *(_STARTS[path.suffix][1] or (b"",))):
            raise in_the_way(path, ADVICE)
        found = file.digest and check_digest(path, file.digest)
    if found:
        remedy = f"Move {path} elsewhere, {ADVICE}; then run the same command again."
        raise OutputError(path, f"{found}; mhp does not replace it", file.digest.partition(":")[2], remedy)
    return True


def _fetch(file: WeightsFile, folder: str, to: Staging, progress: bool) -> None:
    """Download a file, check it, and give it its name in the output folder."""
    most = file.size or (MOST_TEXT if file.name.endswith(".json") else MOST)
    with to.tidied():
        place, here = _download(file, folder, to, most, progress)
        path = to.out / file.name
        with writing(to.out, AFTER):
            path.parent.mkdir(exist_ok=True)
            if file.zipped:
                _unzip(here, path, file, most, place)
            else:
                _check(here, file, place)
                here.replace(path)


def _download(file: WeightsFile, folder: str, to: Staging, most: int, progress: bool) -> tuple[str, Path]:
    """Download what has a file; return the address for messages, and the path in the staging folder."""
    if not folder:
        if not to.drive.is_file():
            download_from_drive(file, to, most, progress)
        return file.drive_page, to.drive
    otherwise = f"Or download it from {file.page} with a browser and {file.otherwise}."
    name, starts = ("a zip archive", _ZIP) if file.zipped else _STARTS[Path(file.name).suffix]
    with writing(to.folder, AFTER):
        clear(to.archive)  # of a command that was killed before it gave the file its name
    download = Download(f"{folder}/{file.remote_name}", to, most, progress, Form(name, starts, otherwise))
    download.run()
    return download.place, to.archive


def _unzip(archive: Path, path: Path, file: WeightsFile, most: int, place: str) -> None:
    """Write the one file of an archive that is wanted, up to its maximum size."""
    try:
        with _opened(archive) as content, zipfile.ZipFile(content) as zipped, replacing(path) as part:
            info = zipped.getinfo(file.name)
            if info.compress_type not in _METHODS or info.file_size > most:
                raise ArchiveError(place, f"{file.name} has {info.file_size} bytes", f"at most {most}", _again(file))
            with zipped.open(info) as source, create(part) as target:
                _copy(source, target, most)
            _check(part, file, place)
    except ArchiveError:
        raise
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError, RuntimeError, ValueError) as error:
        found = f"is not an archive with {file.name} ({printable(str(error))})"
        raise ArchiveError(place, found, "", _again(file)) from error


def _copy(source: IO[bytes], target: IO[bytes], most: int) -> None:
    left = most
    while left and (data := source.read(min(_STEP, left))):
        target.write(data)
        left -= len(data)


def _check(path: Path, file: WeightsFile, place: str) -> None:
    """Raise ArchiveError unless a complete file has the size, form and checksum of the published one."""
    size = path.stat().st_size
    if file.size and size != file.size:
        raise ArchiveError(place, f"has {size} bytes", str(file.size), _again(file))
    if file.digest and (found := check_digest(path, file.digest)):
        raise ArchiveError(place, found, file.digest.partition(":")[2], _again(file))
    name, starts = _STARTS[Path(file.name).suffix]
    with _opened(path) as content:
        head = content.read(9)
    fits = any(head.startswith(start) for start in starts) if starts else _begins_safetensors(head, size)
    if not fits:
        raise ArchiveError(place, f"is not {name} (it begins with {head!r})", name, _again(file))


def _begins_safetensors(head: bytes, size: int) -> bool:
    if len(head) < 9:
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return length <= min(_LONGEST_HEADER, size - 8) and head[8:] == b"{"


def _again(file: WeightsFile) -> str:
    return f"Run the same command again to download it again, or download it from {file.page} with a browser."


def _digest(content: IO[bytes], kind: str) -> str:
    digest = hashlib.new(kind)
    for data in _pieces(content):
        digest.update(data)
    return digest.hexdigest()


def _pieces(content: IO[bytes]) -> Iterable[bytes]:
    while data := content.read(_STEP):
        yield data


def _opened(path: Path) -> IO[bytes]:
    return os.fdopen(open_regular(path), "rb")
