"""The type of a target of tests/support/fuzz.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Seeds = list[bytes]


@dataclass(frozen=True)
class Target:
    """A reader to attack.

    Attributes:
        seeds: Valid inputs.
        read: Function that reads an input; called with the input and the number of its seed.
        exact: Whether an accepted input must read as its seed; False without a checksum, or if ``repair`` fixes it.
        repair: Function that corrects the checksums after the damage.
    """

    seeds: Seeds
    read: Callable[[bytes, int], Any]
    exact: bool
    repair: Callable[[bytes], bytes] = bytes


Builder = Callable[[Path], Target]
