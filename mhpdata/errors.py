"""The error tree of mhp, sorted by who must act.

::

    MhpError
     ├── SourceError (ValueError)      the download is damaged or incomplete
     │    ├── FolderError              folders, lists and file names
     │    ├── ImageError               one image
     │    ├── MaskError                one mask
     │    ├── UnreadableError          a file that the system refuses to read
     │    └── SourceChangedError       a file that changed during packing
     ├── ArchiveError (ValueError)     a dataset's zip archive, or a file in it, is damaged or another one
     ├── PackedError (ValueError)      the packed folder is damaged: copy it again, or pack again
     │    ├── ManifestError            manifest.json
     │    ├── ShardError               a .rec, .idx or .h5 file
     │    │    └── ShardChangedError   a shard replaced or modified after it was opened
     │    └── RecordError              one record in a shard
     ├── RemoteError (OSError)         an object store or web server does not answer, or refuses
     │    ├── NoObjectError            an object that does not exist
     │    └── NoBucketError            a bucket that does not exist
     ├── OutputError (OSError)         output cannot be written: disk full, no permission, path in use
     ├── OptionError (ValueError)      an invalid argument
     ├── MissingError (ImportError)    an optional library is not installed
     ├── EngineError (RuntimeError)    the training framework is unusable here, or for this task
     ├── CheckpointError (ValueError)  a file of weights or of optimiser state
     ├── PredictionError (ValueError)  a prediction to be scored
     ├── LeakError (ValueError)        training images that also appear in an evaluation split
     └── NonFiniteError (ArithmeticError)   too many non-finite training steps in a row

Every error states the place, what was found, what was expected and a remedy, and keeps the four as attributes.
"""

from __future__ import annotations

import errno
from typing import TypeVar

from mhpdata.faults import OTHER, Fault
from mhpdata.remedy import Kind, Remedy

_Error = TypeVar("_Error", bound="MhpError")
_Source = TypeVar("_Source", bound="SourceError")

SKIP = '--on-error skip (in Python: on_error="skip")'
"""How to ask a command, or a function, to skip damaged input."""
WITHOUT = f"To pack without this image, pass {SKIP}."
"""How to skip an image of a download that is damaged, or whose masks are."""
KEEP = "To pack the pixels that decode, pass --damaged keep."
"""How to pack a JPEG with damaged pixels."""
SKIP_IMAGE = f"To skip this image, pass {SKIP}."
"""How to skip an image that belongs to no download."""
EXTRACT_AGAIN = f"Extract the archive again. {WITHOUT}"
"""Remedy for a damaged image or mask of a download."""
_COPY_AGAIN = (
    "If the packed folder is a copy, copy {file} again from the original; "
    "otherwise pack again with mhp pack --overwrite."
)
COPY_AGAIN = _COPY_AGAIN.format(file="the shard")
"""Remedy for a shard that differs from what was packed."""
_WHICH = "Run mhp verify --deep on the packed folder to find the shard."
FIND_AGAIN = f"{_WHICH} {COPY_AGAIN}"
"""Remedy for a damaged record whose shard is unknown."""
ANOTHER = "The shard may belong to another pack."
"""Cause of a record that is intact, but not the one that the manifest lists."""
PACK_AGAIN = "Re-run the mhp pack command that made the packed folder, with --overwrite."
"""Remedy for a shard that no copy repairs."""
UPDATE = Remedy(
    "Install a newer mhpkit (build.json in the packed folder names the version that packed it), or pack again with "
    "mhp pack --overwrite.",
    Kind.NEWER,
)
"""Remedy for a packed folder of an unknown format version."""
FIND_UPDATE = Remedy(f"{_WHICH} {UPDATE}", Kind.NEWER)
"""Remedy for a record of an unknown format version whose shard is unknown."""


def copy_again(name: str) -> str:
    """Return COPY_AGAIN for the file ``name``."""
    return _COPY_AGAIN.format(file=name)


