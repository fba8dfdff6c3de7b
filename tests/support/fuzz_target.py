"""What a target of tests/support/fuzz.py is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Seeds = list[bytes]


@dataclass(frozen=True)
class Target:
    """Something to attack.

    Attributes:
        seeds: whole inputs.
        read: what an input says; called with the input and the number of the seed that it was made of.
        exact: an input that is accepted says what its seed says. Else there is no checksum, or ``mend`` makes it.
        mend: makes checksums right again after the damage.
    """

    seeds: Seeds
    read: Callable[[bytes, int], Any]
    exact: bool
    mend: Callable[[bytes], bytes] = bytes


Builder = Callable[[Path], Target]
