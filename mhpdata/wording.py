"""Numbers and arrays in sentences for people: 1 group, 2 groups."""

from __future__ import annotations

import json
from typing import Any

from mhpdata.errors import MhpError

AS_MAP = "Pass a two-dimensional array, turned into bytes with .astype('uint8')."
"""What to do about an array that is no map of labels or persons."""


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what is counted, as "1 group", "0 groups", or with ``many`` given "2 entries"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def array_in_words(array: Any) -> str:
    """What an array is, as "an array of int64 (480, 640)"."""
    return f"an array of {array.dtype} {array.shape}"


def error_in_words(error: BaseException) -> str:
    """What a reader's error says, for people who know no Python."""
    if isinstance(error, MhpError):
        return f"{error.place}: {error.found}" + (f"; expected {error.expected}" if error.expected else "")
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON from line {error.lineno}, column {error.colno} on"
    if isinstance(error, UnicodeDecodeError):
        return "bytes that are no UTF-8 text"
    if isinstance(error, RecursionError):
        return "brackets nested too deep"
    if isinstance(error, KeyError):
        return f"{error.args[0] if error.args else 'a field'} is missing"
    if isinstance(error, TypeError | AttributeError):
        return f"a value of the wrong kind: {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
