"""The errors of mhp, sorted by who must act.

::

    MhpError
     ├── SourceError (ValueError)      the download: extract it again, or pass --on-error skip
     │    ├── FolderError              folders, lists and file names
     │    ├── ImageError               one photo
     │    ├── MaskError                one mask
     │    ├── UnreadableError          a file that the system does not let us read
     │    └── SourceChangedError       a file that changed while it was being packed
     ├── PackedError (ValueError)      the packed folder: copy it again, or pack again
     │    ├── ManifestError            manifest.json
     │    ├── ShardError               a .rec, .idx or .h5 file
     │    │    └── ShardChangedError   one that is not the file that was opened
     │    └── RecordError              one record in a shard
     ├── OutputError (OSError)         where mhp writes: space, permission, something in the way
     ├── OptionError (ValueError)      the caller's arguments
     ├── MissingError (ImportError)    a library that is needed for this and not installed
     ├── EngineError (RuntimeError)    the framework that trains: not usable here, or not for what it was given
     ├── CheckpointError (ValueError)  a file of weights or of an optimiser's state
     ├── PredictionError (ValueError)  somebody's predictions, to be scored
     ├── LeakError (ValueError)        training images that are images of an evaluation split, too
     └── NonFiniteError (ArithmeticError)   training that gives infinities or NaN again and again

Every error says where, what was found, what was expected and what to do, and keeps the four as attributes.
"""

from __future__ import annotations

import errno
from typing import TypeVar

from mhpdata.faults import OTHER, Fault
from mhpdata.remedy import Kind, Remedy

_Error = TypeVar("_Error", bound="MhpError")
_Source = TypeVar("_Source", bound="SourceError")

SKIP = '--on-error skip, in Python on_error="skip"'
"""How a command, and a function, is told to leave out what is broken."""
EXTRACT_AGAIN = f"Extract the archive again; if that does not help, let mhp-pack leave such images out: {SKIP}."
"""What to do about a download that is damaged."""
_PHOTO_AGAIN = (
    "Extract the archive again (your own photo: {own}); if that does not help, let mhp-pack, mhp-predict leave "
    f"it out: {SKIP}."
)
PHOTO_AGAIN = _PHOTO_AGAIN.format(own="copy it anew")
"""What to do about a photo that is damaged, of a download or not."""
PHOTO_SMALLER = _PHOTO_AGAIN.format(own="scale it down")
"""What to do about a photo that is too large, or claims to be."""
_COPY_AGAIN = (
    "If the packed folder is a copy, copy {file} again from the original; "
    "otherwise pack again with mhp-pack --overwrite."
)
COPY_AGAIN = _COPY_AGAIN.format(file="the shard")
"""What to do about a shard that is not what was packed."""
_WHICH = "Run mhp-verify --deep on the packed folder, which names the shard."
FIND_AGAIN = f"{_WHICH} {COPY_AGAIN}"
"""What to do about a damaged record where nobody knows which shard it is in."""
PACK_AGAIN = "Run the mhp-pack command that made the packed folder once more, with --overwrite."
"""What to do about a shard that no copy mends."""
UPDATE = Remedy(
    "If build.json in the packed folder names a newer mhp than pip show mhpkit, install that one; "
    "otherwise pack again with mhp-pack --overwrite.",
    Kind.NEWER,
)
"""What to do about a packed folder that this mhp does not know."""
FIND_UPDATE = Remedy(f"{_WHICH} {UPDATE}", Kind.NEWER)
"""The same about a record where nobody knows which shard it is in."""


def copy_again(name: str) -> str:
    """Return COPY_AGAIN for a file that is named."""
    return _COPY_AGAIN.format(file=name)


