"""Options that change the bytes of a packed folder, validated, and the tables of choices.

Imports nothing heavy: commands take their choices from here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Literal, get_args

from mhpdata.address import Address, parse_address
from mhpdata.errors import OptionError
from mhpdata.wording import either

Folder = Path | Address
"""Place of a packed folder that is read."""
SELECTED = ("selection", "from")
"""Names, in the options of an unfinished pack, for the records of other packs that it takes."""
LOCAL_ONLY = (
    "Copy the data to or from a local folder: only packed folders, and the --src of mhp pack, may have an address."
)
"""Remedy for an address in place of a path."""

Format = Literal["recordio", "hdf5"]
ImageCodec = Literal["jpeg", "yuv420", "raw"]
Overlap = Literal["first", "last", "smallest", "nearest", "ignore"]
SizeOf = Literal["short", "long"]
Check = Literal["first", "always"]
OnError = Literal["fail", "skip"]
Damage = Literal["fail", "keep"]
ValProtocol = Literal["official", "gluoncv"]
Layout = Literal["auto", "mhp-v1", "mhp-v2", "cihp", "lip", "ccihp", "folder"]
"""Layouts of a download (``mhpdata.source.scan``); "auto" recognises them. "folder" is a dataset of one's own."""

ExportForm = Literal["mhp-v1", "coco", "coco-panoptic", "cihp", "mmseg", "lip", "parquet"]
"""Forms of ``mhpdata.export``."""
ExportAt = Literal["packed", "source"]

LAYOUT_NAMES: tuple[Layout, ...] = get_args(Layout)
FORMATS: tuple[Format, ...] = get_args(Format)
IMAGES: tuple[ImageCodec, ...] = get_args(ImageCodec)
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)
SIZES_OF: tuple[SizeOf, ...] = get_args(SizeOf)
CHECKS: tuple[Check, ...] = get_args(Check)
"""When a record's CRC-32 is checked: the first time that a process reads it, or always."""
ON_ERROR: tuple[OnError, ...] = get_args(OnError)
DAMAGE: tuple[Damage, ...] = get_args(Damage)
PROTOCOLS: tuple[ValProtocol, ...] = get_args(ValProtocol)
"""Protocols for the val split, the default first."""
EXPORT_FORMS: tuple[ExportForm, ...] = get_args(ExportForm)
EXPORT_AT: tuple[ExportAt, ...] = get_args(ExportAt)
"""Sizes of an export: as packed (the default), or as annotated."""


@dataclass(frozen=True)
class PackOptions:
    """Options that change the bytes of a packed folder.

    Attributes:
        format: Container of the shards, of FORMATS.
        size: Length in pixels of the side that ``size_of`` names, 8..8192; 0 keeps the source's size.
        size_of: Which side ``size`` measures, "short" or "long".
        overlap: Which person owns a pixel that several persons label, of OVERLAPS.
        image: How images are stored, of IMAGES.
        quality: JPEG quality of images that are re-encoded, 1..100.
        shard_mb: Maximum bytes of records per shard, without the container's overhead, in MB (2**20 bytes), 1..65536.
        damaged: "fail" rejects a JPEG with damaged pixels, "keep" accepts what decodes; of DAMAGE.

    Raises:
        OptionError: A value is invalid.
    """

    format: Format = "recordio"
    size: int = 768
    size_of: SizeOf = "short"
    overlap: Overlap = "first"
    image: ImageCodec = "jpeg"
    quality: int = 95
    shard_mb: int = 256
    damaged: Damage = "fail"

    def __post_init__(self) -> None:
        for name, choices in (("format", FORMATS), ("size_of", SIZES_OF), ("overlap", OVERLAPS), ("image", IMAGES)):
            check_choice(name, getattr(self, name), choices)
        check_choice("damaged", self.damaged, DAMAGE)
        if self.size != 0 or isinstance(self.size, bool):
            check_range("size", self.size, 8, 8192, "0, or ")
        check_range("quality", self.quality, 1, 100)
        check_range("shard_mb", self.shard_mb, 1, 65536)

    def as_dict(self) -> dict[str, object]:
        """Return the options by name, in a fixed order."""
        return asdict(self)


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise OptionError unless ``value`` is one of ``choices``."""
    kinds = {bool if isinstance(value, bool) else kind for kind in type(value).__mro__}
    if not any(type(choice) in kinds and value == choice for choice in choices):
        found = repr(value) if isinstance(value, str) else in_words(value)
        remedy = "" if len(choices) > 1 else f"Pass {choices[0]}."
        raise OptionError(name, found, either(choices), remedy)


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """Return the options of a pack that differ from ours, as typed: "--size 768, now 512; --image raw, now jpeg"."""
    odd = _odd(theirs, ours)
    found = [f"{_typed(name, theirs.get(name))}, now {_values(ours[name])}" for name in odd if name not in SELECTED]
    return "; ".join(found + ["another selection of records"] * any(name in SELECTED for name in odd))


def recorded(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """Return the options of a pack that differ from ours, as typed: "--size 768 --image raw"."""
    odd = _odd(theirs, ours)
    found = [_typed(name, theirs.get(name)) for name in odd if name not in SELECTED]
    return " ".join(found + ["the same --from, --names and --where"] * any(name in SELECTED for name in odd))


def _odd(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    return [name for name in ours if theirs.get(name) != ours[name]]


def _typed(name: str, value: Any) -> str:
    flag = "split" if name == "splits" else name.replace("_", "-")
    return " ".join(f"--{flag} {one}" for one in (value if isinstance(value, list) else [value]))


def _values(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def is_collection(value: object) -> bool:
    """Return whether a value can be iterated over as several values: not a text, and no array without an axis."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes) and getattr(value, "shape", None) != ()


