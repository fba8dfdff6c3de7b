"""What a packed folder is made with: every option that changes its bytes, checked, and the tables of choices.

Imports nothing heavy: commands take their choices from here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mhpdata.errors import OptionError
from mhpdata.shards import FORMATS

IMAGES = ("jpeg", "yuv420", "raw")
OVERLAPS = ("first", "last", "smallest", "nearest", "ignore")
SIZES_OF = ("short", "long")
ON_ERROR = ("fail", "skip")


@dataclass(frozen=True)
class PackOptions:
    """Options of a pack that change its bytes.

    Attributes:
        format: container of the shards, of FORMATS.
        size: pixels of the side that ``size_of`` names, 8..8192; 0 keeps the source's size.
        size_of: "short" or "long" side.
        overlap: who owns a pixel that several persons label, of OVERLAPS.
        image: how images are stored, of IMAGES.
        quality: of a JPEG that is encoded anew, 1..100.
        shard_mb: a shard is closed before the record that would make it larger, in MB (2**20 bytes), 1..65536.

    Raises:
        OptionError: a value outside these.
    """

    format: str = "recordio"
    size: int = 768
    size_of: str = "short"
    overlap: str = "first"
    image: str = "jpeg"
    quality: int = 95
    shard_mb: int = 256

    def __post_init__(self) -> None:
        for name, choices in (("format", FORMATS), ("size_of", SIZES_OF), ("overlap", OVERLAPS), ("image", IMAGES)):
            check_choice(name, getattr(self, name), choices)
        if self.size != 0 or isinstance(self.size, bool):
            check_range("size", self.size, 8, 8192, "0, or ")
        check_range("quality", self.quality, 1, 100)
        check_range("shard_mb", self.shard_mb, 1, 65536)

    def as_dict(self) -> dict[str, object]:
        """The options by name, in a fixed order."""
        return asdict(self)


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raises OptionError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise OptionError(name, repr(value), " or ".join(map(str, choices)), "Choose one of them.")


def check_range(name: str, value: object, low: int, high: int, also: str = "") -> None:
    """Raises OptionError unless ``value`` is an integer in low..high; ``also`` names what else may be given."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise OptionError(name, repr(value), f"{also}a whole number from {low} to {high}", "Change it.")
