"""What helps against an error, as a text whose kind others can tell without reading it."""

from __future__ import annotations

from enum import Enum, auto


class Kind(Enum):
    """What a remedy advises, as data: for a caller who knows more of the place, and words it better."""

    NEWER = auto()
    """What wrote the packed folder may be newer than this mhp."""
    CONVERT = auto()
    """The file is an image of a format that mhp does not read."""
    ONE_IMAGE = auto()
    """The file is an animation."""


class Remedy(str):
    """The text of a remedy that also says of what kind it is."""

    __slots__ = ("kind",)
    kind: Kind

    def __new__(cls, text: str, kind: Kind) -> Remedy:
        """Make a remedy of a text and its kind."""
        remedy = super().__new__(cls, text)
        remedy.kind = kind
        return remedy

    def __getnewargs__(self) -> tuple[str, Kind]:  # type: ignore[override]  # errors cross process borders
        return str(self), self.kind
