"""Read and write results.txt of a submission: the predicted persons of each image and their scores.

There is one line per image: its id, then number and score of each person, such as ``0001 1 0.98 2 0.75``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from mhpdata.errors import PredictionError
from mhpdata.filesystem.regular import read_regular
from mhpdata.masks.merge import MAX_PERSONS
from mhpdata.source.files import MAX_FILE_BYTES
from mhpdata.wording import error_in_words, to_replace, unread

RESULTS, SEGMENTS, TAGS = "results.txt", "global_seg", "global_tag"
LINE = "id, then number and score of each person, such as 0001 1 0.98 2 0.75"


def read_results(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read the persons of each image: {image: [(person, score), ...]}.

    Persons are numbered 1..65535; scores are finite; an image has at most 255 persons.

    Raises:
        PredictionError: the file cannot be read, or a line is invalid.
    """
    try:
        lines = read_regular(path, MAX_FILE_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        remedy = f"Write {path} again as UTF-8 text."
        found = f"cannot be read ({error_in_words(error)})"
        if isinstance(error, OSError):
            found = unread(error)
            remedy = remedy if isinstance(error, FileNotFoundError) else to_replace(error, path, remedy)
        raise PredictionError(path, found, f"one line per image: its {LINE}", remedy) from error
    listed: dict[str, list[tuple[int, float]]] = {}
    for number, line in enumerate(lines, 1):
        name, *items = line.split() or [""]
        if not name:
            continue
        fault = _fault(items)
        if fault is not None:
            raise PredictionError(f"{path} line {number}", fault[0], f"an image's {LINE}", fault[1])
        persons = [(int(a), float(b)) for a, b in zip(items[::2], items[1::2], strict=True)]
        if name in listed:
            remedy = f"Merge the two lines of {name}, or remove one."
            raise PredictionError(f"{path} line {number}", f"image {name} again", "one line per image", remedy)
        listed[name] = persons
    return listed


def is_list(start: bytes) -> bool:
    """Return whether a file may be a list of persons: it is empty, or its first line is an image's.

    Args:
        start: first bytes of the file; a line that they cut short counts as invalid.
    """
    line, end, _ = start.partition(b"\n")
    name, *items = line.decode("utf-8", "replace").split() or [""]
    return not start or (bool(name and end) and _fault(items) is None)


def line_of(name: str, scores: Sequence[float]) -> str:
    """Return the line of an image whose persons 1, 2, ... have these scores, with its line end."""
    return " ".join([name, *(f"{person} {score:.5f}" for person, score in enumerate(scores, 1))]) + "\n"


def _fault(items: Sequence[str]) -> tuple[str, str] | None:
    """Return what is wrong with the persons and scores of a line, and the remedy; None for a valid line."""
    if len(items) % 2:
        remedy = "Add the score after the person's number, such as 0.98, or remove the person."
        return f"person {items[-1][:40]} has no score", remedy
    for person, score in zip(items[::2], items[1::2], strict=True):
        try:
            known = 0 < int(person) < 1 << 16
        except ValueError:
            known = False
        if not known:
            remedy = "Number persons with integers from 1 to 65535, or remove the person and its score."
            return f"person number {person[:40]!r}", remedy
        try:
            finite = math.isfinite(float(score))
        except ValueError:
            finite = False
        if not finite:
            remedy = "Write a finite number such as 0.98, or remove the person."
            return f"score {score[:40]!r} for person {person[:40]}", remedy
    if len(items) > 2 * MAX_PERSONS:
        return f"{len(items) // 2} persons", f"Keep the {MAX_PERSONS} persons with the highest scores."
    return None