def check_path(name: str, value: str | os.PathLike[str]) -> Path:
    """Return an argument as a path of this machine.

    Raises:
        OptionError: It is an address (mhpdata.address), or an empty path, which would mean the current folder.
    """
    if value == "":
        raise OptionError(name, "an empty path", "", 'Pass "." for the current folder.')
    if parse_address(name, value) is not None:
        raise OptionError(name, "an address", "a path on this machine", LOCAL_ONLY)
    return Path(value)


def check_folder(name: str, value: str | os.PathLike[str] | Address) -> Folder:
    """Return an argument as the place of a packed folder to read: a path or an address.

    Raises:
        OptionError: The path is empty, or the address is invalid.
    """
    return parse_address(name, value) or check_path(name, value)  # type: ignore[arg-type]  # no Address is left


def short_name(folder: Folder) -> str:
    """Return the last part of the name of a folder, for titles."""
    return (folder.resolve().name if isinstance(folder, Path) else folder.name) or str(folder)


def check_range(name: str, value: object, low: int, high: int, also: str = "") -> None:
    """Raise OptionError unless ``value`` is an integer in low..high; ``also`` names other values that are allowed."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        expected = f"{also}a whole number from {low} to {high}" if low < high else f"{also}the number {low}"
        raise OptionError(name, in_words(value), expected, _remedy(value, low, high))


def check_share(name: str, value: object) -> None:
    """Raise OptionError unless ``value`` is a number in 0..1."""
    if not is_number(value) or not 0 <= value <= 1:  # type: ignore[operator]  # it is a number
        quotes = ", without quotes" if isinstance(value, str) else ""
        remedy = f"Pass a share of the images, such as 0.5 for half{quotes}."
        raise OptionError(name, in_words(value), "a number from 0 to 1", remedy)


def is_number(value: object) -> bool:
    """Return whether a value is a real number, Python's or NumPy's; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def in_words(value: object) -> str:
    """Describe an invalid value for an error: the text '16', nothing (None), the number 2.5."""
    if value is None:
        return "nothing (None)"
    if isinstance(value, str):
        return f"the text {value[:80]!r}"
    if isinstance(value, bool):
        return f"{value}, which is not a number"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"the number {value}"
    return f"{value!r}, of type {type(value).__name__}"


def _remedy(value: object, low: int, high: int) -> str:
    """Return the remedy for a value that ``check_range`` rejects; "" if the expected range suffices."""
    if isinstance(value, int) and not isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return "Pass the number without quotes." if len(value) < 20 and value.isdecimal() else ""
    if isinstance(value, float) and value.is_integer() and low <= value <= high:
        return f"Pass {int(value)}, without a decimal point."
    return "Convert the value with int()." if getattr(value, "shape", None) == () else ""
