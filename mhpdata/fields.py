"""Typed access to values of an untrusted JSON text; an error names the field.

Each function raises ValueError if a value has the wrong type or range, such as "splits.train.records has -1, not a
whole number of 0 or more"; ``place`` is the path of the field, outermost object first.
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_VALUES = 1 << 22
MAX_CONTAINERS = 1 << 18
"""Limits of a JSON text: values take up to 70 bytes of memory each, an object or list up to 240. A longer text may
have more, as long as memory stays within about four times its length: a manifest may have a note for every image."""
_VALUE_BYTES = 16
_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse_json(text: str, value_bytes: int = _VALUE_BYTES) -> Any:
    """Parse a JSON text in bounded memory, however small its values are.

    Args:
        text: The text.
        value_bytes: Bytes of text per value that a long text must have, and per four objects or lists.

    Raises:
        ValueError: It is not JSON, or has more values, objects or lists than any file that mhp writes.
        RecursionError: Brackets are nested too deeply.
    """
    containers = text.count("{") + text.count("[")
    values = text.count(",") + containers + 1
    most = max(MAX_VALUES, len(text) // value_bytes)
    most_containers = max(MAX_CONTAINERS, len(text) // (4 * value_bytes))
    if values > most or containers > most_containers:
        found = f"up to {values} values, of them {containers} objects and lists"
        raise ValueError(f"{found}; in a text of this length mhp reads at most {most}, of them {most_containers}")
    return json.loads(text)


def field_of(content: Any, name: str, place: str) -> Any:
    """Return the value of a key of an object."""
    if name not in object_at(content, place or "its content"):
        raise ValueError(f"{place}.{name} is missing" if place else f"{name} is missing")
    return content[name]


def object_at(value: Any, place: str) -> dict[str, Any]:
    """Return an object as a dict."""
    if not isinstance(value, dict):
        raise ValueError(f"{place} is {shown(value)}, not an object")
    return value


def count_at(value: Any, place: str) -> int:
    """Return a whole number from 0 to 2**63 - 1."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        prefix = "the text " if isinstance(value, str) else ""
        raise ValueError(f"{place} has {prefix}{shown(value)}, not a whole number of 0 or more")
    return value


def digest_at(value: Any, place: str) -> str:
    """Return a SHA-256 in hexadecimal."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError(f"{place} has {shown(value)}, not a SHA-256")
    return value


def hexadecimal_at(value: Any, place: str) -> int:
    """Return the whole number that a text of hexadecimal digits gives."""
    try:
        return int(text_at(value, place), 16)
    except ValueError as error:
        raise ValueError(f"{place} has {shown(value)}, not a hexadecimal number in quotes") from error


def list_at(value: Any, place: str) -> list[Any]:
    """Return a list."""
    if not isinstance(value, list):
        raise ValueError(f"{place} is {shown(value)}, not a list")
    return value


def text_at(value: Any, place: str) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise ValueError(f"{place} has {shown(value)}, not a text")
    return value


def shown(value: Any) -> str:
    """Describe a value in a few words, however large or deep it is."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value[:61] if isinstance(value, str) else value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}..."