class MhpError(Exception):
    """Base of every error that mhp raises on purpose.

    Args:
        place: the file, folder or option, as the user would name it.
        found: what is wrong there.
        expected: what should be there; may be empty where ``found`` says it.
        remedy: the next thing to do, as a sentence; a ``Remedy`` where somebody may have to know its kind.
    """

    def __init__(self, place: object, found: str, expected: str = "", remedy: str = "") -> None:
        self.place = str(place)
        self.found = found
        self.expected = expected
        self.remedy = remedy
        what = f"{found}; expected {expected}" if expected else found
        super().__init__(f"{self.place}: {what}." + (f" {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[object, ...]:
        # An error crosses process borders whole; BaseException would hand on only the text.
        return type(self), (self.place, self.found, self.expected, self.remedy)

    @property
    def kind(self) -> Kind | None:
        """What its remedy advises, where that is a ``Remedy``."""
        return self.remedy.kind if isinstance(self.remedy, Remedy) else None

    def at(self: _Error, place: object, remedy: str | None = None, found: str | None = None) -> _Error:
        """Return this error, and its cause, as one about a place that only the caller knows.

        Args:
            place: the file, folder or option, as the user would name it.
            remedy: what to do there; by default as before.
            found: what is wrong there; by default as before.
        """
        found, remedy = self.found if found is None else found, self.remedy if remedy is None else remedy
        return caused(type(self)(place, found, self.expected, remedy), self.__cause__)


class SourceError(MhpError, ValueError):
    """The downloaded dataset is not what it should be.

    ``place`` is below the source folder, the same for everybody; ``remedy`` may call that folder SRC, before a slash.

    Attributes:
        fault: what is wrong as a code and values (mhpdata.faults), which no rewording changes.
    """

    def __init__(
        self, place: object, found: str, expected: str = "", remedy: str = "", *, fault: Fault = (OTHER,)
    ) -> None:
        super().__init__(place, found, expected, remedy)
        self.fault = fault

    def __reduce__(self) -> tuple[object, ...]:
        return (*super().__reduce__(), {"fault": self.fault})

    def at(self: _Source, place: object, remedy: str | None = None, found: str | None = None) -> _Source:
        """Return this error about another place, as of every error, with its code."""
        error = super().at(place, remedy, found)
        error.fault = self.fault
        return error

    def below(self, folder: object) -> SourceError:
        """The same error with the source folder before its place, as the user would name the file."""
        place = str(folder) if self.place == "." else f"{folder}/{self.place}"
        return self.at(place, self.remedy.replace("SRC/", f"{folder}/"))


class FolderError(SourceError):
    """A folder, a list file or a file name is wrong."""


class ImageError(SourceError):
    """A photo cannot be used."""


class MaskError(SourceError):
    """A mask cannot be used."""


class UnreadableError(SourceError):
    """A source file that the system does not let us read; it may be whole."""


class SourceChangedError(SourceError):
    """A source file is no longer the file that was there when packing began."""


class PackedError(MhpError, ValueError):
    """A packed folder is damaged or of another make."""


class ManifestError(PackedError):
    """manifest.json is missing or wrong."""


class ShardError(PackedError):
    """A shard file is missing or wrong."""


class ShardChangedError(ShardError):
    """A shard file is not the one that was opened: replaced, or written to."""


class RecordError(PackedError):
    """A record in a shard is wrong."""

    def in_shard(self, place: object, file: str) -> RecordError:
        """Return this error as ``at`` does, once the file of the record's shard is known, which a copy may mend."""
        return self.at(place, UPDATE if self.kind is Kind.NEWER else copy_again(file))


class OutputError(MhpError, OSError):
    """The output cannot be written."""


class OptionError(MhpError, ValueError):
    """An argument is outside what the function or command takes."""


class MissingError(MhpError, ImportError):
    """A library that only some of mhp needs is not installed."""


class EngineError(MhpError, RuntimeError):
    """The framework cannot be used here, or not for what it was given."""


class CheckpointError(MhpError, ValueError):
    """A file of weights or of an optimiser's state is damaged or does not fit the network."""


class PredictionError(MhpError, ValueError):
    """A prediction that is to be scored is missing, damaged, or no map of labels."""


class LeakError(MhpError, ValueError):
    """A training split holds images of another dataset's evaluation split."""


class NonFiniteError(MhpError, ArithmeticError):
    """Too many training steps in a row had a loss or a gradient that is not finite."""


_OUTSIDE = (OutputError, MissingError, EngineError, UnreadableError, SourceChangedError, MemoryError)
_OF_THE_DATA = {
    *(
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ELOOP,
        errno.ENAMETOOLONG,
    ),  # what the folder holds
    *(errno.EINVAL, errno.ENXIO, errno.EFBIG),  # of mhpdata.filesystem.regular: not a regular file, or too large
    None,  # of HDF5: not an HDF5 file
}
"""Numbers of OSErrors that tell how the data are; all others tell how the system is."""


def caused(error: _Error, cause: BaseException | None) -> _Error:
    """The error with its cause, as ``raise error from cause`` gives it, for one that is returned and not raised."""
    error.__cause__ = cause
    return error


def is_outside(error: BaseException) -> bool:
    """Whether something could not be done for a reason outside the data, which may be whole: exit status 3, not 1.

    Such are what the system refuses (permission, a disk that fails or is full, too many open files), output that is in
    the way, a library that is missing and a framework that cannot be used here.
    """
    if isinstance(error, _OUTSIDE):
        return True
    if isinstance(error, OSError):
        return error.errno not in _OF_THE_DATA
    return error.__cause__ is not None and is_outside(error.__cause__)
