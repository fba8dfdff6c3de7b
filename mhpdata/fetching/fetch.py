"""Fetch a dataset: get its archive, and write the files of its release into a folder that mhp pack reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mhpdata.checking.release import ReleaseFile, release_files
from mhpdata.errors import ArchiveError, OptionError
from mhpdata.fetching.archive import AGAIN, Archive, open_archive
from mhpdata.fetching.begin import begin
from mhpdata.fetching.connection import check_url
from mhpdata.fetching.datasets import DATASETS, Dataset
from mhpdata.fetching.drive import download_from_drive, load_gdown
from mhpdata.fetching.extract import extract, missing_files
from mhpdata.fetching.staging import Staging, staging
from mhpdata.fetching.web import Download
from mhpdata.options import check_path
from mhpdata.wording import counted, printable

_SHOWN = 3
"""Names of ignored and of missing files that a text shows, and problems of an archive that is another one."""


@dataclass(frozen=True)
class Fetched:
    """Result of ``fetch``.

    Attributes:
        dataset: Name of the dataset.
        out: Folder with the files.
        files: Number of files of the release.
        kept: Number of files that were there before.
        written: Number of files that were written.
        problems: Files that the archive does not have as released, wrong ones first; they were not written.
        missing: Paths of those, the last of ``problems``, that the archive does not have at all.
        ignored: Names in the archive that are not in the release; they were not extracted.
    """

    dataset: str
    out: Path
    files: int
    kept: int
    written: int
    problems: tuple[ArchiveError, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every file of the release is in the folder."""
        return self.kept + self.written == self.files

    def text(self, shown: int | None = None) -> str:
        """Return the result as text; with ``shown``, at most so many wrong files, and one line on all missing ones."""
        title = DATASETS[self.dataset].title
        right = self.kept + self.written
        lines = [printable(f"{self.out}: {right:,} of {self.files:,} files are those of the {title} release.")]
        if self.ignored:
            lines.append(printable(f"Not extracted, as not in the release: {_few(self.ignored)}."))
        if self.complete:
            return "\n".join(lines)
        if not right:
            lines.append(f"This is not the archive of the {title} release: no file in it is right.")
            shown = shown and min(shown, _SHOWN)
        lines += ["", f"{counted(len(self.problems), 'problem')}:"]
        listed = self.problems if shown is None else self.problems[: len(self.problems) - len(self.missing)]
        lines += [f"  {printable(f'{type(error).__name__}: {error}')}" for error in listed[:shown]]
        if shown is not None and len(listed) > shown:
            lines.append(f"  ... and {len(listed) - shown} more (--all shows them)")
        if shown is not None and self.missing:
            lines.append(f"  Missing in the archive: {_few(self.missing)}.{f' {AGAIN}' if right else ''}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        problems = [{name: getattr(one, name) for name in ("place", "found", "expected")} for one in self.problems]
        numbers = {"files": self.files, "kept": self.kept, "written": self.written}
        ends = {"complete": self.complete, "problems": problems, "ignored": list(self.ignored)}
        return {"dataset": self.dataset, "out": str(self.out), **numbers, **ends}


def _few(names: Sequence[str]) -> str:
    """Return the number of files, and the first names, in words."""
    more = ", ..." if len(names) > _SHOWN else ""
    return f"{len(names):,} file{'s' * (len(names) > 1)} ({', '.join(names[:_SHOWN])}{more})"


def fetch(
    dataset: str,
    out: str | Path,
    *,
    accept_licence: bool = False,
    url: str | None = None,
    archive: str | Path | None = None,
    progress: bool = False,
) -> Fetched:
    """Write the files of a dataset's release into a folder, from its zip archive.

    Right files that are there already are kept. If all are there, nothing is downloaded. An interrupted download or
    extraction is resumed by the same call. A downloaded archive is removed when every file is in the folder; one that
    has wrong files is removed, too, so that the next call downloads it again.

    Args:
        dataset: Name of the dataset, of mhpdata.fetching.datasets.DATASETS.
        out: Folder for the files; created if missing.
        accept_licence: Whether you accept the licence of the dataset (mhpdata.terms); without it, nothing is fetched.
        url: Address of the archive on a web server; Google Drive by default.
        archive: Archive that is on this machine already, instead of a download; it is only read.
        progress: Show a bar, if stderr is a terminal.

    Returns:
        The numbers of files, and what was wrong with the others.

    Raises:
        OptionError: The dataset is unknown, the licence is not accepted, or ``url`` is invalid or given twice.
        OutputError: The folder cannot be written, or has a file with other bytes under the name of a file.
        RemoteError: The archive cannot be downloaded.
        ArchiveError: The archive is not a zip archive, or has no file of the release.
        UnreadableError: The archive cannot be read.
        MissingError: Google Drive needs gdown, which is not installed.
    """
    out, about = begin("dataset", dataset, DATASETS, out, accept_licence)
    if url is not None and archive is not None:
        raise OptionError("url", "an archive is given, too", "one of the two", "Pass either --url or --zip.")
    url = None if url is None else check_url(url)
    release = release_files(dataset)
    missing = missing_files(out, release, progress)
    if not missing:
        return Fetched(dataset, out, len(release), len(release), 0)
    if archive is not None:
        with open_archive(check_path("archive", archive), release) as opened, staging(out) as to:
            done = _extract(opened, out, dataset, missing, progress)
            if done.complete:
                to.clear()
            return done
    with staging(out) as to:
        with to.tidied():
            here = _download(about, url, to, release, progress)
            with open_archive(here, release) as opened:
                done = _extract(opened, out, dataset, missing, progress)
        to.clear()
        return done


def _extract(archive: Archive, out: Path, dataset: str, missing: list[str], progress: bool) -> Fetched:
    """Write the missing files from an archive."""
    release = release_files(dataset)
    problems = extract(archive, out, release, missing, progress)
    absent = tuple(path for path in missing if not archive.has(path))
    written, kept = len(missing) - len(problems), len(release) - len(missing)
    return Fetched(dataset, out, len(release), kept, written, tuple(problems), absent, tuple(archive.ignored))


def _download(about: Dataset, url: str | None, to: Staging, release: Mapping[str, ReleaseFile], progress: bool) -> Path:
    """Return the archive, complete; download it unless an earlier call has."""
    most = sum(file.size for file in release.values()) * 5 // 4
    if url is not None:
        to.create()
        if not to.archive.is_file():
            Download(url, to, most, progress).run()
        return to.archive
    if not to.drive.is_file():
        load_gdown(about)
        to.create()
        download_from_drive(about, to, most, progress)
    return to.drive
