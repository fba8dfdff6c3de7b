"""Keep the two forms of predictions apart: label maps alone, and the official form with persons.

``mhp score`` could not tell which of the two is meant. A folder with files of the other form is therefore refused; with
``overwrite`` these files are removed if all of them are mhp's own, and of the images that are predicted again. In
object storage, where nothing is listed and nothing is removed, only the first image and the list of persons are looked
up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from mhpdata.address import Address
from mhpdata.errors import OutputError
from mhpdata.filesystem.ours import head, is_folder
from mhpdata.options import Folder
from mhpdata.remote.requests import stopped
from mhpdata.remote.writing import look_if_there
from mhpdata.wording import writing
from mhpmodels.files.png import is_label_map
from mhpmodels.persons.person_list import RESULTS, SEGMENTS, TAGS, is_list
from mhpmodels.prediction.files import HEAD

_FORMS = {False: "label maps without persons", True: "predictions with persons"}


def other_form(out: Folder, names: Sequence[str], persons: bool, overwrite: bool) -> list[Path]:
    """Return the files of the other form in an output folder, which have to be removed before writing.

    Args:
        out: output folder, or its address in object storage.
        names: names of the images that are predicted, without suffix.
        persons: whether predictions with persons are written.
        overwrite: whether files of earlier predictions may be removed.

    Raises:
        OutputError: there are such files, and they may not be removed.
        RemoteError: object storage does not answer.
    """
    if isinstance(out, Address):
        first = [f"{name}.png" for name in names[:1]]
        for address in (
            [out / name for name in first] if persons else [out / RESULTS, *(out / SEGMENTS / name for name in first)]
        ):
            if look_if_there(address, stopped) is not None:
                raise _mixed(out, address, persons, "Choose another --out, or delete these objects.")
        return []
    again = set(names)
    if not out.is_dir():
        return []
    found = _maps_in(out) if persons else [*_results_in(out), *_maps_in(out / SEGMENTS), *_maps_in(out / TAGS)]
    if found and not overwrite:
        raise _mixed(out, found[0], persons, "Choose another --out, or pass --overwrite to delete these files.")
    for path in found:
        if path.name != RESULTS and path.stem not in again:
            remedy = "Choose another --out, or delete these files; --overwrite deletes only those of the same images."
            raise _mixed(out, path, persons, remedy)
    return found


def remove_files(paths: Collection[Path]) -> None:
    """Remove files, and the folders inside the output folder that are then empty.

    Raises:
        OutputError: a file cannot be removed.
    """
    for path in paths:
        with writing(path, "run the same command again"):
            path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths if path.parent.name in (SEGMENTS, TAGS)}:
        with suppress(OSError):  # it holds other files
            folder.rmdir()


def _mixed(out: Folder, path: Folder, persons: bool, remedy: str) -> OutputError:
    name = str(path).removeprefix(str(out)).lstrip("/")
    return OutputError(out, f"holds {_FORMS[not persons]} ({name})", f"only {_FORMS[persons]}", remedy)


def _results_in(folder: Path) -> list[Path]:
    """Return the list of persons in a folder, if there is one that mhp may have written."""
    start = head(folder / RESULTS, HEAD)
    return [] if start is None or not is_list(start) else [folder / RESULTS]


def _maps_in(folder: Path) -> list[Path]:
    """Return the label maps in a folder that mhp wrote, in order."""
    if folder.name in (SEGMENTS, TAGS) and not is_folder(folder):
        return []
    return [path for path in sorted(folder.glob("*.png")) if is_label_map(head(path, HEAD) or b"")]