_ALONE = {
    WITHOUT: SKIP_IMAGE,
    f" {KEEP}": "",
    "Extract the archive again": "Copy the file again",
    "extract the archive again": "copy the file again",
}
"""Texts of remedies for an image of a download, with the texts for an image of its own."""
_OWN_BY_FAULT = {
    "mask-size": f"Export the mask in the size of its image. {WITHOUT}",
    "no-person": "Give each labelled pixel a person in the map of persons, or make it background in the map of labels. "
    f"{WITHOUT}",
}
"""Remedies for a dataset of one's own by code (mhpdata.faults)."""
_OWN = {
    f"Check that the mask belongs to this dataset. {EXTRACT_AGAIN}": f"Correct the values of the mask. {WITHOUT}",
    "Extract the archive again": "Copy or export the file again",
    "extract the archive again": "copy or export the file again",
    "Download or extract it again": "Copy or export it again",
}
"""Texts of remedies for a download, with the texts for a dataset of one's own."""


class MhpError(Exception):
    """Base of every error that mhp raises on purpose.

    Args:
        place: The file, folder or option, as the user would name it.
        found: What is wrong there.
        expected: What should be there; may be empty if ``found`` implies it.
        remedy: The next thing to do, as a sentence; a ``Remedy`` if callers may need its kind.
    """

    def __init__(self, place: object, found: str, expected: str = "", remedy: str = "") -> None:
        self.place = str(place)
        self.found = found
        self.expected = expected
        self.remedy = remedy
        what = f"{found}; expected {expected}" if expected else found
        super().__init__(f"{self.place}: {what}." + (f" {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[object, ...]:
        # Pickle all fields: BaseException would only pass on the text.
        return type(self), (self.place, self.found, self.expected, self.remedy)

    @property
    def kind(self) -> Kind | None:
        """The kind of the remedy, if it is a ``Remedy``."""
        return self.remedy.kind if isinstance(self.remedy, Remedy) else None

    def at(self: _Error, place: object, remedy: str | None = None, found: str | None = None) -> _Error:
        """Return this error, with its cause, for a place that only the caller knows.

        Args:
            place: The file, folder or option, as the user would name it.
            remedy: What to do there; unchanged by default.
            found: What is wrong there; unchanged by default.
        """
        found, remedy = self.found if found is None else found, self.remedy if remedy is None else remedy
        return caused(type(self)(place, found, self.expected, remedy), self.__cause__)


class SourceError(MhpError, ValueError):
    """The downloaded dataset is damaged or incomplete.

    Args:
        place: The file, relative to the source folder, so that it is the same on every machine.
        found: What is wrong there.
        expected: What should be there; may be empty if ``found`` implies it.
        remedy: The next thing to do, as a sentence; may write SRC/ for the source folder.
        fault: What is wrong, as a code and values.

    Attributes:
        fault: What is wrong, as a code and values (mhpdata.faults) that stay the same when messages are reworded.
    """

    def __init__(
        self, place: object, found: str, expected: str = "", remedy: str = "", *, fault: Fault = (OTHER,)
    ) -> None:
        super().__init__(place, found, expected, remedy)
        self.fault = fault

    def __reduce__(self) -> tuple[object, ...]:
        return (*super().__reduce__(), {"fault": self.fault})

    def at(self: _Source, place: object, remedy: str | None = None, found: str | None = None) -> _Source:
        """Return this error for another place, as ``MhpError.at`` does, with the same fault."""
        error = super().at(place, remedy, found)
        error.fault = self.fault
        return error

    def below(self, folder: object) -> SourceError:
        """Return this error with the source folder prepended to its place, as the user would name the file."""
        place = str(folder) if self.place == "." else f"{folder}/{self.place}"
        return self.at(place, self.remedy.replace("SRC/", f"{folder}/"))

    def of_own(self: _Source) -> _Source:
        """Return this error for a dataset of one's own: there is no archive to extract, and no release."""
        remedy = _OWN_BY_FAULT.get(str(self.fault[0]), self.remedy)
        for text, instead in _OWN.items():
            remedy = remedy.replace(text, instead)
        return self.at(self.place, remedy)


class FolderError(SourceError):
    """A folder, a list file or a file name is wrong."""


class ImageError(SourceError):
    """An image cannot be used."""

    def alone(self) -> ImageError:
        """Return this error for an image file that belongs to no download: the remedy mentions no archive."""
        remedy = self.remedy
        for text, instead in _ALONE.items():
            remedy = remedy.replace(text, instead)
        return self.at(self.place, remedy)


class MaskError(SourceError):
    """A mask cannot be used."""


class UnreadableError(SourceError):
    """The system refuses to read a source file; the file may be intact."""


class SourceChangedError(SourceError):
    """A source file changed after packing began."""


class ArchiveError(MhpError, ValueError):
    """The zip archive of a dataset, a file in it, or a file of weights is damaged, or not the published one."""


class PackedError(MhpError, ValueError):
    """A packed folder is damaged or unsupported."""


class ManifestError(PackedError):
    """manifest.json is missing or invalid."""


class ShardError(PackedError):
    """A shard file is missing or damaged."""


class ShardChangedError(ShardError):
    """A shard file was replaced or modified after it was opened."""


class RecordError(PackedError):
    """A record in a shard is damaged or unsupported."""

    def in_shard(self, place: object, file: str) -> RecordError:
        """Return this error as ``at`` does, with the remedy for the shard ``file``, now that it is known."""
        return self.at(place, UPDATE if self.kind is Kind.NEWER else copy_again(file))


class RemoteError(MhpError, OSError):
    """An object store or a web server does not answer, or refuses a request; the data may be intact."""


class NoObjectError(RemoteError, FileNotFoundError):
    """An object does not exist."""


class NoBucketError(RemoteError):
    """A bucket does not exist."""


class OutputError(MhpError, OSError):
    """The output cannot be written."""


class OptionError(MhpError, ValueError):
    """An argument is invalid."""


class MissingError(MhpError, ImportError):
    """An optional library is not installed."""


class EngineError(MhpError, RuntimeError):
    """The framework cannot be used here, or not for this task."""


class CheckpointError(MhpError, ValueError):
    """A file of weights or of optimiser state is damaged or does not fit the network."""


class PredictionError(MhpError, ValueError):
    """A prediction to be scored is missing, damaged or not a label map."""


class LeakError(MhpError, ValueError):
    """A training split contains images of another dataset's evaluation split."""


class NonFiniteError(MhpError, ArithmeticError):
    """Too many training steps in a row had a non-finite loss or gradient."""


_OUTSIDE = (OutputError, RemoteError, MissingError, EngineError, UnreadableError, SourceChangedError, MemoryError)
_OF_THE_DATA = {
    *(
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ELOOP,
        errno.ENAMETOOLONG,
    ),  # depend on the contents of the folder
    *(errno.EINVAL, errno.ENXIO, errno.EFBIG),  # from mhpdata.filesystem.regular: not a regular file, or too large
    None,  # from HDF5: not an HDF5 file
}
"""OSError numbers that describe the data; all others describe the system."""


def caused(error: _Error, cause: BaseException | None) -> _Error:
    """Return the error with its cause set, as ``raise error from cause`` would, without raising it."""
    error.__cause__ = cause
    return error


def is_outside(error: BaseException) -> bool:
    """Return whether an operation failed for a reason outside the data: exit status 3, not 1.

    Such reasons are what the system refuses (permission, a failing or full disk, too many open files), output paths in
    use, a missing library, and a framework that cannot be used here. A missing object is like a missing file, which
    describes the data.
    """
    if isinstance(error, _OUTSIDE) and not isinstance(error, NoObjectError):
        return True
    if isinstance(error, OSError):
        return error.errno not in _OF_THE_DATA
    return error.__cause__ is not None and is_outside(error.__cause__)
