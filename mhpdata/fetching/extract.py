"""Write the files of a release into a folder: right files are kept, missing ones come from an archive.

A file is written atomically under the name of the release's list, after its SHA-256 was compared; so a killed command
leaves no wrong file, and the next one continues. A file with other bytes was not written by mhp, and is never replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tqdm import tqdm

from mhpdata.checking.release import ReleaseFile, digest_of
from mhpdata.errors import ArchiveError, OutputError
from mhpdata.fetching.archive import Archive
from mhpdata.fetching.staging import ADVICE, AFTER
from mhpdata.filesystem.atomic import write_atomically
from mhpdata.filesystem.ours import head, in_the_way
from mhpdata.processes.threads import hidden
from mhpdata.wording import writing


def missing_files(out: Path, release: Mapping[str, ReleaseFile], progress: bool = False) -> list[str]:
    """Return the paths of the release that a folder lacks, after comparing the files that it has.

    Args:
        out: The folder, which may not exist yet.
        release: Files of the release by path.
        progress: Show a bar if stderr is a terminal.

    Raises:
        OutputError: The folder, or a part of it, is a link or another type of file, or a file has other bytes.
    """
    for folder in (out / name for name in _folders(release)):
        if (folder.is_symlink() and folder != out) or (folder.exists() and not folder.is_dir()):
            raise in_the_way(folder, ADVICE)
    missing, wrong = [], []
    with writing(out, AFTER), tqdm(release.items(), unit=" files", desc="compare", disable=hidden(progress)) as bar:
        for path, wanted in bar:
            data = head(out / path, wanted.size + 1)
            if data is None:
                if (out / path).is_symlink() or (out / path).exists():
                    raise in_the_way(out / path, ADVICE)
                missing.append(path)
            elif len(data) != wanted.size or digest_of(data) != wanted.digest:
                wrong.append(path)
    if wrong:
        more = f", as do {len(wrong) - 1} others" if len(wrong) > 1 else ""
        remedy = (
            f"Move {'these files' if more else 'it'} elsewhere (mhp verify --src {out} --all lists them), {ADVICE}."
        )
        found = f"differs from the file of the release{more}; mhp does not replace what it has not written"
        raise OutputError(out / wrong[0], found, "", remedy)
    return missing


def extract(
    archive: Archive, out: Path, release: Mapping[str, ReleaseFile], paths: Iterable[str], progress: bool = False
) -> list[ArchiveError]:
    """Write files of the release into a folder.

    Args:
        archive: Archive to read.
        out: The folder; created if missing.
        release: Files of the release by path.
        paths: Paths to write, of ``missing_files``.
        progress: Show a bar if stderr is a terminal.

    Returns:
        An error for each file that the archive does not have as released, wrong files first, then those that it lacks.
        All others are written.

    Raises:
        OutputError: The folder cannot be written.
        UnreadableError: The system fails to read the archive.
    """
    paths = sorted(paths, key=archive.has, reverse=True)
    errors = []
    with tqdm(paths, unit=" files", desc="extract", disable=hidden(progress)) as bar:
        for path in bar:
            try:
                data = archive.read(path)
            except ArchiveError as error:
                errors.append(error)
                continue
            with writing(out / path, AFTER):
                (out / path).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(out / path, data, sync=False)
    return errors


def _folders(release: Mapping[str, ReleaseFile]) -> list[str]:
    """Return the folders of the release, the folder itself first."""
    return sorted({path.rpartition("/")[0] for path in release})
