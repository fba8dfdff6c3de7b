"""Remedies: texts that carry a machine-readable kind."""

from __future__ import annotations

from enum import Enum, auto


class Kind(Enum):
    """The advice of a remedy, for callers that know the place better and reword the text."""

    NEWER = auto()
    """The packed folder may have been written by a newer mhp."""
    CONVERT = auto()
    """The file is an image in a format that mhp does not read."""
    ONE_IMAGE = auto()
    """The file is an animation."""


class Remedy(str):
    """The text of a remedy, with its kind."""

    __slots__ = ("kind",)
    kind: Kind

    def __new__(cls, text: str, kind: Kind) -> Remedy:
        """Create a remedy from a text and its kind."""
        remedy = super().__new__(cls, text)
        remedy.kind = kind
        return remedy

    def __getnewargs__(self) -> tuple[str, Kind]:  # type: ignore[override]  # errors cross process borders
        return str(self), self.kind
